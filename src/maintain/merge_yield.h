/*
 * How writers make way for a merge that cannot keep up with them, so that the
 * store stays near max_space_amplification. A pure function.
 */
#ifndef CASKADE_MERGE_YIELD_H
#define CASKADE_MERGE_YIELD_H

#include <stdint.h>

enum {
    /* Written to the log between two waits: with small values so many puts
     * that fewer than one in a thousand waits. */
    MERGE_YIELD_BYTES = 256 << 10,
    MERGE_YIELD_MAX_MS = 25 /* of one wait: 10 MB/s are always written */
};

/*
 * How long to wait after MERGE_YIELD_BYTES, milliseconds: 0 up to the bound,
 * MERGE_YIELD_MAX_MS from 3 % above it on, in proportion between: the debt
 * stays where as much is written as the merge gives back.
 *
 *   total_bytes, live_bytes  of all segments that count
 *   bound                    max_space_amplification, thousandths; 0: none
 */
uint64_t merge_yield_ms(uint64_t total_bytes, uint64_t live_bytes,
                        uint64_t bound);

#endif
