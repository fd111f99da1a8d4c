/*
 * What cask_merge() and the calls beside it ask of an engine.
 */
#ifndef CASKADE_DB_MERGE_H
#define CASKADE_DB_MERGE_H

#include "caskade.h"
#include "store/merge_turn.h"

/* What a thread that merges by itself would find. */
typedef struct db_merge_due {
    bool is_due;
    bool is_urgent;     /* although somebody cancelled one a moment ago */
    const char *reason; /* why, or why not; valid for ever */
} db_merge_due;

typedef struct db_merge_plan {
    cask_merge_item *items; /* the caller frees it */
    size_t count;
    cask_merge_summary summary;
} db_merge_plan;

/* Statuses are those of caskade/merge.h. */
typedef struct db_merge_calls {
    /* Merge now. ret_report: set in any case. */
    cask_status (*merge)(store_handle *store, bool all,
                         cask_merge_report *ret_report, cask_error *err);
    /* Leave it to a thread that merges; there is one. */
    cask_status (*ask)(store_handle *store, bool all, cask_error *err);
    /* first: the thread that may begin first; NULL: there is none. */
    cask_status (*explain)(store_handle *store, const turn_thread *first,
                           db_merge_due *ret_due, cask_error *err);
    cask_status (*plan)(store_handle *store, const cask_merge_options *options,
                        db_merge_plan *ret_plan, cask_error *err);
    /* Of a merge_record. */
    const char *(*reason_text)(unsigned reason);
} db_merge_calls;

extern const db_merge_calls db_hash_merges;
extern const db_merge_calls db_tree_merges;

#endif
