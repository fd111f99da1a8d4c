/*
 * When a segment is full: in a small store sooner, so that it has enough
 * segments for merges to choose from. How soon is in maintain/segment_size.h.
 */
#ifndef CASKADE_STORE_SIZE_H
#define CASKADE_STORE_SIZE_H

#include "store/store.h"

/*
 * Bytes at which a segment that is written is full, and one that a merge makes:
 * both at most the handle's segment_max_bytes. One that holds a single larger
 * record or batch, or that was allocated when this was more, is larger. All
 * handles take it from the same words, so they agree, but nothing depends on
 * that.
 */
uint64_t store_segment_bytes(const store_handle *store);
uint64_t store_merged_bytes(const store_handle *store);

/* The latter, for whoever has read segment_max_bytes already. */
uint64_t store_merged_bytes_within(const store_handle *store,
                                   uint64_t segment_max_bytes);

/*
 * Let them follow what is live and dead by now; called when the active segment
 * has no room left in what is allocated, and before a merge. Write lock held,
 * or nobody uses the region yet, or the index is the handle's own. Cost:
 * O(segments).
 */
void store_note_size_locked(const store_handle *store);

#endif
