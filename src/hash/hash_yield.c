/*
 * Writers wait, now and then and without any lock, while the store is above
 * max_space_amplification and somebody merges: otherwise they could overwrite
 * faster than merges give back, and the store would grow without end.
 *
 * Nobody waits for a merge that will not come: without one under way, or with
 * one that was told to be slow, writers go on and the store grows.
 */
#include "hash/hash.h"

#include "maintain/merge_yield.h"
#include "store/store_expiry.h"
#include "store/store_merge.h"
#include "store/store_settings.h"

void hash_yield(store_handle *store)
{
    store_settings settings;
    store_expiry expiry;
    store_space space;
    uint64_t ms;

    if (!store_merge_is_under_way(store)) {
        return;
    }
    store_settings_get(store, &settings);
    if (settings.max_space_amplification == 0 ||
        settings.merge_rate_bytes != 0 || store_lock(store, NULL) != CASK_OK) {
        return;
    }
    store_expiry_now(store, false, &expiry);
    space = store_space_locked(store, &expiry);
    store_unlock(store);
    if (!expiry.disagrees) {
        space.live_bytes -= space.expired_bytes;
    }
    ms = merge_yield_ms(space.total_bytes, space.live_bytes,
                        settings.max_space_amplification);
    if (ms > 0) {
        store->os->ops->sleep_ms(store->os, ms);
    }
}
