/*
 * Statistics as JSON. The names are those of the members of cask_stats,
 * cask_segment_stats and cask_merge_state, and as stable as these.
 */
#include "histogram.h"
#include "stat_report.h"

/* json_integer() of an unsigned count. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *histogram_json(const cask_histogram *histogram)
{
    json_t *buckets = json_array();

    for (size_t i = 0; i < CASK_HISTOGRAM_BUCKETS; i++) {
        /* A failure leaves the array short, which no memory explains. */
        (void)json_array_append_new(buckets, number(histogram->bucket[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "count",
                     number(histogram_count(histogram)), "p50_below_ns",
                     number(histogram_below_ns(histogram, 500)), "p99_below_ns",
                     number(histogram_below_ns(histogram, 990)), "max_below_ns",
                     number(histogram_below_ns(histogram, 1000)), "buckets",
                     buckets);
}

static json_t *segment_json(const cask_segment_stats *row)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b}",
        "id", number(row->id), "total_bytes", number(row->total_bytes),
        "live_bytes", number(row->live_bytes), "dead_bytes",
        number(row->dead_bytes), "expired_bytes", number(row->expired_bytes),
        "live_records", number(row->live_records), "tombstones",
        number(row->tombstones), "damaged_bytes", number(row->damaged_bytes),
        "first_sequence", number(row->first_sequence), "last_sequence",
        number(row->last_sequence), "sealed", row->sealed, "has_hint",
        row->has_hint, "quarantined", row->quarantined);
}

static void set_segments(json_t *object, const stat_sample *now)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < now->segment_count; i++) {
        (void)json_array_append_new(rows, segment_json(&now->segments[i]));
    }
    (void)json_object_set_new(object, "segments", rows);
}

static void set_content(json_t *object, const stat_sample *now)
{
    const cask_stats *stats = &now->stats;
    const struct {
        const char *name;
        uint64_t value;
    } table[] = {
        {"key_count", stats->key_count},
        {"sequence", stats->sequence},
        {"durable_sequence", stats->durable_sequence},
        {"segment_count", stats->segment_count},
        {"data_bytes", stats->data_bytes},
        {"live_bytes", stats->live_bytes},
        {"dead_bytes", stats->dead_bytes},
        {"expired_bytes", stats->expired_bytes},
        {"log_bytes", stats->log_bytes},
        {"merge_bytes", stats->merge_bytes},
        {"disk_bytes", stats->disk_bytes},
        {"damaged_bytes", stats->damaged_bytes},
        {"quarantined_count", stats->quarantined_count},
        {"quarantined_bytes", stats->quarantined_bytes},
        {"index_bytes", stats->index_bytes},
        {"region_bytes", stats->region_bytes},
        {"handle_count", stats->handle_count},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        (void)json_object_set_new(object, table[i].name,
                                  number(table[i].value));
    }
    (void)json_object_set_new(object, "space_amplification",
                              json_real(stat_space_amplification(now)));
    (void)json_object_set_new(object, "write_amplification",
                              json_real(stat_write_amplification(stats)));
    (void)json_object_set_new(object, "may_expire",
                              json_boolean(stats->may_expire));
    (void)json_object_set_new(object, "poisoned",
                              json_boolean(stats->poisoned));
    (void)json_object_set_new(object, "private_index",
                              json_boolean(stats->private_index));
}

static void set_counters(json_t *object, const stat_sample *now,
                         const stat_sample *before)
{
    json_t *rates = before == NULL ? NULL : json_object();

    for (const stat_counter *at = stat_counters(); at->name != NULL; at++) {
        if (!stat_counter_is_of(at, now)) {
            continue;
        }
        (void)json_object_set_new(object, at->name,
                                  number(stat_counter_value(at, now)));
        if (before != NULL) {
            (void)json_object_set_new(
                rates, at->name, json_real(stat_counter_rate(at, now, before)));
        }
    }
    if (rates != NULL) {
        (void)json_object_set_new(object, "per_s", rates);
    }
}

json_t *stat_past_json(const cask_past_merge *past)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
        "number", number(past->number), "began_ms", number(past->began_ms),
        "took_ms", number(past->took_ms), "pid", number(past->pid), "result",
        cask_status_name(past->result), "reason", past->reason, "inputs",
        number(past->did.inputs), "outputs", number(past->did.outputs),
        "bytes_read", number(past->did.bytes_read), "bytes_written",
        number(past->did.bytes_written), "bytes_freed",
        number(past->did.bytes_freed), "tombstones_dropped",
        number(past->did.tombstones_dropped));
}

/* What goes on; the sums are counters. */
static json_t *merge_json(const cask_merge_state *merge)
{
    json_t *past = json_array();

    for (size_t i = 0; i < merge->past_count; i++) {
        (void)json_array_append_new(past, stat_past_json(&merge->past[i]));
    }
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:s, s:o, s:o, s:b, s:s, "
        "s:o}",
        "phase", stat_phase_name(merge->phase), "pid", number(merge->pid),
        "began_ms", number(merge->began_ms), "bytes_done",
        number(merge->bytes_done), "bytes_total", number(merge->bytes_total),
        "rate_bytes", number(merge->rate_bytes), "due", merge->due, "due_in_ms",
        number(merge->due_in_ms), "reason", merge->reason, "paused_ms",
        number(merge->paused_ms), "threads", number(merge->threads), "asked",
        merge->asked, "started", cask_status_name(merge->started), "past",
        past);
}

json_t *stat_report_json(const char *directory, const stat_sample *now,
                         const stat_sample *before)
{
    const cask_stats *stats = &now->stats;
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "engine", stat_engine_name(stats->engine),
                  "uuid", stats->uuid, "region_path", stats->region_path);

    /* A path that is not UTF-8 cannot be shown, and is left out. */
    (void)json_object_set_new(object, "directory", json_string(directory));
    set_content(object, now);
    set_counters(object, now, before);
    (void)json_object_set_new(object, "merge", merge_json(&now->merge));
    stat_snapshots_json(object, now);
    if (stats->engine == CASK_ENGINE_TREE) {
        (void)json_object_set_new(object, "tree", stat_tree_json(&now->tree));
    }
    (void)json_object_set_new(object, "sync_ns",
                              histogram_json(&stats->sync_ns));
    (void)json_object_set_new(object, "lock_wait_ns",
                              histogram_json(&stats->lock_wait_ns));
    if (now->segments != NULL) {
        set_segments(object, now);
    }
    return object;
}
