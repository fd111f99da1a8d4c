/*
 * The records of a run that delete ranges, arranged so that the one that counts
 * for a key is found at once, however many there are and however they overlap.
 *
 * The keys at which ranges start or end, in order, cut all keys into pieces,
 * each of which lies within a range or outside of it. The pieces are the leaves
 * of a binary tree, and each range is noted at the few nodes that make it up,
 * the newest first: the ranges around a key are those at its leaf and above.
 *
 * Source: segment trees, Bentley, Solutions to Klee's rectangle problems
 * (1977).
 */
#ifndef CASKADE_RUN_RANGES_H
#define CASKADE_RUN_RANGES_H

#include "base/error.h"
#include "run/run_format.h"

/* A record that deletes a range, verified. */
typedef struct run_range {
    cask_slice start; /* borrowed, like all slices here */
    cask_slice end;   /* behind start; key_end_of(): none */
    uint64_t sequence;
    uint64_t offset; /* of the record */
} run_range;

/* Start with {0}, which is none. */
typedef struct run_ranges {
    run_range *range; /* as they were given; owned, like all arrays here */
    uint32_t count;
    cask_slice *bounds; /* all starts and ends, ascending, each once */
    uint32_t bound_count;
    uint32_t *firsts; /* for each node, and the end: first of its `noted`; node
                         1 is the root, below node n are 2n and 2n + 1, leaf i
                         is bound_count + i */
    uint32_t *noted;  /* indices into `range`, of each node the newest first */
} run_ranges;

/*
 * Arrange `count` ranges, less than 2^31. Takes the array in any case.
 * Returns CASK_OK; CASK_NO_MEMORY: *ranges is to be freed as well.
 *
 * Cost: O(n log n) time and memory.
 */
cask_status run_ranges_build(run_ranges *ranges, run_range *take_range,
                             uint32_t count, cask_error *err);

void run_ranges_free(run_ranges *ranges);

/*
 * The newest range around `key` whose sequence is at most `max_sequence`, or
 * NULL. Cost: O(log n) comparisons, and as many for each node if the newest
 * ones are too new.
 */
const run_range *run_ranges_find(const run_ranges *ranges, cask_slice key,
                                 uint64_t max_sequence);

#endif
