/*
 * The facts of a store for the merge policy, and merging what it chooses.
 */
#include <stdlib.h>

#include "hash/hash_merger.h"
#include "hash/merge_log.h"
#include "store/store_merge.h"
#include "store/store_settings.h"

enum { BUSY_MS = 10 };

static merge_segment facts_of(const store_handle *store,
                              const store_expiry *expiry, uint32_t index)
{
    const region_row *row = &store->region.rows[index];

    return (merge_segment){.id = atomic_load(&row->file_id),
                           .bytes = store_row_end(store, index),
                           .live_bytes = row->live_bytes,
                           .records = row->records,
                           .live_records = row->live_records,
                           .tombstones = row->tombstones,
                           .first_sequence = row->first_sequence,
                           .last_sequence = row->last_sequence,
                           .age_ms = store_row_age_ms(expiry, row),
                           .expired_ms = store_row_expired_ms(expiry, row),
                           .may_expire = store_row_may_expire(expiry, row),
                           .is_output = row->kind == SEGMENT_MERGE,
                           .is_quarantined =
                               store_row_is_quarantined_locked(store, index)};
}

/* Counters change under the write lock only. False: there is not room for all
 * rows, of which there may be more than a moment ago. */
static bool collect_locked(const store_handle *store, merge_wish wish,
                           uint32_t room, merger_plan *p, merge_moment *moment)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    uint32_t active = region_tail_row(atomic_load(&header->applied_tail));
    store_space space;

    if (count > room) {
        return false;
    }
    space = store_space_locked(store);
    moment->live_bytes = space.live_bytes;
    moment->total_bytes = space.total_bytes;
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];
        bool is_sealed = atomic_load(&row->state) == ROW_SEALED;
        bool is_wanted =
            is_sealed || (wish.with_active && i == active && row->records > 0);

        if (is_wanted && store_row_counts(store, i)) {
            p->segments[p->count] = facts_of(store, &p->expiry, i);
            p->rows[p->count] = i;
            p->count++;
        }
    }
    return true;
}

static cask_status make_room(merger_plan *p, uint32_t room, cask_error *err)
{
    const store_expiry expiry = p->expiry;

    hash_plan_free(p);
    p->expiry = expiry;
    p->segments = calloc(room, sizeof(*p->segments));
    p->choices = calloc(room, sizeof(*p->choices));
    p->rows = calloc(room, sizeof(*p->rows));
    if (p->segments == NULL || p->choices == NULL || p->rows == NULL) {
        return fail_memory(err, room * sizeof(*p->segments));
    }
    return CASK_OK;
}

static cask_status collect(store_handle *store, merge_wish wish, merger_plan *p,
                           merge_moment *moment, cask_error *err)
{
    cask_status status;
    bool is_whole = false;

    do {
        /* Rows are added without the lock, one at a time. */
        uint32_t room = atomic_load(&store->region.header->row_count) + 16;

        status = make_room(p, room, err);
        if (status == CASK_OK && !store->has_slot) {
            /* An index of its own, which nobody changes. */
            is_whole = collect_locked(store, wish, room, p, moment);
        } else if (status == CASK_OK) {
            status = store_lock_always(store, err);
            if (status == CASK_OK) {
                is_whole = collect_locked(store, wish, room, p, moment);
                store_unlock(store);
            }
        }
    } while (status == CASK_OK && !is_whole);
    return status;
}

cask_status hash_plan(store_handle *store, merge_wish wish,
                      merger_plan *ret_plan, cask_error *err)
{
    store_settings kept;
    merge_settings settings;
    uint64_t open_ns = store->os->ops->now_ns(store->os) - store->opened_ns;
    merge_moment moment = {
        .free_disk_bytes = UINT64_MAX,
        .open_ms =
            wish.is_asked || wish.is_late ? UINT64_MAX : open_ns / 1000000,
        .jitter_ms = store->jitter_ms,
        .all_below_id = wish.all_below_id,
        .is_in_window = wish.is_asked || store_window_is_open(store)};
    cask_status status;
    os_space space;

    *ret_plan = (merger_plan){.count = 0};
    store_expiry_now(store, wish.is_asked, &ret_plan->expiry);
    moment.clock_disagrees = ret_plan->expiry.disagrees;
    if (store->os->ops->space(store->dir, &space) == 0) {
        moment.free_disk_bytes = space.free;
    }
    store_settings_get(store, &kept);
    settings = settings_for_merge(&kept, store->options.segment_max_bytes);
    status = collect(store, wish, ret_plan, &moment, err);
    if (status == CASK_OK) {
        merge_policy_choose(&settings, &moment, ret_plan->segments,
                            ret_plan->count, ret_plan->choices,
                            &ret_plan->plan);
    } else {
        hash_plan_free(ret_plan);
    }
    return status;
}

void hash_plan_free(merger_plan *plan)
{
    free(plan->segments);
    free(plan->choices);
    free(plan->rows);
    *plan = (merger_plan){.count = 0};
}

/* ---- Merging ---- */

static void add_report(merge_report *sum, const merge_report *one)
{
    sum->inputs += one->inputs;
    sum->quarantined += one->quarantined;
    sum->outputs += one->outputs;
    sum->bytes_read += one->bytes_read;
    sum->bytes_written += one->bytes_written;
    sum->bytes_freed += one->bytes_freed;
    sum->records += one->records;
    sum->tombstones_dropped += one->tombstones_dropped;
    sum->expired += one->expired;
}

/* What nobody asked for stops when the window closes, unless it is for want of
 * space, which would open the window. */
static cask_status merge_planned(store_handle *store, merge_wish wish,
                                 const merger_plan *p, merge_report *ret_report,
                                 cask_error *err)
{
    bool is_bound = !wish.is_asked && p->plan.reason != MERGE_REASON_DISK_SPACE;
    size_t count = p->plan.count;
    uint32_t *rows = malloc(count * sizeof(*rows));
    cask_status status;

    if (rows == NULL) {
        return fail_memory(err, count * sizeof(*rows));
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = p->rows[p->choices[i].index];
    }
    status = is_bound
                 ? hash_merge_in_window(store, rows, count, &p->expiry,
                                        ret_report, err)
                 : hash_merge(store, rows, count, &p->expiry, ret_report, err);
    free(rows);
    /* There is nothing to merge any more, for today. */
    return is_bound && status == CASK_TIMEOUT && !store_window_is_open(store)
               ? CASK_NOT_FOUND
               : status;
}

/* There may be nothing to merge but for what a dead merger left half done. */
static cask_status finish_begun(store_handle *store, cask_error *err)
{
    return atomic_load(&store->region.header->merge.phase) == MERGE_NONE
               ? CASK_OK
               : hash_merge_complete(store, err);
}

/* A plan that came to nothing because of another merge is none. */
static void remember(store_handle *store, const merge_record *planned,
                     const merge_report *report, cask_status result)
{
    uint64_t now_ms = store->os->ops->wall_ms(store->os);
    merge_record record = *planned;

    if (result == CASK_BUSY) {
        return;
    }
    record.result = result;
    record.took_ms = now_ms > record.began_ms ? now_ms - record.began_ms : 0;
    record.bytes_read = report->bytes_read;
    record.bytes_written = report->bytes_written;
    record.bytes_freed = result == CASK_OK ? report->bytes_freed : 0;
    record.records = report->records;
    record.tombstones_dropped = report->tombstones_dropped;
    record.inputs = (uint32_t)report->inputs;
    record.outputs = (uint32_t)report->outputs;
    merge_log_add(store, &record);
}

/* CASK_NOT_FOUND: nothing is to be merged. */
static cask_status merge_once(store_handle *store, merge_wish wish,
                              merge_report *sum, cask_error *err)
{
    merge_report report = {.inputs = 0};
    merge_record record = {.began_ms = store->os->ops->wall_ms(store->os)};
    merger_plan p;
    uint32_t active = atomic_load(&store->region.header->active_row);
    cask_status status = finish_begun(store, err);

    if (status != CASK_OK) {
        return status;
    }
    status = hash_plan(store, wish, &p, err);
    if (status == CASK_OK && p.plan.seal_active) {
        status = store_rotate(store, err);
    }
    if (status == CASK_OK && p.plan.count > 0) {
        record.reason = p.plan.reason;
        status = merge_planned(store, wish, &p, &report, err);
        /* That the window has closed, too, is a merge that was stopped. */
        remember(store, &record, &report,
                 status == CASK_NOT_FOUND ? CASK_TIMEOUT : status);
        if (status == CASK_OK || report.quarantined > 0) {
            add_report(sum, &report);
        }
    } else if (status == CASK_OK &&
               atomic_load(&store->region.header->active_row) == active) {
        sum->wait = p.plan.wait;
        status = CASK_NOT_FOUND;
    } /* else ask again: what was active can be merged now */
    hash_plan_free(&p);
    return status;
}

/* Whether somebody has asked merges to stop since `seen`. */
static bool is_cancelled(const store_handle *store, uint32_t seen)
{
    return atomic_load(&store->region.header->merge.cancel) != seen ||
           atomic_load(&store->merger_stop);
}

cask_status hash_merge_wished(store_handle *store, merge_wish wish,
                              merge_report *ret_report, cask_error *err)
{
    uint32_t seen = atomic_load(&store->region.header->merge.cancel);
    uint64_t waited_ms = 0;
    cask_error first = {CASK_OK, 0, ""};
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = CASK_OK;

    err = err == NULL ? &local : err;
    store_watch_clock(store);
    *ret_report = (merge_report){.inputs = 0};
    while (status == CASK_OK) {
        uint64_t before = ret_report->quarantined;

        status = merge_once(store, wish, ret_report, err);
        if (status == CASK_CORRUPT && ret_report->quarantined > before) {
            /* An input is damaged, and will not be chosen again: the rest. */
            first = first.status == CASK_OK ? *err : first;
            status = CASK_OK;
        }
        if (status == CASK_BUSY && waited_ms < wish.patience_ms) {
            /* Somebody merges: some of what is wished for, probably. */
            store->os->ops->sleep_ms(store->os, BUSY_MS);
            waited_ms += BUSY_MS;
            status = CASK_OK;
        }
        if (status == CASK_OK && is_cancelled(store, seen)) {
            status = fail(err, CASK_TIMEOUT, 0,
                          "%s: merging was cancelled; what was merged before "
                          "is done",
                          store->path);
        }
    }
    if (status == CASK_NOT_FOUND && store_merge_has_rubbish(store)) {
        (void)hash_merge_complete(store, NULL); /* of earlier merges */
    }
    if (status == CASK_NOT_FOUND && first.status != CASK_OK) {
        *err = first;
        return first.status;
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

cask_status hash_merge_all(store_handle *store, merge_report *ret_report,
                           cask_error *err)
{
    cask_status status = store_rotate(store, err);
    merge_wish wish = {.is_asked = true,
                       .patience_ms = store->options.lock_timeout_ms,
                       .all_below_id =
                           atomic_load(&store->region.header->next_id)};

    *ret_report = (merge_report){.inputs = 0};
    return status == CASK_OK ? hash_merge_wished(store, wish, ret_report, err)
                             : status;
}
