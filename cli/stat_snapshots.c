/*
 * Snapshots and folds in the statistics: who has one, and what it keeps.
 */
#include <inttypes.h>

#include "stat_report.h"
#include "units.h"

void stat_snapshots_text(const stat_sample *now, text *out)
{
    char undo[UNITS_TEXT_SIZE];
    char kept[UNITS_TEXT_SIZE];

    if (now->snapshot_count == 0) {
        return;
    }
    text_add_format(out,
                    "%-16s%zu, %s of memory and %s of files kept for "
                    "them\n",
                    "snapshots", now->snapshot_count,
                    units_format_bytes(undo, now->stats.undo_bytes),
                    units_format_bytes(kept, now->stats.pinned_bytes));
    for (size_t i = 0; i < now->snapshot_count; i++) {
        const cask_snapshot_info *row = &now->snapshots[i];
        char lag[UNITS_TEXT_SIZE];
        char age[UNITS_TEXT_SIZE];

        text_add_format(out, "  process %-6" PRIu32 "%-10s%s old, ", row->pid,
                        row->is_fold ? "fold" : "snapshot",
                        units_format_ns(age, row->age_ms * 1000000));
        text_add_format(out, "%s records behind, keeps %s of files\n",
                        units_format_count(lag, row->lag),
                        units_format_bytes(kept, row->pinned_bytes));
    }
}

static json_t *snapshot_json(const cask_snapshot_info *row)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "pid",
                     (json_int_t)row->pid, "sequence",
                     (json_int_t)row->sequence, "lag", (json_int_t)row->lag,
                     "age_ms", (json_int_t)row->age_ms, "pinned_bytes",
                     (json_int_t)row->pinned_bytes, "is_fold", row->is_fold);
}

void stat_snapshots_json(json_t *object, const stat_sample *now)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < now->snapshot_count; i++) {
        (void)json_array_append_new(rows, snapshot_json(&now->snapshots[i]));
    }
    (void)json_object_set_new(object, "snapshots", rows);
    (void)json_object_set_new(object, "undo_bytes",
                              json_integer((json_int_t)now->stats.undo_bytes));
    (void)json_object_set_new(
        object, "pinned_bytes",
        json_integer((json_int_t)now->stats.pinned_bytes));
    (void)json_object_set_new(
        object, "snapshot_count",
        json_integer((json_int_t)now->stats.snapshot_count));
    (void)json_object_set_new(
        object, "snapshots_lost",
        json_integer((json_int_t)now->stats.snapshots_lost));
}
