/*
 * What a tree is at one moment: memtables and sorted runs, as inputs of a
 * merge, and the ranges that are deleted.
 */
#ifndef CASKADE_TREE_SOURCES_H
#define CASKADE_TREE_SOURCES_H

#include "iter/iter_ranges.h"
#include "tree/memtable_input.h"
#include "tree/run_input.h"
#include "tree/tree_ranges.h"
#include "tree/tree_tables.h"
#include "tree/version.h"

/* Which records are wanted; all borrowed as long as the sources are used. */
typedef struct tree_wanted {
    uint64_t sequence;  /* those up to it; a registered snapshot's, or of a time
                           when nobody writes */
    iter_bounds bounds; /* runs without keys there are left out */
    cask_slice prefix;  /* the same, of those whose filter says so; empty: none
                           is */
    const run_passing *passing; /* of damaged records of runs; NULL: they end a
                                   walk */
} tree_wanted;

/* Ranges that are deleted in a memtable. */
typedef struct tree_book {
    const range_book *book; /* pinned; NULL: there are none */
    size_t count;           /* of its ranges, the first ones */
} tree_book;

/* Must not be moved once it is open. For one thread at a time. */
typedef struct tree_sources {
    store_handle *store;
    tree_tables tables;
    memtable_records records;
    memtable_input table_inputs[MEMTABLES];
    tree_book books[MEMTABLES]; /* of the same memtables */
    const version *version;     /* pinned */
    run_part *parts;            /* owned, like all arrays here */
    run_input *runs;            /* one for each sorted run */
    iter_input *inputs;         /* memtables first, the newest to the oldest */
    size_t input_count;
    iter_ranges *ranges; /* at the sequence alone; NULL: there are none */
} tree_sources;

/*
 * Find what has all records that are wanted.
 *
 * Returns CASK_OK; CASK_NO_MEMORY; CASK_CORRUPT: a run that may have such
 * records is broken; what version_pin() returns. Close it in any case.
 */
cask_status tree_sources_open(store_handle *store, const tree_wanted *wanted,
                              tree_sources *ret_sources, cask_error *err);

/* Accepts one that is {0}. */
void tree_sources_close(tree_sources *sources);

/* Whether a memtable of them was freed: an input told so, or will. All that it
 * had is in a newer version, and sources must be opened anew. */
bool tree_sources_are_gone(const tree_sources *sources);

#endif
