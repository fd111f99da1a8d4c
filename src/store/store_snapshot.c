/*
 * The table of snapshots. An entry belongs to the handle that has its ticket.
 * It is made under the write lock; its owner gives it up, and a writer expels
 * it, by one store; what follows from the table is derived again under the
 * lock, by whoever comes next.
 */
#include "store/store_snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

#include "log/segment.h"
#include "region/undo.h"
#include "store/store_merge.h"
#include "store/store_settings.h"

static cask_status collect(store_snapshot *s, cask_error *err)
{
    store_handle *store = s->store;
    uint32_t rows = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t row = 0; row < rows && status == CASK_OK; row++) {
        walk_part part = {.row = row, .end = store_row_end(store, row)};

        if (store_row_counts(store, row) && part.end > SEGMENT_HEADER_SIZE) {
            part.first_sequence = store->region.rows[row].first_sequence;
            status = store_walk_add(&s->log, &part, err);
        }
    }
    return status;
}

/* ---- The table ---- */

/* The index names inputs of a merge that is moving, some until it ends. */
static uint64_t merge_to_pin(const store_handle *store)
{
    const region_merge *merge = &store->region.header->merge;

    return atomic_load(&merge->number) +
           (atomic_load(&merge->phase) == MERGE_MOVING ? 0 : 1);
}

static cask_status enter_locked(store_snapshot *s, bool is_fold,
                                cask_error *err)
{
    store_handle *store = s->store;
    region_snapshot *entry = snapshots_free_entry_locked(&store->region);

    if (entry == NULL) {
        return fail(err, CASK_BUSY, 0,
                    "%s: %d snapshots are open already; free some", store->path,
                    REGION_SNAPSHOTS);
    }
    s->ticket = ++store->region.snapshots->undo.tickets;
    s->entry = entry;
    atomic_store(&entry->sequence, s->sequence);
    atomic_store(&entry->pinned, merge_to_pin(store));
    atomic_store(&entry->created_ms, s->moment_ms);
    atomic_store(&entry->generation, store->generation);
    atomic_store(&entry->slot, store->process_slot);
    atomic_store(&entry->is_fold, is_fold ? 1 : 0);
    atomic_store(&entry->ticket, s->ticket);
    snapshots_recount_locked(&store->region);
    return CASK_OK;
}

static cask_status take(store_snapshot *s, bool is_fold, cask_error *err)
{
    store_handle *store = s->store;
    const region_header *header = store->region.header;
    cask_status status = CASK_OK;

    s->sequence = region_newest_sequence(header);
    s->key_count = atomic_load(&header->key_count);
    s->moment_ms = store->os->ops->wall_ms(store->os);
    s->expiry_seconds = store_reads_expiry_seconds(store);
    status = collect(s, err);
    if (status == CASK_OK && store->has_slot) {
        status = enter_locked(s, is_fold, err);
    }
    return status;
}

cask_status store_snapshot_take(store_handle *store, bool is_fold,
                                store_snapshot *ret_snapshot, cask_error *err)
{
    store_snapshot s = {.store = store};
    cask_status status = CASK_OK;

    if (store->has_slot) {
        store_snapshot_reap(store);
        status = store_lock_always(store, err);
    }
    if (status == CASK_OK) {
        status = take(&s, is_fold, err);
        if (store->has_slot) {
            store_unlock(store);
        }
    }
    store_walk_begin(&s.log, store);
    if (status == CASK_OK) {
        *ret_snapshot = s;
    } else {
        store_walk_free(&s.log);
    }
    return status;
}

void store_snapshot_drop(store_snapshot *snapshot)
{
    store_handle *store = snapshot->store;
    uint64_t ticket = snapshot->ticket;

    if (store == NULL) {
        return;
    }
    if (snapshot->entry != NULL && !store_is_forked(store) &&
        atomic_compare_exchange_strong(&snapshot->entry->ticket, &ticket, 0) &&
        store_lock_always(store, NULL) == CASK_OK) {
        snapshots_recount_locked(&store->region);
        store_unlock(store);
    }
    store_walk_free(&snapshot->log);
    free(atomic_load(&snapshot->cuts));
    *snapshot = (store_snapshot){.store = NULL};
    if (!store_is_forked(store)) {
        store_merge_tidy(store);
    }
}

cask_status store_snapshot_fail_lost(const store_snapshot *snapshot,
                                     cask_error *err)
{
    return fail(err, CASK_SNAPSHOT_LOST, 0,
                "%s: the snapshot at sequence %" PRIu64 " was given up, since "
                "what was written after it took the %" PRIu64 " bytes that may "
                "be kept for snapshots; make a new one",
                snapshot->store->path, snapshot->sequence,
                undo_limit_bytes(&snapshot->store->region));
}

/* ---- Owners ---- */

static bool is_owned(store_handle *store, const region_snapshot *entry)
{
    uint32_t slot = atomic_load(&entry->slot);

    return slot < REGION_PROCESSES &&
           atomic_load(&store->region.processes[slot].generation) ==
               atomic_load(&entry->generation) &&
           store_slot_is_alive(store, slot);
}

/* Whether the number of snapshots is right and all have an owner; what has
 * none is dropped. */
static bool drop_orphans(store_handle *store)
{
    bool is_right = true;
    uint32_t count = 0;

    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        region_snapshot *entry = &store->region.snapshots->entry[i];
        uint64_t ticket = atomic_load(&entry->ticket);

        if (ticket == 0) {
            continue;
        }
        count++;
        if (!is_owned(store, entry)) {
            /* Unless it is another's by now. */
            (void)atomic_compare_exchange_strong(&entry->ticket, &ticket, 0);
            is_right = false;
        }
    }
    return is_right && count == atomic_load(&store->region.header->snapshots);
}

void store_snapshot_reap(store_handle *store)
{
    if (undo_is_needed(&store->region) && !drop_orphans(store) &&
        store_lock_always(store, NULL) == CASK_OK) {
        snapshots_recount_locked(&store->region);
        store_unlock(store);
    }
}

static bool needs(store_handle *store, const region_snapshot *entry,
                  const region_row *row)
{
    return atomic_load(&entry->ticket) != 0 &&
           row->retired_in >= atomic_load(&entry->pinned) &&
           row->first_sequence <= atomic_load(&entry->sequence) &&
           is_owned(store, entry);
}

bool store_snapshot_needs_row(store_handle *store, uint32_t row)
{
    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        if (needs(store, &store->region.snapshots->entry[i],
                  &store->region.rows[row])) {
            return true;
        }
    }
    return false;
}

/* ---- Telling ---- */

static uint64_t bytes_kept(store_handle *store, const region_snapshot *entry)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_RETIRED &&
            needs(store, entry, row)) {
            bytes += row->tail;
        }
    }
    return bytes;
}

static int by_sequence(const void *left, const void *right)
{
    const cask_snapshot_info *a = left;
    const cask_snapshot_info *b = right;

    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

size_t store_snapshot_list(store_handle *store, cask_snapshot_info *ret_list)
{
    uint64_t now = store->os->ops->wall_ms(store->os);
    uint64_t last = region_newest_sequence(store->region.header);
    size_t count = 0;

    if (!store->has_slot) {
        return 0;
    }
    for (uint32_t i = 0; i < REGION_SNAPSHOTS; i++) {
        const region_snapshot *entry = &store->region.snapshots->entry[i];
        uint64_t created = atomic_load(&entry->created_ms);
        cask_snapshot_info info = {.sequence = atomic_load(&entry->sequence),
                                   .age_ms = now > created ? now - created : 0,
                                   .is_fold =
                                       atomic_load(&entry->is_fold) != 0};

        if (atomic_load(&entry->ticket) == 0 || !is_owned(store, entry)) {
            continue;
        }
        info.pid = store->region.processes[atomic_load(&entry->slot)].pid;
        info.lag = last > info.sequence ? last - info.sequence : 0;
        info.pinned_bytes = bytes_kept(store, entry);
        ret_list[count++] = info;
    }
    if (count > 1) {
        qsort(ret_list, count, sizeof(*ret_list), by_sequence);
    }
    return count;
}
