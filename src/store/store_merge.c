/*
 * The life of a merge's segments. The MANIFEST is written anew as a whole, so
 * that outputs and inputs change places at once; rows of the region follow.
 */
#include "store/store_merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_read.h"
#include "store/store_recover.h"
#include "store/store_shortage.h"
#include "store/store_snapshot.h"
#include "store/store_write.h"

static region_merge *merge_of(const store_handle *store)
{
    return &store->region.header->merge;
}

bool store_row_counts(const store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];
    bool moving = atomic_load(&merge_of(store)->phase) == MERGE_MOVING;

    switch (atomic_load(&row->state)) {
    case ROW_ACTIVE:
        return true;
    case ROW_SEALED:
        return !moving || atomic_load(&row->is_input) == 0 ||
               store_row_is_kept(store, index);
    case ROW_OUTPUT:
        return moving;
    default:
        return false;
    }
}

/* ---- Pins ----------------------------------------------------------------
 */

static _Atomic uint64_t *pin_of(store_handle *store)
{
    return &store->region.processes[store->process_slot].pinned;
}

void store_pin_locked(store_handle *store)
{
    os_mutex_enter(store->os, &store->map_mutex);
    if (store->pins++ == 0 && store->has_slot) {
        atomic_store(pin_of(store), atomic_load(&merge_of(store)->number) + 1);
    }
    os_mutex_leave(store->os, &store->map_mutex);
}

void store_unpin(store_handle *store)
{
    os_mutex_enter(store->os, &store->map_mutex);
    if (--store->pins == 0 && store->has_slot) {
        atomic_store(pin_of(store), 0);
    }
    os_mutex_leave(store->os, &store->map_mutex);
}

/* The oldest merge that somebody's pin forbids to take segments away. */
static uint64_t oldest_pin(store_handle *store)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < REGION_PROCESSES; i++) {
        const region_process *process = &store->region.processes[i];
        uint64_t pinned = atomic_load(&process->pinned);

        if (pinned != 0 && pinned < oldest && store_slot_is_alive(store, i)) {
            oldest = pinned;
        }
    }
    return oldest;
}

/* ---- Locks ----------------------------------------------------------------
 */

cask_status store_merge_lock(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    int os_errno = ops->mutex_lock(store->os, &store->merge_mutex, 0);

    if (os_errno == 0) {
        os_errno = ops->lock(store->lock_file, LOCK_MERGE, 1, OS_EXCLUSIVE);
        if (os_errno == 0) {
            atomic_store(&store->is_merging, true);
            atomic_store(&store->region.header->tree.merge_holder,
                         store->process_slot + 1);
            return CASK_OK;
        }
        ops->mutex_unlock(store->os, &store->merge_mutex);
    }
    if (os_errno == EAGAIN || os_errno == ETIMEDOUT) {
        return fail(err, CASK_BUSY, 0,
                    "%s: a merge is under way; wait for it, or cancel it",
                    store->path);
    }
    return fail_os(err, os_errno, "%s: cannot lock LOCK", store->path);
}

uint32_t store_merge_holder(const store_handle *store)
{
    uint32_t slot = atomic_load(&store->region.header->tree.merge_holder);

    return slot == 0 || slot > REGION_PROCESSES
               ? 0
               : atomic_load(&store->region.processes[slot - 1].pid);
}

void store_merge_unlock(store_handle *store)
{
    atomic_store(&store->is_merging, false);
    store_unlock_byte(store, LOCK_MERGE);
    store->os->ops->mutex_unlock(store->os, &store->merge_mutex);
}

bool store_merge_is_under_way(store_handle *store)
{
    bool elsewhere = false;

    if (atomic_load(&merge_of(store)->phase) == MERGE_NONE) {
        return false;
    }
    /* A merger that died left its phase, but not its lock. */
    return atomic_load(&store->is_merging) ||
           (store->os->ops->is_locked(store->lock_file, LOCK_MERGE, 1,
                                      &elsewhere) == 0 &&
            elsewhere);
}

bool store_merge_is_cancelled(const store_handle *store)
{
    return atomic_load(&store->merger_stop) ||
           atomic_load(&store->window) == WINDOW_CLOSED ||
           atomic_load(&merge_of(store)->cancel) != store->cancel_seen ||
           atomic_load(&store->region.header->poisoned) != 0;
}

void store_merge_wake(store_handle *store)
{
    region_merger *merger = &store->region.header->merger;

    atomic_fetch_add(&merger->wake, 1);
    /* The kernel compares plain words. */
    store->os->ops->futex_wake(store->os, (uint32_t *)(uintptr_t)&merger->wake);
}

/* ---- Rows ---- */

typedef void (*row_fn)(store_handle *store, uint32_t row);

static void for_each_row(store_handle *store, row_fn visit)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        visit(store, i);
    }
}

/* Take a file away and give its row back; in this order, or a death between
 * leaves a file that nobody knows of. No slot leads to the row, so that no
 * reader asks for its file but one that looks again then. */
static void remove_row(store_handle *store, uint32_t index)
{
    const os_ops *ops = store->os->ops;
    region_row *row = &store->region.rows[index];
    uint64_t id = atomic_load(&row->file_id);
    char name[SEGMENT_NAME_SIZE];
    char aside[SEGMENT_NAME_SIZE + 4];

    hint_name_format(id, name);
    (void)snprintf(aside, sizeof(aside), "%s.new", name);
    (void)ops->remove(store->dir, aside); /* its writer died */
    (void)ops->remove(store->dir, name);
    segment_name_format(id, name);
    (void)ops->remove(store->dir, name);
    row->retired_in = atomic_load(&merge_of(store)->number);
    atomic_store(&row->file_id, 0);
    atomic_store(&row->state, ROW_FREE);
    atomic_fetch_add(&store->region.header->removed, 1);
    /* Once more: who writes it looks for the row behind that. */
    hint_name_format(id, name);
    (void)ops->remove(store->dir, name);
}

static void unmark_input(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];

    atomic_store(&row->is_input, 0);
    if (atomic_load(&row->damage) == ROW_RELEASED) {
        atomic_store(&row->damage, ROW_QUARANTINED);
    }
}

static void drop_output(store_handle *store, uint32_t index)
{
    if (atomic_load(&store->region.rows[index].state) == ROW_OUTPUT) {
        remove_row(store, index);
    }
}

/* Whether there may be retired rows. */
static bool has_retired(const store_handle *store)
{
    return atomic_load(&store->region.header->merger.retired) != 0;
}

/* Note whether there are retired rows left. */
static void count_retired(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&store->region.rows[i].state) == ROW_RETIRED) {
            return;
        }
    }
    atomic_store(&store->region.header->merger.retired, 0);
}

/* Whether a row's file is needed no more; a later pin than `oldest` is of a
 * later merge than any row that is retired by now. */
static bool is_rubbish(store_handle *store, uint32_t index, uint64_t oldest)
{
    const region_row *row = &store->region.rows[index];

    return atomic_load(&row->state) == ROW_RETIRED &&
           row->retired_in < oldest && !store_snapshot_needs_row(store, index);
}

void store_merge_clean(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    bool has_removed = false;
    uint64_t oldest;

    if (!has_retired(store) || store_files_are_kept(store)) {
        return;
    }
    oldest = oldest_pin(store);
    for (uint32_t i = 0; i < count; i++) {
        if (is_rubbish(store, i, oldest)) {
            atomic_fetch_add(&merge_of(store)->bytes_freed,
                             store->region.rows[i].tail);
            remove_row(store, i);
            has_removed = true;
        }
    }
    count_retired(store);
    if (has_removed) {
        store_release_removed(store, true);
    }
    if (has_removed && store_is_disk_low(store)) {
        (void)store_release_space(store);
    }
}

bool store_merge_has_rubbish(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint64_t oldest;

    if (!has_retired(store) || store_files_are_kept(store)) {
        return false;
    }
    oldest = oldest_pin(store);
    for (uint32_t i = 0; i < count; i++) {
        if (is_rubbish(store, i, oldest)) {
            return true;
        }
    }
    return false;
}

void store_merge_tidy(store_handle *store)
{
    while (store->writer && atomic_load(&store->region.header->poisoned) == 0 &&
           store_merge_has_rubbish(store) &&
           store_merge_lock(store, NULL) == CASK_OK) {
        store_merge_clean(store);
        store_merge_unlock(store);
    }
}

/* Give up while copying. */
static void abandon(store_handle *store)
{
    for_each_row(store, drop_output);
    for_each_row(store, unmark_input);
    atomic_store(&merge_of(store)->phase, MERGE_NONE);
}

/* Whether there is something to do in a row. */
static bool take_input_locked(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];

    if (store_row_is_quarantined_locked(store, index)) {
        return false;
    }
    if (atomic_load(&row->damage) != ROW_SOUND &&
        store_row_may_go_locked(store, index)) {
        atomic_store(&row->damage, ROW_RELEASED);
    }
    atomic_store(&row->is_input, 1);
    atomic_fetch_add(&merge_of(store)->bytes_total, row->tail);
    return true;
}

static cask_status take_inputs_locked(store_handle *store, const uint32_t *rows,
                                      size_t count, uint64_t *ret_inputs,
                                      cask_error *err)
{
    *ret_inputs = 0;
    for (size_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[rows[i]];

        if (atomic_load(&row->state) != ROW_SEALED) {
            return fail(err, CASK_BUSY, 0,
                        "%016" PRIx64 ".log was merged by another meanwhile; "
                        "choose again",
                        atomic_load(&row->file_id));
        }
        *ret_inputs += take_input_locked(store, rows[i]) ? 1 : 0;
    }
    return CASK_OK;
}

cask_status store_merge_begin(store_handle *store, const uint32_t *rows,
                              size_t count, uint64_t *ret_inputs,
                              cask_error *err)
{
    region_merge *merge = merge_of(store);
    cask_status status;

    for_each_row(store, unmark_input);
    atomic_store(&merge->bytes_done, 0);
    atomic_store(&merge->bytes_total, 0);
    store->cancel_seen = atomic_load(&merge->cancel);
    status = store_lock_always(store, err);
    if (status == CASK_OK) {
        status = take_inputs_locked(store, rows, count, ret_inputs, err);
        store_unlock(store);
    }
    if (status == CASK_OK) {
        atomic_store(&merge->phase, MERGE_COPYING);
    } else {
        for_each_row(store, unmark_input);
    }
    return status;
}

cask_status store_merge_output(store_handle *store, uint64_t capacity,
                               uint32_t *ret_row, cask_error *err)
{
    row_plan plan = {.kind = SEGMENT_MERGE,
                     .state = ROW_OUTPUT,
                     .born = atomic_load(&store->region.header->next_sequence),
                     .capacity = capacity};
    cask_status status = store_maintain_begin(store, err);

    if (status == CASK_OK) {
        status = store_create_row(store, &plan, ret_row, err);
        store_maintain_end(store);
    }
    return status;
}

/* ---- The MANIFEST ---- */

static int by_id(const void *left, const void *right)
{
    const manifest_segment *a = left;
    const manifest_segment *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

/* As the MANIFEST lists a row that is sealed, or will be. */
static manifest_segment entry_of(const region_row *row)
{
    return (manifest_segment){.id = atomic_load(&row->file_id),
                              .nonce = atomic_load(&row->nonce),
                              .kind = (segment_kind)row->kind,
                              .sealed = true,
                              .length = row->tail,
                              .last_sequence = row->last_sequence,
                              .damaged_bytes = row->damaged_bytes,
                              .quarantined =
                                  atomic_load(&row->damage) != ROW_SOUND};
}

/*
 * A segment whose tail was moved by a process that died then has no SEAL edit:
 * an open sees where it ends by its follower. The follower may be merged now;
 * so the MANIFEST must say it from here on.
 */
static void seal_listed(manifest_state *manifest, const region_row *row,
                        bool is_quarantined)
{
    manifest_segment *segment =
        manifest_find(manifest, atomic_load(&row->file_id));

    if (segment == NULL) {
        return;
    }
    /* Or not any more, by store_merge_lift(). */
    segment->quarantined =
        is_quarantined ||
        (segment->quarantined && atomic_load(&row->damage) != ROW_SOUND);
    if (!segment->sealed) {
        segment->sealed = true;
        segment->length = row->tail;
        segment->last_sequence = row->last_sequence;
        segment->damaged_bytes = row->damaged_bytes;
    }
}

static void sort_segments(manifest_state *manifest)
{
    if (manifest->count > 1) {
        qsort(manifest->segments, manifest->count, sizeof(manifest_segment),
              by_id);
    }
}

static cask_status exchange(store_handle *store, manifest_state *manifest,
                            cask_error *err)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];
        uint32_t state = atomic_load(&row->state);
        bool is_input = atomic_load(&row->is_input) != 0;

        if (state == ROW_SEALED && is_input && !store_row_is_kept(store, i)) {
            seal_listed(manifest, row, false); /* then its length is known */
            manifest_drop(manifest, atomic_load(&row->file_id));
        } else if (state == ROW_SEALED) {
            seal_listed(manifest, row, is_input);
        } else if (state == ROW_OUTPUT) {
            manifest_segment output = entry_of(row);

            status = manifest_add(manifest, &output, err);
        }
    }
    sort_segments(manifest);
    return status;
}

/* Outputs count from here on, for every process at once. */
static cask_status enter_moving(store_handle *store,
                                const manifest_header *header, cask_error *err)
{
    region_merge *merge = merge_of(store);
    cask_status status = store_lock_always(store, err);

    if (status == CASK_OK) {
        store_note_past_locked(store, header);
        atomic_fetch_add(&merge->number, 1);
        atomic_store(&merge->phase, MERGE_MOVING);
        store_unlock(store);
    }
    return status;
}

/* Whether MANIFEST says already that outputs took the place of inputs. */
static bool is_replaced(const store_handle *store,
                        const manifest_state *manifest)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_OUTPUT &&
            manifest_find(manifest, atomic_load(&row->file_id)) != NULL) {
            return true;
        }
    }
    return false;
}

/* On a full disk hints make room for it: a merge gives back more. */
static cask_status write_manifest(store_handle *store, manifest_state *manifest,
                                  cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    do {
        status = store_rewrite_manifest(store, manifest, err);
    } while (store_makes_room(store, status, err));
    return status;
}

typedef cask_status (*change_fn)(store_handle *store, manifest_state *manifest,
                                 cask_error *err);

/* Write the MANIFEST anew with a change. Maintenance lock held. */
static cask_status rewrite(store_handle *store, change_fn change,
                           manifest_header *ret_header, cask_error *err)
{
    manifest_state manifest;
    cask_status status =
        manifest_load(store->dir, store->identity.uuid, &manifest, err);

    if (status == CASK_OK) {
        status = change(store, &manifest, err);
    }
    if (status == CASK_OK) {
        manifest.next_sequence =
            atomic_load(&store->region.header->next_sequence);
        status = write_manifest(store, &manifest, err);
    }
    *ret_header = manifest.header;
    manifest_free(&manifest);
    return status;
}

cask_status store_merge_replace(store_handle *store, cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);
    manifest_header header;

    if (status == CASK_OK) {
        status = rewrite(store, exchange, &header, err);
        store_maintain_end(store);
    }
    return status == CASK_OK ? enter_moving(store, &header, err) : status;
}

/* ---- End, and taking over ---- */

static void settle_row(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];

    if (atomic_load(&row->is_input) != 0 && store_row_is_kept(store, index)) {
        atomic_store(&row->damage, ROW_QUARANTINED);
        atomic_store(&row->is_input, 0);
    } else if (atomic_load(&row->is_input) != 0) {
        row->retired_in = atomic_load(&merge_of(store)->number);
        atomic_store(&row->state, ROW_RETIRED);
        atomic_store(&row->is_input, 0);
    } else if (atomic_load(&row->state) == ROW_OUTPUT) {
        atomic_store(&row->state, ROW_SEALED);
    }
}

cask_status store_merge_finish(store_handle *store, cask_error *err)
{
    cask_status status = store_lock_always(store, err);

    if (status != CASK_OK) {
        return status;
    }
    atomic_store(&store->region.header->merger.retired, 1);
    for_each_row(store, settle_row);
    atomic_store(&merge_of(store)->phase, MERGE_NONE);
    store_unlock(store);
    store_merge_clean(store);
    return CASK_OK;
}

/* Those that were not damaged are listed no more. */
static cask_status relist(store_handle *store, manifest_state *manifest,
                          cask_error *err)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];
        bool is_output = atomic_load(&row->state) == ROW_OUTPUT;
        bool is_input = atomic_load(&row->state) == ROW_SEALED &&
                        atomic_load(&row->is_input) != 0;

        if (is_input &&
            manifest_find(manifest, atomic_load(&row->file_id)) == NULL) {
            manifest_segment input = entry_of(row);

            status = manifest_bring_back(manifest, &input, err);
        } else if (is_output && atomic_load(&row->damage) != ROW_SOUND) {
            seal_listed(manifest, row, true);
        }
    }
    sort_segments(manifest);
    return status;
}

static void keep_row(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];

    unmark_input(store, index);
    if (atomic_load(&row->state) == ROW_OUTPUT) {
        atomic_store(&row->state, ROW_SEALED);
    }
}

cask_status store_merge_keep_inputs(store_handle *store, cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);
    manifest_header header;

    if (status == CASK_OK) {
        status = rewrite(store, relist, &header, err);
        store_maintain_end(store);
    }
    if (status == CASK_OK) {
        status = store_lock_always(store, err);
    }
    if (status == CASK_OK) {
        store_note_past_locked(store, &header);
        for_each_row(store, keep_row);
        atomic_store(&merge_of(store)->phase, MERGE_NONE);
        store_unlock(store);
    }
    return status;
}

/* Whoever replaced the MANIFEST may have died before its name was synced; it
 * must be before inputs go, or power fails and the old one needs them. */
static cask_status sync_replaced(store_handle *store, cask_error *err)
{
    int os_errno = store->os->ops->sync_dir(store->dir);

    if (os_errno != 0) {
        store_poison(store, os_errno, "the directory");
        return fail_os(err, os_errno, "cannot sync %s; reopen the store",
                       store->path);
    }
    return CASK_OK;
}

/* Maintenance lock held. */
static cask_status inherit(store_handle *store, bool *ret_replaced,
                           manifest_header *ret_header, cask_error *err)
{
    manifest_state manifest;
    cask_status status =
        manifest_load(store->dir, store->identity.uuid, &manifest, err);

    *ret_replaced = status == CASK_OK && is_replaced(store, &manifest);
    if (*ret_replaced) {
        status = sync_replaced(store, err);
    } else if (status == CASK_OK) {
        abandon(store);
        /* Also what others than mergers had just made when they died. */
        store_sweep_unknown(store, &manifest);
    }
    *ret_header = manifest.header;
    manifest_free(&manifest);
    return status;
}

cask_status store_merge_inherit(store_handle *store, cask_error *err)
{
    bool replaced = false;
    manifest_header header;
    cask_status status;

    if (atomic_load(&merge_of(store)->phase) == MERGE_MOVING) {
        return CASK_OK;
    }
    status = store_maintain_begin(store, err);
    if (status == CASK_OK) {
        status = inherit(store, &replaced, &header, err);
        store_maintain_end(store);
    }
    return status == CASK_OK && replaced ? enter_moving(store, &header, err)
                                         : status;
}

/* ---- The last close ---- */

/* Whether MANIFEST may not list a row: of a merge, what it made, replaced, or
 * was about to; of a tree, what is in runs, for whoever drops it may die before
 * the rows are retired. */
static bool may_be_unlisted(const store_handle *store, const region_row *row)
{
    uint64_t flushed = atomic_load(&store->region.header->tree.flushed);
    uint32_t state = atomic_load(&row->state);

    return state == ROW_OUTPUT || state == ROW_RETIRED ||
           (state == ROW_SEALED && (atomic_load(&row->is_input) != 0 ||
                                    row->last_sequence <= flushed));
}

static bool has_unlisted(const store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (may_be_unlisted(store, &store->region.rows[i])) {
            return true;
        }
    }
    return false;
}

static void remove_unlisted(store_handle *store, const manifest_state *manifest)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (may_be_unlisted(store, row) &&
            manifest_find(manifest, atomic_load(&row->file_id)) == NULL) {
            remove_row(store, i);
        }
    }
}

cask_status store_merge_leave(store_handle *store, cask_error *err)
{
    manifest_state manifest;
    cask_status status;

    if (!has_unlisted(store) || store_files_are_kept(store)) {
        return CASK_OK;
    }
    status = manifest_load(store->dir, store->identity.uuid, &manifest, err);
    if (status == CASK_OK &&
        atomic_load(&merge_of(store)->phase) == MERGE_COPYING &&
        is_replaced(store, &manifest)) {
        status = sync_replaced(store, err);
    }
    if (status == CASK_OK) {
        remove_unlisted(store, &manifest);
    }
    manifest_free(&manifest);
    return status;
}
