/*
 * Ranges that are deleted in memtables, as one process has read them.
 *
 * A memtable lists where the records are. Each process reads them once, copies
 * what they say into a book, and arranges that, so that what hides a key is
 * found at once; when the list has grown it reads on. Readers pin a book as
 * they do versions (version.h); it is closed when its memtable has gone and
 * nobody has it.
 */
#ifndef CASKADE_TREE_RANGES_H
#define CASKADE_TREE_RANGES_H

#include "iter/iter_ranges.h"
#include "store/store.h"
#include "tree/memtable_ranges.h"

typedef struct tree_ranges tree_ranges; /* of a handle */

/* The ranges of one memtable, at least those that were listed when it was
 * pinned. */
typedef struct range_book range_book;

/* CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status tree_ranges_open(store_handle *store, tree_ranges **ret_ranges,
                             cask_error *err);

/* Nothing may be pinned any more; accepts NULL. */
void tree_ranges_close(tree_ranges *take_ranges);

/*
 * Borrow the ranges of a memtable, until tree_ranges_unpin().
 *
 *   ret_book  NULL: there are none
 *
 * Returns CASK_OK; CASK_BUSY: the memtable was freed, what it had is in a run
 * by now; CASK_CORRUPT: a record is damaged, and nobody knows what it deletes;
 * CASK_IO; CASK_NO_MEMORY.
 *
 * Cost: a load if there are none; else two atomic operations on this thread's
 * cache line, and what was listed since the last call is read.
 */
cask_status tree_ranges_pin(tree_ranges *self, const memtable_view *view,
                            const range_book **ret_book, cask_error *err);

/* By any thread; accepts NULL. */
void tree_ranges_unpin(tree_ranges *self, const range_book *book);

/* Read record `index` of a memtable's list; `bytes` gets a copy of it. Statuses
 * of tree_ranges_pin(). */
cask_status tree_ranges_read(tree_ranges *self, const memtable_view *view,
                             uint64_t index, cask_buffer *bytes,
                             cask_run_entry *ret_entry, cask_error *err);

/* Let go of what memtables that were freed had, if nobody reads it. */
void tree_ranges_let_go(tree_ranges *self);

/* How many ranges a book has; it may get more. */
size_t range_book_count(const range_book *book);

/* Its first `count` ranges; they borrow the book. */
void range_book_list(const range_book *book, size_t count,
                     iter_range *ret_ranges);

/* The newest sequence, up to `max_sequence`, of a memtable's ranges around
 * `key`; 0: there is none. Statuses of tree_ranges_pin(). Cost: O(log n). */
cask_status tree_ranges_find(tree_ranges *self, const memtable_view *view,
                             cask_slice key, uint64_t max_sequence,
                             uint64_t *ret_sequence, cask_error *err);

/* For a look-up: where nothing is deleted by range it is one load. */
static inline cask_status
tree_ranges_newest(tree_ranges *self, const memtable_view *view, cask_slice key,
                   uint64_t max_sequence, uint64_t *ret_sequence,
                   cask_error *err)
{
    *ret_sequence = 0;
    return memtable_range_count(view) == 0
               ? CASK_OK
               : tree_ranges_find(self, view, key, max_sequence, ret_sequence,
                                  err);
}

#endif
