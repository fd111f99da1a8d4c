/*
 * Counting the records of a run, see run_counts.h.
 */
#include "run/run_counts.h"

#include <string.h>

static void add_times(run_counts *counts, const cask_info *info)
{
    run_times_add(&counts->written, info->time_s);
    if (info->expires_at_ms != 0) {
        run_times_add(&counts->expiry, run_time_past(info->expires_at_ms));
    }
}

bool run_counts_add(run_counts *counts, cask_run_kind kind,
                    const cask_info *info, bool is_new)
{
    bool is_range = kind == CASK_RUN_DELETE_RANGE;
    bool was_indexed = counts->is_indexed && !is_new;
    bool is_wanted = !is_range && !was_indexed;

    counts->keys += is_wanted ? 1 : 0;
    counts->is_indexed = was_indexed || is_wanted;
    counts->ranges += is_range ? 1 : 0;
    counts->tombstones += kind == CASK_RUN_DELETE ? 1 : 0;
    counts->pointers += kind == CASK_RUN_POINTER ? 1 : 0;
    if (kind == CASK_RUN_PUT || kind == CASK_RUN_POINTER) {
        add_times(counts, info);
    }
    if (counts->records == 0 || info->sequence < counts->first_sequence) {
        counts->first_sequence = info->sequence;
    }
    if (info->sequence > counts->last_sequence) {
        counts->last_sequence = info->sequence;
    }
    counts->records++;
    return is_wanted;
}

void run_counts_say(run_counts *counts, run_footer *footer)
{
    footer->records = counts->records;
    footer->keys = counts->keys;
    footer->tombstones = counts->tombstones;
    footer->pointers = counts->pointers;
    footer->ranges = counts->ranges;
    footer->first_sequence = counts->first_sequence;
    footer->last_sequence = counts->last_sequence;
    footer->expiring = (uint32_t)counts->expiry.count;
    footer->expiry = run_times_of(&counts->expiry);
    footer->written = run_times_of(&counts->written);
}

void run_counts_compare(const run_counts *counts, const run_footer *footer,
                        run_count ret_counts[RUN_COUNTS])
{
    const run_count all[RUN_COUNTS] = {
        {"records", footer->records, counts->records},
        {"keys", footer->keys, counts->keys},
        {"deletes", footer->tombstones, counts->tombstones},
        {"deleted ranges", footer->ranges, counts->ranges},
        {"pointers", footer->pointers, counts->pointers},
        {"first sequence", footer->first_sequence, counts->first_sequence},
        {"last sequence", footer->last_sequence, counts->last_sequence},
        {"expiring values", footer->expiring, counts->expiry.count},
        {"first expiry", footer->expiry.first, counts->expiry.first},
        {"last expiry", footer->expiry.last, counts->expiry.last},
        {"first time", footer->written.first, counts->written.first},
        {"last time", footer->written.last, counts->written.last},
    };

    memcpy(ret_counts, all, sizeof(all));
}
