/*
 * Records of the log that could not be read when their memtable became a run:
 * MANIFEST has what is known of their keys, their segments stay, and reads of
 * keys that they may be of say so. See docs/decisions/0022-lost-records.md.
 */
#ifndef CASKADE_TREE_LOST_H
#define CASKADE_TREE_LOST_H

#include "iter/iter_input.h"
#include "tree/memtable_rest.h"
#include "tree/tree.h"

/* Lost records that one memtable is told to have, at most; more are one for
 * each segment, which any key may be of. */
enum { TREE_LOST_MOST = 1000 };

/*
 * Add what MANIFEST is to say of gaps in a memtable whose records are not newer
 * than `last`. Their segments are marked, so that they stay.
 *
 *   losts  of *count, to which they are added; free() it in any case
 *
 * Returns CASK_OK or CASK_NO_MEMORY.
 */
cask_status tree_lost_add(store_handle *store, const memtable_gap *gaps,
                          size_t gap_count, uint64_t last,
                          manifest_lost **losts, size_t *count,
                          cask_error *err);

/* A look-up in the runs of a version, which has found something or not. */
typedef struct tree_lost_wanted {
    cask_slice key;
    uint64_t sequence;  /* not newer than that */
    uint64_t found;     /* sequence of what was found; 0: nothing was */
    cask_buffer *value; /* NULL: not wanted */
} tree_lost_wanted;

/*
 * Whether a lost record may be newer than what was found.
 *
 * Returns CASK_NOT_FOUND: none is; CASK_OK: its file has been restored, and it
 * is what is wanted; CASK_CORRUPT: one may be; CASK_NO_MEMORY.
 */
cask_status tree_lost_look(store_handle *store, const version *pinned,
                           const tree_lost_wanted *wanted,
                           tree_found *ret_found, cask_error *err);

/* CASK_OK; CASK_CORRUPT: a lost record may have a key within the bounds, and be
 * seen as of `sequence`. */
cask_status tree_lost_check(const version *pinned, const iter_bounds *bounds,
                            uint64_t sequence, cask_error *err);

#endif
