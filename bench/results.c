/*
 * A flat list; a report looks through it for each of its cells.
 */
#include "results.h"

#include <math.h>
#include <stdlib.h>

/* More repeats than this count only with their first figures. */
enum { REPEATS_MAX = 101 };

void results_add(bench_results *self, const bench_engine *engine,
                 const bench_sample *sample)
{
    if (self->count == self->capacity) {
        size_t capacity = self->capacity * 2 + 64;
        result *rows = realloc(self->rows, capacity * sizeof(*rows));
        if (rows == NULL) {
            bench_die("no memory for results");
        }
        self->rows = rows;
        self->capacity = capacity;
    }
    self->rows[self->count++] = (result){engine, *sample};
}

void results_done(bench_results *self)
{
    free(self->rows);
    *self = (bench_results){0};
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

figure results_find(const bench_results *self, const bench_engine *engine,
                    work_id work, uint64_t keys)
{
    double values[REPEATS_MAX];
    figure found = {.median = NAN, .note = ""};
    for (size_t i = 0; i < self->count && found.count < REPEATS_MAX; i++) {
        const result *row = &self->rows[i];
        if (row->engine != engine || row->sample.work != work ||
            row->sample.keys != keys) {
            continue;
        }
        found.note = row->sample.note;
        if (!isnan(row->sample.value)) {
            values[found.count++] = row->sample.value;
        }
    }
    if (found.count == 0) {
        return found;
    }
    qsort(values, found.count, sizeof(values[0]), compare_doubles);
    size_t middle = found.count / 2;
    found.median = values[middle];
    if (found.count % 2 == 0) {
        found.median = (values[middle - 1] + values[middle]) / 2;
    }
    found.lowest = values[0];
    found.highest = values[found.count - 1];
    return found;
}

double results_ratio(const bench_results *self, const bench_engine *engine,
                     const bench_engine *peer, work_id work, uint64_t keys)
{
    double ours = results_find(self, engine, work, keys).median;
    double theirs = results_find(self, peer, work, keys).median;
    if (isnan(ours) || isnan(theirs)) {
        return NAN;
    }
    return unit_is_rate(bench_works[work].unit) ? ours / theirs : theirs / ours;
}
