/*
 * Merging on request, and what merges do.
 */
#include <stdio.h>

#include "db/db.h"

static void fill_report(const merge_report *report,
                        cask_merge_report *ret_report)
{
    if (ret_report != NULL) {
        *ret_report = (cask_merge_report){
            .inputs = report->inputs,
            .outputs = report->outputs,
            .bytes_read = report->bytes_read,
            .bytes_written = report->bytes_written,
            .records = report->records,
            .tombstones_dropped = report->tombstones_dropped};
    }
}

cask_status cask_merge(cask_db *db, const cask_merge_options *options,
                       cask_merge_report *ret_report, cask_error *err)
{
    static const cask_merge_options by_policy;
    const merge_wish asked = {.is_asked = true};
    merge_report report = {.inputs = 0};
    cask_status status = db_check_writable(db, err);

    options = options == NULL ? &by_policy : options;
    if (status == CASK_OK) {
        status = options->all
                     ? hash_merge_all(db->store, &report, err)
                     : hash_merge_wished(db->store, asked, &report, err);
    }
    fill_report(&report, ret_report);
    return status;
}

cask_status cask_merge_cancel(cask_db *db, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    if (status == CASK_OK) {
        atomic_store(&db->store->region.header->merge.cancel, 1);
    }
    return status;
}

static cask_status explain(store_handle *store, cask_merge_state *state,
                           cask_error *err)
{
    merger_plan p;
    const merge_wish by_itself = {.is_asked = false};
    cask_status status = hash_plan(store, by_itself, &p, err);

    if (status == CASK_OK) {
        (void)snprintf(state->reason, sizeof(state->reason), "%s",
                       p.plan.count > 0 ? merge_reason_text(p.plan.reason)
                                        : merge_wait_text(p.plan.wait));
    }
    hash_plan_free(&p);
    return status;
}

cask_status cask_merge_status(cask_db *db, cask_merge_state *ret_state,
                              cask_error *err)
{
    const region_merge *merge;
    cask_merge_state state = {.phase = CASK_MERGE_NONE};
    cask_status status = db_check(db, err);

    if (status == CASK_OK && ret_state == NULL) {
        status = fail(err, CASK_INVALID, 0, "ret_state is NULL");
    }
    if (status != CASK_OK) {
        return status;
    }
    merge = &db->store->region.header->merge;
    state.phase = (cask_merge_phase)atomic_load(&merge->phase);
    if (state.phase != CASK_MERGE_NONE) {
        state.bytes_done = atomic_load(&merge->bytes_done);
        state.bytes_total = atomic_load(&merge->bytes_total);
    }
    state.merges = atomic_load(&merge->number);
    state.bytes_read = atomic_load(&merge->bytes_read);
    state.bytes_written = atomic_load(&merge->bytes_written);
    state.bytes_freed = atomic_load(&merge->bytes_freed);
    if (!db->store->private_index) {
        status = explain(db->store, &state, err);
    }
    *ret_state = state;
    return status;
}
