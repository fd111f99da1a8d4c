/*
 * What the deletions of ranges in a memtable say that takes nothing more: those
 * that can be read of the log, and which are damaged there.
 */
#ifndef CASKADE_TREE_RANGES_REST_H
#define CASKADE_TREE_RANGES_REST_H

#include "iter/iter_ranges.h"
#include "tree/memtable_rest.h"
#include "tree/tree_ranges.h"

/* Start with {0}. */
typedef struct ranges_rest {
    iter_range *ranges; /* owned, ... */
    cask_buffer *bytes; /* ... as are their records, which they borrow, ... */
    size_t count;
    memtable_gap *gaps; /* ... and these; of no key anything is known */
    size_t gap_count;
    size_t rows; /* there is room for so many of each */
} ranges_rest;

/* Read all of them. CASK_OK; CASK_BUSY: the memtable is gone; CASK_IO;
 * CASK_NO_MEMORY. Free it in any case. */
cask_status ranges_rest_find(ranges_rest *rest, tree_ranges *all,
                             const memtable_view *view, cask_error *err);
void ranges_rest_free(ranges_rest *rest);

#endif
