/*
 * How large a segment becomes before the next one takes over. Pure functions.
 */
#ifndef CASKADE_SEGMENT_SIZE_H
#define CASKADE_SEGMENT_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes of the segments that merges need: the live bytes are to fill 32, for a
 * merge to have a choice, but none is smaller than 8 MiB, for each costs a few
 * syncs.
 */
uint64_t segment_size_for(uint64_t live_bytes);

/* What the other question depends on. */
typedef struct segment_needs {
    uint64_t total_bytes; /* of all segments */
    uint64_t live_bytes;  /* of these, in live records */
    uint64_t limit;       /* max_space_amplification, thousandths; 0: none, as
                             1500 */
    bool is_merged;       /* as answered before; false: not known */
} segment_needs;

/*
 * Whether merges are due, or soon will be, or were not long ago: from when four
 * fifths of what may be dead are until less than a quarter is. Else there is
 * little to merge, and what is written may fill segments of any size. True of a
 * store without any bytes, too: it is asked again when it grows.
 */
bool segment_is_merged(const segment_needs *needs);

#endif
