/*
 * The size at which a segment is full is two words of the region. Whoever dies
 * leaves older or newer ones, and either will do.
 */
#include "store/store_size.h"

#include "maintain/segment_size.h"
#include "store/store_merge.h"
#include "store/store_settings.h"

uint64_t store_merged_bytes_within(const store_handle *store,
                                   uint64_t segment_max_bytes)
{
    uint64_t bytes = atomic_load_explicit(&store->region.header->segment_bytes,
                                          memory_order_relaxed);

    /* Handles may have different options: the word knows of none. */
    return bytes == 0 || bytes > segment_max_bytes ? segment_max_bytes : bytes;
}

uint64_t store_merged_bytes(const store_handle *store)
{
    return store_merged_bytes_within(store, store_segment_max_bytes(store));
}

uint64_t store_segment_bytes(const store_handle *store)
{
    uint64_t most = store_segment_max_bytes(store);
    uint64_t engine = store->engine->segment_bytes;

    if (engine != 0) {
        return engine < most ? engine : most;
    }
    return atomic_load_explicit(&store->region.header->is_merged,
                                memory_order_relaxed) == 0
               ? most
               : store_merged_bytes_within(store, most);
}

/* Of all rows, whether they count or not: while a merge moves keys, some are
 * still in its inputs. A row without a file may be about to get one. */
static uint64_t live_bytes_locked(const store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint64_t live_bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->file_id) != 0) {
            live_bytes += row->live_bytes;
        }
    }
    return live_bytes;
}

void store_note_size_locked(const store_handle *store)
{
    region_header *header = store->region.header;
    segment_needs needs = {.total_bytes =
                               store_space_locked(store, NULL).total_bytes,
                           .live_bytes = live_bytes_locked(store),
                           .is_merged = atomic_load(&header->is_merged) != 0};
    store_settings settings;

    store_settings_get(store, &settings);
    needs.limit = settings.max_space_amplification;
    atomic_store_explicit(&header->segment_bytes,
                          segment_size_for(needs.live_bytes),
                          memory_order_relaxed);
    atomic_store_explicit(&header->is_merged, segment_is_merged(&needs) ? 1 : 0,
                          memory_order_relaxed);
}
