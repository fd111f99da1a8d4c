/*
 * Latency histogram with buckets of at most 1.6 % width.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

/* 64 buckets for each power of two of nanoseconds. */
enum { LATENCY_STEPS = 64, LATENCY_BUCKETS = 40 * LATENCY_STEPS };

typedef struct latency {
    uint64_t count;
    uint64_t longest_ns;
    uint64_t bucket[LATENCY_BUCKETS];
} latency;

/* Count one operation of `ns` nanoseconds. */
void latency_add(latency *self, uint64_t ns);

/* Nanoseconds that `fraction` (0 .. 1) of the operations do not exceed. */
double latency_at(const latency *self, double fraction);

#endif
