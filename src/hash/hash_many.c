/*
 * Look-ups of many keys at once, now or as of a snapshot: what some of them
 * need from memory is asked for before the first is looked up, so that the
 * cache misses overlap.
 */
#include "base/siphash.h"
#include "hash/hash.h"
#include "hash/hash_snapshot.h"
#include "hash/keydir.h"

/* Keys that are looked up together: their lines fit into the caches. */
enum { MANY = 16 };

/* Where to look. */
typedef struct looked {
    store_handle *store;
    const store_snapshot *snapshot; /* NULL: now */
} looked;

static bool place_of(looked in, siphash_value hash, uint64_t *ret_place)
{
    return in.snapshot == NULL
               ? keydir_find(&in.store->region, keydir_hash_of(hash), ret_place)
               : hash_snapshot_place(in.snapshot, hash, ret_place);
}

static cask_status get_hashed(looked in, cask_slice key, siphash_value hash,
                              cask_buffer *value, cask_error *err)
{
    hash_found found = {.place = 0};
    cask_status status;

    if (in.snapshot != NULL) {
        return hash_snapshot_get_hashed(in.snapshot, key, hash, value,
                                        &found.info, err);
    }
    status = hash_get_hashed(in.store, key, hash, value, &found, err);
    hash_count_get(in.store, status == CASK_OK);
    return status;
}

static cask_status get_some(looked in, const cask_slice *keys, size_t count,
                            cask_buffer *values, cask_status *statuses,
                            cask_error *err)
{
    cask_status worst = CASK_OK;
    siphash_value hashes[MANY];

    for (size_t i = 0; i < count; i++) {
        hashes[i] =
            siphash(in.store->identity.hash_key, keys[i].data, keys[i].size);
        keydir_prefetch(&in.store->region, keydir_hash_of(hashes[i]));
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t place;

        if (place_of(in, hashes[i], &place)) {
            hash_prefetch_place(in.store, place);
        }
    }
    for (size_t i = 0; i < count; i++) {
        statuses[i] = get_hashed(in, keys[i], hashes[i], &values[i],
                                 worst == CASK_OK ? err : NULL);
        if (worst == CASK_OK && statuses[i] != CASK_NOT_FOUND) {
            worst = statuses[i];
        }
    }
    return worst;
}

static cask_status get_many(looked in, const cask_slice *keys, size_t count,
                            cask_buffer *values, cask_status *statuses,
                            cask_error *err)
{
    cask_status worst = CASK_OK;

    for (size_t i = 0; i < count; i += MANY) {
        size_t some = count - i < MANY ? count - i : MANY;
        cask_status status =
            get_some(in, keys + i, some, values + i, statuses + i,
                     worst == CASK_OK ? err : NULL);

        if (worst == CASK_OK) {
            worst = status;
        }
    }
    return worst;
}

cask_status hash_get_many(store_handle *store, const cask_slice *keys,
                          size_t count, cask_buffer *values,
                          cask_status *statuses, cask_error *err)
{
    return get_many((looked){store, NULL}, keys, count, values, statuses, err);
}

cask_status hash_snapshot_get_many(const store_snapshot *snapshot,
                                   const cask_slice *keys, size_t count,
                                   cask_buffer *values, cask_status *statuses,
                                   cask_error *err)
{
    return get_many((looked){snapshot->store, snapshot}, keys, count, values,
                    statuses, err);
}
