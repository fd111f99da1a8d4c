/*
 * What there is of a tree, and how much of that is live.
 */
#ifndef CASKADE_TREE_TREE_STATS_H
#define CASKADE_TREE_TREE_STATS_H

#include "store/store.h"

/* Fill all of it but the past flushes. Statuses and cost: cask_tree_stat(). */
cask_status tree_stats_find(store_handle *store, cask_tree_stats *ret_stats,
                            cask_error *err);

#endif
