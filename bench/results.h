/*
 * All figures of one invocation, and their medians.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "work.h"

typedef struct result {
    const bench_engine *engine;
    bench_sample sample;
} result;

typedef struct bench_results {
    result *rows; /* owned, in the order of measurement */
    size_t count;
    size_t capacity;
    unsigned failed_runs;
} bench_results;

/* One row of the report: a work at a number of keys. */
typedef struct figure {
    double median; /* NAN: not measured */
    double lowest;
    double highest;
    size_t count;     /* of repeats */
    const char *note; /* "" or how, or why not; borrowed from the results */
} figure;

void results_add(bench_results *self, const bench_engine *engine,
                 const bench_sample *sample);
void results_done(bench_results *self);

/* What `engine` reached in `work` at `keys`. */
figure results_find(const bench_results *self, const bench_engine *engine,
                    work_id work, uint64_t keys);

/*
 * How many times better `engine` is than `peer`: above 1 is better, whatever
 * the unit. NAN if one of them has no figure.
 */
double results_ratio(const bench_results *self, const bench_engine *engine,
                     const bench_engine *peer, work_id work, uint64_t keys);

#endif
