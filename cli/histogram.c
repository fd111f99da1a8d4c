/*
 * Reading a cask_histogram.
 */
#include "histogram.h"

uint64_t histogram_count(const cask_histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i < CASK_HISTOGRAM_BUCKETS; i++) {
        count += histogram->bucket[i];
    }
    return count;
}

uint64_t histogram_below_ns(const cask_histogram *histogram, unsigned permille)
{
    uint64_t count = histogram_count(histogram);
    /* Rounded up: p99 of three waits is the third. Divided first: a count
     * times 1000 may not fit. */
    uint64_t wanted =
        count / 1000 * permille + (count % 1000 * permille + 999) / 1000;
    uint64_t seen = 0;

    if (count == 0) {
        return 0;
    }
    for (size_t i = 0; i < CASK_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->bucket[i];
        if (seen >= wanted && seen > 0) {
            return (uint64_t)2 << i;
        }
    }
    return (uint64_t)1 << CASK_HISTOGRAM_BUCKETS;
}
