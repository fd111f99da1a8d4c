/*
 * Times of the records of a run in three numbers (run_format.h), from which
 * follows, about, how many lie before some moment.
 */
#ifndef CASKADE_RUN_TIMES_H
#define CASKADE_RUN_TIMES_H

#include "run/run_format.h"

/* The second in which a time in milliseconds is past: rounded up. */
static inline uint32_t run_time_past(uint64_t ms)
{
    uint64_t s = ms / 1000 + (ms % 1000 != 0 ? 1 : 0);

    return s < RUN_TIME_MAX ? (uint32_t)s : RUN_TIME_MAX;
}

/* Which part of them is not after `now`, 0 .. 1: as if they were spread evenly
 * from the first to the middle one, and from there to the last. */
double run_times_share(const run_times *times, uint32_t now);

/* ---- Gathering ---- */

enum { RUN_TIMES_SAMPLE = 256 };

/* Every time up to some count, then every second, fourth, ... Start with {0}.
 */
typedef struct run_times_sample {
    uint32_t first;
    uint32_t last;
    uint64_t count;
    uint64_t stride; /* 0: 1 */
    uint32_t taken;
    uint32_t time[RUN_TIMES_SAMPLE];
} run_times_sample;

void run_times_add(run_times_sample *sample, uint32_t time);

/* Sorts what was taken: nothing is added afterwards. */
run_times run_times_of(run_times_sample *sample);

#endif
