/*
 * Statistics as text for people.
 */
#include <inttypes.h>
#include <stdio.h>

#include "histogram.h"
#include "stat_report.h"
#include "units.h"

/* Of the merges that are remembered. */
enum { PAST_SHOWN = 5 };

/* All labels are padded to this width. */
#define LABEL "%-16s"

static void add_count(text *out, const char *label, uint64_t count)
{
    char number[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s\n", label,
                    units_format_count(number, count));
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100 * (double)part / (double)whole;
}

/* What a merge found, and what the tree engine did: that stays as it is. */
static void add_quarantined(const cask_stats *stats, text *out)
{
    static const char *const of_hash[] = {
        "'caskade verify' tells where, 'caskade repair' which keys are lost; "
        "it goes",
        "with a merge when these are overwritten or deleted, if it has a hint",
        "(--segments), or with 'caskade merge --all' when its file is restored",
        NULL};
    static const char *const of_tree[] = {
        "'caskade verify' tells where, 'caskade repair' saves what can be read",
        NULL};
    bool is_tree = stats->engine == CASK_ENGINE_TREE;
    char bytes[UNITS_TEXT_SIZE];
    char count[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s %s%s, %s, %s damage\n", "QUARANTINED",
                    units_format_count(count, stats->quarantined_count),
                    is_tree ? "file" : "segment",
                    units_plural(stats->quarantined_count),
                    units_format_bytes(bytes, stats->quarantined_bytes),
                    is_tree ? "with" : "in which a merge found");
    for (const char *const *line = is_tree ? of_tree : of_hash; *line != NULL;
         line++) {
        text_add_format(out, LABEL "%s\n", "", *line);
    }
}

static void add_damage(const cask_stats *stats, text *out)
{
    char bytes[UNITS_TEXT_SIZE];

    if (stats->damaged_bytes != 0 || stats->quarantined_count == 0) {
        text_add_format(out, LABEL "%s\n", "damage",
                        stats->damaged_bytes == 0
                            ? "none found"
                            : units_format_bytes(bytes, stats->damaged_bytes));
    }
    if (stats->quarantined_count != 0) {
        add_quarantined(stats, out);
    }
}

static void add_expiry(const cask_stats *stats, text *out)
{
    if (stats->may_expire) {
        text_add_format(out,
                        LABEL "also those that have expired, until they "
                              "are merged, overwritten or deleted\n",
                        "");
    }
}

/* Keys, and the records that have them. */
static void add_hash(const stat_sample *now, text *out)
{
    const cask_stats *stats = &now->stats;
    char first[UNITS_TEXT_SIZE];
    char second[UNITS_TEXT_SIZE];
    char third[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s in %s segment%s: %s live, ", "records",
                    units_format_bytes(first, stats->data_bytes),
                    units_format_count(second, stats->segment_count),
                    units_plural(stats->segment_count),
                    units_format_bytes(third, stats->live_bytes));
    if (stats->expired_bytes > 0) {
        text_add_format(out, "of which %s have expired, ",
                        units_format_bytes(first, stats->expired_bytes));
    }
    text_add_format(out, "%s dead (%.1f %%)\n",
                    units_format_bytes(first, stats->dead_bytes),
                    percent(stats->dead_bytes, stats->data_bytes));
    text_add_format(out,
                    LABEL "space %.2f, writes %.2f (%s, and %s by merges)\n",
                    "amplification", stat_space_amplification(now),
                    stat_write_amplification(stats),
                    units_format_bytes(first, stats->log_bytes),
                    units_format_bytes(second, stats->merge_bytes));
}

static void add_tree(const stat_sample *now, text *out)
{
    const cask_stats *stats = &now->stats;
    char first[UNITS_TEXT_SIZE];
    char second[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s in %s segment%s\n", "log",
                    units_format_bytes(first, stats->data_bytes),
                    units_format_count(second, stats->segment_count),
                    units_plural(stats->segment_count));
    text_add_format(out, LABEL "space about %.2f, writes %.2f ",
                    "amplification", stat_space_amplification(now),
                    stat_write_amplification(stats));
    text_add_format(out, "(%s, and %s by flushes and compactions)\n",
                    units_format_bytes(first, stats->log_bytes),
                    units_format_bytes(second, stats->merge_bytes));
}

static void add_content(const stat_sample *now, text *out)
{
    const cask_stats *stats = &now->stats;
    bool is_tree = stats->engine == CASK_ENGINE_TREE;
    char first[UNITS_TEXT_SIZE];
    char second[UNITS_TEXT_SIZE];

    add_count(out, is_tree ? "keys, about" : "keys",
              is_tree ? now->tree.live_keys : stats->key_count);
    add_expiry(stats, out);
    text_add_format(out, LABEL "%s, durable up to %s\n", "sequence",
                    units_format_count(first, stats->sequence),
                    units_format_count(second, stats->durable_sequence));
    (is_tree ? add_tree : add_hash)(now, out);
    text_add_format(out, LABEL "%s\n", "on disk",
                    units_format_bytes(first, stats->disk_bytes));
    add_damage(stats, out);
}

static void add_index(const cask_stats *stats, text *out)
{
    char used[UNITS_TEXT_SIZE];
    char allocated[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s of %s", "index",
                    units_format_bytes(used, stats->index_bytes),
                    units_format_bytes(allocated, stats->region_bytes));
    if (stats->key_count > 0 && stats->engine == CASK_ENGINE_HASH) {
        text_add_format(out, ", %.1f bytes per key",
                        (double)stats->index_bytes / (double)stats->key_count);
    }
    text_add_format(out, "\n" LABEL "%s\n", "region",
                    stats->private_index
                        ? "none: this process has an index of its own"
                        : stats->region_path);
    if (!stats->private_index) {
        text_add_format(out, LABEL "%" PRIu32 "\n", "open handles",
                        stats->handle_count);
    }
    text_add_format(out, LABEL "%s\n", "state",
                    stats->poisoned
                        ? "READ-ONLY: a sync failed; check the disk, then "
                          "close the store in every process"
                        : "ready");
}

/* How far it is, and who does it. */
static void add_progress(const cask_merge_state *merge, text *out)
{
    char total[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s, %.0f %% of %s\n", "merge",
                    stat_phase_name(merge->phase),
                    percent(merge->bytes_done, merge->bytes_total),
                    units_format_bytes(total, merge->bytes_total));
    if (merge->pid == 0) {
        text_add_format(out, LABEL "a process that died; another goes on\n",
                        "merged by");
    } else {
        text_add_format(out, LABEL "process %" PRIu32 ", %s/s\n", "merged by",
                        merge->pid,
                        units_format_bytes(total, merge->rate_bytes));
    }
}

static void add_merge(const cask_merge_state *merge, text *out)
{
    if (merge->phase != CASK_MERGE_NONE) {
        add_progress(merge, out);
    }
    text_add_format(out, LABEL "%s: %s", "next merge",
                    merge->due ? "due" : "waits", merge->reason);
    if (merge->due_in_ms > 0) {
        text_add_format(out, "; looked for again in %" PRIu64 " s",
                        merge->due_in_ms / 1000 + 1);
    }
    text_add_char(out, '\n');
    if (merge->asked) {
        text_add_format(out, LABEL "a merge was asked for%s\n", "",
                        merge->threads > 0 ? ""
                                           : ", and nobody does it; merge with "
                                             "'caskade merge'");
    }
    if (merge->threads > 0) {
        text_add_format(out, LABEL "%" PRIu32 " handle%s\n", "merging",
                        merge->threads, units_plural(merge->threads));
    }
}

void stat_past_text(const cask_past_merge *past, uint64_t now_ms, text *out)
{
    char ago[UNITS_TEXT_SIZE];
    char took[UNITS_TEXT_SIZE];
    char read[UNITS_TEXT_SIZE];
    char written[UNITS_TEXT_SIZE];
    char freed[UNITS_TEXT_SIZE];
    uint64_t since_ms = now_ms > past->began_ms ? now_ms - past->began_ms : 0;

    text_add_format(
        out, "%9s  %9s  %5" PRIu64 " > %-5" PRIu64 "  %9s  %9s  %9s  %s%s%s\n",
        units_format_clock(ago, since_ms / 1000),
        units_format_ns(took, past->took_ms * 1000000), past->did.inputs,
        past->did.outputs, units_format_bytes(read, past->did.bytes_read),
        units_format_bytes(written, past->did.bytes_written),
        units_format_bytes(freed, past->did.bytes_freed), past->reason,
        past->result == CASK_OK        ? ""
        : past->result == CASK_TIMEOUT ? "; stopped"
                                       : "; failed: ",
        past->result == CASK_OK || past->result == CASK_TIMEOUT
            ? ""
            : cask_status_text(past->result));
}

/* The newest first. */
static void add_past_merges(const stat_sample *now, text *out)
{
    const cask_merge_state *merge = &now->merge;
    size_t count =
        merge->past_count < PAST_SHOWN ? merge->past_count : PAST_SHOWN;

    if (count == 0) {
        return;
    }
    text_add_format(
        out, "\n%9s  %9s  %-13s  %9s  %9s  %9s  %s\n", "merged ago", "took",
        now->stats.engine == CASK_ENGINE_TREE ? "files" : "segments", "read",
        "written", "freed", "reason");
    for (size_t i = 0; i < count; i++) {
        stat_past_text(&merge->past[i], now->wall_ms, out);
    }
}

static void add_counter(const stat_counter *counter, const stat_sample *now,
                        const stat_sample *before, text *out)
{
    char number[UNITS_TEXT_SIZE];
    uint64_t value = stat_counter_value(counter, now);

    (void)(counter->is_bytes ? units_format_bytes(number, value)
                             : units_format_count(number, value));
    if (before == NULL) {
        text_add_format(out, LABEL "%15s\n", counter->label, number);
        return;
    }
    text_add_format(out, LABEL "%15s", counter->label, number);
    if (counter->is_bytes) {
        (void)units_format_bytes(
            number, (uint64_t)stat_counter_rate(counter, now, before));
    } else {
        (void)units_format_short(number,
                                 stat_counter_rate(counter, now, before));
    }
    text_add_format(out, "  %12s/s\n", number);
}

static void add_histogram(const char *label, const cask_histogram *histogram,
                          text *out)
{
    char count[UNITS_TEXT_SIZE];
    char p50[UNITS_TEXT_SIZE];
    char p99[UNITS_TEXT_SIZE];
    char max[UNITS_TEXT_SIZE];
    uint64_t waits = histogram_count(histogram);

    if (waits == 0) {
        text_add_format(out, LABEL "none yet\n", label);
        return;
    }
    text_add_format(out, LABEL "p50 < %-8s  p99 < %-8s  max < %-8s  (%s)\n",
                    label,
                    units_format_ns(p50, histogram_below_ns(histogram, 500)),
                    units_format_ns(p99, histogram_below_ns(histogram, 990)),
                    units_format_ns(max, histogram_below_ns(histogram, 1000)),
                    units_format_count(count, waits));
}

static void add_counters(const stat_sample *now, const stat_sample *before,
                         text *out)
{
    text_add_string(out, "\nsince the region was made:\n");
    for (const stat_counter *at = stat_counters(); at->name != NULL; at++) {
        if (stat_counter_is_of(at, now)) {
            add_counter(at, now, before, out);
        }
    }
    add_histogram("time of a sync", &now->stats.sync_ns, out);
    add_histogram("wait for lock", &now->stats.lock_wait_ns, out);
}

static void add_segments(const stat_sample *now, text *out)
{
    char live[UNITS_TEXT_SIZE];
    char dead[UNITS_TEXT_SIZE];
    char total[UNITS_TEXT_SIZE];
    char expired[UNITS_TEXT_SIZE];

    text_add_format(out, "\n%-16s  %9s  %9s  %9s  %5s  %10s  %10s  %s\n",
                    "segment", "records", "live", "dead", "dead", "live",
                    "tombstones", "state");
    for (size_t i = 0; i < now->segment_count; i++) {
        const cask_segment_stats *row = &now->segments[i];

        text_add_format(out,
                        "%016" PRIx64 "  %9s  %9s  %9s  %3.0f %%  %10" PRIu64
                        "  %10" PRIu64 "  %s%s%s%s",
                        row->id, units_format_bytes(total, row->total_bytes),
                        units_format_bytes(live, row->live_bytes),
                        units_format_bytes(dead, row->dead_bytes),
                        percent(row->dead_bytes, row->total_bytes),
                        row->live_records, row->tombstones,
                        row->sealed ? "sealed" : "open",
                        row->has_hint ? ", hint" : "",
                        row->damaged_bytes != 0 ? ", DAMAGED" : "",
                        row->quarantined ? ", QUARANTINED" : "");
        if (row->expired_bytes > 0) {
            text_add_format(out, ", %s expired",
                            units_format_bytes(expired, row->expired_bytes));
        }
        text_add_format(out, "\n");
    }
}

void stat_report_text(const char *directory, const stat_sample *now,
                      const stat_sample *before, text *out)
{
    const cask_stats *stats = &now->stats;

    /* Not by text_add_format(): a path may be long. */
    text_add_format(out, LABEL, "store");
    text_add_string(out, directory);
    text_add_format(out, "\n" LABEL "%s, %s\n", "engine, id",
                    stat_engine_name(stats->engine), stats->uuid);
    add_content(now, out);
    add_index(stats, out);
    add_merge(&now->merge, out);
    stat_snapshots_text(now, out);
    if (stats->engine == CASK_ENGINE_TREE) {
        stat_tree_text(now, out);
    }
    /* Nobody has counted anything in an index that was made just now. */
    if (!stats->private_index) {
        add_counters(now, before, out);
        add_past_merges(now, out);
        if (stats->engine == CASK_ENGINE_TREE) {
            stat_tree_flushes_text(now, out);
        }
    }
    if (now->segments != NULL) {
        add_segments(now, out);
    }
}
