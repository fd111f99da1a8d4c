/*
 * The runs of a version as the functions that choose compactions see them
 * (maintain/compaction.h): sizes, and keys as numbers.
 */
#ifndef CASKADE_COMPACT_FACTS_H
#define CASKADE_COMPACT_FACTS_H

#include "maintain/compaction.h"
#include "store/store_expiry.h"
#include "tree/compact_values.h"
#include "tree/version.h"

/* Borrows the version that it was made of. */
typedef struct compact_facts {
    compaction_part *parts; /* of all->runs that are not held, in the same
                               order; owned */
    size_t count;
    cask_slice *keys; /* with which parts begin and end, ascending, each once;
                         the array is owned. Key i has number 2 * i + 1, what
                         lies just before it 2 * i: there end ranges */
    size_t key_count;
    compact_values values;
} compact_facts;

/*
 * Look at all runs of a version but those that are held. Of what is not known
 * exactly there are estimates: of a run that a sweep has begun to take what is
 * left by its bytes, of tombstones what they hide by the average record of
 * older runs. That nothing has expired is what it says.
 *
 * Returns CASK_OK; CASK_NO_MEMORY.
 *
 * Cost: O(n log n) for n runs; for each part that is begun, and for some
 * hundred deletions of ranges of each run, a seek in each older run that it
 * concerns.
 */
cask_status compact_facts_make(const version *all, compact_facts *ret_facts,
                               cask_error *err);

/* Note how many records have expired, about; none of a run that a snapshot
 * looks at: `newest` is the sequence of the newest one, 0: there is none. */
void compact_facts_expire(compact_facts *facts, const version *all,
                          const store_expiry *expiry, uint64_t newest);

/* Accepts {0}. */
void compact_facts_free(compact_facts *facts);

/* The bound that a number of a plan stands for, inclusive from below, exclusive
 * from above; data NULL: none. */
cask_slice compact_facts_bound(const compact_facts *facts, uint64_t number);

/* The number of a key, or, if it is none of them, of what lies just before the
 * next. */
uint64_t compact_facts_number(const compact_facts *facts, cask_slice key);

/* Levels, runs and bytes alone, for compaction_fullness(); room for
 * all->count - all->held. */
void compact_facts_sizes(const version *all, compaction_part *ret_parts);

/*
 * Whether the strategy can go on with runs as they are: another one may have
 * been in force. Leveled has one run in each level but the first, and no sweep,
 * lazy has one in the last level. If not, all runs are to become one.
 */
bool compact_facts_fit(const compact_facts *facts,
                       compaction_strategy strategy);

#endif
