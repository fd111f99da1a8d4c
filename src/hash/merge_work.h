/*
 * What the parts of a merge share while it copies: the whole in hash_merge.c;
 * weighing tombstones, and copying what stays, in files of their own.
 */
#ifndef CASKADE_MERGE_WORK_H
#define CASKADE_MERGE_WORK_H

#include "hash/hash_merge.h"
#include "store/store_pace.h"
#include "hash/merge_table.h"
#include "log/record_copier.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_walk.h"

typedef struct merge {
    store_handle *store;
    merge_report *report;
    const store_expiry *expiry;
    merge_table tombstones;
    record_copier copier;
    store_pace pace;
    uint32_t output;  /* row of the copies; UINT32_MAX: none yet */
    bool keeps_all;   /* all tombstones are needed, for all that is known */
    bool is_copying;  /* the tombstones are weighed */
    bool is_void;     /* an input is not what it seemed: begin again */
    bool by_data;     /* times are wanted, which no hint tells */
    bool all_expired; /* all puts that are noted by hint are past their time */
    bool is_kept;     /* something that was noted stays */
} merge;

static inline bool merge_is_input(const store_handle *store, uint32_t row)
{
    return atomic_load(&store->region.rows[row].is_input) != 0;
}

/* Of an input that stays too, an open loads what its hint says: its puts need
 * the tombstones that hide them like those of any other segment. */
static inline bool merge_row_goes(const store_handle *store, uint32_t row)
{
    return merge_is_input(store, row) && !store_row_is_kept(store, row);
}

/* ---- When it stops, or begins again (merge_check.c) ---- */

/* What is durable is not known after a failed sync: nothing may go. CASK_OK or
 * CASK_POISONED. */
cask_status merge_check_poison(const store_handle *store, cask_error *err);

/* What the index did not find counts only if this process has mapped all of it,
 * which is looked at behind the last look-up: it never shrinks. CASK_OK or
 * CASK_NO_MEMORY. */
cask_status merge_check_covered(const store_handle *store, cask_error *err);

/* Before each record: CASK_OK; CASK_POISONED; CASK_NO_MEMORY (not covered);
 * CASK_TIMEOUT (cancelled). */
cask_status merge_check_cancel(merge *m, cask_error *err);

/*
 * Before each record, and at each damage, of a walk over data. CASK_OK; as
 * merge_check_cancel(); CASK_CORRUPT: an input is not what it seemed, the merge
 * is void and is to begin again.
 */
cask_status merge_check_part(merge *m, const walk_part *part, cask_error *err);

/* When all is copied. CASK_CORRUPT: a tombstone that is needed may be in what
 * cannot be read of a segment that was to be released; the merge is void. */
cask_status merge_check_released(merge *m, cask_error *err);

/* ---- Which tombstones stay (merge_weigh.c) ---- */

/* Collect the tombstones of the inputs, then look for what they hide. Statuses
 * as hash_note_row() has them, and those of merge_check_part(). */
cask_status merge_weigh(merge *m, cask_error *err);

/* Whether values of an input that have expired may be given up: of a damaged
 * one nothing expires, for it may stay, and its hint with it. */
bool merge_may_expire(const merge *m, uint32_t row);

/* Set m->is_kept: whether something of an input stays. If it has expired as a
 * whole, one of its records may still hide an older one. As merge_weigh(). */
cask_status merge_look_for_kept(merge *m, uint32_t index, cask_error *err);

/* ---- Copying what stays (merge_copy.c) ---- */

/* Write the outputs: whole, synced and with hints on CASK_OK. As merge_weigh();
 * CASK_NO_SPACE; CASK_IO; CASK_NO_MEMORY. */
cask_status merge_copy(merge *m, cask_error *err);

#endif
