/*
 * Closing a store. The last writer syncs the log and writes a mark, so that the
 * next open finds a clean end; the last handle of all removes the region.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_merge.h"
#include "store/store_open.h"
#include "store/store_recover.h"
#include "store/store_shortage.h"
#include "store/store_write.h"
#include "store/store_read.h"

/* ---- The last writer ---- */

/* Whether the log ends with a mark that names all of it, or is empty. */
static bool ends_clean(const store_handle *store)
{
    const region_header *header = store->region.header;

    return region_tail_offset(atomic_load(&header->applied_tail)) ==
               header->commit.durable_offset &&
           atomic_load(&header->commit.mark_due) == 0;
}

static cask_status append_mark(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    uint64_t unused;
    cask_status status = store_make_room(store, RECORD_MARK_SIZE, true, err);

    if (status == CASK_OK) {
        status = store_lock(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status = store_open_active_locked(store, err);
    if (status == CASK_OK) {
        header->commit.durable_offset =
            region_tail_offset(atomic_load(&header->applied_tail));
        atomic_store(&header->commit.mark_due, 1);
        status = store_append_locked(store, NULL, 0, &unused, err);
    }
    if (status == CASK_OK) {
        int os_errno = store->os->ops->sync(store->active->file);

        if (os_errno != 0) {
            store_poison(store, os_errno, "the log");
            status = fail_os(err, os_errno, "cannot sync %s", store->path);
        }
        header->commit.durable_offset =
            region_tail_offset(atomic_load(&header->applied_tail));
    }
    store_unlock(store);
    return status;
}

/* On a full disk an edit may need a block more. */
static cask_status edit(store_handle *store, manifest_edit *edit,
                        cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    do {
        status = store_edit(store, edit, err);
    } while (store_makes_room(store, status, err));
    return status;
}

/* How much of what is allocated of the active segment stays: on a full disk
 * what deletes may need after the next open. */
static uint64_t kept_bytes(store_handle *store, uint64_t tail, bool is_low)
{
    uint32_t index = atomic_load(&store->region.header->active_row);
    uint64_t capacity = atomic_load(&store->region.rows[index].capacity);
    uint64_t wanted = tail + (is_low ? store_delete_reserve(store) : 0);

    return wanted < capacity ? wanted : capacity;
}

/* Cut what is allocated behind the end of the active segment, `tail`. Readers
 * that have it mapped look at nothing there. */
static void cut_active(store_handle *store, uint64_t tail, bool is_low)
{
    uint32_t index = atomic_load(&store->region.header->active_row);
    region_row *row = &store->region.rows[index];
    segment_header expected = store_row_header(store, row);
    uint64_t kept = kept_bytes(store, tail, is_low);
    os_file *file = NULL;
    os_stat stat;

    if (atomic_load(&row->reserved_tail) != tail ||
        kept >= atomic_load(&row->capacity) ||
        segment_open(store->dir, &expected, OS_READ | OS_WRITE, &file, NULL,
                     &stat, NULL) != CASK_OK) {
        return;
    }
    /* First the number, then the file: who joins after a death in between must
     * not take for room what is gone. */
    atomic_store(&row->capacity, kept);
    (void)store->os->ops->truncate(file, kept);
    store->os->ops->close(file);
}

/* A large segment is sealed, a small one goes on with the next open; on a full
 * disk any: that open may find no room for another. */
static cask_status settle_active(store_handle *store, bool last,
                                 cask_error *err)
{
    region_header *header = store->region.header;
    uint32_t index = atomic_load(&header->active_row);
    region_row *row = &store->region.rows[index];
    uint64_t tail = region_tail_offset(atomic_load(&header->applied_tail));
    bool is_low = store_is_disk_low(store);
    manifest_edit synced = {.type = MANIFEST_SYNCED};

    row->tail = tail;
    if (tail > store->options.small_file_threshold_bytes && last && !is_low &&
        !store->options.linger) {
        atomic_store(&row->state, ROW_SEALED);
        return store_seal_row(store, index, err);
    }
    cut_active(store, tail, is_low);
    /* Marks tell how far a file was synced, unless it is cut before them. */
    synced.seal.segment_id = atomic_load(&row->file_id);
    synced.seal.length = tail;
    synced.seal.last_sequence = row->last_sequence;
    return edit(store, &synced, err);
}

/* Nothing was put into the active segment since it was made, by a merge of
 * everything or by a recovery. */
static void cut_unused(store_handle *store)
{
    region_header *header = store->region.header;
    uint64_t tail = region_tail_offset(atomic_load(&header->applied_tail));
    uint32_t index = atomic_load(&header->active_row);

    if (atomic_load(&store->region.rows[index].state) == ROW_ACTIVE) {
        cut_active(store, tail, store_is_disk_low(store));
    }
}

/* The prepared segment has taken no record: it goes, listed or not. */
static cask_status drop_next(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    uint32_t next = store_prepared_row(store);
    manifest_edit drop = {.type = MANIFEST_DROP};
    char name[SEGMENT_NAME_SIZE];
    cask_status status;
    region_row *row;

    if (next == UINT32_MAX) {
        return CASK_OK;
    }
    row = &store->region.rows[next];
    drop.drop.segment_id = atomic_load(&row->file_id);
    status = edit(store, &drop, err);
    if (status == CASK_OK) {
        atomic_store(&header->next_row, 0);
        atomic_store(&header->unlisted_row, 0);
        atomic_store(&row->state, ROW_FREE);
        atomic_store(&row->file_id, 0);
        segment_name_format(drop.drop.segment_id, name);
        (void)store->os->ops->remove(store->dir, name);
    }
    return status;
}

/* The next open is fast if every sealed segment has a hint. */
static void write_missing_hints(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        region_row *row = &store->region.rows[i];
        cask_error err = {CASK_OK, 0, ""};
        uint64_t id = 0;

        if (atomic_load(&row->state) == ROW_SEALED && row->records > 0 &&
            store_claim_hint(store, i, &id) &&
            store_write_hint(store, i, id, &err) != CASK_OK) {
            store_event(store, CASK_EVENT_HINT, err.status, "%s", err.message);
        }
    }
}

/* Whether no other handle holds the region: readers keep it alive too. */
static bool is_last(const store_handle *store)
{
    bool others = true;

    return store->os->ops->is_locked(store->region.file, 0, 1, &others) == 0 &&
           !others;
}

static cask_status finish_log(store_handle *store, cask_error *err)
{
    cask_status status;

    if (atomic_load(&store->region.header->poisoned) != 0) {
        return fail(err, CASK_POISONED, 0,
                    "%s: %s while it was open; what was written last may be "
                    "lost; the next open tells",
                    store->path, store_poison_text(store));
    }
    /* A dead writer's work first: the lock does it. */
    status = store_lock(store, err);
    if (status != CASK_OK) {
        return status;
    }
    store_unlock(store);
    if (!ends_clean(store)) {
        status = store_sync_all(store, err);
        if (status == CASK_OK) {
            status = append_mark(store, err);
        }
        if (status == CASK_OK) {
            status = store_maintain_begin(store, err);
        }
        if (status == CASK_OK) {
            status = settle_active(store, is_last(store), err);
            store_maintain_end(store);
        }
    }
    if (status == CASK_OK) {
        store_bury_dead(store);
        store_merge_tidy(store);
        store_sweep(store);
        status = store_maintain_begin(store, err);
    }
    if (status == CASK_OK) {
        /* Where the region stays, so does the segment: the next open of many
         * short ones need not make it again. */
        if (is_last(store) && !store->options.linger) {
            status = drop_next(store, err);
            status = status == CASK_OK ? store_merge_leave(store, err) : status;
            cut_unused(store);
        }
        write_missing_hints(store);
        if (status == CASK_OK) {
            status = store_shorten_manifest(store, err);
        }
        store_maintain_end(store);
    }
    return status;
}

/* ---- The last handle ---- */

static void leave_region(store_handle *store, bool clean)
{
    if (!is_last(store) ||
        atomic_load(&store->region.header->state) == REGION_CLEAN) {
        return;
    }
    if (clean && store->options.linger && store->region.header->stamp != 0) {
        atomic_store(&store->region.header->state, REGION_CLEAN);
        return;
    }
    if (store->options.read_only && store->region.dir == store->dir) {
        return; /* nothing in the directory changes; the next open sees to it */
    }
    atomic_store(&store->region.header->state, REGION_DEAD);
    region_remove(&store->region);
}

static cask_status leave(store_handle *store, cask_error *err)
{
    cask_status status = store_lock_byte(store, LOCK_OPEN, err);
    bool clean = false;

    if (status != CASK_OK) {
        return status; /* as if this process had died: that is survived */
    }
    if (store->writer && !store_has_other_writer(store)) {
        status = finish_log(store, err);
        clean = status == CASK_OK;
    }
    store_release_slot(store);
    leave_region(store, clean);
    return status;
}

static void free_store(store_handle *store)
{
    const os_ops *ops = store->os->ops;

    if (store->engine != NULL && store->engine->detach != NULL) {
        store->engine->detach(store);
    }
    if (store->region.header != NULL) {
        store_unmap_all(store);
    }
    store_pread_close_all(store);
    store_active_release(store, store->active);
    region_detach(&store->region);
    ops->close(store->region_dir);
    ops->close(store->keep_file);
    ops->close(store->lock_file);
    ops->close(store->dir);
    if (store->fork_word != NULL) {
        ops->fork_word_free(store->os, store->fork_word);
    }
    free(store->maps);
    free(store->path);
    free(store->gathered);
    free(store);
}

cask_status store_close(store_handle *store, cask_error *err)
{
    cask_status status = CASK_OK;

    if (store->fork_word != NULL && store_is_forked(store)) {
        /* The descriptors are copies: closing them drops no lock of the
         * parent's. The worker thread exists there only. */
        free_store(store);
        return fail(err, CASK_FORKED, 0,
                    "this handle belongs to the parent process");
    }
    store_worker_stop(store);
    if (store->has_slot) {
        status = leave(store, err);
    } else if (store->region.file != NULL &&
               store_lock_byte(store, LOCK_OPEN, NULL) == CASK_OK) {
        /* The open failed after it had joined the region. */
        leave_region(store, false);
    }
    free_store(store);
    return status;
}
