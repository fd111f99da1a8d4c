/*
 * Deletions of ranges, see iter_ranges.h.
 *
 * They are sorted by moment and by where they start. Those of one moment become
 * pieces by one sweep over all their ends: a heap holds those that are open,
 * the newest on top; those that have ended are taken off when they come to the
 * top.
 */
#include "iter/iter_ranges.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"

typedef struct ranges_piece {
    iter_range range;
    size_t moment;
} ranges_piece;

struct iter_ranges {
    ranges_piece *pieces;  /* by moment, then by key */
    ranges_piece *ordered; /* the same by key, then by falling sequence */
    size_t count;
    size_t *first; /* of each moment, and one more: the end */
    size_t *last;  /* of each moment: the piece that answered */
    iter_moments moments;
};

/* What is needed while the pieces are made. */
typedef struct ranges_sweep {
    ranges_piece *all; /* the ranges: by moment, then by start */
    size_t total;
    const ranges_piece *ranges; /* those of one moment */
    size_t count;
    cask_slice *ends; /* both ends of each, sorted */
    size_t *heap;     /* indexes of ranges */
    size_t open;      /* in the heap */
} ranges_sweep;

/* ---- Sorting ------------------------------------------------------------ */

static int compare_starts(const void *a, const void *b)
{
    const ranges_piece *left = a;
    const ranges_piece *right = b;

    if (left->moment != right->moment) {
        return left->moment < right->moment ? -1 : 1;
    }
    return key_compare(left->range.from, right->range.from);
}

static int compare_slices(const void *a, const void *b)
{
    const cask_slice *left = a;
    const cask_slice *right = b;

    return key_compare(*left, *right);
}

static int compare_pieces(const void *a, const void *b)
{
    const ranges_piece *left = a;
    const ranges_piece *right = b;
    int order = key_compare(left->range.from, right->range.from);

    if (order != 0) {
        return order;
    }
    return left->range.sequence > right->range.sequence ? -1 : 1;
}

/* ---- Heap --------------------------------------------------------------- */

static bool is_newer(const ranges_sweep *w, size_t a, size_t b)
{
    return w->ranges[w->heap[a]].range.sequence >
           w->ranges[w->heap[b]].range.sequence;
}

static void swap(ranges_sweep *w, size_t a, size_t b)
{
    size_t kept = w->heap[a];

    w->heap[a] = w->heap[b];
    w->heap[b] = kept;
}

static void push(ranges_sweep *w, size_t range)
{
    size_t at = w->open++;

    w->heap[at] = range;
    while (at > 0 && is_newer(w, at, (at - 1) / 2)) {
        swap(w, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void pop(ranges_sweep *w)
{
    size_t at = 0;

    w->heap[0] = w->heap[--w->open];
    for (;;) {
        size_t newest = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < w->open && is_newer(w, child, newest)) {
                newest = child;
            }
        }
        if (newest == at) {
            return;
        }
        swap(w, at, newest);
        at = newest;
    }
}

/* ---- Making pieces ------------------------------------------------------ */

/* Between two neighbouring ends one range is the newest. */
static void add_piece(iter_ranges *set, iter_range range, size_t moment)
{
    if (set->count > set->first[moment]) {
        ranges_piece *before = &set->pieces[set->count - 1];

        if (before->range.sequence == range.sequence &&
            key_compare(before->range.to, range.from) == 0) {
            before->range.to = range.to;
            return;
        }
    }
    set->pieces[set->count++] = (ranges_piece){range, moment};
}

static void sweep(iter_ranges *set, ranges_sweep *w, size_t moment)
{
    size_t next = 0;

    for (size_t i = 0; i < w->count; i++) {
        w->ends[2 * i] = w->ranges[i].range.from;
        w->ends[2 * i + 1] = w->ranges[i].range.to;
    }
    if (w->count > 0) {
        qsort(w->ends, 2 * w->count, sizeof(*w->ends), compare_slices);
    }
    w->open = 0;
    for (size_t i = 0; i < 2 * w->count; i++) {
        cask_slice end = w->ends[i];

        while (next < w->count &&
               key_compare(w->ranges[next].range.from, end) <= 0) {
            push(w, next++);
        }
        while (w->open > 0 &&
               key_compare(w->ranges[w->heap[0]].range.to, end) <= 0) {
            pop(w);
        }
        /* Behind the last end nothing is open. */
        if (w->open > 0 && key_compare(end, w->ends[i + 1]) < 0) {
            const iter_range piece = {end, w->ends[i + 1],
                                      w->ranges[w->heap[0]].range.sequence};

            add_piece(set, piece, moment);
        }
    }
}

static iter_range cut(iter_range range, const iter_bounds *bounds)
{
    if (bounds != NULL && iter_is_below(bounds, range.from)) {
        range.from = bounds->lower;
    }
    if (bounds != NULL && iter_is_above(bounds, range.to)) {
        range.to = bounds->upper;
    }
    return range;
}

/* Those of all moments, cut, without empty ones. */
static void sort_ranges(const iter_ranges *set, const iter_range *ranges,
                        size_t count, const iter_bounds *bounds,
                        ranges_sweep *w)
{
    for (size_t i = 0; i < count; i++) {
        const ranges_piece placed = {
            cut(ranges[i], bounds),
            iter_moment_of(set->moments, ranges[i].sequence)};

        if (placed.moment < set->moments.count &&
            key_compare(placed.range.from, placed.range.to) < 0) {
            w->all[w->total++] = placed;
        }
    }
    if (w->total > 0) {
        qsort(w->all, w->total, sizeof(*w->all), compare_starts);
    }
    w->ranges = w->all;
}

/* Go on to those of a moment; they are behind those of the one before. */
static void select_ranges(ranges_sweep *w, size_t moment)
{
    w->ranges += w->count;
    w->count = 0;
    while (w->ranges + w->count < w->all + w->total &&
           w->ranges[w->count].moment == moment) {
        w->count++;
    }
}

/* One more of each than needed: nothing is no reason for NULL. */
static bool has_memory(iter_ranges *set, ranges_sweep *w, size_t count)
{
    size_t moments = set->moments.count;

    w->all = calloc(count + 1, sizeof(*w->all));
    w->ends = calloc(2 * count + 1, sizeof(*w->ends));
    w->heap = calloc(count + 1, sizeof(*w->heap));
    set->pieces = calloc(2 * count + 1, sizeof(*set->pieces));
    set->ordered = calloc(2 * count + 1, sizeof(*set->ordered));
    set->first = calloc(moments + 1, sizeof(*set->first));
    set->last = calloc(moments + 1, sizeof(*set->last));
    return w->all != NULL && w->ends != NULL && w->heap != NULL &&
           set->pieces != NULL && set->ordered != NULL && set->first != NULL &&
           set->last != NULL;
}

cask_status iter_ranges_create(const iter_range *ranges, size_t count,
                               iter_moments moments, const iter_bounds *bounds,
                               iter_ranges **ret_set, cask_error *err)
{
    iter_ranges *set = calloc(1, sizeof(*set));
    ranges_sweep w = {0};
    cask_status status = CASK_OK;

    if (set == NULL) {
        return fail_memory(err, sizeof(*set));
    }
    set->moments = moments;
    if (!has_memory(set, &w, count)) {
        iter_ranges_free(set);
        status = fail_memory(err, (2 * count + 1) * sizeof(*set->pieces));
        goto done;
    }
    sort_ranges(set, ranges, count, bounds, &w);
    for (size_t moment = 0; moment < moments.count; moment++) {
        set->first[moment] = set->count;
        set->last[moment] = set->count;
        select_ranges(&w, moment);
        sweep(set, &w, moment);
    }
    set->first[moments.count] = set->count;
    memcpy(set->ordered, set->pieces, set->count * sizeof(*set->pieces));
    if (set->count > 0) {
        qsort(set->ordered, set->count, sizeof(*set->ordered), compare_pieces);
    }
    *ret_set = set;

done:
    free(w.all);
    free(w.ends);
    free(w.heap);
    return status;
}

void iter_ranges_free(iter_ranges *set)
{
    if (set == NULL) {
        return;
    }
    free(set->pieces);
    free(set->ordered);
    free(set->first);
    free(set->last);
    free(set);
}

/* ---- Asking ------------------------------------------------------------- */

/* Whether a piece, or the gap behind it, is where the key belongs. */
static bool is_place_of(const iter_ranges *set, size_t at, size_t end,
                        cask_slice key)
{
    return at < end && key_compare(set->pieces[at].range.from, key) <= 0 &&
           (at + 1 == end ||
            key_compare(key, set->pieces[at + 1].range.from) < 0);
}

const iter_range *iter_ranges_around(iter_ranges *set, size_t moment,
                                     cask_slice key)
{
    size_t low;
    size_t end;
    size_t high;

    assert(moment < set->moments.count);
    low = set->first[moment];
    end = set->first[moment + 1];
    high = end;
    if (low == end) {
        return NULL;
    }
    if (is_place_of(set, set->last[moment], end, key)) {
        low = set->last[moment];
    } else {
        /* The last piece that begins at the key or before. */
        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;

            if (key_compare(set->pieces[middle].range.from, key) <= 0) {
                low = middle;
            } else {
                high = middle;
            }
        }
        set->last[moment] = low;
    }
    if (key_compare(set->pieces[low].range.from, key) <= 0 &&
        key_compare(key, set->pieces[low].range.to) < 0) {
        return &set->pieces[low].range;
    }
    return NULL;
}

uint64_t iter_ranges_newest(iter_ranges *set, size_t moment, cask_slice key)
{
    const iter_range *range = iter_ranges_around(set, moment, key);

    return range != NULL ? range->sequence : 0;
}

iter_moments iter_ranges_moments(const iter_ranges *set)
{
    return set->moments;
}

/* ---- Walking ------------------------------------------------------------ */

static cask_status describe(iter_ranges_cursor *cursor,
                            cask_run_entry *ret_entry)
{
    const iter_range *range = &cursor->set->ordered[cursor->at].range;

    *ret_entry = (cask_run_entry){.kind = CASK_RUN_DELETE_RANGE,
                                  .key = range->from,
                                  .value = key_end_stored(range->to),
                                  .info = {.sequence = range->sequence}};
    return CASK_OK;
}

/* From `at` on, or back from before `at`, the first piece that counts. */
static cask_status go_forward(iter_ranges_cursor *cursor, size_t at,
                              cask_run_entry *ret_entry)
{
    const iter_ranges *set = cursor->set;

    while (at < set->count && set->ordered[at].moment < cursor->first_moment) {
        at++;
    }
    cursor->at = at;
    return at < set->count ? describe(cursor, ret_entry) : CASK_NOT_FOUND;
}

static cask_status go_back(iter_ranges_cursor *cursor, size_t at,
                           cask_run_entry *ret_entry)
{
    const iter_ranges *set = cursor->set;

    while (at > 0 && set->ordered[at - 1].moment < cursor->first_moment) {
        at--;
    }
    cursor->at = at > 0 ? at - 1 : set->count;
    return at > 0 ? describe(cursor, ret_entry) : CASK_NOT_FOUND;
}

/* How many pieces begin before the key, or at it as well. */
static size_t count_before(const iter_ranges *set, cask_slice key, bool with)
{
    size_t low = 0;
    size_t high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = key_compare(set->ordered[middle].range.from, key);

        if (order < 0 || (order == 0 && with)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static cask_status seek_piece(void *self, cask_run_seek how, cask_slice key,
                              cask_run_entry *ret_entry, cask_error *err)
{
    iter_ranges_cursor *cursor = self;
    const iter_ranges *set = cursor->set;

    (void)err;
    switch (how) {
    case CASK_RUN_LAST:
        return go_back(cursor, set->count, ret_entry);
    case CASK_RUN_AT_MOST:
        return go_back(cursor, count_before(set, key, true), ret_entry);
    case CASK_RUN_AT_LEAST:
        return go_forward(cursor, count_before(set, key, false), ret_entry);
    case CASK_RUN_FIRST:
    default:
        return go_forward(cursor, 0, ret_entry);
    }
}

static cask_status next_piece(void *self, cask_run_entry *ret_entry,
                              cask_error *err)
{
    iter_ranges_cursor *cursor = self;

    (void)err;
    return go_forward(cursor, cursor->at + 1, ret_entry);
}

static cask_status previous_piece(void *self, cask_run_entry *ret_entry,
                                  cask_error *err)
{
    iter_ranges_cursor *cursor = self;

    (void)err;
    return go_back(cursor, cursor->at, ret_entry);
}

const iter_input_ops iter_ranges_ops = {seek_piece, next_piece, previous_piece};
