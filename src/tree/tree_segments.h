/*
 * Segments of the log that nobody needs any more.
 */
#ifndef CASKADE_TREE_SEGMENTS_H
#define CASKADE_TREE_SEGMENTS_H

#include "store/store.h"

/*
 * Take all sealed segments out of the store whose records are in runs; their
 * files go when nobody reads them. The merge lock is held. CASK_OK;
 * CASK_NO_SPACE, CASK_IO, CASK_TIMEOUT: another time; CASK_POISONED.
 *
 * Cost: an edit of the MANIFEST, synced, for each.
 */
cask_status tree_segments_drop(store_handle *store, cask_error *err);

#endif
