/*
 * Building nodes: what is in a node is copied out, changed, and written to
 * memory of its own. Under the write lock.
 */
#ifndef CASKADE_MEMTABLE_BUILD_H
#define CASKADE_MEMTABLE_BUILD_H

#include "tree/memtable_search.h"

/* A node that is not in the region: entries of a leaf, in order, or fences of
 * an inner node with one child more. */
typedef struct memtable_draft {
    uint32_t level;
    uint32_t count;
    uint32_t skip;
    uint8_t prefix[MEMTABLE_PREFIX];
    uint64_t head[MEMTABLE_FENCES + 1];
    uint32_t place[MEMTABLE_FENCES + 1];
    uint64_t child[MEMTABLE_FENCES + 2];
} memtable_draft;

/* Copy the leaf, or an inner node, of a search. */
void draft_of_leaf(memtable_draft *draft, const memtable_search *s);
void draft_of_inner(memtable_draft *draft, const memtable_step *step);

/* Leave only the `count` items from `from` on, with the children at both of
 * their sides. */
void draft_cut(memtable_draft *draft, uint32_t from, uint32_t count);

/* Let the heads begin at a byte where they tell more keys apart. False if a
 * record cannot be read. */
bool draft_sharpen(memtable_draft *draft, const memtable_view *view);

/* Let all keys and this one share the prefix. */
void draft_widen(memtable_draft *draft, cask_slice key);

/* Write it. A reference to the node, 0 if there is no memory. */
uint64_t draft_write(const memtable_draft *draft, const memtable_view *view);

/* How many bytes of `key` are as in the node's prefix; at most all of it. */
uint32_t draft_shared(const memtable_draft *draft, cask_slice key);

#endif
