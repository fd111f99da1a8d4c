/*
 * A walk over the keys of a tree, as of a snapshot. Functions take an open
 * store and checked arguments; statuses are those of caskade.h.
 */
#ifndef CASKADE_TREE_ITERATOR_H
#define CASKADE_TREE_ITERATOR_H

#include "iter/iter_visible.h"
#include "store/store_snapshot.h"
#include "tree/tree_sources.h"

typedef struct tree_iterator_options {
    iter_bounds bounds; /* copied, like the prefix */
    cask_slice prefix;  /* data NULL: none */
    bool keys_only;
} tree_iterator_options;

/* For one thread at a time. */
typedef struct tree_iterator tree_iterator;

/*
 * Make an iterator, which is nowhere yet.
 *
 *   at  the moment; borrowed
 *
 * Returns CASK_OK; CASK_NO_MEMORY.
 */
cask_status tree_iterator_create(const store_snapshot *at,
                                 const tree_iterator_options *options,
                                 tree_iterator **ret_iterator, cask_error *err);

/* Accepts NULL. */
void tree_iterator_free(tree_iterator *iterator);

/* Let it look as of another snapshot; it is nowhere then. */
void tree_iterator_look_at(tree_iterator *iterator, const store_snapshot *at);

/*
 * As cask_iterator_seek(), cask_iterator_next(), cask_iterator_previous(). If a
 * record that the walk has passed over is damaged, that is told once, and the
 * walk is at that place: what it had found comes next.
 */
cask_status tree_iterator_seek(tree_iterator *iterator, cask_run_seek how,
                               cask_slice key, cask_entry *ret_entry,
                               cask_error *err);
cask_status tree_iterator_next(tree_iterator *iterator, cask_entry *ret_entry,
                               cask_error *err);
cask_status tree_iterator_previous(tree_iterator *iterator,
                                   cask_entry *ret_entry, cask_error *err);

typedef struct tree_walk {
    bool reverse;
    uint64_t limit; /* so many keys at most; 0: all */
    cask_fold_fn visit;
    void *context;
} tree_walk;

/*
 * Visit all keys. CASK_OK, also if visit() ended it; CASK_CORRUPT: all that can
 * be read was visited, unless nobody knows what can; else as
 * tree_iterator_seek().
 */
cask_status tree_iterator_walk(tree_iterator *iterator, const tree_walk *walk,
                               cask_error *err);

#endif
