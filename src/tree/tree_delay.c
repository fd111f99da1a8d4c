/*
 * How long writers wait is said by maintain/compaction_delay.h. Nobody waits
 * for compactions that will not come: without one under way, or with one that
 * was told to be slow, only what is in memory counts.
 */
#include "tree/tree_delay.h"

#include <stdlib.h>

#include "maintain/compaction_delay.h"
#include "store/store_merge.h"
#include "store/store_operation.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "tree/tree.h"
#include "tree/tree_plan.h"

static compaction_memory memory_of(const store_handle *store)
{
    const region_tree *tree = &store->region.header->tree;
    uint64_t each = store_memtable_bytes(store);
    unsigned count = region_tables_count(atomic_load(&tree->tables));

    return (compaction_memory){
        .used_bytes =
            (count > 0 ? count - 1 : 0) * each +
            atomic_load_explicit(&tree->taken_bytes, memory_order_relaxed),
        .limit_bytes = REGION_TABLES * each};
}

static bool counts_runs(store_handle *store)
{
    store_settings settings;

    if (!store_merge_is_under_way(store)) {
        return false;
    }
    store_settings_get(store, &settings);
    return settings.merge_rate_bytes == 0;
}

static double fullness_by_runs(store_handle *store,
                               const compaction_settings *settings,
                               const compaction_memory *memory)
{
    versions *all = tree_state_of(store)->versions;
    const version *pinned;
    compaction_part *parts;
    double fullness = 0;
    size_t count;

    if (version_pin(all, &pinned, NULL) != CASK_OK) {
        return 0; /* whoever reads is told why */
    }
    count = pinned->count - pinned->held;
    parts = calloc(count + 1, sizeof(*parts));
    if (parts != NULL) {
        compact_facts_sizes(pinned, parts);
        fullness = compaction_fullness(settings, memory, parts, count);
    }
    free(parts);
    version_unpin(all, pinned);
    return fullness;
}

uint64_t tree_delay_us(store_handle *store)
{
    const compaction_settings settings = tree_compaction_settings(store);
    const compaction_memory memory = memory_of(store);

    return compaction_delay_us(
        counts_runs(store) ? fullness_by_runs(store, &settings, &memory)
                           : compaction_fullness(&settings, &memory, NULL, 0));
}

bool tree_is_pressed(store_handle *store)
{
    const compaction_settings settings = tree_compaction_settings(store);
    const compaction_memory memory = memory_of(store);

    return compaction_is_pressing(
               fullness_by_runs(store, &settings, &memory)) ||
           store_is_disk_low(store);
}

static void wait(store_handle *store)
{
    uint64_t ms = tree_delay_us(store) / 1000;

    if (ms > 0) {
        store->os->ops->sleep_ms(store->os, ms);
    }
}

void tree_delay(store_handle *store)
{
    if (store_take_yield(store, COMPACTION_DELAY_BYTES)) {
        wait(store);
    }
}
