/*
 * What merging a segment would free.
 *
 * Dead puts always go. Tombstones go when no older put of their key is left
 * outside the merge, which only the merge itself finds out; a policy that
 * takes them for dead merges the same file for ever, one that does not never
 * frees them. The rule here:
 *
 *   written by puts  its tombstones count as dead: a merge has to look at them
 *                    once, and what stays is then in an output
 *   output           every tombstone in it was needed when it was written. It
 *                    hides a dead put in another segment that has an older
 *                    record, so no more tombstones can be needed than there
 *                    are such puts; those beyond that number count as dead.
 *
 * What has expired goes as well, or becomes a tombstone of an output, once. How
 * many bytes are to go is known to be at least so many, see base/lifetimes.h.
 *
 * So every merge of an output for its gain really drops a record, or makes one
 * a tombstone, and merges end when writes do. Tombstones that the bound takes
 * for needed are at most as many as dead puts elsewhere, and go when
 * max_space_amplification has had these merged. Nothing has to be remembered
 * for it, so it holds over reopens.
 */
#ifndef CASKADE_MERGE_GAIN_H
#define CASKADE_MERGE_GAIN_H

#include "maintain/merge_policy.h"

/* The difference, or 0: counters of rows are read one by one. */
static inline uint64_t merge_less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* Whether all records of a segment count as expired. */
bool merge_is_expired(const merge_settings *settings,
                      const merge_moment *moment, const merge_segment *segment);

/* Of so many live bytes, of which so many have expired, those that stay. */
static inline uint64_t merge_living(const merge_moment *moment,
                                    uint64_t live_bytes, uint64_t expired_bytes)
{
    return moment->clock_disagrees ? live_bytes
                                   : merge_less(live_bytes, expired_bytes);
}

/*
 * Fill id, index, kept_bytes, gain_bytes and score of one choice per segment.
 *
 * Cost: O(n log n); leaves `choices` in the order of first_sequence.
 */
void merge_gains(const merge_settings *settings, const merge_moment *moment,
                 const merge_segment *segments, size_t count,
                 merge_choice *choices);

/* For qsort() of choices by their `order`, then by id. */
int merge_compare_order(const void *a, const void *b);

#endif
