/*
 * Expiry of runs, see run_expiry.h. Times in footers are in whole seconds,
 * those of expiry rounded up: what has expired by them has indeed.
 */
#include "tree/run_expiry.h"

#include "run/run_times.h"

static uint32_t now_s(const store_expiry *expiry)
{
    uint64_t seconds = expiry->now_ms / 1000;

    /* Short of what stands for all times that are greater. */
    return seconds < RUN_TIME_MAX ? (uint32_t)seconds : RUN_TIME_MAX - 1;
}

bool run_has_expired(const cask_run *run, const store_expiry *expiry)
{
    const run_footer *footer = &run->footer;

    if (expiry->disagrees || footer->ranges > 0) {
        return false;
    }
    return (footer->expiring == run_values(footer) &&
            footer->expiry.last <= now_s(expiry)) ||
           footer->written.last <= store_too_old_s(expiry);
}

uint64_t run_expired_count(const cask_run *run, const store_expiry *expiry)
{
    const run_footer *footer = &run->footer;
    double by_time;
    double by_age;

    if (expiry->disagrees) {
        return 0;
    }
    by_time = run_times_share(&footer->expiry, now_s(expiry)) *
              (double)footer->expiring;
    by_age = run_times_share(&footer->written, store_too_old_s(expiry)) *
             (double)run_values(footer);
    return (uint64_t)(by_time > by_age ? by_time : by_age);
}
