/*
 * Merging on request, what it would do, and what merges do.
 */
#include <stdio.h>

#include "db/db.h"
#include "db/merge.h"
#include "maintain/merge_policy.h"
#include "store/merge_log.h"
#include "store/merge_turn.h"

static cask_status merge(const cask_db *db, bool all, cask_merge_report *report,
                         cask_error *err)
{
    store_handle *store = db->store;
    turn_wish started = merge_wish_pending(store);
    cask_status status = db->engine->merges->merge(store, all, report, err);

    if (status == CASK_OK) {
        merge_turn_note(store, status); /* what had failed works again */
    }
    if (status == CASK_OK && (all || started.all_below_id == 0)) {
        merge_wish_settle(store, started.number, status); /* the same */
    }
    return status;
}

/* Leave it to a thread that merges, in whichever process. */
static cask_status start(const cask_db *db, bool all, cask_error *err)
{
    if (merge_turn_threads(db->store) == 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: a merge cannot be started: no process has the store "
                    "open with auto_merge; merge without `start`",
                    db->store->path);
    }
    return db->engine->merges->ask(db->store, all, err);
}

cask_status cask_merge(cask_db *db, const cask_merge_options *options,
                       cask_merge_report *ret_report, cask_error *err)
{
    static const cask_merge_options by_policy;
    cask_merge_report report = {.inputs = 0};
    cask_status status = db_check_writable(db, err);

    options = options == NULL ? &by_policy : options;
    if (status == CASK_OK) {
        status = options->start ? start(db, options->all, err)
                                : merge(db, options->all, &report, err);
    }
    if (ret_report != NULL) {
        *ret_report = report;
    }
    return status;
}

cask_status cask_merge_cancel(cask_db *db, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    if (status == CASK_OK) {
        merge_turn_cancel(db->store);
    }
    return status;
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
    turn_thread first = {.open_ms = 0};
    db_merge_due due;
    cask_status status;
    merge_wait why;

    /* What holds up whoever will merge, in whichever process. */
    if (db->store->has_slot) {
        state->threads = merge_turn_first(db->store, &first);
    }
    status = db->engine->merges->explain(
        db->store, state->threads > 0 ? &first : NULL, &due, err);
    state->paused_ms = merge_turn_paused_ms(db->store, &why);
    if (status == CASK_OK) {
        bool is_held = state->paused_ms > 0 && !due.is_urgent;

        state->due = due.is_due && !is_held;
        (void)snprintf(state->reason, sizeof(state->reason), "%s",
                       due.is_due && is_held ? merge_wait_text(why)
                                             : due.reason);
        explain_wish(state, why);
    }
    if (state->due && state->threads > 0 && !state->asked) {
        state->due_in_ms = merge_turn_rest_ms(db->store);
    }
    return status;
}

cask_past_merge db_past_merge(const cask_db *db, const merge_record *record)
{
    return (cask_past_merge){
        .number = record->number,
        .began_ms = record->began_ms,
        .took_ms = record->took_ms,
        .pid = record->pid,
        .result = record->result,
        .reason = record->reason == MERGE_REASON_NONE
                      ? "a process that died had begun it"
                      : db->engine->merges->reason_text(record->reason),
        .did = {.inputs = record->inputs,
                .outputs = record->outputs,
                .bytes_read = record->bytes_read,
                .bytes_written = record->bytes_written,
                .bytes_freed = record->bytes_freed,
                .records = record->records,
                .tombstones_dropped = record->tombstones_dropped}};
}

static void fill_past(const cask_db *db, cask_merge_state *state)
{
    merge_record records[REGION_MERGES];

    state->past_count = merge_log_read(db->store, records);
    for (size_t i = 0; i < state->past_count; i++) {
        state->past[i] = db_past_merge(db, &records[i]);
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
    fill_past(db, &state);
    status = explain(db, &state, err);
    if (status == CASK_OK) {
        *ret_state = state;
    }
    return status;
}

cask_status cask_merge_plan(cask_db *db, const cask_merge_options *options,
                            cask_merge_item **ret_items, size_t *ret_count,
                            cask_merge_summary *ret_summary, cask_error *err)
{
    cask_status status = db_check(db, err);
    db_merge_plan plan = {.count = 0};

    if (status != CASK_OK || ret_items == NULL || ret_count == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "an output is NULL");
    }
    status = db->engine->merges->plan(db->store, options, &plan, err);
    if (status == CASK_OK) {
        *ret_items = plan.items;
        *ret_count = plan.count;
    }
    if (status == CASK_OK && ret_summary != NULL) {
        *ret_summary = plan.summary;
    }
    return status;
}
