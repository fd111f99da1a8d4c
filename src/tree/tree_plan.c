/*
 * From settings and runs to a plan; see tree_plan.h.
 */
#include "tree/tree_plan.h"

#include <stdlib.h>

#include "tree/tree.h"
#include "tree/tree_output.h"

/* A bound that nobody has set is that of the hash engine: tiered has none of
 * its own, or it would write all anew for ever. */
static double bound_of(const store_settings *settings)
{
    store_settings initial;

    settings_default(&initial);
    return settings->max_space_amplification == initial.max_space_amplification
               ? 0
               : (double)settings->max_space_amplification / 1000;
}

compaction_settings tree_compaction_settings(const store_handle *store)
{
    compaction_settings result;
    store_settings settings;

    store_settings_get(store, &settings);
    result =
        compaction_settings_default((compaction_strategy)settings.compaction);
    result.max_space_amplification = bound_of(&settings);
    result.flush_bytes = store->options.memtable_bytes;
    if (result.flush_bytes < result.partition_bytes) {
        result.partition_bytes = result.flush_bytes;
    }
    return result;
}

static void choose(const store_handle *store, bool all, tree_plan *p)
{
    const compaction_settings settings = tree_compaction_settings(store);
    compaction_moment moment = {.oldest_snapshot = UINT64_MAX};
    tree_moments looks;

    tree_moments_find(store, &looks);
    moment.oldest_snapshot = looks.at[0];
    if (all || !compact_facts_fit(&p->facts, settings.strategy)) {
        compaction_choose_all(&settings, p->facts.parts, p->facts.count,
                              p->choices, &p->plan);
    } else {
        compaction_choose(&settings, &moment, p->facts.parts, p->facts.count,
                          p->choices, &p->plan);
    }
}

cask_status tree_plan_make(store_handle *store, bool all, tree_plan *ret_plan,
                           cask_error *err)
{
    cask_status status =
        version_pin(tree_state_of(store)->versions, &ret_plan->pinned, err);

    if (status != CASK_OK) {
        ret_plan->pinned = NULL;
        return status;
    }
    status = compact_facts_make(ret_plan->pinned, &ret_plan->facts, err);
    if (status != CASK_OK) {
        return status;
    }
    ret_plan->choices =
        calloc(ret_plan->facts.count + 1, sizeof(*ret_plan->choices));
    if (ret_plan->choices == NULL) {
        return fail_memory(err, (ret_plan->facts.count + 1) *
                                    sizeof(*ret_plan->choices));
    }
    choose(store, all, ret_plan);
    return CASK_OK;
}

void tree_plan_free(store_handle *store, tree_plan *plan)
{
    compact_facts_free(&plan->facts);
    free(plan->choices);
    if (plan->pinned != NULL) {
        version_unpin(tree_state_of(store)->versions, plan->pinned);
    }
    *plan = (tree_plan){.pinned = NULL};
}
