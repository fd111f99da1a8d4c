/*
 * When to merge: the policy applied to a store, and the thread that asks it.
 */
#ifndef CASKADE_HASH_MERGER_H
#define CASKADE_HASH_MERGER_H

#include "hash/hash_merge.h"
#include "maintain/merge_policy.h"
#include "store/merge_turn.h"
#include "store/store_merger.h"

/* What would be merged now, and why or why not. */
typedef struct merger_plan {
    merge_plan plan;
    merge_segment *segments; /* owned; all that are sealed */
    merge_choice *choices;   /* owned; the first plan.count are chosen */
    uint32_t *rows;          /* owned; of `segments` */
    size_t count;            /* of segments */
    store_expiry expiry;     /* by which it was made, and is to be done */
} merger_plan;

/* Who asks the policy, and for what. */
typedef struct merge_wish {
    bool is_asked;             /* by the application: at any time */
    bool is_late;              /* as if the store had long been open */
    const turn_thread *thread; /* as this one asks; NULL: as this handle does.
                                  Borrowed */
    uint64_t patience_ms;  /* to wait while another merges; else CASK_BUSY */
    uint64_t all_below_id; /* not 0: all segments with smaller ids */
    uint64_t below_id;     /* not 0: the policy chooses of these only */
    uint64_t spare_bytes;  /* as if the disk had so many more free */
    bool with_active;      /* as if the active segment were sealed: to tell
                              what would be done, not to do it */
} merge_wish;

/*
 * Ask the policy. Any handle may, one with a private index too.
 *
 * CASK_OK; CASK_NO_MEMORY; CASK_TIMEOUT. Free with hash_plan_free() in any
 * case.
 */
cask_status hash_plan(store_handle *store, merge_wish wish,
                      merger_plan *ret_plan, cask_error *err);
void hash_plan_free(merger_plan *plan);

/*
 * Merge what is planned, step by step until nothing is. What is asked for is
 * done with segments that are there now, so it ends although others write; if
 * nobody does, it goes on until nothing is left. Statuses of hash_merge().
 */
cask_status hash_merge_wished(store_handle *store, merge_wish wish,
                              merge_report *ret_report, cask_error *err);

/*
 * Seal the active segment, so that it is merged with all others, which have ids
 * below *ret_below_id. On a disk without room for the next one it stays, and is
 * not one of them. Statuses of store_rotate().
 */
cask_status hash_seal_for_all(store_handle *store, uint64_t *ret_below_id,
                              cask_error *err);

/*
 * hash_merge_wished() for a wish that is older, as hash_seal_for_all() made it:
 * the segment that could not be sealed then is sealed and merged last, if it is
 * the active one still.
 */
cask_status hash_merge_started(store_handle *store, merge_wish wish,
                               merge_report *ret_report, cask_error *err);

/* The same for all that is there now, the active segment too, which is sealed
 * first; on a disk without room for the next one, last: CASK_NO_SPACE if there
 * is none then either. */
cask_status hash_merge_all(store_handle *store, merge_report *ret_report,
                           cask_error *err);

/* What the merging thread does. */
extern const store_merger_work hash_merger_work;

#endif
