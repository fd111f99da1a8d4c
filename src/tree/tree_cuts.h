/*
 * Keys at which a tree is cut into parts, of about as many bytes each, for
 * folds that several threads share.
 */
#ifndef CASKADE_TREE_CUTS_H
#define CASKADE_TREE_CUTS_H

#include "iter/iter_merge.h"
#include "store/store_snapshot.h"

/*
 * The keys of part `part` of `parts` of a snapshot's. Whatever is written or
 * compacted meanwhile, and by however many parts it is asked, it is cut at the
 * same keys as when it was asked first: the parts of one number have every key
 * once. They are borrowed until the snapshot is dropped.
 *
 *   ret_bounds  lower inclusive, upper exclusive; data NULL: none
 *   ret_empty   true: there are no such keys, and no bounds
 *
 * Returns CASK_OK; CASK_NO_MEMORY; statuses of version_pin().
 *
 * Cost: of the first part a look at some thousand records of runs, and at the
 * keys of memtables.
 */
cask_status tree_cuts_of(store_snapshot *snapshot, uint32_t part,
                         uint32_t parts, iter_bounds *ret_bounds,
                         bool *ret_empty, cask_error *err);

#endif
