/*
 * The estimate of HyperLogLog, without its corrections for small and very large
 * numbers: callers do not need them.
 */
#include "base/distinct.h"

uint64_t distinct_estimate(const distinct_counter *counter)
{
    const double alpha = 0.7213 / (1 + 1.079 / DISTINCT_REGISTERS);
    double sum = 0;

    for (int i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += 1.0 / (double)((uint64_t)1 << counter->rank[i]);
    }
    return (uint64_t)(alpha * DISTINCT_REGISTERS * DISTINCT_REGISTERS / sum);
}
