/*
 * What only a store of the tree engine has, in the statistics.
 */
#include <inttypes.h>

#include "stat_report.h"
#include "units.h"

/* Of the flushes that are remembered. */
enum { FLUSHES_SHOWN = 3 };

#define LABEL "%-16s"

/* ---- Text --------------------------------------------------------------- */

static void add_memtables(const cask_tree_stats *tree, text *out)
{
    char each[UNITS_TEXT_SIZE];
    char used[UNITS_TEXT_SIZE];
    uint64_t memory = 0;

    for (uint32_t i = 0; i < tree->memtable_count; i++) {
        memory += tree->memtable[i].memory_bytes;
    }
    text_add_format(out, LABEL "%" PRIu32 " of %s of log, %s of memory\n",
                    "memtables", tree->memtable_count,
                    units_format_bytes(each, tree->memtable_bytes),
                    units_format_bytes(used, memory));
}

static void add_runs(const cask_tree_stats *tree, text *out)
{
    char mapped[UNITS_TEXT_SIZE];
    char indexes[UNITS_TEXT_SIZE];
    char filters[UNITS_TEXT_SIZE];
    char runs_text[UNITS_TEXT_SIZE];
    char parts_text[UNITS_TEXT_SIZE];
    uint64_t runs = 0;
    uint64_t parts = 0;

    for (size_t i = 0; i < CASK_TREE_LEVELS; i++) {
        runs += tree->level[i].runs;
        parts += tree->level[i].parts;
    }
    text_add_format(out, LABEL "%s in %s file%s, ", "runs",
                    units_format_count(runs_text, runs),
                    units_format_count(parts_text, parts), units_plural(parts));
    text_add_format(out, "%s mapped: indexes %s, filters %s\n",
                    units_format_bytes(mapped, tree->mapped_bytes),
                    units_format_bytes(indexes, tree->index_bytes),
                    units_format_bytes(filters, tree->filter_bytes));
}

static void add_ingested(const cask_tree_stats *tree, text *out)
{
    char runs[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];

    if (tree->ingested_runs > 0) {
        text_add_format(out, LABEL "%s run%s of %s\n", "taken in",
                        units_format_count(runs, tree->ingested_runs),
                        units_plural(tree->ingested_runs),
                        units_format_bytes(bytes, tree->ingested_bytes));
    }
}

static void add_values(const cask_tree_stats *tree, text *out)
{
    char files[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];
    uint64_t live;

    if (tree->values_files == 0) {
        return;
    }
    live = tree->values_bytes > 0
               ? (uint64_t)(100 * (double)tree->values_named_bytes /
                            (double)tree->values_bytes)
               : 0;
    text_add_format(out, LABEL "%s apart in %s file%s, %" PRIu64 " %% live\n",
                    "values", units_format_bytes(bytes, tree->values_bytes),
                    units_format_count(files, tree->values_files),
                    units_plural(tree->values_files), live);
}

static void add_debt(const cask_tree_stats *tree, text *out)
{
    char debt[UNITS_TEXT_SIZE];
    char due[UNITS_TEXT_SIZE];
    char delay[UNITS_TEXT_SIZE];

    text_add_format(out, LABEL "%s above the last level, %s due now\n",
                    "to compact", units_format_bytes(debt, tree->debt_bytes),
                    units_format_bytes(due, tree->due_bytes));
    if (tree->delay_us < 1000) {
        text_add_format(out, LABEL "do not wait\n", "writers");
    } else {
        text_add_format(out, LABEL "wait %s after each 256 KiB\n", "writers",
                        units_format_ns(delay, tree->delay_us * 1000));
    }
}

static void add_levels(const cask_tree_stats *tree, text *out)
{
    char bytes[UNITS_TEXT_SIZE];
    char records[UNITS_TEXT_SIZE];
    char tombstones[UNITS_TEXT_SIZE];

    text_add_format(out, "\n%-9s  %6s  %6s  %9s  %13s  %11s\n", "level", "runs",
                    "parts", "bytes", "records", "tombstones");
    for (size_t i = 0; i < CASK_TREE_LEVELS; i++) {
        const cask_tree_level *row = &tree->level[i];

        if (row->runs > 0) {
            text_add_format(
                out, "%-9zu  %6" PRIu64 "  %6" PRIu64 "  %9s  %13s  %11s\n", i,
                row->runs, row->parts, units_format_bytes(bytes, row->bytes),
                units_format_count(records, row->records),
                units_format_count(tombstones, row->tombstones));
        }
    }
    for (uint32_t i = 0; i < tree->memtable_count; i++) {
        const cask_tree_memtable *row = &tree->memtable[i];

        text_add_format(out, "%-9s  %6s  %6s  %9s  %13s  %s\n", "memtable", "",
                        "", units_format_bytes(bytes, row->memory_bytes),
                        units_format_count(records, row->records),
                        row->frozen ? "waits to be flushed" : "");
    }
}

void stat_tree_text(const stat_sample *now, text *out)
{
    add_memtables(&now->tree, out);
    add_runs(&now->tree, out);
    add_ingested(&now->tree, out);
    add_values(&now->tree, out);
    add_debt(&now->tree, out);
    add_levels(&now->tree, out);
}

void stat_tree_flushes_text(const stat_sample *now, text *out)
{
    const cask_tree_stats *tree = &now->tree;

    for (size_t i = 0; i < tree->past_count && i < FLUSHES_SHOWN; i++) {
        if (i == 0) {
            text_add_format(out, "\n%9s  %9s  %-13s  %9s  %9s  %9s  %s\n",
                            "flushed", "took", "table > files", "log",
                            "written", "freed", "reason");
        }
        stat_past_text(&tree->past[i], now->wall_ms, out);
    }
}

/* ---- JSON --------------------------------------------------------------- */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *levels_json(const cask_tree_stats *tree)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < CASK_TREE_LEVELS; i++) {
        const cask_tree_level *row = &tree->level[i];

        /* A failure leaves the array short, which no memory explains. */
        (void)json_array_append_new(
            rows,
            json_pack("{s:o, s:o, s:o, s:o, s:o}", "runs", number(row->runs),
                      "parts", number(row->parts), "bytes", number(row->bytes),
                      "records", number(row->records), "tombstones",
                      number(row->tombstones)));
    }
    return rows;
}

static json_t *memtables_json(const cask_tree_stats *tree)
{
    json_t *rows = json_array();

    for (uint32_t i = 0; i < tree->memtable_count; i++) {
        const cask_tree_memtable *row = &tree->memtable[i];

        (void)json_array_append_new(
            rows,
            json_pack("{s:o, s:o, s:o, s:b}", "records", number(row->records),
                      "memory_bytes", number(row->memory_bytes), "log_bytes",
                      number(row->log_bytes), "frozen", row->frozen));
    }
    return rows;
}

static json_t *flushes_json(const cask_tree_stats *tree)
{
    json_t *past = json_array();

    for (size_t i = 0; i < tree->past_count; i++) {
        (void)json_array_append_new(past, stat_past_json(&tree->past[i]));
    }
    return past;
}

json_t *stat_tree_json(const cask_tree_stats *tree)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, "
        "s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "level", levels_json(tree), "memtable", memtables_json(tree),
        "memtable_bytes", number(tree->memtable_bytes), "mapped_bytes",
        number(tree->mapped_bytes), "index_bytes", number(tree->index_bytes),
        "filter_bytes", number(tree->filter_bytes), "values_files",
        number(tree->values_files), "values_bytes", number(tree->values_bytes),
        "values_named_bytes", number(tree->values_named_bytes), "live_keys",
        number(tree->live_keys), "live_bytes", number(tree->live_bytes),
        "space_amplification", tree->space_amplification, "debt_bytes",
        number(tree->debt_bytes), "due_bytes", number(tree->due_bytes),
        "delay_us", number(tree->delay_us), "flush_ms", number(tree->flush_ms),
        "compact_ms", number(tree->compact_ms), "ingested_runs",
        number(tree->ingested_runs), "ingested_bytes",
        number(tree->ingested_bytes), "past", flushes_json(tree));
}
