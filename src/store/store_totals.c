/*
 * Sums over the segments: how large the store is, and what was written in its
 * whole life. Each segment that counts has its length, and MANIFEST has the sum
 * of those that have left: a merge changes both by one rename, so that the
 * totals are exact after any death. Of a tree the sum of all its runs comes
 * with each version.
 */
#include "log/segment_format.h"
#include "store/store_expiry.h"
#include "store/store_merge.h"

uint64_t store_row_end(const store_handle *store, uint32_t index)
{
    uint64_t tail = atomic_load(&store->region.header->applied_tail);

    return index == region_tail_row(tail) ? region_tail_offset(tail)
                                          : store->region.rows[index].tail;
}

store_space store_space_locked(const store_handle *store,
                               const store_expiry *expiry)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    store_space space = {.total_bytes = 0};

    for (uint32_t i = 0; i < count; i++) {
        if (store_row_counts(store, i)) {
            space.total_bytes += store_row_end(store, i);
            space.live_bytes += store->region.rows[i].live_bytes;
            space.expired_bytes +=
                expiry == NULL
                    ? 0
                    : store_row_expired_bytes(expiry, &store->region.rows[i]);
        }
    }
    return space;
}

void store_note_past_locked(store_handle *store, const manifest_header *header)
{
    region_merger *merger = &store->region.header->merger;

    merger->past_log_bytes = header->past_log_bytes;
    merger->past_merge_bytes = header->past_merge_bytes;
}

static uint64_t bytes_of(const store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];
    uint64_t tail = atomic_load(&store->region.header->applied_tail);
    uint64_t end =
        index == region_tail_row(tail) && atomic_load(&row->state) == ROW_ACTIVE
            ? region_tail_offset(tail)
            : row->tail;

    return end > SEGMENT_HEADER_SIZE ? end - SEGMENT_HEADER_SIZE : 0;
}

store_totals store_totals_locked(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    store_totals totals = {.log_bytes = header->merger.past_log_bytes,
                           .merge_bytes = header->merger.past_merge_bytes};

    for (uint32_t i = 0; i < count; i++) {
        if (!store_row_counts(store, i)) {
            continue;
        }
        if (store->region.rows[i].kind == SEGMENT_LOG) {
            totals.log_bytes += bytes_of(store, i);
        } else {
            totals.merge_bytes += bytes_of(store, i);
        }
    }
    if (store->identity.engine == CASK_ENGINE_TREE) {
        totals.merge_bytes = atomic_load(&header->tree.run_bytes);
    }
    return totals;
}
