/*
 * Flushing: a memtable that takes nothing more is written as a run of level 0;
 * then it goes, and the segments go whose records are all in runs.
 *
 *   sync    the log
 *   write   a run, durable before anything names it
 *   apply   it becomes part of the tree: region_tree.flushed is published
 *   drop    the memtable leaves the list, and is freed
 *   remove  segments leave the MANIFEST, and then the disk
 *
 * Who flushes may die at any instruction; whoever has the merge lock next does
 * the rest: what is up to `flushed` needs no memtable and no segment.
 */
#ifndef CASKADE_TREE_FLUSH_H
#define CASKADE_TREE_FLUSH_H

#include "store/store.h"

/*
 * Complete what a process that died had begun, and flush all memtables that
 * take nothing more.
 *
 *   all  the newest one, too, if it has records: another takes its place
 *
 * Returns CASK_OK; CASK_BUSY: another process flushes or merges; CASK_CORRUPT:
 * a record of the log is damaged; CASK_NO_SPACE; CASK_IO; CASK_NO_MEMORY;
 * CASK_TIMEOUT; CASK_POISONED: the rest comes with the next flush.
 */
cask_status tree_flush(store_handle *store, bool all, cask_error *err);

/* The same for who has the merge lock. */
cask_status tree_flush_held(store_handle *store, bool all, cask_error *err);

/* In the midst of a turn, which has files of runs that MANIFEST does not name
 * yet: flush the memtables that take nothing more, and settle nothing. */
cask_status tree_flush_meanwhile(store_handle *store, cask_error *err);

/* Likewise, and the newest memtable, too, if it has records. */
cask_status tree_flush_newest(store_handle *store, cask_error *err);

/* Whether there is something to be flushed, or one who died may have left
 * something. */
bool tree_flush_is_due(const store_handle *store);

/* Wait, without any lock, until a writer can begin a memtable, and the gate is
 * open; flush, if nobody does. CASK_OK; CASK_TIMEOUT (lock_timeout_ms);
 * CASK_NO_SPACE. */
cask_status tree_flush_wait(store_handle *store, cask_error *err);

#endif
