/*
 * The counters of operations, which both reports show.
 */
#include <string.h>

#include "stat_report.h"

static const stat_counter counters[] = {
    {"puts", "puts", offsetof(stat_sample, stats.puts), false, false},
    {"deletes", "deletes", offsetof(stat_sample, stats.deletes), false, false},
    {"batches", "batches", offsetof(stat_sample, stats.batches), false, false},
    {"gets", "gets", offsetof(stat_sample, stats.gets), false, false},
    {"get_misses", "gets, missing", offsetof(stat_sample, stats.get_misses),
     false, false},
    {"syncs", "syncs", offsetof(stat_sample, stats.syncs), false, false},
    {"bytes_written", "written", offsetof(stat_sample, stats.bytes_written),
     true, false},
    {"takeovers", "takeovers", offsetof(stat_sample, stats.takeovers), false,
     false},
    {"flushes", "flushes", offsetof(stat_sample, tree.flushes), false, true},
    {"flush_bytes_read", "flushed, log",
     offsetof(stat_sample, tree.flush_bytes_read), true, true},
    {"flush_bytes_written", "flushed, written",
     offsetof(stat_sample, tree.flush_bytes_written), true, true},
    {"merges", "merges", offsetof(stat_sample, merge.merges), false, false},
    {"merge_bytes_read", "merged, read",
     offsetof(stat_sample, merge.bytes_read), true, false},
    {"merge_bytes_written", "merged, written",
     offsetof(stat_sample, merge.bytes_written), true, false},
    {"merge_bytes_freed", "merged, freed",
     offsetof(stat_sample, merge.bytes_freed), true, false},
    {0},
};

bool stat_counter_is_of(const stat_counter *counter, const stat_sample *sample)
{
    return !counter->is_of_tree || sample->stats.engine == CASK_ENGINE_TREE;
}

const stat_counter *stat_counters(void)
{
    return counters;
}

uint64_t stat_counter_value(const stat_counter *counter,
                            const stat_sample *sample)
{
    uint64_t value;

    memcpy(&value, (const char *)sample + counter->offset, sizeof(value));
    return value;
}

double stat_counter_rate(const stat_counter *counter, const stat_sample *now,
                         const stat_sample *before)
{
    uint64_t new_value = stat_counter_value(counter, now);
    uint64_t old_value = stat_counter_value(counter, before);

    /* A new region counts from 0. */
    if (new_value < old_value || now->time_ms <= before->time_ms) {
        return 0;
    }
    return (double)(new_value - old_value) * 1000 /
           (double)(now->time_ms - before->time_ms);
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

double stat_space_amplification(const stat_sample *sample)
{
    return sample->stats.engine == CASK_ENGINE_TREE
               ? sample->tree.space_amplification
               : ratio(sample->stats.data_bytes,
                       sample->stats.live_bytes - sample->stats.expired_bytes);
}

double stat_write_amplification(const cask_stats *stats)
{
    return ratio(stats->log_bytes + stats->merge_bytes, stats->log_bytes);
}

const char *stat_engine_name(cask_engine engine)
{
    switch (engine) {
    case CASK_ENGINE_HASH:
        return "hash";
    case CASK_ENGINE_TREE:
        return "tree";
    }
    return "unknown";
}

const char *stat_phase_name(cask_merge_phase phase)
{
    switch (phase) {
    case CASK_MERGE_NONE:
        return "none";
    case CASK_MERGE_COPYING:
        return "copying";
    case CASK_MERGE_MOVING:
        return "moving";
    }
    return "unknown";
}
