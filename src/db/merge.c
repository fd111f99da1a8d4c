/*
 * Merging on request, what it would do, and what merges do.
 */
#include <stdio.h>
#include <stdlib.h>

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

/* Why something is planned, or why nothing is. */
static const char *text_of(const merge_plan *plan)
{
    return plan->count > 0 ? merge_reason_text(plan->reason)
                           : merge_wait_text(plan->wait);
}

static cask_status explain(const cask_db *db, cask_merge_state *state,
                           cask_error *err)
{
    merger_plan p;
    /* Its own first minute holds up only a handle that merges: others ask what
     * those do that have long been open. */
    const merge_wish by_itself = {.is_late = db->merger == NULL};
    cask_status status = hash_plan(db->store, by_itself, &p, err);

    if (status == CASK_OK) {
        state->due = p.plan.count > 0;
        (void)snprintf(state->reason, sizeof(state->reason), "%s",
                       text_of(&p.plan));
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

    if (status != CASK_OK || ret_state == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "ret_state is NULL");
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
    status = explain(db, &state, err);
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
    cask_status status = db_check(db, err);
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
