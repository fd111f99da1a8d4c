/*
 * The bucket of a latency is its power of two and the 6 bits below its
 * highest one.
 */
#include "latency.h"

static unsigned bucket_of(uint64_t ns)
{
    if (ns < LATENCY_STEPS) {
        return (unsigned)ns;
    }
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ns) - 6;
    unsigned step = (unsigned)(ns >> exponent) - LATENCY_STEPS;
    unsigned bucket = (exponent + 1) * LATENCY_STEPS + step;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The middle of the bucket, nanoseconds. */
static double middle_of(unsigned bucket)
{
    if (bucket < LATENCY_STEPS) {
        return bucket;
    }
    unsigned exponent = bucket / LATENCY_STEPS - 1;
    uint64_t from = (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS)
                    << exponent;
    return (double)from + (double)(UINT64_C(1) << exponent) / 2;
}

void latency_add(latency *self, uint64_t ns)
{
    self->count++;
    self->longest_ns = ns > self->longest_ns ? ns : self->longest_ns;
    self->bucket[bucket_of(ns)]++;
}

double latency_at(const latency *self, double fraction)
{
    double wanted = fraction * (double)self->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += self->bucket[i];
        if (seen != 0 && (double)seen >= wanted) {
            return middle_of(i);
        }
    }
    return 0;
}
