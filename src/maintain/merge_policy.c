/*
 * Choosing what to merge: of the segments that qualify (merge_qualify.c) as
 * many as fit, best first.
 *
 *   space   only until the projected store is a little below its limit: write
 *           amplification grows with every segment that is taken early
 *   bounds  max_merge_size; free disk space; what is written, because inputs
 *           and outputs exist together for a while; and what is read, because
 *           that is done again if the merge is stopped
 *
 * Whatever is chosen makes progress, or it would be chosen again for ever:
 * a segment frees at least min_gain_percent of itself, counted as in
 * merge_gain.h, or is put together with others into fewer files.
 */
#include "maintain/merge_policy.h"

#include <assert.h>

#include "log/segment_format.h"
#include "maintain/merge_gain.h"
#include "maintain/merge_qualify.h"

enum {
    BITE_SHARE = 64, /* of the store is copied at a time, a 64th */
    DISK_SHARE = 2   /* of free disk space outputs may take, a half */
};

/* ---- Taking ---- */

static merge_reason most_urgent(uint32_t reasons)
{
    uint32_t reason = MERGE_REASON_NONE;

    while (reasons != 0 && !(reasons >> reason & 1)) {
        reason++;
    }
    return (merge_reason)reason;
}

/* Bytes of one bite: a segment, or of a big store more. */
static uint64_t bite_bytes(const merge_policy *p)
{
    uint64_t share = p->moment->total_bytes / BITE_SHARE;

    return share > p->settings->segment_bytes ? share
                                              : p->settings->segment_bytes;
}

/* Reasons that what was chosen so far has not done away with. */
static uint32_t still_due(const merge_policy *p, const merge_choice *choice)
{
    uint32_t reasons = choice->reasons;
    uint64_t spare = p->moment->total_bytes / BITE_SHARE;

    /* A little below the limit: single segments, each as soon as one is due,
     * become fragments of files, which are then merged once more. */
    if (spare > p->settings->segment_bytes) {
        spare = p->settings->segment_bytes;
    }
    if (!merge_is_amplified(p, spare)) {
        reasons &= ~MERGE_BIT(AMPLIFICATION);
    }
    if (!merge_is_disk_low(p)) {
        reasons &= ~MERGE_BIT(DISK_SPACE);
    }
    return reasons;
}

/* Whether so many bytes of records, headers of files not counted, are not too
 * much to read once more if the merge is stopped. At least a file's worth:
 * outputs of less are fragments, which are merged again soon. */
static bool is_one_step(const merge_settings *settings, uint64_t data_bytes)
{
    return settings->step_bytes == 0 || data_bytes <= settings->step_bytes ||
           data_bytes <= settings->segment_bytes;
}

/* Whether the disk has so much, and as much again. */
static bool has_room(const merge_policy *p, uint64_t bytes)
{
    const merge_moment *moment = p->moment;

    return moment->free_disk_bytes == UINT64_MAX ||
           bytes <= (moment->free_disk_bytes + moment->lent_bytes) / DISK_SHARE;
}

/* Whether one more fits; the first always does if the disk has room. */
static bool fits(merge_policy *p, const merge_choice *choice)
{
    const merge_settings *settings = p->settings;
    const merge_plan *plan = p->plan;
    uint64_t writes = merge_write_bytes(p, choice) + plan->write_bytes;
    uint64_t reads = merge_segment_of(p, choice)->bytes + p->input_bytes;
    uint64_t headers = (plan->count + 1) * SEGMENT_HEADER_SIZE;

    if (!has_room(p, writes + p->kept_bytes + choice->kept_bytes)) {
        p->no_room++;
        return false;
    }
    return plan->count == 0 ||
           ((settings->max_merge_size == 0 ||
             reads <= settings->max_merge_size) &&
            is_one_step(settings, merge_less(reads, headers)) &&
            writes <= bite_bytes(p));
}

/* Bytes that a merge of it reads. Of one whose records have all expired nothing
 * stays, as far as is known; its hint names its keys. */
static uint64_t read_bytes(const merge_policy *p, const merge_segment *segment)
{
    bool is_unread =
        !p->is_obscure && merge_is_expired(p->settings, p->moment, segment);

    return is_unread ? 0 : segment->bytes;
}

static uint64_t living(const merge_policy *p, const merge_segment *segment)
{
    return merge_living(p->moment, segment->live_bytes, segment->expired_bytes);
}

static void take(merge_policy *p, size_t index)
{
    merge_plan *plan = p->plan;
    merge_choice choice = p->choices[index];
    const merge_segment *segment = merge_segment_of(p, &choice);

    choice.reason = most_urgent(still_due(p, &choice));
    p->input_bytes += segment->bytes;
    plan->read_bytes += read_bytes(p, segment);
    plan->write_bytes += merge_write_bytes(p, &choice);
    plan->freed_bytes += choice.gain_bytes;
    p->kept_bytes += choice.kept_bytes;
    p->total_bytes = merge_less(p->total_bytes, choice.gain_bytes);
    if (merge_is_expired(p->settings, p->moment, segment)) {
        p->live_bytes = merge_less(p->live_bytes, living(p, segment));
    }
    if (p->free_bytes != UINT64_MAX) {
        p->free_bytes += choice.gain_bytes;
    }
    p->choices[index] = p->choices[plan->count];
    p->choices[plan->count++] = choice;
}

/* Alone a filler would only be copied. It is the last one. */
static void give_back(merge_policy *p)
{
    merge_plan *plan = p->plan;
    merge_choice *choice = &p->choices[--plan->count];

    if (p->fired & MERGE_BIT(ALL)) {
        choice->reasons = 0; /* nor is it left for later */
    }
    p->input_bytes -= merge_segment_of(p, choice)->bytes;
    plan->read_bytes -= read_bytes(p, merge_segment_of(p, choice));
    plan->write_bytes -= merge_write_bytes(p, choice);
    plan->freed_bytes -= choice->gain_bytes;
    p->kept_bytes -= choice->kept_bytes;
}

/* Take what is due for one of `reasons` and fits; returns how many. */
static size_t take_due(merge_policy *p, uint32_t reasons)
{
    size_t before = p->plan->count;
    bool is_full = false;

    for (size_t i = before; i < p->count && !is_full; i++) {
        size_t no_room = p->no_room;

        if ((still_due(p, &p->choices[i]) & reasons) == 0) {
            continue;
        }
        if (fits(p, &p->choices[i])) {
            take(p, i);
        } else if (p->no_room == no_room) {
            /* What is asked for as a whole goes strictly by age: a tombstone
             * ahead of what it hides would be kept. Not if the disk is full:
             * younger ones may need no room. */
            is_full = (p->fired & MERGE_BIT(ALL)) != 0;
        }
    }
    return p->plan->count - before;
}

/* Whether what is copied besides the last one would be a small file as well:
 * of all that is asked for one remains then, instead of two. */
static bool is_joined(const merge_policy *p)
{
    const merge_plan *plan = p->plan;
    uint64_t others =
        plan->write_bytes - merge_write_bytes(p, &p->choices[plan->count - 1]);

    return (p->fired & MERGE_BIT(ALL)) != 0 && others > 0 &&
           others < merge_small_bytes(p);
}

static void select_segments(merge_policy *p)
{
    merge_plan *plan = p->plan;

    (void)take_due(p, ~MERGE_FILLERS);
    if (take_due(p, MERGE_FILLERS) == 1 && !is_joined(p)) {
        give_back(p);
    }
    for (size_t i = 0; i < plan->count; i++) {
        merge_reason reason = p->choices[i].reason;

        if (plan->reason == MERGE_REASON_NONE || reason < plan->reason) {
            plan->reason = reason;
        }
    }
    for (size_t i = plan->count; i < p->count; i++) {
        plan->left += still_due(p, &p->choices[i]) != 0 ? 1 : 0;
    }
}

/* ---- Why not ---- */

/* Whether the sealed segments do not give what is due. */
static bool is_space_due(const merge_policy *p)
{
    return (p->fired & (MERGE_BIT(AMPLIFICATION) | MERGE_BIT(DISK_SPACE))) &&
           p->plan->left == 0 &&
           (merge_is_amplified(p, 0) || merge_is_disk_low(p));
}

/* Whether sealing the active segment would let a merge free what is due. At
 * rest it will not fill up by itself, so that its own triggers count as those
 * of a sealed one do. */
static bool is_active_due(const merge_policy *p)
{
    uint64_t bytes = p->moment->total_bytes;
    uint64_t live_bytes = merge_living(p->moment, p->moment->live_bytes,
                                       p->moment->expired_bytes);
    uint64_t dead_bytes;

    if (p->moment->all_below_id > 0) {
        return false; /* who asks for all has sealed it */
    }
    for (size_t i = 0; i < p->count; i++) {
        bytes = merge_less(bytes, p->segments[i].bytes);
        live_bytes = merge_less(live_bytes, living(p, &p->segments[i]));
    }
    dead_bytes = merge_less(bytes, live_bytes);
    if (bytes <= merge_tiny_bytes(p)) {
        return false;
    }
    return (is_space_due(p) &&
            (double)dead_bytes * 100 >=
                (double)bytes * p->settings->frag_threshold) ||
           (merge_is_at_rest(p) &&
            merge_triggers(p, dead_bytes, bytes, p->moment->active_age_ms) !=
                0);
}

/* Nothing was chosen. */
static merge_wait why_nothing(const merge_policy *p)
{
    bool is_clock = false;
    bool is_gain = false;
    bool is_quarantined = false;
    merge_moment sane = *p->moment;

    sane.clock_disagrees = false;
    if (p->no_room > 0) {
        return MERGE_WAIT_NO_ROOM;
    }
    if (p->plan->seal_active) {
        return MERGE_WAIT_ACTIVE;
    }
    for (size_t i = 0; i < p->count; i++) {
        const merge_segment *segment = merge_segment_of(p, &p->choices[i]);

        if (segment->is_quarantined) {
            is_quarantined |= merge_is_worth_it(p, &p->choices[i]);
            continue;
        }
        is_gain |= merge_is_worth_it(p, &p->choices[i]);
        is_clock |= p->moment->clock_disagrees &&
                    (segment->expired_bytes > 0 ||
                     merge_is_expired(p->settings, &sane, segment));
    }
    if (p->count == 0) {
        return MERGE_WAIT_NO_SEGMENTS;
    }
    if (is_clock) {
        return MERGE_WAIT_CLOCK;
    }
    /* No trigger has a say in what is asked for as a whole: all is taken but
     * what is dead marks of syncs only. */
    if (is_gain && p->moment->all_below_id == 0) {
        return p->fired & MERGE_BIT(SEGMENT_COUNT) ? MERGE_WAIT_FULL
                                                   : MERGE_WAIT_BELOW_TRIGGERS;
    }
    return is_quarantined ? MERGE_WAIT_QUARANTINED : MERGE_WAIT_NOTHING_TO_GAIN;
}

/* Something was chosen; whether now is the time for it. */
static merge_wait why_not_now(const merge_policy *p)
{
    if (p->is_urgent) {
        return MERGE_WAIT_NONE;
    }
    if (!p->moment->is_in_window) {
        return MERGE_WAIT_WINDOW;
    }
    if (p->moment->is_cancelled) {
        return MERGE_WAIT_CANCELLED;
    }
    return merge_patience_ms(p) > 0 ? MERGE_WAIT_FIRST_MINUTE : MERGE_WAIT_NONE;
}

static void decide(merge_policy *p)
{
    merge_plan *plan = p->plan;
    merge_wait later = why_not_now(p);
    bool is_active = is_active_due(p);

    plan->seal_active = is_active && later == MERGE_WAIT_NONE;
    plan->wait = plan->count > 0 || (is_active && later != MERGE_WAIT_NONE)
                     ? later
                     : why_nothing(p);
    plan->wait_ms =
        plan->wait == MERGE_WAIT_FIRST_MINUTE ? merge_patience_ms(p) : 0;
    if (plan->wait != MERGE_WAIT_NONE) {
        plan->left += plan->count;
        plan->count = 0;
        plan->read_bytes = 0;
        plan->write_bytes = 0;
        plan->freed_bytes = 0;
    }
}

/* ---- The whole ---- */

static void choose(merge_policy *p)
{
    p->total_bytes = p->moment->total_bytes;
    p->live_bytes = merge_living(p->moment, p->moment->live_bytes,
                                 p->moment->expired_bytes);
    p->free_bytes = p->moment->free_disk_bytes;
    *p->plan = (merge_plan){.reason = MERGE_REASON_NONE};
    merge_gains(p->settings, p->moment, p->segments, p->count, p->choices);
    for (size_t i = 0; i < p->count; i++) {
        p->is_obscure = p->is_obscure || p->segments[i].is_obscure;
    }
    merge_qualify(p);
    select_segments(p);
    decide(p);
}

/* Whether anything is due for the sake of space, chosen or not. */
static bool is_any_due(const merge_policy *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if ((still_due(p, &p->choices[i]) & ~MERGE_FILLERS) != 0) {
            return true;
        }
    }
    return false;
}

/* Nothing is due. If something would be, were nobody writing, that is why. */
static void look_ahead(const merge_policy *written)
{
    merge_moment later = *written->moment;
    merge_plan plan = {.reason = MERGE_REASON_NONE};
    merge_policy rested = {.settings = written->settings,
                           .moment = &later,
                           .segments = written->segments,
                           .count = written->count,
                           .choices = written->choices,
                           .plan = &plan};

    later.idle_ms = MERGE_REST_MS;
    choose(&rested);
    if (plan.count > 0 || plan.seal_active) {
        *written->plan = (merge_plan){.reason = plan.reason,
                                      .wait = MERGE_WAIT_REST,
                                      .left = plan.left + plan.count};
    } else if (plan.wait == MERGE_WAIT_WINDOW ||
               plan.wait == MERGE_WAIT_CANCELLED ||
               plan.wait == MERGE_WAIT_FIRST_MINUTE) {
        *written->plan = plan; /* for which it waits longer */
    }
}

void merge_policy_choose(const merge_settings *settings,
                         const merge_moment *moment,
                         const merge_segment *segments, size_t count,
                         merge_choice *choices, merge_plan *ret_plan)
{
    merge_policy p = {.settings = settings,
                      .moment = moment,
                      .segments = segments,
                      .count = count,
                      .choices = choices,
                      .plan = ret_plan};

    assert(settings->segment_bytes > 0);
    assert(settings->segment_bytes <= settings->segment_max_bytes);
    choose(&p);
    if (ret_plan->count == 0 && !ret_plan->seal_active && !is_any_due(&p) &&
        moment->all_below_id == 0 && !merge_is_at_rest(&p)) {
        look_ahead(&p);
    }
}

const char *merge_reason_text(merge_reason reason)
{
    static const char *const texts[] = {
#define MERGE_REASON_TEXT(name, text) [MERGE_REASON_##name] = (text),
        MERGE_REASON_LIST(MERGE_REASON_TEXT)
#undef MERGE_REASON_TEXT
    };

    return (size_t)reason < sizeof(texts) / sizeof(texts[0]) ? texts[reason]
                                                             : "unknown";
}

const char *merge_wait_text(merge_wait wait)
{
    static const char *const texts[] = {
#define MERGE_WAIT_TEXT(name, text) [MERGE_WAIT_##name] = (text),
        MERGE_WAIT_LIST(MERGE_WAIT_TEXT)
#undef MERGE_WAIT_TEXT
    };

    return (size_t)wait < sizeof(texts) / sizeof(texts[0]) ? texts[wait]
                                                           : "unknown";
}
