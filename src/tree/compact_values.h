/*
 * How much of each run of values is still named by pointers, and which of them
 * compactions put an end to, by moving what is left.
 */
#ifndef CASKADE_COMPACT_VALUES_H
#define CASKADE_COMPACT_VALUES_H

#include "maintain/compaction.h"
#include "tree/run_input.h"
#include "tree/version.h"

typedef struct compact_values {
    uint64_t *named_bytes; /* for each of version.values: of its records that
                              runs name, about; owned */
} compact_values;

/*
 * Sum up what the runs of a version name. Of a run that a sweep has begun to
 * take what is left counts, by its bytes.
 *
 *   parts  of the first `count` runs; the others count as a whole
 *
 * Returns CASK_OK; CASK_NO_MEMORY. Free it with compact_values_free().
 *
 * Cost: O(n log m) for n runs that name m runs of values each.
 */
cask_status compact_values_find(const version *all,
                                const compaction_part *parts, size_t count,
                                compact_values *ret_values, cask_error *err);

/* Accepts {0}. */
void compact_values_free(compact_values *values);

/* For which reasons values are moved besides that more than half of their run
 * is dead. */
typedef struct compact_values_wish {
    uint64_t small_bytes; /* runs that are smaller are put together; 0: none */
    uint64_t lone_bytes;  /* and a smaller one goes alone, ... */
    uint64_t least_bytes; /* ... if its values, on average with their keys, are
                             smaller than what is written apart now */
    bool all;             /* little is to be left that is dead */
} compact_values_wish;

/*
 * What is usual.
 *
 *   cut_bytes    of a run of values, about
 *   value_bytes  of a value that is written apart; 0: none is
 */
compact_values_wish compact_values_wish_of(uint64_t cut_bytes,
                                           uint64_t value_bytes, bool all);

/* Whether values that lie in this run of values are to be moved, when their
 * pointers are written anyway. Never of one that is damaged. */
bool compact_values_are_due(const compact_values *values, const version *all,
                            const version_values *one,
                            const compact_values_wish *wish);

/* Whether runs name two runs of values, or more, that are due: one that is but
 * small has nothing to be put together with else. */
bool compact_values_are_several(const compact_values *values,
                                const version *all, const run_part *parts,
                                size_t count, const compact_values_wish *wish);

/* Dead bytes that could go if this run were written anew: its share, by what it
 * names, in those of the runs of values that are mostly dead. */
uint64_t compact_values_stale(const compact_values *values, const version *all,
                              const cask_run *file);

#endif
