/*
 * Statistics of a tree. Sizes are sums of what footers and memtables say. How
 * much is live nobody counts: records at places that are spread evenly over all
 * runs are looked up by their keys, and a record that is found is live.
 */
#include "tree/tree_stats.h"

#include "run/run_pointer.h"
#include "store/store_merge.h"
#include "tree/tree.h"
#include "tree/tree_delay.h"
#include "tree/tree_plan.h"
#include "tree/tree_tables.h"

_Static_assert(CASK_TREE_LEVELS == (int)COMPACTION_LEVELS &&
                   CASK_TREE_MEMTABLES == (int)MEMTABLES,
               "the API has room for all");

/* With so many a half that is live is told as 0.47 to 0.53, mostly. */
enum { SAMPLES = 256 };

/* ---- Levels ---- */

static void add_levels(const version *all, cask_tree_stats *stats)
{
    for (size_t i = 0; i < all->count; i++) {
        const version_run *run = &all->runs[i];
        const run_footer *footer = &run->file->footer;
        cask_tree_level *level = &stats->level[run->level];

        level->parts++;
        level->bytes += run->file->size;
        level->records += footer->records;
        level->tombstones += footer->tombstones + footer->ranges;
        stats->mapped_bytes += run->file->size;
        stats->index_bytes += (uint64_t)footer->index_lines * RUN_LINE_SIZE;
        stats->filter_bytes +=
            ((uint64_t)footer->filter_lines + footer->prefix_lines) *
            RUN_LINE_SIZE;
    }
    for (size_t i = 0; i < all->group_count; i++) {
        stats->level[all->groups[i].parts[0].level].runs++;
    }
}

static void add_values(const tree_plan *plan, cask_tree_stats *stats)
{
    const version *all = plan->pinned;

    for (size_t i = 0; i < all->values_count; i++) {
        uint64_t bytes =
            all->values[i].file != NULL ? all->values[i].file->size : 0;
        uint64_t named = plan->facts.values.named_bytes[i];

        stats->values_files++;
        stats->values_bytes += bytes;
        stats->values_named_bytes += named < bytes ? named : bytes;
    }
}

/* ---- Memtables ---- */

/* Records of the log for each that is in the memtable; of the newest they are
 * counted up to now. */
static uint64_t records_written(const store_handle *store, unsigned index)
{
    const region_tree *tree = &store->region.header->tree;
    const region_table *table = &tree->table[index];
    uint64_t first = atomic_load(&table->first_sequence);
    uint64_t last = atomic_load(&table->last_sequence);

    last = last != 0 ? last
                     : atomic_load(&store->region.header->next_sequence) - 1;
    return first != 0 && last >= first ? last - first + 1 : 0;
}

static void add_tables(store_handle *store, cask_tree_stats *stats)
{
    const region_tree *tree = &store->region.header->tree;
    tree_tables tables;

    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    stats->memtable_count = tables.count;
    stats->memtable_bytes = store_memtable_bytes(store);
    for (unsigned i = 0; i < tables.count; i++) {
        unsigned index = region_tables_at(tables.word, i);
        uint64_t written = records_written(store, index);
        cask_tree_memtable *table = &stats->memtable[i];

        *table = (cask_tree_memtable){
            .records = memtable_count(&tables.view[i]),
            .memory_bytes = memtable_bytes(&tables.view[i]),
            .log_bytes = i == 0 ? atomic_load(&tree->taken_bytes)
                                : atomic_load(&tree->table[index].log_bytes),
            .frozen = i > 0};
        stats->live_keys += table->records;
        if (written > 0) {
            stats->live_bytes +=
                (uint64_t)((double)table->log_bytes / (double)written *
                           (double)table->records);
        }
    }
}

/* ---- How much is live ---- */

static bool is_newest(store_handle *store, const version_run *run,
                      const run_record *record)
{
    cask_slice key = run_record_key(record);
    siphash_value hash = tree_hash(store, key);
    tree_found found = {.is_put = false};

    return key_compare(key, run->begin) >= 0 &&
           tree_find(store, key, hash, NULL, &found, NULL) == CASK_OK &&
           found.info.sequence ==
               record->header.sequence + run->file->added_sequence &&
           tree_is_live(store, &found);
}

static void look_at(store_handle *store, const version_run *run,
                    uint64_t samples, cask_tree_stats *stats)
{
    const run_footer *footer = &run->file->footer;
    uint64_t count = samples < footer->fences ? samples : footer->fences;
    uint64_t looked = 0;
    uint64_t live = 0;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t fence = (2 * i + 1) * footer->fences / (2 * count);
        run_record record;

        /* What cannot be read is told by who reads it. */
        if (run_read_record(run->file,
                            run_fence_offset(run->file, (uint32_t)fence),
                            &record, NULL) == CASK_OK) {
            looked++;
            live += is_newest(store, run, &record) ? 1 : 0;
        }
    }
    if (looked > 0) {
        double share = (double)live / (double)looked;

        stats->live_keys += (uint64_t)((double)footer->records * share);
        stats->live_bytes +=
            (uint64_t)((double)(footer->length - SEGMENT_HEADER_SIZE +
                                run_named_bytes(run->file)) *
                       share);
    }
}

static void add_live(store_handle *store, const version *all,
                     cask_tree_stats *stats)
{
    for (size_t i = 0; i < all->count && stats->mapped_bytes > 0; i++) {
        const version_run *run = &all->runs[i];
        double share = (double)run->file->size / (double)stats->mapped_bytes;

        look_at(store, run, 1 + (uint64_t)(SAMPLES * share), stats);
    }
}

static cask_status add_space(store_handle *store, cask_tree_stats *stats,
                             cask_error *err)
{
    cask_status status =
        store->has_slot ? store_lock_always(store, err) : CASK_OK;
    uint64_t bytes;

    if (status != CASK_OK) {
        return status;
    }
    bytes = stats->mapped_bytes + stats->values_bytes +
            store_space_locked(store, NULL).total_bytes;
    if (store->has_slot) {
        store_unlock(store);
    }
    if (stats->live_bytes > 0) {
        stats->space_amplification = (double)bytes / (double)stats->live_bytes;
    }
    return CASK_OK;
}

/* ---- What goes on ---- */

static void add_counters(const store_handle *store, cask_tree_stats *stats)
{
    const region_tree *tree = &store->region.header->tree;

    stats->flushes = atomic_load(&tree->flushes);
    stats->flush_bytes_read = atomic_load(&tree->flush_bytes_read);
    stats->flush_bytes_written = atomic_load(&tree->flush_bytes_written);
    stats->flush_ms = atomic_load(&tree->flush_ms);
    stats->compact_ms = atomic_load(&tree->compact_ms);
    stats->ingested_runs = atomic_load(&tree->ingested_runs);
    stats->ingested_bytes = atomic_load(&tree->ingested_bytes);
}

static void add_debt(store_handle *store, const tree_plan *plan,
                     cask_tree_stats *stats)
{
    const compaction_settings settings = tree_compaction_settings(store);

    for (int i = 0; i < COMPACTION_LAST; i++) {
        if (settings.strategy != COMPACTION_TIERED) {
            stats->debt_bytes += stats->level[i].bytes;
        }
    }
    if (plan->plan.count > 0 && !plan->plan.is_move) {
        stats->due_bytes = plan->plan.read_bytes;
    }
    stats->delay_us = tree_delay_us(store);
}

cask_status tree_stats_find(store_handle *store, cask_tree_stats *ret_stats,
                            cask_error *err)
{
    cask_tree_stats stats = {.memtable_count = 0};
    tree_plan plan = {.pinned = NULL};
    cask_status status;

    /* What leaves the memtables meanwhile is in the runs: counted twice, not
     * left out. */
    add_tables(store, &stats);
    status = tree_plan_make(store, false, NULL, &plan, err);
    if (status == CASK_OK) {
        add_levels(plan.pinned, &stats);
        add_values(&plan, &stats);
        add_live(store, plan.pinned, &stats);
        add_debt(store, &plan, &stats);
        add_counters(store, &stats);
        status = add_space(store, &stats, err);
    }
    tree_plan_free(store, &plan);
    if (status == CASK_OK) {
        *ret_stats = stats;
    }
    return status;
}
