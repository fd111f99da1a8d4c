/*
 * Damaged segments: what merges make of them, and when that ends. See the
 * section "Damage" of store_merge.h.
 */
#include <inttypes.h>

#include "store/store_merge.h"
#include "store/store_shortage.h"

bool store_row_is_kept(const store_handle *store, uint32_t index)
{
    uint32_t damage = atomic_load(&store->region.rows[index].damage);

    return damage == ROW_DAMAGED || damage == ROW_QUARANTINED;
}

bool store_row_may_go_locked(const store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];

    return row->live_records == 0 &&
           atomic_load(&row->has_hint) == HINT_WRITTEN &&
           row->kept_after !=
               atomic_load(&store->region.header->merge.number) + 1;
}

bool store_row_is_quarantined_locked(const store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];

    /* Of one only found damaged nothing was moved yet. */
    return atomic_load(&row->damage) != ROW_SOUND &&
           (row->live_records == 0 ||
            atomic_load(&row->damage) != ROW_DAMAGED) &&
           !store_row_may_go_locked(store, index);
}

/* The index must know all that is in it, and it may have been made when some
 * of that could not be read: then as many records are missing in the row. */
static bool is_restored(store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];
    uint64_t records = 0;

    return atomic_load(&row->state) == ROW_SEALED &&
           atomic_load(&row->damage) == ROW_QUARANTINED &&
           atomic_load(&row->damaged_bytes) == 0 &&
           store_row_is_whole(store, index, &records) &&
           records == row->records;
}

void store_merge_lift(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    if (atomic_load(&store->region.header->merge.phase) != MERGE_NONE) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        region_row *row = &store->region.rows[i];

        if (is_restored(store, i)) {
            atomic_store(&row->damage, ROW_SOUND);
            store_event(store, CASK_EVENT_DAMAGE, CASK_OK,
                        "%016" PRIx64 ".log has been restored and is merged "
                        "like any other",
                        atomic_load(&row->file_id));
        }
    }
}

void store_row_hold(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];

    row->kept_after = atomic_load(&store->region.header->merge.number) + 1;
    atomic_store(&row->damage, ROW_QUARANTINED);
}
