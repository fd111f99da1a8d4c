/*
 * What would be compacted in a store now, and why.
 */
#ifndef CASKADE_TREE_PLAN_H
#define CASKADE_TREE_PLAN_H

#include "store/store_settings.h"
#include "tree/compact_facts.h"

/* Start with {0}. */
typedef struct tree_plan {
    const version *pinned;
    compact_facts facts; /* of it */
    uint32_t *choices;   /* owned; the first plan.count are the inputs */
    compaction_plan plan;
} tree_plan;

/* What a strategy goes by in this store. */
compaction_settings tree_compaction_settings(const store_handle *store);

/* In one with these settings, whose memtables take so many bytes of the log. */
compaction_settings tree_compaction_settings_of(const store_settings *settings,
                                                uint64_t memtable_bytes);

/* How far all runs became one, from step to step. Start with {0}. */
typedef struct tree_all {
    bool is_on; /* with all runs that there were; before, sweeps that had
                   begun are completed */
    bool is_done;
    cask_buffer from; /* the key where the next step begins; owned */
} tree_all;

/*
 * Choose by the strategy, or, if `all` is not NULL, the next step of that.
 * is_asked: see store_expiry_now(). Memtables are not looked at. Statuses of
 * version_pin(); free it with tree_plan_free() in any case.
 */
cask_status tree_plan_make(store_handle *store, bool is_asked, tree_all *all,
                           tree_plan *ret_plan, cask_error *err);

/* The plan was carried out. CASK_OK or CASK_NO_MEMORY. */
cask_status tree_plan_advance(const tree_plan *plan, tree_all *all,
                              cask_error *err);

void tree_plan_free(store_handle *store, tree_plan *plan);

#endif
