/*
 * The background thread of a handle that writes to a tree: it flushes, and
 * compacts runs as the policy, or somebody who asked, wants it. Each
 * such handle has one; the merge lock lets one work at a time.
 */
#ifndef CASKADE_TREE_MERGER_H
#define CASKADE_TREE_MERGER_H

#include "store/store.h"

typedef struct tree_merger tree_merger;

/* CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status tree_merger_start(store_handle *store, tree_merger **ret_merger,
                              cask_error *err);

/* Wait for the end of what it does and free it; accepts NULL. */
void tree_merger_stop(tree_merger *take_merger);

/* In a child of fork(), where the thread is not: free it; accepts NULL. */
void tree_merger_forget(tree_merger *take_merger);

#endif
