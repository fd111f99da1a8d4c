/*
 * Ranges of a run, see run_ranges.h.
 */
#include "run/run_ranges.h"

#include <stdlib.h>

/* ---- Build -------------------------------------------------------------- */

static int compare_bounds(const void *left, const void *right)
{
    const cask_slice *a = left;
    const cask_slice *b = right;

    return key_compare(*a, *b);
}

typedef struct age {
    uint64_t sequence;
    uint32_t range;
} age;

/* The newest first. */
static int compare_ages(const void *left, const void *right)
{
    const age *a = left;
    const age *b = right;

    return a->sequence < b->sequence ? 1 : -(a->sequence > b->sequence);
}

static cask_status collect_bounds(run_ranges *ranges, cask_error *err)
{
    uint64_t all = (uint64_t)ranges->count * 2;
    uint32_t kept = 0;

    ranges->bounds = malloc(all * sizeof(*ranges->bounds));
    if (ranges->bounds == NULL) {
        return fail_memory(err, all * sizeof(*ranges->bounds));
    }
    for (uint32_t i = 0; i < ranges->count; i++) {
        ranges->bounds[2 * (uint64_t)i] = ranges->range[i].start;
        ranges->bounds[2 * (uint64_t)i + 1] = ranges->range[i].end;
    }
    qsort(ranges->bounds, all, sizeof(*ranges->bounds), compare_bounds);
    for (uint64_t i = 0; i < all; i++) {
        if (kept == 0 ||
            key_compare(ranges->bounds[kept - 1], ranges->bounds[i]) != 0) {
            ranges->bounds[kept++] = ranges->bounds[i];
        }
    }
    ranges->bound_count = kept;
    return CASK_OK;
}

/* How many bounds are at or before the key. */
static uint32_t count_bounds(const run_ranges *ranges, cask_slice key)
{
    uint32_t low = 0;
    uint32_t high = ranges->bound_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (key_compare(ranges->bounds[middle], key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Where the range is noted next; firsts[n + 1] counts up to the end of node n
 * in the first pass, and is what is free of it in the second. */
static void note_at(run_ranges *ranges, uint64_t node, uint32_t range)
{
    uint32_t *at = &ranges->firsts[node + 1];

    if (ranges->noted != NULL) {
        ranges->noted[*at] = range;
    }
    ++*at;
}

static void note_range(run_ranges *ranges, uint32_t range)
{
    const run_range *noted = &ranges->range[range];
    uint64_t leaves = ranges->bound_count;
    uint64_t from = leaves + count_bounds(ranges, noted->start) - 1;
    uint64_t to = leaves + count_bounds(ranges, noted->end) - 1;

    for (; from < to; from /= 2, to /= 2) {
        if (from % 2 != 0) {
            note_at(ranges, from++, range);
        }
        if (to % 2 != 0) {
            note_at(ranges, --to, range);
        }
    }
}

/* Twice: to count, and into the room that was counted. */
static cask_status note_ranges(run_ranges *ranges, const age *ages,
                               cask_error *err)
{
    uint64_t nodes = (uint64_t)ranges->bound_count * 2;
    uint64_t sum = 0;

    ranges->firsts = calloc(nodes + 1, sizeof(*ranges->firsts));
    if (ranges->firsts == NULL) {
        return fail_memory(err, (nodes + 1) * sizeof(*ranges->firsts));
    }
    for (uint32_t i = 0; i < ranges->count; i++) {
        note_range(ranges, ages[i].range);
    }
    for (uint64_t i = 0; i < nodes; i++) {
        uint32_t size = ranges->firsts[i + 1];

        ranges->firsts[i + 1] = (uint32_t)sum;
        sum += size;
    }
    /* More than that only in a run that was crafted to have them. */
    ranges->noted =
        sum < UINT32_MAX ? malloc((sum + 1) * sizeof(*ranges->noted)) : NULL;
    if (ranges->noted == NULL) {
        return fail_memory(err, (sum + 1) * sizeof(*ranges->noted));
    }
    for (uint32_t i = 0; i < ranges->count; i++) {
        note_range(ranges, ages[i].range);
    }
    return CASK_OK;
}

cask_status run_ranges_build(run_ranges *ranges, run_range *take_range,
                             uint32_t count, cask_error *err)
{
    cask_status status;
    age *ages;

    *ranges = (run_ranges){.range = take_range, .count = count};
    if (count == 0) {
        return CASK_OK;
    }
    ages = malloc(count * sizeof(*ages));
    if (ages == NULL) {
        return fail_memory(err, count * sizeof(*ages));
    }
    for (uint32_t i = 0; i < count; i++) {
        ages[i] = (age){take_range[i].sequence, i};
    }
    qsort(ages, count, sizeof(*ages), compare_ages);
    status = collect_bounds(ranges, err);
    if (status == CASK_OK) {
        status = note_ranges(ranges, ages, err);
    }
    free(ages);
    return status;
}

void run_ranges_free(run_ranges *ranges)
{
    free(ranges->range);
    free(ranges->bounds);
    free(ranges->firsts);
    free(ranges->noted);
    *ranges = (run_ranges){0};
}

/* ---- Find --------------------------------------------------------------- */

/* The first of a node's ranges, the newest first, that is old enough. */
static const run_range *find_at(const run_ranges *ranges, uint64_t node,
                                uint64_t max_sequence)
{
    uint32_t low = ranges->firsts[node];
    uint32_t end = ranges->firsts[node + 1];
    uint32_t high = end;

    if (low < end &&
        ranges->range[ranges->noted[low]].sequence <= max_sequence) {
        return &ranges->range[ranges->noted[low]];
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ranges->range[ranges->noted[middle]].sequence > max_sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < end ? &ranges->range[ranges->noted[low]] : NULL;
}

const run_range *run_ranges_find(const run_ranges *ranges, cask_slice key,
                                 uint64_t max_sequence)
{
    const run_range *best = NULL;
    uint32_t before = ranges->bound_count > 0 ? count_bounds(ranges, key) : 0;

    if (before == 0) {
        return NULL;
    }
    for (uint64_t node = (uint64_t)ranges->bound_count + before - 1; node > 0;
         node /= 2) {
        const run_range *found = find_at(ranges, node, max_sequence);

        if (found != NULL &&
            (best == NULL || found->sequence > best->sequence)) {
            best = found;
        }
    }
    return best;
}
