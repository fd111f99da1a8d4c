/*
 * The gate that writers go through, see tree_gate.h.
 *
 *   close   nothing is written any more
 *   take    sequences go to runs; nobody sees them as long as the version that
 *           they come with is not published: the newest sequence that snapshots
 *           have is the one before, and who finds the version in MANIFEST
 *           leaves the runs out
 *   (the version is made durable and published: all see them)
 *   open
 *
 * A death between any two leaves the gate closed, and sequences that nothing
 * has, or a version that the next holder of the merge lock publishes.
 */
#include "tree/tree_gate.h"

#include <inttypes.h>

#include "log/record_format.h"
#include "store/store_write.h"
#include "tree/tree_tables.h"

static region_tree *tree_of(const store_handle *store)
{
    return &store->region.header->tree;
}

cask_status tree_gate_close(store_handle *store, cask_error *err)
{
    cask_status status = store_lock(store, err);

    if (status == CASK_OK) {
        /* Before it: whoever finds it closed has a look. */
        atomic_store(&tree_of(store)->settled, 0);
        atomic_store(&tree_of(store)->closed, 1);
        store_unlock(store);
    }
    return status;
}

cask_status tree_gate_take(store_handle *store, uint64_t count,
                           uint64_t *ret_before, cask_error *err)
{
    region_header *header = store->region.header;
    region_tree *tree = &header->tree;
    cask_status status = store_lock(store, err);
    uint64_t next;

    if (status != CASK_OK) {
        return status;
    }
    next = atomic_load(&header->next_sequence);
    if (next > RECORD_SEQUENCE_MAX || count > RECORD_SEQUENCE_MAX - next) {
        status = fail(err, CASK_INVALID, 0,
                      "%s: cannot give out %" PRIu64 " sequences from %" PRIu64
                      " on; build the runs with smaller ones",
                      store->path, count, next);
    } else {
        /* In this order: who looks after a death here goes by the next one
         * until `ingest_first` is there. */
        atomic_store(&tree->ingest_version, atomic_load(&tree->version) + 1);
        atomic_store(&tree->ingest_first, next);
        atomic_store(&header->next_sequence, next + count);
        *ret_before = next - 1;
    }
    store_unlock(store);
    return status;
}

/* What is in runs of a version that was published is durable, whether or not
 * the log ever had it. */
static void note_durable_locked(store_handle *store)
{
    region_commit *commit = &store->region.header->commit;
    uint64_t flushed = atomic_load(&tree_of(store)->flushed);

    if (atomic_load(&commit->durable_sequence) < flushed) {
        atomic_store(&commit->durable_sequence, flushed);
    }
}

cask_status tree_gate_open(store_handle *store, cask_error *err)
{
    region_tree *tree = tree_of(store);
    cask_status status;

    if (!tree_gate_is_closed(store)) {
        return CASK_OK;
    }
    status = store_lock(store, err);
    if (status == CASK_OK) {
        /* A key may have another record now, that no memtable has. */
        tree_tables_touch_locked(store);
        note_durable_locked(store);
        atomic_store(&tree->ingest_first, 0);
        atomic_store(&tree->closed, 0);
        store_unlock(store);
    }
    return status;
}
