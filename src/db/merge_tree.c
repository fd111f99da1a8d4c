/*
 * Merging in a store of the tree engine: compactions of its runs.
 */
#include <stdlib.h>

#include "db/merge.h"
#include "maintain/merge_policy.h"
#include "store/store_merge.h"
#include "tree/tree_compact.h"
#include "tree/tree_delay.h"
#include "tree/tree_plan.h"

static cask_status merge(store_handle *store, bool all,
                         cask_merge_report *ret_report, cask_error *err)
{
    const tree_wish wish = {.is_asked = true,
                            .all = all,
                            .patience_ms = store->options.lock_timeout_ms};
    tree_merged merged;
    cask_status status = tree_compact(store, wish, &merged, err);

    *ret_report =
        (cask_merge_report){.inputs = merged.inputs,
                            .outputs = merged.outputs,
                            .bytes_read = merged.bytes_read,
                            .bytes_written = merged.bytes_written,
                            .bytes_freed = merged.bytes_freed,
                            .records = merged.records,
                            .tombstones_dropped = merged.tombstones_dropped};
    return status;
}

/* Whatever is there when it begins. */
static cask_status ask(store_handle *store, bool all, cask_error *err)
{
    return merge_wish_ask(store, all ? UINT64_MAX : 0, err);
}

static cask_status explain(store_handle *store, const turn_thread *first,
                           db_merge_due *ret_due, cask_error *err)
{
    bool is_open =
        first == NULL || store_window_is_open_for(store, first->jitter_ms);
    tree_plan p = {.pinned = NULL};
    cask_status status = tree_plan_make(store, false, NULL, &p, err);

    if (status == CASK_OK) {
        *ret_due = (db_merge_due){
            .is_due = p.plan.count > 0 && is_open,
            .is_urgent =
                merge_turn_is_cancelled(store) && tree_is_pressed(store),
            .reason = p.plan.count > 0 && !is_open
                          ? merge_wait_text(MERGE_WAIT_WINDOW)
                          : compaction_reason_text(p.plan.reason)};
    }
    tree_plan_free(store, &p);
    return status;
}

static const char *reason_text(unsigned reason)
{
    return compaction_reason_text((compaction_reason)reason);
}

/* ---- Plan ---- */

/* How much of a run is dead is not known: what has expired is, about, and what
 * deeper runs have less by it. */
static uint64_t gain_of(const compaction_part *part)
{
    double expired =
        part->records > 0 ? (double)part->expired / (double)part->records : 0;

    return part->hidden_bytes + (uint64_t)((double)part->bytes * expired);
}

static cask_status copy_items(const tree_plan *p, cask_merge_item **ret_items,
                              cask_error *err)
{
    cask_merge_item *items = calloc(p->plan.count + 1, sizeof(*items));

    if (items == NULL) {
        return fail_memory(err, p->plan.count * sizeof(*items));
    }
    for (size_t i = 0; i < p->plan.count; i++) {
        const compaction_part *part = &p->facts.parts[p->choices[i]];

        items[i] =
            (cask_merge_item){.id = part->id,
                              .total_bytes = part->bytes,
                              .live_bytes = part->bytes,
                              .gain_bytes = gain_of(part),
                              .reason = compaction_reason_text(p->plan.reason)};
    }
    *ret_items = items;
    return CASK_OK;
}

static cask_status plan(store_handle *store, const cask_merge_options *options,
                        db_merge_plan *ret_plan, cask_error *err)
{
    bool is_all = options != NULL && options->all;
    tree_all all = {.is_on = false};
    tree_plan p = {.pinned = NULL};
    cask_status status =
        tree_plan_make(store, true, is_all ? &all : NULL, &p, err);

    if (status == CASK_OK) {
        status = copy_items(&p, &ret_plan->items, err);
    }
    if (status == CASK_OK) {
        uint64_t bytes = p.plan.is_move ? 0 : p.plan.read_bytes;

        ret_plan->count = p.plan.count;
        ret_plan->summary = (cask_merge_summary){
            .reason = compaction_reason_text(p.plan.reason),
            .read_bytes = bytes,
            .write_bytes = bytes};
        for (size_t i = 0; i < p.plan.count; i++) {
            ret_plan->summary.freed_bytes += ret_plan->items[i].gain_bytes;
        }
    }
    tree_plan_free(store, &p);
    return status;
}

const db_merge_calls db_tree_merges = {.merge = merge,
                                       .ask = ask,
                                       .explain = explain,
                                       .plan = plan,
                                       .reason_text = reason_text};
