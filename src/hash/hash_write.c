/*
 * Writing: the long part of the checksum, the hash and the cache misses of the
 * index come before the lock; under it only copies and stores.
 */
#include "hash/hash.h"

#include "hash/keydir.h"
#include "maintain/merge_yield.h"
#include "region/place.h"
#include "store/store_operation.h"

void hash_prepare(const store_handle *store, uint8_t kind, cask_slice key,
                  cask_slice value, uint64_t expires_at_ms,
                  store_record *ret_record)
{
    store_prepare(store, kind, key, value, expires_at_ms, ret_record);
    keydir_prefetch(&store->region, keydir_hash_of(ret_record->hash));
}

void hash_prepare_many(const store_handle *store, store_record *records,
                       size_t count)
{
    store_hash_records(store, records, count);
    /* Apart: a processor waits for several misses at once only if there is
     * little work between them. */
    for (size_t i = 0; i < count; i++) {
        keydir_prefetch(&store->region, keydir_hash_of(records[i].hash));
    }
}

/* After the lock: wait for the device if the policy says so; now and then make
 * way for a merge that writers outrun. */
static cask_status settle(store_handle *store, uint64_t sequence,
                          cask_error *err)
{
    cask_status status = store_sync_commit(store, sequence, err);

    if (store_take_yield(store, MERGE_YIELD_BYTES)) {
        hash_yield(store);
    }
    return status;
}

static cask_status fail_same_hash(const store_handle *store, cask_error *err)
{
    return fail(err, CASK_UNSUPPORTED, 0,
                "%s: this key has the same hash as another key of the store; "
                "nothing was written",
                store->path);
}

/* Two keys of one hash: see verify_overwrite in caskade.h. */
static cask_status check_same_key(store_handle *store,
                                  const store_record *record, cask_error *err)
{
    hash_found found = {.other_key = false};

    if (!store->options.verify_overwrite) {
        return CASK_OK;
    }
    (void)hash_get_hashed(store, record->key, record->hash, NULL, &found, NULL);
    return found.other_key ? fail_same_hash(store, err) : CASK_OK;
}

cask_status hash_write(store_handle *store, store_record *records, size_t count,
                       uint64_t *ret_sequence, cask_error *err)
{
    const store_need need = store_need_of(store, records, count);
    cask_status status = CASK_OK;

    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        status = check_same_key(store, &records[i], err);
    }
    if (status == CASK_OK) {
        status = store_lock_with_room(store, &need, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status = store_write_locked(store, records, count, ret_sequence, err);
    store_unlock_written(store);
    return status == CASK_OK ? settle(store, *ret_sequence, err) : status;
}

cask_status hash_reserve(store_handle *store, uint64_t count, cask_error *err)
{
    uint64_t lines = keydir_presize_lines(&store->region, count);
    cask_status status = region_reserve(&store->region, lines, err);

    if (lines == 0 || status != CASK_OK) {
        return status;
    }
    status = store_lock(store, err);
    if (status == CASK_OK) {
        keydir_presize_locked(&store->region, count);
        store_unlock(store);
    }
    return status;
}

/* ---- Conditional writes ---- */

/* The place that the index names for a key; 0 if none is live. */
static uint64_t live_place(const store_handle *store, siphash_value hash)
{
    uint64_t place = 0;

    if (!keydir_find(&store->region, keydir_hash_of(hash), &place) ||
        !place_is_live(place)) {
        return 0;
    }
    return place;
}

/* CASK_BUSY: it is not at the place `what` any more: written, or moved. */
static cask_status check_unmoved(store_handle *store,
                                 const store_record *record, const void *what,
                                 cask_error *err)
{
    const uint64_t *place = what;

    (void)err;
    return live_place(store, record->hash) == *place ? CASK_OK : CASK_BUSY;
}

cask_status hash_write_if(store_handle *store, store_record *record,
                          const cask_write_options *options,
                          uint64_t *ret_sequence, bool *ret_existed,
                          cask_error *err)
{
    bool is_delete = record_kind(&record->header) == RECORD_DELETE;
    cask_status status;

    do {
        uint64_t place = live_place(store, record->hash);
        hash_found found = {.place = 0};
        cask_status seen = CASK_NOT_FOUND;
        bool exists;

        if (place != 0) {
            seen = hash_get_hashed(store, record->key, record->hash, NULL,
                                   &found, err);
        } else if (!region_is_covered(&store->region)) {
            return region_fail_uncovered(&store->region, err);
        }
        exists = seen == CASK_OK;
        if (seen != CASK_OK && seen != CASK_NOT_FOUND &&
            !(seen == CASK_CORRUPT && options->condition == CASK_ALWAYS)) {
            return seen;
        }
        status =
            store_check_condition(options, exists, found.info.sequence, err);
        if (status != CASK_OK) {
            return status;
        }
        *ret_existed = exists || seen == CASK_CORRUPT;
        if (is_delete && (place == 0 || found.other_key)) {
            *ret_sequence = 0;
            return CASK_OK;
        }
        if (found.other_key) {
            return fail_same_hash(store, err);
        }
        status = store_write_unchanged(store, record,
                                       (store_seen){check_unmoved, &place},
                                       ret_sequence, err);
    } while (status == CASK_BUSY);
    return status == CASK_OK ? settle(store, *ret_sequence, err) : status;
}
