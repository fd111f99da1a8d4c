/*
 * Triggers say that something is due, thresholds which segments then qualify.
 *
 *   fragmentation, dead bytes   one segment is above a trigger. It qualifies;
 *       without a max_space_amplification so do all above the thresholds, as
 *       in Bitcask. With one they do not: the store is within bounds, and to
 *       merge what is still dying costs writes for nothing (measured on the
 *       model in tests/unit/maintain: 1.77 against 1.97 bytes written per byte
 *       put for uniform overwrites, 1.43 against 1.55 with a hot 1 %).
 *   expired, age                that segment
 *   amplification, disk space   all that are worth it
 *   count, small                all that make fewer files of several
 */
#include "maintain/merge_qualify.h"

#include <stdlib.h>

#include "log/segment_format.h"
#include "maintain/merge_gain.h"

enum {
    FIRST_MINUTE_MS = 60 * 1000,
    RESERVE_SEGMENTS = 4, /* so many segments free: disk space is not low */
    SMALL_SHARE = 4,      /* above a quarter of the largest none is small */
    TINY_AT_REST = 64 << 10
};

/* ---- Triggers ---- */

/* small_file_threshold, for files of that size. */
static uint64_t small_of(const merge_policy *p, uint64_t segment_bytes)
{
    uint64_t most = segment_bytes / SMALL_SHARE;
    uint64_t threshold = p->settings->small_file_threshold;

    return threshold < most ? threshold : most;
}

uint64_t merge_small_bytes(const merge_policy *p)
{
    return small_of(p, p->settings->segment_bytes);
}

static uint64_t tiny_when_written(const merge_policy *p)
{
    return small_of(p, p->settings->segment_max_bytes);
}

bool merge_is_at_rest(const merge_policy *p)
{
    return p->moment->idle_ms >= MERGE_REST_MS;
}

uint64_t merge_tiny_bytes(const merge_policy *p)
{
    uint64_t bytes = tiny_when_written(p);

    return merge_is_at_rest(p) && bytes > TINY_AT_REST ? TINY_AT_REST : bytes;
}

/* Whether so many bytes are more than `factor` times what lives in them. */
static bool is_above(const merge_policy *p, uint64_t bytes, double factor)
{
    return p->settings->max_space_amplification > 0 &&
           (double)bytes > factor * (double)p->live_bytes;
}

bool merge_is_amplified(const merge_policy *p, uint64_t spare_bytes)
{
    return p->moment->total_bytes > merge_tiny_bytes(p) &&
           is_above(p, p->total_bytes + spare_bytes,
                    p->settings->max_space_amplification);
}

bool merge_is_disk_low(const merge_policy *p)
{
    return p->free_bytes < p->settings->segment_max_bytes * RESERVE_SEGMENTS;
}

static bool is_percent(uint64_t gain_bytes, uint64_t data_bytes,
                       uint32_t percent)
{
    return gain_bytes > 0 &&
           (double)gain_bytes * 100 >= (double)data_bytes * percent;
}

static uint64_t data_of(const merge_policy *p, const merge_choice *choice)
{
    return merge_less(merge_segment_of(p, choice)->bytes, SEGMENT_HEADER_SIZE);
}

static bool gains_percent(const merge_policy *p, const merge_choice *choice,
                          uint32_t percent)
{
    return is_percent(choice->gain_bytes, data_of(p, choice), percent);
}

bool merge_is_worth_it(const merge_policy *p, const merge_choice *choice)
{
    return gains_percent(p, choice, p->settings->min_gain_percent);
}

/* A limit that may be off. */
static bool reaches(uint64_t value, uint64_t limit)
{
    return limit > 0 && value >= limit;
}

/* Whether it is one of those that may be chosen at all. */
static bool is_in_reach(const merge_policy *p, const merge_segment *segment)
{
    uint64_t limit = p->moment->all_below_id > 0 ? p->moment->all_below_id
                                                 : p->moment->below_id;

    return !segment->is_quarantined && (limit == 0 || segment->id < limit);
}

uint32_t merge_triggers(const merge_policy *p, uint64_t gain_bytes,
                        uint64_t data_bytes, uint64_t age_ms)
{
    uint32_t percent = p->settings->frag_merge_trigger;
    uint32_t fired = 0;

    if (percent > 0 && is_percent(gain_bytes, data_bytes, percent)) {
        fired |= MERGE_BIT(FRAGMENTATION);
    }
    if (reaches(gain_bytes, p->settings->dead_bytes_merge_trigger)) {
        fired |= MERGE_BIT(DEAD_BYTES);
    }
    if (reaches(age_ms, p->settings->age_trigger_ms) &&
        is_percent(gain_bytes, data_bytes, p->settings->min_gain_percent)) {
        fired |= MERGE_BIT(AGE);
    }
    return fired;
}

static uint32_t triggers_of(const merge_policy *p, const merge_choice *choice)
{
    const merge_segment *segment = merge_segment_of(p, choice);

    if (!is_in_reach(p, segment) || !merge_is_worth_it(p, choice)) {
        return 0;
    }
    if (merge_is_expired(p->settings, p->moment, segment)) {
        return MERGE_BIT(EXPIRED);
    }
    return merge_triggers(p, choice->gain_bytes, data_of(p, choice),
                          segment->age_ms);
}

uint64_t merge_patience_ms(const merge_policy *p)
{
    return merge_less(FIRST_MINUTE_MS + p->moment->jitter_ms,
                      p->moment->open_ms);
}

/* What is due although it is no time to merge: only a full disk opens a
 * window; in the first minute, and after somebody has cancelled one, twice the
 * dead bytes that are allowed are enough. */
static uint32_t fire_urgent(const merge_policy *p)
{
    uint32_t fired = 0;

    if (p->moment->is_in_window && merge_patience_ms(p) == 0 &&
        !p->moment->is_cancelled) {
        return 0;
    }
    if (merge_is_disk_low(p)) {
        fired |= MERGE_BIT(DISK_SPACE);
    }
    if (p->moment->is_in_window &&
        p->moment->total_bytes > tiny_when_written(p) &&
        is_above(p, p->total_bytes,
                 2 * p->settings->max_space_amplification - 1)) {
        fired |= MERGE_BIT(AMPLIFICATION);
    }
    return fired;
}

static void fire(merge_policy *p)
{
    p->fired = p->moment->all_below_id > 0 ? MERGE_BIT(ALL) : fire_urgent(p);
    p->is_urgent = p->fired != 0;
    if (p->is_urgent) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        p->fired |= triggers_of(p, &p->choices[i]);
    }
    if (merge_is_amplified(p, 0)) {
        p->fired |= MERGE_BIT(AMPLIFICATION);
    }
    if (merge_is_disk_low(p)) {
        p->fired |= MERGE_BIT(DISK_SPACE);
    }
    if (p->settings->max_segments > 0 && p->count > p->settings->max_segments) {
        p->fired |= MERGE_BIT(SEGMENT_COUNT);
    }
}

/* ---- Which segments qualify ---- */

/* Whether a segment holds what goes for good. Marks of syncs go, too, if it is
 * copied, but nothing is copied for their sake: they are in every segment. */
static bool holds_dead(const merge_segment *segment, const merge_choice *choice)
{
    if (segment->live_records == 0) {
        return choice->gain_bytes > 0;
    }
    return segment->may_expire ||
           (choice->gain_bytes > 0 && segment->records > segment->live_records);
}

/* Reasons for the sake of space. */
static uint32_t reasons_of(const merge_policy *p, const merge_choice *choice)
{
    const merge_settings *settings = p->settings;
    const merge_segment *segment = merge_segment_of(p, choice);
    uint32_t reasons = 0;

    if (!is_in_reach(p, segment)) {
        return 0;
    }
    if (p->fired & MERGE_BIT(ALL)) {
        return holds_dead(segment, choice) ? MERGE_BIT(ALL) : 0;
    }
    if (!merge_is_worth_it(p, choice)) {
        return 0;
    }
    reasons = MERGE_BIT(DISK_SPACE) | MERGE_BIT(AMPLIFICATION);
    reasons = p->fired & (reasons | triggers_of(p, choice));
    if (settings->max_space_amplification == 0 &&
        ((settings->frag_threshold > 0 &&
          gains_percent(p, choice, settings->frag_threshold)) ||
         reaches(choice->gain_bytes, settings->dead_bytes_threshold))) {
        reasons |=
            p->fired & (MERGE_BIT(FRAGMENTATION) | MERGE_BIT(DEAD_BYTES));
    }
    return reasons;
}

/* Bring segments below `limit` bytes to the front, smallest first; returns how
 * many there are. */
static size_t sort_small(merge_policy *p, uint64_t limit)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++) {
        merge_choice *choice = &p->choices[i];
        const merge_segment *segment = merge_segment_of(p, choice);
        bool is_small = segment->bytes < limit && is_in_reach(p, segment);

        choice->order = is_small ? segment->bytes : UINT64_MAX;
        count += is_small ? 1 : 0;
    }
    if (p->count > 0) {
        qsort(p->choices, p->count, sizeof(*p->choices), merge_compare_order);
    }
    return count;
}

/*
 * Put small files together. One that is larger than the others together waits
 * until they have grown: otherwise each new small file would have all of the
 * earlier ones rewritten, instead of each one a few times. If all is asked for,
 * one may go with what is copied anyway.
 */
static void qualify_small(merge_policy *p)
{
    size_t count = sort_small(p, merge_small_bytes(p));
    size_t wanted = p->settings->small_file_count;
    uint64_t sum = 0;

    wanted = wanted > 2 ? wanted : 2;
    for (size_t i = 0; i < count; i++) {
        sum += merge_segment_of(p, &p->choices[i])->bytes;
    }
    while (count > 0 && !(p->fired & MERGE_BIT(ALL))) {
        uint64_t largest = merge_segment_of(p, &p->choices[count - 1])->bytes;

        if (largest <= sum - largest) {
            break;
        }
        sum -= largest;
        count--;
    }
    if (count >= (p->fired & MERGE_BIT(ALL) ? 1 : wanted)) {
        for (size_t i = 0; i < count; i++) {
            p->choices[i].reasons |= MERGE_BIT(SMALL);
        }
    }
}

/* Fewer files: any two of at most half a file become one. */
static void qualify_count(merge_policy *p)
{
    size_t count = sort_small(p, p->settings->segment_bytes / 2);

    for (size_t i = 0; i < count; i++) {
        p->choices[i].reasons |= MERGE_BIT(SEGMENT_COUNT);
    }
}

/* Whether a choice is there only to make fewer files. */
static bool is_filler(const merge_choice *choice)
{
    return (choice->reasons & ~MERGE_FILLERS) == 0;
}

uint64_t merge_write_bytes(const merge_policy *p, const merge_choice *choice)
{
    return merge_less(merge_segment_of(p, choice)->bytes,
                      choice->gain_bytes + SEGMENT_HEADER_SIZE);
}

static int compare_rank(const void *a, const void *b)
{
    const merge_choice *left = a;
    const merge_choice *right = b;

    if ((left->reasons == 0) != (right->reasons == 0)) {
        return left->reasons == 0 ? 1 : -1;
    }
    if (is_filler(left) != is_filler(right)) {
        return is_filler(left) ? 1 : -1;
    }
    if (left->is_trigger != right->is_trigger) {
        return left->is_trigger ? -1 : 1;
    }
    if (left->score < right->score || left->score > right->score) {
        return left->score > right->score ? -1 : 1;
    }
    return merge_compare_order(a, b);
}

/* The rank of a choice among those with as good reasons. */
static void rank(const merge_policy *p, merge_choice *choice)
{
    const merge_segment *segment = merge_segment_of(p, choice);

    choice->order = segment->first_sequence;
    choice->is_trigger = triggers_of(p, choice) != 0;
    if (p->fired & MERGE_BIT(ALL)) {
        /* Oldest first: what tombstones hide goes before them. */
        choice->score = 0;
        choice->is_trigger = false;
    } else if (is_filler(choice)) {
        choice->order = segment->bytes;
        choice->score = 0;
    } else if (p->fired & MERGE_BIT(DISK_SPACE)) {
        /* Most freed for what is copied; age pays in the long run only. */
        choice->score = (double)choice->gain_bytes /
                        (double)(merge_write_bytes(p, choice) + 1);
    }
}

void merge_qualify(merge_policy *p)
{
    fire(p);
    for (size_t i = 0; i < p->count; i++) {
        p->choices[i].reasons = reasons_of(p, &p->choices[i]);
    }
    if (!p->is_urgent || p->fired == MERGE_BIT(ALL)) {
        qualify_small(p);
    }
    if (p->fired & MERGE_BIT(SEGMENT_COUNT)) {
        qualify_count(p);
    }
    for (size_t i = 0; i < p->count; i++) {
        rank(p, &p->choices[i]);
    }
    if (p->count > 0) {
        qsort(p->choices, p->count, sizeof(*p->choices), compare_rank);
    }
}
