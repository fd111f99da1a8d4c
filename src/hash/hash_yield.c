/*
 * Writers wait, now and then and without any lock, while the store is above
 * max_space_amplification and somebody merges: otherwise they could overwrite
 * faster than merges give back, and the store would grow without end.
 *
 * Nobody waits for a merge that will not come: without one under way, or with
 * one that was told to be slow, writers go on and the store grows.
 */
#include "hash/hash.h"

#include "store/store_merge.h"
#include "store/store_pace.h"

void hash_yield(store_handle *store)
{
    store_settings settings;
    uint64_t ms;

    if (!store_merge_is_under_way(store)) {
        return;
    }
    store_settings_get(store, &settings);
    if (settings.merge_rate_bytes != 0) {
        return;
    }
    ms = store_pace_yield_ms(store, &settings);
    if (ms > 0) {
        store->os->ops->sleep_ms(store->os, ms);
    }
}
