/*
 * Statistics of a store of the tree engine.
 */
#include "db/db.h"
#include "tree/tree_stats.h"

static void add_past(const cask_db *db, cask_tree_stats *stats)
{
    merge_record records[REGION_MERGES];

    stats->past_count = merge_log_read_flushes(db->store, records);
    for (size_t i = 0; i < stats->past_count; i++) {
        stats->past[i] = db_past_merge(db, &records[i]);
    }
}

cask_status cask_tree_stat(cask_db *db, cask_tree_stats *ret_stats,
                           cask_error *err)
{
    cask_tree_stats stats;
    cask_status status = db_check(db, err);

    if (status == CASK_OK) {
        status = db_check_output(ret_stats, "ret_stats", err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (db->store->identity.engine != CASK_ENGINE_TREE) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: its engine, hash, has no levels; cask_stat() tells "
                    "all of it",
                    db->store->path);
    }
    status = tree_stats_find(db->store, &stats, err);
    if (status == CASK_OK) {
        add_past(db, &stats);
        *ret_stats = stats;
    }
    return status;
}
