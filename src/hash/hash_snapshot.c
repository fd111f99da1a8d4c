/*
 * Looking up as of a snapshot: the slot first, then what writers saved. A
 * writer saves before it changes the slot, so who has seen the change finds
 * what was saved, and who finds nothing has seen the slot as it was.
 */
#include "hash/hash_snapshot.h"

#include "store/store_settings.h"

#include "hash/keydir.h"
#include "region/place.h"
#include "region/undo.h"

/* How often a place that does not verify is looked up again; see LOOKS in
 * hash_read.c. */
enum { LOOKS = 100 };

bool hash_snapshot_place(const store_snapshot *snapshot, siphash_value hash,
                         uint64_t *ret_place)
{
    const region_handle *region = &snapshot->store->region;
    keydir_hash key = keydir_hash_of(hash);
    bool found = keydir_find(region, key, ret_place);

    if (snapshot->entry != NULL &&
        undo_find(region, (undo_key){key.tag, key.shard}, snapshot->sequence,
                  ret_place)) {
        found = true;
    }
    return found && place_is_live(*ret_place);
}

/* Look up, and again if a merge led the key elsewhere meanwhile. */
static cask_status look(const store_snapshot *snapshot, cask_slice key,
                        siphash_value hash, cask_buffer *value,
                        hash_found *ret_found, cask_error *err)
{
    store_handle *store = snapshot->store;
    cask_status status = CASK_NOT_FOUND;
    uint64_t before = 0;
    uint64_t nonce_before = 0;

    for (int i = 0; i < LOOKS; i++) {
        uint64_t place = 0;
        uint64_t nonce;

        if (!hash_snapshot_place(snapshot, hash, &place)) {
            return CASK_NOT_FOUND;
        }
        nonce = hash_nonce_at(store, place);
        if (place == before && nonce == nonce_before) {
            return status;
        }
        *ret_found = (hash_found){.place = place};
        status = hash_read_place(store, place, key, value, ret_found, err);
        if (status == CASK_OK || status == CASK_NO_MEMORY) {
            break;
        }
        before = place;
        nonce_before = nonce;
    }
    return status;
}

cask_status hash_snapshot_get_hashed(const store_snapshot *snapshot,
                                     cask_slice key, siphash_value hash,
                                     cask_buffer *value, cask_info *ret_info,
                                     cask_error *err)
{
    store_handle *store = snapshot->store;
    hash_found found = {.place = 0};
    cask_buffer unwanted = {0};
    cask_status status = look(snapshot, key, hash,
                              value != NULL ? value : &unwanted, &found, err);

    cask_buffer_free(&unwanted);
    if (store_snapshot_is_lost(snapshot)) {
        return store_snapshot_fail_lost(snapshot, err);
    }
    if (!region_is_covered(&store->region)) {
        /* What was saved may be where this process cannot look. */
        return region_fail_uncovered(&store->region, err);
    }
    if (status == CASK_OK &&
        store_is_past(snapshot->moment_ms, snapshot->expiry_seconds,
                      found.info.time_s, found.info.expires_at_ms)) {
        status = CASK_NOT_FOUND;
    }
    hash_count_get(store, status == CASK_OK);
    *ret_info = found.info;
    return status;
}

cask_status hash_snapshot_get(const store_snapshot *snapshot, cask_slice key,
                              cask_buffer *value, cask_info *ret_info,
                              cask_error *err)
{
    siphash_value hash =
        siphash(snapshot->store->identity.hash_key, key.data, key.size);

    return hash_snapshot_get_hashed(snapshot, key, hash, value, ret_info, err);
}
