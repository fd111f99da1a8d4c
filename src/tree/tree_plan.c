/*
 * From settings and runs to a plan; see tree_plan.h.
 */
#include "tree/tree_plan.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "tree/compact_settled.h"
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

compaction_settings tree_compaction_settings_of(const store_settings *settings,
                                                uint64_t memtable_bytes)
{
    compaction_settings result =
        compaction_settings_default((compaction_strategy)settings->compaction);

    result.max_space_amplification = bound_of(settings);
    result.flush_bytes = memtable_bytes;
    if (result.flush_bytes < result.partition_bytes) {
        result.partition_bytes = result.flush_bytes;
    }
    return result;
}

compaction_settings tree_compaction_settings(const store_handle *store)
{
    store_settings settings;

    store_settings_get(store, &settings);
    return tree_compaction_settings_of(&settings, store_memtable_bytes(store));
}

/* Whether something is damaged, and what is older stays. */
static bool is_held(const version *pinned)
{
    return pinned->held > 0 || pinned->broken_count > 0;
}

/* What is newer than all that is held goes on as a tree of its own, above
 * that: without sweeps, which would have to pass it. */
static compaction_settings settings_for(const store_handle *store,
                                        const version *pinned)
{
    compaction_settings settings = tree_compaction_settings(store);

    if (is_held(pinned)) {
        settings.strategy = COMPACTION_TIERED;
        settings.max_space_amplification = 0;
        settings.waste_percent = 0;
    }
    if (pinned->lost_count > 0) {
        settings.waste_percent = 0; /* tombstones stay */
    }
    return settings;
}

static void keep_above(const version *pinned, compaction_plan *plan)
{
    plan->drop_tombstones = false;
    if (plan->target_level > pinned->held_level) {
        plan->target_level = pinned->held_level;
    }
}

static bool has_begun(const compact_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        if (facts->parts[i].is_begun) {
            return true;
        }
    }
    return false;
}

/* Where the next step towards one run begins. */
static uint64_t step_from(const compact_facts *facts, tree_all *all)
{
    if (all == NULL || (!all->is_on && has_begun(facts))) {
        return UINT64_MAX;
    }
    all->is_on = true;
    return all->from.size == 0
               ? 0
               : compact_facts_number(
                     facts, (cask_slice){all->from.data, all->from.size});
}

static void choose_by_strategy(const store_handle *store,
                               const compaction_settings *settings,
                               tree_plan *p)
{
    compaction_moment moment = {.oldest_snapshot = UINT64_MAX};
    tree_moments looks;

    tree_moments_find(store, &looks);
    moment.oldest_snapshot = looks.at[0];
    compaction_choose(settings, &moment, p->facts.parts, p->facts.count,
                      p->choices, &p->plan);
}

static void choose(const store_handle *store, tree_all *all, tree_plan *p)
{
    const compaction_settings settings = settings_for(store, p->pinned);
    bool is_fit = compact_facts_fit(&p->facts, settings.strategy);

    if (all == NULL && is_fit) {
        choose_by_strategy(store, &settings, p);
    } else if (is_held(p->pinned)) {
        compaction_choose_all(&settings, p->facts.parts, p->facts.count,
                              p->choices, &p->plan);
    } else {
        compaction_choose_step(&settings, p->facts.parts, p->facts.count,
                               step_from(&p->facts, all), p->choices, &p->plan);
    }
    if (is_held(p->pinned)) {
        keep_above(p->pinned, &p->plan);
    }
    if (p->pinned->lost_count > 0) {
        /* What was written since tells that a lost record does not count. */
        p->plan.drop_tombstones = false;
    }
}

static void note_expired(const store_handle *store, bool is_asked, tree_plan *p)
{
    store_expiry expiry;
    tree_moments looks;

    store_expiry_now(store, is_asked, &expiry);
    tree_moments_find(store, &looks);
    compact_facts_expire(&p->facts, p->pinned, &expiry,
                         looks.count > 1 ? looks.at[looks.count - 2] : 0);
}

/* For a step towards one run, which leaves what would stay as it is. */
static void note_settled(const store_handle *store, tree_plan *p)
{
    const uint64_t value_bytes = store_value_separation_bytes(store);
    const compact_settling how = {
        .value_bytes = value_bytes,
        .keeps_tombstones = p->pinned->lost_count > 0,
        .wish = compact_values_wish_of(
            tree_compaction_settings(store).partition_bytes, value_bytes,
            true)};

    compact_facts_settle(&p->facts, p->pinned, &how);
}

cask_status tree_plan_make(store_handle *store, bool is_asked, tree_all *all,
                           tree_plan *ret_plan, cask_error *err)
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
    note_expired(store, is_asked, ret_plan);
    if (all != NULL) {
        note_settled(store, ret_plan);
    }
    choose(store, all, ret_plan);
    return CASK_OK;
}

cask_status tree_plan_advance(const tree_plan *plan, tree_all *all,
                              cask_error *err)
{
    cask_slice to = compact_facts_bound(&plan->facts, plan->plan.to_key);
    bool is_end = plan->plan.to_key == UINT64_MAX || to.data == NULL;

    if (is_held(plan->pinned)) {
        all->is_done = true;
        return CASK_OK;
    }
    if (!all->is_on) {
        return CASK_OK;
    }
    all->is_done = is_end;
    all->from.size = 0;
    return is_end ? CASK_OK : buffer_append(&all->from, to.data, to.size, err);
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
