/*
 * What is left of the inputs of a merge when they become one: what is written
 * when runs are compacted. For each key and each moment at which somebody looks
 * (snapshots, and the present) the newest version stays; what nobody can see
 * any more goes:
 *
 *   - a version that a newer one of the same moment replaces
 *   - a version that the deletion of a range hides at its moment
 *   - if nothing older lies below (`drop_tombstones`): a tombstone with no
 *     older version of its key left, and a deletion of a range that is older
 *     than all snapshots
 *
 * What has expired becomes a tombstone of its own sequence.
 *
 * Forward only; for one thread at a time.
 */
#ifndef CASKADE_ITER_SURVIVORS_H
#define CASKADE_ITER_SURVIVORS_H

#include "iter/iter_input.h"
#include "iter/iter_ranges.h"

typedef struct iter_survivors_options {
    iter_moments moments; /* the last is UINT64_MAX; borrowed */
    iter_bounds bounds;   /* the bytes are borrowed */
    iter_ranges *ranges;  /* made for these moments and bounds, of all ranges of
                             all inputs and of nothing else; NULL: there are
                             none, and a record that is one is an error */
    bool drop_tombstones; /* nothing below is older than the inputs */
    iter_expired is_expired; /* NULL: nothing expires */
    void *context;           /* for is_expired */
    size_t shared_bytes;     /* as for iter_merge_create() */
} iter_survivors_options;

/* What became of the records within the bounds; all of them add up to `read`.
 * Deletions of ranges are not among them. */
typedef struct iter_survivors_counts {
    uint64_t read;
    uint64_t kept;    /* puts and pointers */
    uint64_t deletes; /* tombstones that stay, those of `expired` included */
    uint64_t replaced;
    uint64_t hidden;          /* by deletions of ranges */
    uint64_t tombstones_gone; /* those of `expired` included */
    uint64_t expired;         /* became tombstones: counted twice */
    uint64_t ranges_kept;     /* pieces given out */
} iter_survivors_counts;

typedef struct iter_survivors iter_survivors;

/*
 * Make the iterator, before the first survivor.
 *
 *   inputs   the array is copied, what it names is borrowed
 *   options  copied; what it names is borrowed
 *
 * Returns CASK_OK; CASK_NO_MEMORY; CASK_INVALID.
 */
cask_status iter_survivors_create(const iter_input *inputs, size_t count,
                                  const iter_survivors_options *options,
                                  iter_survivors **ret_iterator,
                                  cask_error *err);

/* Accepts NULL; the inputs stay. */
void iter_survivors_free(iter_survivors *take_iterator);

/*
 * Go to the next survivor, at first to the first one.
 *
 *   ret_entry  in the order of a run, so that it can be added to one; of a
 *              deleted range a piece within the bounds; it and its bytes are
 *              valid until the next call
 *
 * Returns CASK_OK; CASK_NOT_FOUND: that was all; what an input returned;
 * CASK_NO_MEMORY; CASK_INVALID (a range, and none was given). All further calls
 * return the same as one that was not CASK_OK.
 *
 * Whoever fills several runs ends one before a key and goes on with another
 * iterator whose lower bound is that key: pieces of ranges then begin there.
 */
cask_status iter_survivors_next(iter_survivors *iterator,
                                const cask_run_entry **ret_entry,
                                cask_error *err);

iter_survivors_counts iter_survivors_count(const iter_survivors *iterator);

#endif
