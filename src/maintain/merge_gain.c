/*
 * Gains: one pass over the segments in the order of their oldest record, with
 * a running sum of dead puts, gives the bound of merge_gain.h for all of them.
 */
#include "maintain/merge_gain.h"

#include <assert.h>
#include <stdlib.h>

#include "log/segment_format.h"

/* Times have a resolution of seconds; below that all are equally young. */
enum { YOUNGEST_MS = 1000 };

/* A delete with a key of some length. */
enum { TOMBSTONE_BYTES = 128 };

bool merge_is_expired(const merge_settings *settings,
                      const merge_moment *moment, const merge_segment *segment)
{
    /* Once its records have left the index they are dead or tombstones, and
     * count as such. */
    if (moment->clock_disagrees || segment->live_records == 0) {
        return false;
    }
    if (segment->expired_ms > settings->expiry_grace_ms) {
        return true;
    }
    return settings->expiry_ms > 0 && segment->age_ms > settings->expiry_ms &&
           segment->age_ms - settings->expiry_ms > settings->expiry_grace_ms;
}

/* Puts that the index does not name. */
static uint64_t dead_puts(const merge_segment *segment)
{
    return merge_less(segment->records,
                      segment->live_records + segment->tombstones);
}

int merge_compare_order(const void *a, const void *b)
{
    const merge_choice *left = a;
    const merge_choice *right = b;

    if (left->order != right->order) {
        return left->order < right->order ? -1 : 1;
    }
    if (left->id != right->id) {
        return left->id < right->id ? -1 : 1;
    }
    return 0;
}

/*
 * Dead puts of other segments that have a record as old as the newest of the
 * segment at `self`, or older: a quarantined one may hold the very put whose
 * time was over when a tombstone took its place and sequence. `choices` is
 * sorted by first_sequence; their `order` is the sum of dead puts up to and
 * including each.
 */
static uint64_t older_dead_puts(const merge_segment *segments,
                                const merge_choice *choices, size_t count,
                                size_t self)
{
    const merge_segment *own = &segments[choices[self].index];
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (segments[choices[middle].index].first_sequence <=
            own->last_sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return 0;
    }
    return choices[low - 1].order - (self < low ? dead_puts(own) : 0);
}

/* How many of the dead bytes may be tombstones that have to stay. Each takes as
 * much as the segment's dead records do on the average, but TOMBSTONE_BYTES at
 * most: records with values are larger than tombstones. */
static uint64_t kept_of(const merge_segment *segment, uint64_t older_dead)
{
    uint64_t needed =
        older_dead < segment->tombstones ? older_dead : segment->tombstones;
    uint64_t dead_records = merge_less(segment->records, segment->live_records);
    uint64_t dead_bytes =
        merge_less(segment->bytes, segment->live_bytes + SEGMENT_HEADER_SIZE);
    uint64_t each = dead_records == 0 ? 0 : dead_bytes / dead_records;

    if (segment->is_output) {
        return 0; /* they are no gain */
    }
    return needed * (each < TOMBSTONE_BYTES ? each : TOMBSTONE_BYTES);
}

/* Bytes of dead records that would go; `older_dead` as above. */
static uint64_t dead_gain(const merge_segment *segment, bool is_expired,
                          uint64_t older_dead)
{
    uint64_t live_bytes = is_expired ? 0 : segment->live_bytes;
    uint64_t live_records = is_expired ? 0 : segment->live_records;
    uint64_t dead_bytes =
        merge_less(segment->bytes, live_bytes + SEGMENT_HEADER_SIZE);
    uint64_t dead_records = merge_less(segment->records, live_records);
    uint64_t needed =
        older_dead < segment->tombstones ? older_dead : segment->tombstones;

    if (!segment->is_output || needed == 0) {
        return dead_bytes;
    }
    if (dead_records <= needed) {
        return 0;
    }
    /* Tombstones are smaller than puts, so the average is on the safe side. */
    return merge_less(dead_bytes, dead_bytes / dead_records * needed);
}

/* Bytes that would go. */
static uint64_t gain_of(const merge_settings *settings,
                        const merge_moment *moment,
                        const merge_segment *segment, uint64_t older_dead)
{
    if (merge_is_expired(settings, moment, segment)) {
        return dead_gain(segment, true, older_dead);
    }
    return dead_gain(segment, false, older_dead) + segment->live_bytes -
           merge_living(moment, segment->live_bytes, segment->expired_bytes);
}

/* (1 - u) * age / (1 + u), with u the share that stays. */
static double score_of(const merge_segment *segment, uint64_t gain_bytes)
{
    uint64_t stays =
        merge_less(segment->bytes, gain_bytes + SEGMENT_HEADER_SIZE);
    uint64_t age_ms =
        segment->age_ms > YOUNGEST_MS ? segment->age_ms : YOUNGEST_MS;

    return (double)gain_bytes * (double)age_ms /
           (double)(segment->bytes + stays + 1);
}

void merge_gains(const merge_settings *settings, const merge_moment *moment,
                 const merge_segment *segments, size_t count,
                 merge_choice *choices)
{
    uint64_t sum = 0;
    bool is_obscure = false;

    assert(count <= UINT32_MAX);
    for (size_t i = 0; i < count; i++) {
        is_obscure = is_obscure || segments[i].is_obscure;
        choices[i] = (merge_choice){.id = segments[i].id,
                                    .index = (uint32_t)i,
                                    .order = segments[i].first_sequence};
    }
    if (count > 0) {
        qsort(choices, count, sizeof(*choices), merge_compare_order);
    }
    for (size_t i = 0; i < count; i++) {
        sum += dead_puts(&segments[choices[i].index]);
        choices[i].order = sum;
    }
    for (size_t i = 0; i < count; i++) {
        const merge_segment *segment = &segments[choices[i].index];
        uint64_t older = is_obscure
                             ? UINT64_MAX
                             : older_dead_puts(segments, choices, count, i);

        choices[i].gain_bytes = gain_of(settings, moment, segment, older);
        choices[i].kept_bytes = kept_of(segment, older);
        choices[i].score = score_of(segment, choices[i].gain_bytes);
    }
}
