/*
 * The gate that writers go through. While runs are taken in it is closed: all
 * that was written is flushed, and then they get the next sequences, so that no
 * memtable and no segment has records from before and behind them. Writers wait
 * outside of all locks, as they do for a memtable.
 *
 * The merge lock is held by who closes it. If he dies, whoever has that lock
 * next opens it, see version_settle(); a writer that waits does so himself.
 */
#ifndef CASKADE_TREE_GATE_H
#define CASKADE_TREE_GATE_H

#include "store/store.h"

/* Whether writers are to wait. Under the write lock it stays as it is. */
static inline bool tree_gate_is_closed(const store_handle *store)
{
    return atomic_load_explicit(&store->region.header->tree.closed,
                                memory_order_relaxed) != 0;
}

/* Close it. Statuses of store_lock(). */
cask_status tree_gate_close(store_handle *store, cask_error *err);

/*
 * Take `count` sequences that follow all that was written, for runs that the
 * next version of the tree has; until that is published all read as if it had
 * not been done. The gate is closed.
 *
 *   ret_before  the sequence before them
 *
 * CASK_OK; CASK_INVALID: there are not so many; statuses of store_lock().
 */
cask_status tree_gate_take(store_handle *store, uint64_t count,
                           uint64_t *ret_before, cask_error *err);

/* Open it, whatever was done meanwhile; nothing if it is open. Statuses of
 * store_lock(): then it is still closed. */
cask_status tree_gate_open(store_handle *store, cask_error *err);

#endif
