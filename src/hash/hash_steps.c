/*
 * Merging what is wished for, step by step: a plan, a merge of what it chose,
 * another plan. What a step has freed stays freed, whatever becomes of the
 * next.
 *
 * A merge that somebody waits for is to end although others write: in a pass it
 * takes only segments that were there when the pass began. What it writes is
 * merged again, in another pass, only if nobody has written meanwhile: then it
 * may hold deletes whose puts went in a later step.
 */
#include <stdlib.h>

#include "hash/hash_merger.h"
#include "store/merge_log.h"
#include "store/store_merge.h"
#include "store/store_shortage.h"

enum { BUSY_MS = 10 };

static void add_report(merge_report *sum, const merge_report *one)
{
    if (sum->quarantined == 0) {
        sum->damage = one->damage;
    }
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

/* Whether the active segment is one of those to be merged. */
static bool is_in_reach(const store_handle *store, merge_wish wish)
{
    const region_header *header = store->region.header;
    uint32_t active = atomic_load(&header->active_row);

    return wish.below_id == 0 ||
           atomic_load(&store->region.rows[active].file_id) < wish.below_id;
}

/* Whether a hint went for what finds no room; only if all of them would make
 * enough, and on a disk so low that nobody writes it again at once. */
static bool makes_room(store_handle *store, merge_wish wish)
{
    merger_plan p = {.count = 0};
    bool helps;

    wish.spare_bytes = store_hint_bytes(store);
    helps = wish.spare_bytes > 0 && store_is_disk_low(store) &&
            hash_plan(store, wish, &p, NULL) == CASK_OK && p.plan.count > 0;
    hash_plan_free(&p);
    if (!helps || store_maintain_begin(store, NULL) != CASK_OK) {
        return false;
    }
    helps = store_give_up_hint(store);
    store_maintain_end(store);
    return helps;
}

/* Seal the active segment, as planned. On a disk that has no room for the next
 * one it stays, and other segments are merged; CASK_NOT_FOUND: there are none,
 * and whoever asked need not hear of it, if he was given some room before. */
static cask_status seal_active(store_handle *store, merge_wish wish,
                               const merge_plan *plan, merge_report *sum,
                               cask_error *err)
{
    cask_status status = store_rotate(store, err);

    if (status != CASK_NO_SPACE || !store_is_disk_full(err)) {
        return status;
    }
    if (plan->count > 0) {
        return CASK_OK;
    }
    sum->wait = MERGE_WAIT_NO_ROOM;
    return wish.is_asked ? CASK_NOT_FOUND : status;
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
    if (status == CASK_OK && p.plan.seal_active && is_in_reach(store, wish)) {
        status = seal_active(store, wish, &p.plan, sum, err);
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
        if (p.plan.wait != MERGE_WAIT_NO_ROOM || !makes_room(store, wish)) {
            status = CASK_NOT_FOUND;
        }
    } /* else ask again: what was active can be merged now */
    hash_plan_free(&p);
    return status;
}

/* What the steps of one call share. */
typedef struct merge_pass {
    merge_report *report; /* the sum */
    uint32_t seen;        /* cancellations before the call */
    uint64_t waited_ms;   /* for other merges */
} merge_pass;

/* Whether somebody has asked merges to stop since `seen`. */
static bool is_cancelled(const store_handle *store, uint32_t seen)
{
    return atomic_load(&store->region.header->merge.cancel) != seen ||
           atomic_load(&store->merger_stop);
}

/* Let whoever merges come to its end; false: it has been waited for enough. */
static bool wait_for_other(store_handle *store, merge_wish wish,
                           merge_pass *pass)
{
    if (pass->waited_ms >= wish.patience_ms) {
        return false;
    }
    merge_wish_wait(store);
    store->os->ops->sleep_ms(store->os, BUSY_MS);
    pass->waited_ms += BUSY_MS;
    return true;
}

/* CASK_OK, or CASK_TIMEOUT if no more is to be done. */
static cask_status check_cancelled(const store_handle *store,
                                   const merge_pass *pass, cask_error *err)
{
    return is_cancelled(store, pass->seen)
               ? fail(err, CASK_TIMEOUT, 0,
                      "%s: merging was cancelled; what was merged before is "
                      "done",
                      store->path)
               : CASK_OK;
}

/* Whether there is more room than before. */
static bool has_gained(const merge_report *now, const merge_report *before)
{
    return now->bytes_freed - before->bytes_freed >
           now->bytes_written - before->bytes_written;
}

/* One after the other, until nothing is left: CASK_NOT_FOUND. */
static cask_status merge_steps(store_handle *store, merge_wish wish,
                               merge_pass *pass, cask_error *err)
{
    cask_status status = CASK_OK;

    while (status == CASK_OK) {
        const merge_report before = *pass->report;

        status = !wish.is_asked && merge_wish_is_waiting(store)
                     ? CASK_NOT_FOUND /* for now */
                     : merge_once(store, wish, pass->report, err);
        if (wish.below_id == 0 && pass->report->inputs > before.inputs &&
            !has_gained(pass->report, &before)) {
            /* Whatever it was for, its outputs would be chosen for the same. */
            wish.below_id = atomic_load(&store->region.header->next_id);
        }
        if (status == CASK_CORRUPT &&
            pass->report->quarantined > before.quarantined) {
            /* An input is damaged, and will not be chosen again: the rest. */
            status = CASK_OK;
        }
        if (status == CASK_BUSY && wait_for_other(store, wish, pass)) {
            /* It merges some of what is wished for, probably. */
            status = CASK_OK;
        }
        if (status == CASK_OK) {
            status = check_cancelled(store, pass, err);
        }
    }
    return status;
}

/* ---- Passes ---- */

/* The same of all segments that there are by now. */
static merge_wish renewed(const store_handle *store, merge_wish wish)
{
    uint64_t next_id = atomic_load(&store->region.header->next_id);

    if (wish.all_below_id > 0) {
        wish.all_below_id = next_id;
    } else if (wish.is_asked) {
        wish.below_id = next_id;
    }
    return wish;
}

static cask_status merge_passes(store_handle *store, merge_wish wish,
                                merge_pass *pass, cask_error *err)
{
    const _Atomic uint64_t *sequence = &store->region.header->next_sequence;
    uint64_t written = atomic_load(sequence);
    merge_wish now = wish.all_below_id > 0 ? wish : renewed(store, wish);
    merge_report before;
    cask_status status;

    do {
        before = *pass->report;
        status = merge_steps(store, now, pass, err);
        now = renewed(store, wish);
    } while (status == CASK_NOT_FOUND && wish.is_asked &&
             has_gained(pass->report, &before) &&
             atomic_load(sequence) == written);
    return status;
}

static bool has_quarantined(const store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (store_row_is_kept(store, i)) {
            return true;
        }
    }
    return false;
}

/* Who asks for all may have restored what was damaged. While another merges it
 * cannot be lifted, and merging the rest would seem to be all. */
static cask_status lift_quarantine(store_handle *store, merge_wish wish,
                                   merge_pass *pass, cask_error *err)
{
    cask_status status = CASK_OK;

    if (!has_quarantined(store)) {
        return CASK_OK;
    }
    do {
        status = check_cancelled(store, pass, err);
        if (status == CASK_OK) {
            status = finish_begun(store, err);
        }
        if (status == CASK_OK) {
            status = store_merge_lock(store, err);
        }
    } while (status == CASK_BUSY && wait_for_other(store, wish, pass));
    if (status == CASK_OK) {
        store_merge_lift(store);
        store_merge_unlock(store);
    }
    return status;
}

cask_status hash_merge_wished(store_handle *store, merge_wish wish,
                              merge_report *ret_report, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    merge_pass pass = {.report = ret_report,
                       .seen =
                           atomic_load(&store->region.header->merge.cancel)};
    cask_status status;

    err = err == NULL ? &local : err;
    store_watch_clock(store);
    *ret_report = (merge_report){.inputs = 0};
    status = wish.all_below_id > 0 ? lift_quarantine(store, wish, &pass, err)
                                   : CASK_OK;
    if (status == CASK_OK) {
        status = merge_passes(store, wish, &pass, err);
    }
    if (status == CASK_NOT_FOUND && store_merge_has_rubbish(store)) {
        (void)hash_merge_complete(store, NULL); /* of earlier merges */
    }
    if (status == CASK_NOT_FOUND && ret_report->quarantined > 0) {
        return hash_merge_damaged(store, &ret_report->damage, err);
    }
    if (status == CASK_NOT_FOUND && wish.is_asked && ret_report->inputs == 0 &&
        ret_report->wait == MERGE_WAIT_NO_ROOM) {
        return fail(err, CASK_NO_SPACE, 0,
                    "%s: nothing was merged: no copy fits into half of what "
                    "the disk has free; free some space, or delete all keys "
                    "of a segment",
                    store->path);
    }
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static uint64_t active_id(const store_handle *store)
{
    uint32_t active = atomic_load(&store->region.header->active_row);

    return atomic_load(&store->region.rows[active].file_id);
}

cask_status hash_seal_for_all(store_handle *store, uint64_t *ret_below_id,
                              cask_error *err)
{
    uint64_t id = active_id(store);
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    status = store_rotate(store, err);
    *ret_below_id = atomic_load(&store->region.header->next_id);
    if (status == CASK_NO_SPACE && store_is_disk_full(err)) {
        *ret_below_id = id;
        status = CASK_OK;
    }
    return status;
}

/* What is sealed has made room to seal the segment `id`, which was active; it
 * is merged alone. */
static cask_status merge_sealed_last(store_handle *store, merge_wish wish,
                                     uint64_t id, merge_report *report,
                                     cask_error *err)
{
    merge_report last = {.inputs = 0};
    cask_status status =
        active_id(store) == id ? store_rotate(store, err) : CASK_OK;

    if (status == CASK_OK) {
        wish.all_below_id = id + 1;
        /* Whoever asks again does not know of it any more. */
        wish.patience_ms = store->options.lock_timeout_ms;
        status = hash_merge_wished(store, wish, &last, err);
    }
    add_report(report, &last);
    return status;
}

/* `id`: of the segment that was to be sealed for that. */
static cask_status merge_with_last(store_handle *store, merge_wish wish,
                                   uint64_t id, merge_report *ret_report,
                                   cask_error *err)
{
    cask_status status = hash_merge_wished(store, wish, ret_report, err);

    return status == CASK_OK && wish.all_below_id == id
               ? merge_sealed_last(store, wish, id, ret_report, err)
               : status;
}

cask_status hash_merge_started(store_handle *store, merge_wish wish,
                               merge_report *ret_report, cask_error *err)
{
    return merge_with_last(store, wish, active_id(store), ret_report, err);
}

cask_status hash_merge_all(store_handle *store, merge_report *ret_report,
                           cask_error *err)
{
    uint64_t id = active_id(store);
    merge_wish wish = {.is_asked = true,
                       .patience_ms = store->options.lock_timeout_ms};
    cask_status status = hash_seal_for_all(store, &wish.all_below_id, err);

    *ret_report = (merge_report){.inputs = 0};
    return status == CASK_OK ? merge_with_last(store, wish, id, ret_report, err)
                             : status;
}
