/*
 * The counters of operations, which both reports show.
 */
#include <string.h>

#include "stat_report.h"

static const stat_counter counters[] = {
    {"puts", "puts", offsetof(cask_stats, puts), false},
    {"deletes", "deletes", offsetof(cask_stats, deletes), false},
    {"batches", "batches", offsetof(cask_stats, batches), false},
    {"gets", "gets", offsetof(cask_stats, gets), false},
    {"get_misses", "gets, missing", offsetof(cask_stats, get_misses), false},
    {"syncs", "syncs", offsetof(cask_stats, syncs), false},
    {"bytes_written", "written", offsetof(cask_stats, bytes_written), true},
    {"takeovers", "takeovers", offsetof(cask_stats, takeovers), false},
    {0},
};

const stat_counter *stat_counters(void)
{
    return counters;
}

uint64_t stat_counter_value(const stat_counter *counter,
                            const cask_stats *stats)
{
    uint64_t value;

    memcpy(&value, (const char *)stats + counter->offset, sizeof(value));
    return value;
}

double stat_counter_rate(const stat_counter *counter, const stat_sample *now,
                         const stat_sample *before)
{
    uint64_t new_value = stat_counter_value(counter, &now->stats);
    uint64_t old_value = stat_counter_value(counter, &before->stats);

    /* A new region counts from 0. */
    if (new_value < old_value || now->time_ms <= before->time_ms) {
        return 0;
    }
    return (double)(new_value - old_value) * 1000 /
           (double)(now->time_ms - before->time_ms);
}

const char *stat_engine_name(cask_engine engine)
{
    switch (engine) {
    case CASK_ENGINE_HASH:
        return "hash";
    }
    return "unknown";
}
