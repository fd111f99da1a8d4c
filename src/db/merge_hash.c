/*
 * Merging in a store of the hash engine.
 */
#include <stdlib.h>

#include "db/merge.h"
#include "hash/hash_merger.h"

static void fill_report(const merge_report *report,
                        cask_merge_report *ret_report)
{
    *ret_report =
        (cask_merge_report){.inputs = report->inputs,
                            .outputs = report->outputs,
                            .bytes_read = report->bytes_read,
                            .bytes_written = report->bytes_written,
                            .bytes_freed = report->bytes_freed,
                            .records = report->records,
                            .tombstones_dropped = report->tombstones_dropped};
}

static cask_status merge(store_handle *store, bool all,
                         cask_merge_report *ret_report, cask_error *err)
{
    const merge_wish asked = {.is_asked = true,
                              .patience_ms = store->options.lock_timeout_ms};
    merge_report report = {.inputs = 0};
    cask_status status = all ? hash_merge_all(store, &report, err)
                             : hash_merge_wished(store, asked, &report, err);

    fill_report(&report, ret_report);
    return status;
}

static cask_status ask(store_handle *store, bool all, cask_error *err)
{
    uint64_t all_below_id = 0;
    cask_status status = CASK_OK;

    if (all) {
        status = hash_seal_for_all(store, &all_below_id, err);
    }
    return status == CASK_OK ? merge_wish_ask(store, all_below_id, err)
                             : status;
}

/* Why something is planned, or why nothing is. */
static const char *text_of(const merge_plan *plan)
{
    return plan->count > 0 ? merge_reason_text(plan->reason)
                           : merge_wait_text(plan->wait);
}

static cask_status explain(store_handle *store, const turn_thread *first,
                           db_merge_due *ret_due, cask_error *err)
{
    /* If nobody merges, as if there were one that has long been open. */
    const merge_wish by_itself = {.thread = first, .is_late = first == NULL};
    merger_plan p;
    cask_status status = hash_plan(store, by_itself, &p, err);

    if (status == CASK_OK) {
        *ret_due = (db_merge_due){.is_due = p.plan.count > 0,
                                  .is_urgent = merge_turn_is_cancelled(store),
                                  .reason = text_of(&p.plan)};
    }
    hash_plan_free(&p);
    return status;
}

static const char *reason_text(unsigned reason)
{
    return merge_reason_text((merge_reason)reason);
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

static cask_status plan(store_handle *store, const cask_merge_options *options,
                        db_merge_plan *ret_plan, cask_error *err)
{
    merger_plan p;
    cask_status status = hash_plan(store, wish_of(store, options), &p, err);

    if (status == CASK_OK) {
        status = copy_items(&p, &ret_plan->items, err);
    }
    if (status == CASK_OK) {
        ret_plan->count = p.plan.count;
        ret_plan->summary =
            (cask_merge_summary){.reason = text_of(&p.plan),
                                 .left = p.plan.left,
                                 .read_bytes = p.plan.read_bytes,
                                 .write_bytes = p.plan.write_bytes,
                                 .freed_bytes = p.plan.freed_bytes};
    }
    hash_plan_free(&p);
    return status;
}

const db_merge_calls db_hash_merges = {.merge = merge,
                                       .ask = ask,
                                       .explain = explain,
                                       .plan = plan,
                                       .reason_text = reason_text};
