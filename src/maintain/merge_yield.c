/*
 * The wait of writers, see merge_yield.h.
 */
#include "maintain/merge_yield.h"

/* Above the bound, as a part of it, where waits are longest. */
#define FULL_ABOVE 0.03

uint64_t merge_yield_ms(uint64_t total_bytes, uint64_t live_bytes,
                        uint64_t bound)
{
    double allowed = (double)live_bytes * (double)bound / 1000;
    double debt = (double)total_bytes - allowed;

    if (bound == 0 || debt <= 0) {
        return 0;
    }
    if (debt >= allowed * FULL_ABOVE) {
        return MERGE_YIELD_MAX_MS;
    }
    return (uint64_t)(debt / (allowed * FULL_ABOVE) * MERGE_YIELD_MAX_MS);
}
