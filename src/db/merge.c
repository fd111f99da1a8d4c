/*
 * Merging on request, what it would do, and what merges do.
 */
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "hash/merge_log.h"
#include "hash/merge_turn.h"

static void fill_report(const merge_report *report,
                        cask_merge_report *ret_report)
{
    if (ret_report != NULL) {
        *ret_report = (cask_merge_report){
            .inputs = report->inputs,
            .outputs = report->outputs,
            .bytes_read = report->bytes_read,
            .bytes_written = report->bytes_written,
            .bytes_freed = report->bytes_freed,
            .records = report->records,
            .tombstones_dropped = report->tombstones_dropped};
    }
}

static cask_status merge(store_handle *store, bool all, merge_report *report,
                         cask_error *err)
{
    const merge_wish asked = {.is_asked = true,
                              .patience_ms = store->options.lock_timeout_ms};
    turn_wish started = merge_wish_pending(store);
    cask_status status = all ? hash_merge_all(store, report, err)
                             : hash_merge_wished(store, asked, report, err);

    if (status == CASK_OK) {
        merge_turn_note(store, status); /* what had failed works again */
    }
    if (status == CASK_OK && (all || started.all_below_id == 0)) {
        merge_wish_settle(store, started.number, status); /* the same */
    }
    return status;
}

/* Leave it to a thread that merges, in whichever process. */
static cask_status start(store_handle *store, bool all, cask_error *err)
{
    uint64_t all_below_id = 0;
    cask_status status = CASK_OK;

    if (merge_turn_threads(store) == 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: a merge cannot be started: no process has the store "
                    "open with auto_merge; merge without `start`",
                    store->path);
    }
    if (all) {
        status = hash_seal_for_all(store, &all_below_id, err);
    }
    return status == CASK_OK ? merge_wish_ask(store, all_below_id, err)
                             : status;
}

cask_status cask_merge(cask_db *db, const cask_merge_options *options,
                       cask_merge_report *ret_report, cask_error *err)
{
    static const cask_merge_options by_policy;
    merge_report report = {.inputs = 0};
    cask_status status =
        db_check_hash(db, db_check_writable(db, err), "merging", err);

    options = options == NULL ? &by_policy : options;
    if (status == CASK_OK) {
        status = options->start ? start(db->store, options->all, err)
                                : merge(db->store, options->all, &report, err);
    }
    fill_report(&report, ret_report);
    return status;
}

cask_status cask_merge_cancel(cask_db *db, cask_error *err)
{
    cask_status status =
        db_check_hash(db, db_check_writable(db, err), "merging", err);

    if (status == CASK_OK) {
        merge_turn_cancel(db->store);
    }
    return status;
}

/* Why something is planned, or why nothing is. */
static const char *text_of(const merge_plan *plan)
{
    return plan->count > 0 ? merge_reason_text(plan->reason)
                           : merge_wait_text(plan->wait);
}

/* What was started is done whatever the policy says, after a pause that a
 * failure has made; it may be left over by threads that are gone. */
static void explain_wish(cask_merge_state *state, merge_wait why)
{
    bool is_paused = state->paused_ms > 0 && why == MERGE_WAIT_FAILED;

    if (state->asked) {
        state->due = state->threads > 0 && !is_paused;
        (void)snprintf(state->reason, sizeof(state->reason), "%s",
                       state->threads == 0
                           ? "it was asked for, but no open handle has "
                             "auto_merge"
                       : is_paused ? merge_wait_text(why)
                                   : "it was asked for");
    }
}

static cask_status explain(const cask_db *db, cask_merge_state *state,
                           cask_error *err)
{
    merger_plan p;
    turn_thread first = {.open_ms = 0};
    merge_wish by_itself = {.thread = &first};
    cask_status status;
    merge_wait why;

    /* What holds up whoever will merge, in whichever process. If there is
     * nobody, as if there were one that has long been open. */
    if (db->store->has_slot) {
        state->threads = merge_turn_first(db->store, &first);
    }
    if (state->threads == 0) {
        by_itself = (merge_wish){.is_late = true};
    }
    status = hash_plan(db->store, by_itself, &p, err);
    state->paused_ms = merge_turn_paused_ms(db->store, &why);
    if (status == CASK_OK) {
        state->due = p.plan.count > 0 && state->paused_ms == 0;
        (void)snprintf(state->reason, sizeof(state->reason), "%s",
                       p.plan.count > 0 && state->paused_ms > 0
                           ? merge_wait_text(why)
                           : text_of(&p.plan));
        explain_wish(state, why);
    }
    hash_plan_free(&p);
    return status;
}

static cask_past_merge past_of(const merge_record *record)
{
    return (cask_past_merge){
        .number = record->number,
        .began_ms = record->began_ms,
        .took_ms = record->took_ms,
        .pid = record->pid,
        .result = record->result,
        .reason = record->reason == MERGE_REASON_NONE
                      ? "a process that died had begun it"
                      : merge_reason_text(record->reason),
        .did = {.inputs = record->inputs,
                .outputs = record->outputs,
                .bytes_read = record->bytes_read,
                .bytes_written = record->bytes_written,
                .bytes_freed = record->bytes_freed,
                .records = record->records,
                .tombstones_dropped = record->tombstones_dropped}};
}

static void fill_past(const store_handle *store, cask_merge_state *state)
{
    merge_record records[REGION_MERGES];

    state->past_count = merge_log_read(store, records);
    for (size_t i = 0; i < state->past_count; i++) {
        state->past[i] = past_of(&records[i]);
    }
}

static void fill_worker(store_handle *store, cask_merge_state *state)
{
    const region_header *header = store->region.header;
    const region_merge *merge = &header->merge;

    state->phase = (cask_merge_phase)atomic_load(&merge->phase);
    if (state->phase != CASK_MERGE_NONE) {
        state->pid = merge_log_worker(store);
        state->began_ms = atomic_load(&header->merger.began_ms);
        state->rate_bytes = atomic_load(&header->merger.rate_bytes);
        state->bytes_done = atomic_load(&merge->bytes_done);
        state->bytes_total = atomic_load(&merge->bytes_total);
    }
    state->asked = merge_wish_pending(store).number != 0;
    state->started = (cask_status)atomic_load(&header->merger.wish_result);
    state->merges = atomic_load(&merge->number);
    state->bytes_read = atomic_load(&merge->bytes_read);
    state->bytes_written = atomic_load(&merge->bytes_written);
    state->bytes_freed = atomic_load(&merge->bytes_freed);
}

cask_status cask_merge_status(cask_db *db, cask_merge_state *ret_state,
                              cask_error *err)
{
    cask_merge_state state = {.phase = CASK_MERGE_NONE};
    cask_status status = db_check(db, err);

    if (status != CASK_OK || ret_state == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "ret_state is NULL");
    }
    fill_worker(db->store, &state);
    fill_past(db->store, &state);
    if (db_check_hash(db, CASK_OK, "merging", NULL) == CASK_OK) {
        status = explain(db, &state, err);
    } else {
        (void)snprintf(state.reason, sizeof(state.reason),
                       "runs of the tree engine are not merged yet");
    }
    if (status == CASK_OK) {
        *ret_state = state;
    }
    return status;
}

/* ---- Plan ---- */

static cask_merge_item item_of(const merger_plan *p, const merge_choice *choice)
{
    const merge_segment *segment = &p->segments[choice->index];

    return (cask_merge_item){.id = choice->id,
                             .total_bytes = segment->bytes,
                             .live_bytes = segment->live_bytes,
                             .gain_bytes = choice->gain_bytes,
                             .reason = merge_reason_text(choice->reason)};
}

static cask_status copy_items(const merger_plan *p, cask_merge_item **ret_items,
                              cask_error *err)
{
    size_t count = p->plan.count;
    cask_merge_item *items = calloc(count + 1, sizeof(*items));

    if (items == NULL) {
        return fail_memory(err, count * sizeof(*items));
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = item_of(p, &p->choices[i]);
    }
    *ret_items = items;
    return CASK_OK;
}

/* cask_merge() seals the active segment first if all is wished for. */
static merge_wish wish_of(const store_handle *store,
                          const cask_merge_options *options)
{
    merge_wish wish = {.is_asked = true};

    if (options != NULL && options->all) {
        wish.with_active = true;
        wish.all_below_id = atomic_load(&store->region.header->next_id);
    }
    return wish;
}

cask_status cask_merge_plan(cask_db *db, const cask_merge_options *options,
                            cask_merge_item **ret_items, size_t *ret_count,
                            cask_merge_summary *ret_summary, cask_error *err)
{
    cask_status status = db_check_hash(db, db_check(db, err), "merging", err);
    merger_plan p;

    if (status != CASK_OK || ret_items == NULL || ret_count == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "an output is NULL");
    }
    status = hash_plan(db->store, wish_of(db->store, options), &p, err);
    if (status == CASK_OK) {
        status = copy_items(&p, ret_items, err);
    }
    if (status == CASK_OK) {
        *ret_count = p.plan.count;
    }
    if (status == CASK_OK && ret_summary != NULL) {
        *ret_summary = (cask_merge_summary){.reason = text_of(&p.plan),
                                            .left = p.plan.left,
                                            .read_bytes = p.plan.read_bytes,
                                            .write_bytes = p.plan.write_bytes,
                                            .freed_bytes = p.plan.freed_bytes};
    }
    hash_plan_free(&p);
    return status;
}
