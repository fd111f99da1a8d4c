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
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_settings.h"

static void sum_locked(const store_handle *store, uint64_t *ret_total,
                       uint64_t *ret_live)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    uint64_t tail = atomic_load(&header->applied_tail);

    *ret_total = 0;
    *ret_live = 0;
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (store_row_counts(store, i)) {
            *ret_total += i == region_tail_row(tail) ? region_tail_offset(tail)
                                                     : row->tail;
            *ret_live += row->live_bytes;
        }
    }
}

void hash_yield(store_handle *store)
{
    store_settings settings;
    uint64_t total;
    uint64_t live;
    uint64_t ms;

    if (!store_merge_is_under_way(store)) {
        return;
    }
    store_settings_get(store, &settings);
    if (settings.max_space_amplification == 0 ||
        settings.merge_rate_bytes != 0 || store_lock(store, NULL) != CASK_OK) {
        return;
    }
    sum_locked(store, &total, &live);
    store_unlock(store);
    ms = merge_yield_ms(total, live, settings.max_space_amplification);
    if (ms > 0) {
        store->os->ops->sleep_ms(store->os, ms);
    }
}
