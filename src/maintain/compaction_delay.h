/*
 * How writers of a tree make way for flushes and compactions that cannot keep
 * up: a little from early on, and more the fuller it gets, so that they find a
 * speed that can be kept up instead of being stopped. Pure functions.
 */
#ifndef CASKADE_COMPACTION_DELAY_H
#define CASKADE_COMPACTION_DELAY_H

#include "maintain/compaction.h"

enum {
    COMPACTION_DELAY_BYTES = 256 << 10, /* written between two waits, as in
                                           merge_yield.h */
    COMPACTION_DELAY_MAX_US = 25000     /* of one wait: 10 MB/s are always
                                           written */
};

/* What is in memory, and may be there. */
typedef struct compaction_memory {
    uint64_t used_bytes;  /* of all memtables, that which is written to, too */
    uint64_t limit_bytes; /* of all; never 0 */
} compaction_memory;

/*
 * How full it is: 0 nothing is to be done; 1 the most that may ever be. The
 * largest of
 *
 *   memory   what is used of the limit
 *   runs     those of level 0, with what is in memory as a part of one; half
 *            full at twice run_limit, full at four times that
 *   bytes    those that wait to go down to the last level, beside what is due;
 *            half full at that, full at 1.25 times (leveled: 2, 4)
 *
 * None of them jumps when a memtable is flushed: what leaves the memory comes
 * into level 0.
 */
double compaction_fullness(const compaction_settings *settings,
                           const compaction_memory *memory,
                           const compaction_part *parts, size_t count);

/* The wait after COMPACTION_DELAY_BYTES, microseconds: none up to half full,
 * then by the square of what is above, COMPACTION_DELAY_MAX_US from 1 on. */
uint64_t compaction_delay_us(double fullness);

/* Whether compactions that somebody has just cancelled go on all the same: they
 * are so far behind that writers would wait a quarter of the most. */
bool compaction_is_pressing(double fullness);

#endif
