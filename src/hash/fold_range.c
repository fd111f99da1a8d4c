/*
 * Where parts of a fold begin. The log is looked into at places that are about
 * as far from each other; what stands there has a sequence, and stands for the
 * bytes up to the next one. In the order of their sequences, each part gets as
 * many of them. Segments whose sequences overlap need no care then, nor do gaps
 * in the sequences, and whatever is found, however wrong, ranges never overlap.
 *
 * Nothing of this is kept: each part finds it again. A snapshot's log does not
 * change, so all find the same.
 */
#include "hash/fold_range.h"

#include <stdlib.h>

#include "log/segment.h"

enum {
    STEPS = 8,              /* looks for each part ... */
    STEPS_MOST = 1024,      /* ... and for all of them */
    STEP_LEAST = 4 << 10,   /* bytes between two looks */
    LOOK_BYTES = 1024 << 10 /* a look goes so far, at most */
};

/* Some bytes of the log, from a record on. */
typedef struct fold_sample {
    uint64_t sequence; /* of the record */
    uint64_t bytes;
} fold_sample;

typedef struct fold_samples {
    fold_sample *samples; /* owned */
    size_t count;
    size_t capacity;
    uint64_t total; /* bytes of all */
    uint64_t step;  /* between two looks; 0: none */
} fold_samples;

static void add(fold_samples *s, uint64_t sequence, uint64_t bytes)
{
    if (s->count < s->capacity) {
        s->samples[s->count++] = (fold_sample){sequence, bytes};
        s->total += bytes;
    }
}

/* Look into the data of a row, which begins with `first_sequence`. */
static void look(fold_samples *s, const segment_scan *scan,
                 uint64_t first_sequence)
{
    uint64_t sequence = first_sequence;
    uint64_t begin = 0; /* of the bytes that are not added yet */
    uint64_t at = s->step;

    for (; at < scan->size; at += s->step) {
        uint64_t left = scan->size - at;
        uint64_t end = left > LOOK_BYTES ? at + LOOK_BYTES : scan->size;
        uint64_t found = scan_find(scan, round_up_8(at), end);
        scan_item item;

        if (found < end &&
            scan_parse(scan->data, scan->size, scan->nonce, found, &item) &&
            found > begin && item.header.sequence > sequence) {
            add(s, sequence, found - begin);
            sequence = item.header.sequence;
            begin = found;
            at = found;
        }
    }
    add(s, sequence, scan->size - begin);
}

static cask_status add_row(fold_samples *s, store_handle *store,
                           const walk_part *part, cask_error *err)
{
    const region_row *row = &store->region.rows[part->row];
    uint64_t readable = atomic_load(&row->reserved_tail);
    uint64_t end = part->end < readable ? part->end : readable;
    store_map *map = NULL;
    segment_scan scan;
    cask_status status;

    if (s->step == 0 || end <= s->step) {
        add(s, part->first_sequence, part->end);
        return CASK_OK;
    }
    status = store_map_row(store, part->row, &map, err);
    if (status == CASK_OK) {
        scan_begin(&scan, map->data, end, map->nonce, SEGMENT_HEADER_SIZE);
        look(s, &scan, part->first_sequence);
    }
    return status;
}

/* A total order: all that ask must find the same. */
static int by_sequence(const void *left, const void *right)
{
    const fold_sample *a = left;
    const fold_sample *b = right;

    if (a->sequence != b->sequence) {
        return a->sequence < b->sequence ? -1 : 1;
    }
    return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

/* Of the first part 0; behind the last one UINT64_MAX. */
static uint64_t begin_of(const fold_samples *s, uint32_t part, uint32_t parts)
{
    uint64_t before = 0;

    if (part == 0) {
        return 0;
    }
    for (size_t i = 0; i < s->count; i++) {
        uint64_t middle = before + s->samples[i].bytes / 2;

        /* Below 2^46 * 2^16: see caskade.h for the most parts. */
        if (middle * parts / (s->total + 1) >= part) {
            return s->samples[i].sequence;
        }
        before += s->samples[i].bytes;
    }
    return UINT64_MAX;
}

static cask_status collect(fold_samples *s, const store_snapshot *snapshot,
                           uint32_t parts, cask_error *err)
{
    const store_walk *log = &snapshot->log;
    uint64_t steps = (uint64_t)parts * STEPS;
    uint64_t total = 0;
    cask_status status = CASK_OK;

    steps = steps < STEPS_MOST ? steps : STEPS_MOST;
    for (size_t i = 0; i < log->count; i++) {
        total += log->parts[i].end;
    }
    if (snapshot->store->options.io == CASK_IO_MAP) {
        s->step = round_up_8(total / steps);
        s->step = s->step > STEP_LEAST ? s->step : STEP_LEAST;
    }
    /* Looks are at least a step from each other, and each row has one more. */
    s->capacity = log->count + steps + 1;
    s->samples = malloc(s->capacity * sizeof(*s->samples));
    if (s->samples == NULL) {
        return fail_memory(err, s->capacity * sizeof(*s->samples));
    }
    for (size_t i = 0; i < log->count && status == CASK_OK; i++) {
        status = add_row(s, snapshot->store, &log->parts[i], err);
    }
    return status;
}

cask_status fold_range_of(const store_snapshot *snapshot, uint32_t part,
                          uint32_t parts, fold_range *ret_range,
                          cask_error *err)
{
    fold_samples s = {.samples = NULL};
    cask_status status = CASK_OK;

    *ret_range = (fold_range){0, UINT64_MAX};
    if (parts == 1) {
        return CASK_OK;
    }
    status = collect(&s, snapshot, parts, err);
    if (status == CASK_OK) {
        if (s.count > 1) {
            qsort(s.samples, s.count, sizeof(*s.samples), by_sequence);
        }
        *ret_range = (fold_range){begin_of(&s, part, parts),
                                  begin_of(&s, part + 1, parts)};
    }
    free(s.samples);
    return status;
}
