/*
 * What the parts of one call of merge_policy_choose() share: merge_qualify.c
 * says which segments may be merged and in which order, merge_policy.c takes
 * as many as fit.
 */
#ifndef CASKADE_MERGE_QUALIFY_H
#define CASKADE_MERGE_QUALIFY_H

#include "maintain/merge_policy.h"

#define MERGE_BIT(reason) (1U << MERGE_REASON_##reason)

/* Reasons of segments that free nothing; alone each would only be copied. */
#define MERGE_FILLERS (MERGE_BIT(SEGMENT_COUNT) | MERGE_BIT(SMALL))

/* One call. */
typedef struct merge_policy {
    const merge_settings *settings;
    const merge_moment *moment;
    const merge_segment *segments;
    size_t count;
    merge_choice *choices; /* of all segments, in changing order */
    merge_plan *plan;
    uint32_t fired;  /* triggers, MERGE_BIT()s */
    bool is_urgent;  /* no window and no patience holds them up */
    bool is_obscure; /* some segment is: every tombstone is kept */

    /* As they will be after what has been chosen so far. */
    uint64_t total_bytes;
    uint64_t live_bytes;
    uint64_t free_bytes;
    uint64_t kept_bytes;  /* tombstones that may have to be copied besides */
    uint64_t input_bytes; /* of what was chosen, read or not */
    size_t no_room;       /* segments that the disk has no room to copy */
} merge_policy;

/* Find the triggers that fire; then give every choice its reasons and bring
 * those that go first to the front. merge_gains() has been called. */
void merge_qualify(merge_policy *p);

/* Whether a merge of it alone would free enough for what it copies. */
bool merge_is_worth_it(const merge_policy *p, const merge_choice *choice);

/* Whether the store is above its limit, were it `spare_bytes` larger. */
bool merge_is_amplified(const merge_policy *p, uint64_t spare_bytes);
bool merge_is_disk_low(const merge_policy *p);

/* What is left of the first minute, in milliseconds. */
uint64_t merge_patience_ms(const merge_policy *p);

/* Below this a file is small; bytes. */
uint64_t merge_small_bytes(const merge_policy *p);

/* Below this a store, or its active segment, is not worth a thought; bytes.
 * Much less if the store is at rest: one merge cleans it for long then. */
uint64_t merge_tiny_bytes(const merge_policy *p);

/* Whether nobody writes. */
bool merge_is_at_rest(const merge_policy *p);

/* Whether a segment with so much to gain of `data_bytes` bytes of records, and
 * of that age, is above frag_merge_trigger, dead_bytes_merge_trigger or
 * age_merge_trigger; MERGE_BIT()s. */
uint32_t merge_triggers(const merge_policy *p, uint64_t gain_bytes,
                        uint64_t data_bytes, uint64_t age_ms);

/* Bytes that a merge of it writes. */
uint64_t merge_write_bytes(const merge_policy *p, const merge_choice *choice);

static inline const merge_segment *merge_segment_of(const merge_policy *p,
                                                    const merge_choice *choice)
{
    return &p->segments[choice->index];
}

#endif
