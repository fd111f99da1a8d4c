/*
 * Compaction of a store's runs: what is due is done, one plan after the other,
 * by whoever holds the merge lock. Reads and writes go on meanwhile, and so do
 * flushes, between two records. Whoever dies, is cancelled or meets a full disk
 * loses the compaction in hand; the files of its outputs go at once, or with
 * the next turn.
 */
#ifndef CASKADE_TREE_COMPACT_H
#define CASKADE_TREE_COMPACT_H

#include "store/store.h"

/* Become the only one who changes the runs. What began by itself makes way.
 *
 *   patience_ms  to wait while another does; then CASK_BUSY
 */
cask_status tree_turn_lock(store_handle *store, uint64_t patience_ms,
                           cask_error *err);

/* Who asks, and for what. */
typedef struct tree_wish {
    bool is_asked; /* by the application: at any time, and the newest memtable
                      is flushed before */
    bool all;      /* everything becomes one run */
    uint64_t patience_ms; /* to wait while another merges; else CASK_BUSY */
} tree_wish;

/* What was done. */
typedef struct tree_merged {
    uint64_t compactions;
    uint64_t inputs, outputs; /* files that went, and that came */
    uint64_t bytes_read, bytes_written, bytes_freed;
    uint64_t records;            /* copied */
    uint64_t tombstones_dropped; /* they hid nothing any more */
} tree_merged;

/*
 * Flush, then compact until nothing is due; what begins by itself ends as soon
 * as somebody who asks for a merge waits.
 *
 *   ret_merged  also set on failure: what was completed
 *
 * Returns CASK_OK; CASK_BUSY; CASK_TIMEOUT: cancelled, or the window has
 * closed; CASK_CORRUPT: a run is damaged; statuses of tree_flush() and
 * compact_job_run().
 */
cask_status tree_compact(store_handle *store, tree_wish wish,
                         tree_merged *ret_merged, cask_error *err);

#endif
