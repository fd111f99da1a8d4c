/*
 * Deletions of ranges, made ready for being asked: which keys are hidden, and
 * from which sequence on. For each moment (iter_input.h) they become pieces
 * that do not overlap, with the newest sequence of what covers them; so a
 * question is one binary search, however many ranges there are.
 */
#ifndef CASKADE_ITER_RANGES_H
#define CASKADE_ITER_RANGES_H

#include "iter/iter_input.h"

/* What a record CASK_RUN_DELETE_RANGE says: all records of keys from `from` to
 * before `to` that have smaller sequences are gone. */
typedef struct iter_range {
    cask_slice from;
    cask_slice to; /* key_end_of(): no end */
    uint64_t sequence;
} iter_range;

/* For one thread at a time. */
typedef struct iter_ranges iter_ranges;

/*
 * Take `count` ranges, in any order, overlapping as they like; those newer than
 * all moments are left out.
 *
 *   ranges   the array is not needed afterwards; the bytes of the keys and the
 *            sequences of the moments are borrowed until the set is freed
 *   bounds   NULL: none; else ranges are cut there
 *   ret_set  free it with iter_ranges_free()
 *
 * Returns CASK_OK; CASK_NO_MEMORY.
 *
 * Cost: O(n log n) for n ranges, and O(m) for m moments; at most two pieces for
 * each range.
 */
cask_status iter_ranges_create(const iter_range *ranges, size_t count,
                               iter_moments moments, const iter_bounds *bounds,
                               iter_ranges **ret_set, cask_error *err);

/* Accepts NULL. */
void iter_ranges_free(iter_ranges *take_set);

/* The newest sequence of the ranges that belong to a moment and cover `key`; 0:
 * none does. Cost: O(log n), O(1) if the same piece answered last. */
uint64_t iter_ranges_newest(iter_ranges *set, size_t moment, cask_slice key);

/* Likewise, with all keys around it of which that is the answer; NULL: none
 * covers `key`. Valid as long as the set. */
const iter_range *iter_ranges_around(iter_ranges *set, size_t moment,
                                     cask_slice key);

/* The moments that the set was made for. */
iter_moments iter_ranges_moments(const iter_ranges *set);

/* Walks over the pieces as records CASK_RUN_DELETE_RANGE: an input of a merge,
 * and a stable one. */
typedef struct iter_ranges_cursor {
    const iter_ranges *set;
    size_t first_moment; /* pieces of earlier ones are left out */
    size_t at;
} iter_ranges_cursor;

extern const iter_input_ops iter_ranges_ops; /* self: the cursor */

#endif
