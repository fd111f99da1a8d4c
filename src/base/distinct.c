/*
 * The estimate of HyperLogLog, without its corrections for small and very large
 * numbers: callers do not need them.
 */
#include "base/distinct.h"

uint64_t distinct_estimate(const distinct_counter *counter)
{
    const double alpha = 0.7213 / (1 + 1.079 / DISTINCT_REGISTERS);
    /* In units of 2^-51, with which all of them together fit: every open of a
     * store comes by here, and a division for each is a tenth of a small one.
     */
    const uint64_t one = UINT64_C(1) << 51;
    uint64_t sum = 0;

    for (int i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += one >> counter->rank[i];
    }
    return (uint64_t)(alpha * DISTINCT_REGISTERS * DISTINCT_REGISTERS /
                      ((double)sum / (double)one));
}
