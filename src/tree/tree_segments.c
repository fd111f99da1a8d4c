/*
 * Segments leave the MANIFEST before their rows are retired. Who dies between
 * leaves rows of which nobody else knows, and the next one takes them out
 * again.
 */
#include "tree/tree_segments.h"

#include "store/store_merge.h"
#include "store/store_write.h"

/* What could not be read of a segment is in no run: it stays until somebody has
 * restored or repaired it. */
static bool may_go(const store_handle *store, const region_row *row,
                   uint64_t flushed)
{
    return atomic_load(&row->state) == ROW_SEALED &&
           row->last_sequence <= flushed &&
           atomic_load(&row->damaged_bytes) == 0 &&
           atomic_load(&row->damage) == ROW_SOUND &&
           store->region.header->tree.moved_sequence <= flushed;
}

/* The last record of a segment may be a mark, with a sequence that nothing else
 * says was given out: a file that comes back after its removal would be taken
 * for one that MANIFEST has forgotten. */
static cask_status note_sequence(store_handle *store, cask_error *err)
{
    const region_header *header = store->region.header;
    manifest_edit next = {.type = MANIFEST_NEXT};

    next.next.segment_id = header->reserved_id;
    next.next.sequence = atomic_load(&header->next_sequence);
    return store_edit(store, &next, err);
}

/* Maintenance lock held: no segment is being sealed. */
static cask_status unlist(store_handle *store, uint64_t flushed,
                          uint32_t *ret_count, cask_error *err)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    *ret_count = 0;
    for (uint32_t i = 0; i < rows && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];

        if (may_go(store, row, flushed)) {
            manifest_edit drop = {.type = MANIFEST_DROP};

            drop.drop.segment_id = atomic_load(&row->file_id);
            status = *ret_count == 0 ? note_sequence(store, err) : CASK_OK;
            if (status == CASK_OK) {
                status = store_edit(store, &drop, err);
            }
            ++*ret_count;
        }
    }
    return status;
}

/* Their bytes are past ones, as MANIFEST has them: whoever dies here, the next
 * one comes by again. */
static void retire_locked(store_handle *store, uint64_t flushed,
                          const manifest_header *past)
{
    region_header *header = store->region.header;
    uint32_t rows = atomic_load(&header->row_count);
    /* Pins that are there keep them: they are of a smaller number. */
    uint64_t number = atomic_fetch_add(&header->merge.number, 1) + 1;

    store_note_past_locked(store, past);
    atomic_store(&header->merger.retired, 1);
    for (uint32_t i = 0; i < rows; i++) {
        region_row *row = &store->region.rows[i];

        if (may_go(store, row, flushed)) {
            row->retired_in = number;
            atomic_store(&row->state, ROW_RETIRED);
        }
    }
}

/* Maintenance lock held, so that the rows are the same in both. */
static cask_status drop(store_handle *store, cask_error *err)
{
    uint64_t flushed = atomic_load(&store->region.header->tree.flushed);
    manifest_state manifest = {.count = 0};
    uint32_t count;
    cask_status status = unlist(store, flushed, &count, err);

    if (status != CASK_OK || count == 0) {
        return status;
    }
    status = manifest_load(store->dir, store->identity.uuid, &manifest, err);
    if (status == CASK_OK) {
        status = store_lock(store, err);
    }
    if (status == CASK_OK) {
        retire_locked(store, flushed, &manifest.header);
        store_unlock(store);
        status = store_shorten_manifest(store, err);
    }
    manifest_free(&manifest);
    return status;
}

cask_status tree_segments_drop(store_handle *store, cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);

    if (status == CASK_OK) {
        status = drop(store, err);
        store_maintain_end(store);
    }
    if (status == CASK_OK) {
        store_merge_clean(store);
    }
    return status;
}
