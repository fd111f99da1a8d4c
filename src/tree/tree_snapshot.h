/*
 * The tree engine as of a snapshot. Any number of threads at once; writers,
 * flushes and compactions never wait for it.
 */
#ifndef CASKADE_TREE_SNAPSHOT_H
#define CASKADE_TREE_SNAPSHOT_H

#include "store/store_snapshot.h"

/* ---- Looking up (tree_read.c) ---- */

/* cask_snapshot_get() and cask_snapshot_exists(), `value` being NULL. */
cask_status tree_snapshot_get(const store_snapshot *snapshot, cask_slice key,
                              cask_buffer *value, cask_info *ret_info,
                              cask_error *err);

/* The sequence of the newest record of a key, dead or alive, which is no get
 * that is counted. CASK_NOT_FOUND: there is none. */
cask_status tree_snapshot_find(const store_snapshot *snapshot, cask_slice key,
                               uint64_t *ret_sequence, cask_error *err);

/* As tree_snapshot_get() for many keys; statuses one by one. */
cask_status tree_snapshot_get_many(const store_snapshot *snapshot,
                                   const cask_slice *keys, size_t count,
                                   cask_buffer *values, cask_status *statuses,
                                   cask_error *err);

/* ---- All keys (tree_snapshot.c) ---- */

/* How many keys there are; each is looked at. */
cask_status tree_snapshot_count(const store_snapshot *snapshot,
                                uint64_t *ret_count, cask_error *err);

/* The same of a snapshot that is made for the call. */
cask_status tree_count(store_handle *store, uint64_t *ret_count,
                       cask_error *err);

/* Visit every key in order, or those of a part; see cask_snapshot_fold(). */
cask_status tree_snapshot_fold(store_snapshot *snapshot,
                               const cask_fold_options *options,
                               cask_fold_fn visit, void *context,
                               cask_error *err);

#endif
