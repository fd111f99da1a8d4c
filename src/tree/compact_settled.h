/*
 * Which parts of the last level would stay what they are if they were written
 * anew.
 */
#ifndef CASKADE_COMPACT_SETTLED_H
#define CASKADE_COMPACT_SETTLED_H

#include "tree/compact_facts.h"

/* What is gone by when all is merged. */
typedef struct compact_settling {
    uint64_t value_bytes; /* of a value that is to be apart; 0: none is */
    bool keeps_tombstones;
    compact_values_wish wish; /* which runs of values are moved */
} compact_settling;

/*
 * Note it in facts->parts, `expired` left aside. A part is not settled if it
 * has tombstones, deleted ranges, older versions (a snapshot may look at them;
 * who knows that), values that are to be apart or to be moved, or begins within
 * its file.
 *
 * Cost: a look at each fence of the parts of the last level that are settled
 * but for values, and at the headers of records where one may be large.
 */
void compact_facts_settle(compact_facts *facts, const version *all,
                          const compact_settling *how);

#endif
