/*
 * The way from the root of a memtable to a position in a leaf, for readers and
 * the writer alike.
 */
#ifndef CASKADE_MEMTABLE_SEARCH_H
#define CASKADE_MEMTABLE_SEARCH_H

#include "base/bytes.h"
#include "tree/memtable_layout.h"

/* Where a search went through. */
typedef struct memtable_step {
    memtable_inner *inner;
    uint64_t reference;
    uint32_t count; /* fences */
    uint32_t index; /* of the child that was taken */
} memtable_step;

typedef struct memtable_search {
    const memtable_view *view;

    /* What is looked for: the first entry behind all that are before this one,
     * or, `after`, behind it, too. */
    cask_slice key;
    uint64_t sequence;
    bool after;

    bool unreadable; /* a record could not be read: the position is wrong */
    bool is_tied;    /* the entry at the position may have the key */
    uint32_t compared_place; /* short; of the last record that was compared; */
    memtable_entry compared; /* valid if is_tied */

    uint32_t depth;
    memtable_step path[MEMTABLE_LEVELS];

    memtable_leaf *leaf;
    uint64_t reference; /* of the leaf */
    uint32_t count;     /* its entries */
    uint32_t position;  /* 0 .. count */
    alignas(8) uint8_t order[MEMTABLE_LEAF_SLOTS];
} memtable_search;

typedef enum memtable_way {
    WAY_BY_KEY = 0,
    WAY_FIRST = 1, /* the leftmost leaf */
    WAY_LAST = 2   /* the rightmost leaf */
} memtable_way;

typedef enum memtable_step_result {
    STEP_OK = 0,
    STEP_CHANGED = 1, /* a node was replaced meanwhile: begin again */
    STEP_END = 2      /* there is no further leaf */
} memtable_step_result;

/* Find a leaf, and the position in it: by the key; or its beginning; or its
 * end. */
memtable_step_result search_from_root(memtable_search *s, memtable_way way);

/* Go to the leaf after it, or before it, and the key's position in that. */
memtable_step_result search_sibling(memtable_search *s, bool before);

/*
 * Whether a key belongs behind all entries of a leaf, which has some and is not
 * full, as far as heads tell. False also if the reference leads to no leaf.
 */
bool search_is_behind(const memtable_view *view, cask_slice key,
                      uint64_t reference, memtable_leaf **ret_leaf,
                      uint32_t *ret_count);

/* Whether the leaf was not used again: what was read of it until now holds. */
static inline bool search_is_current(const memtable_search *s)
{
    return node_generation(memtable_load(&s->leaf->node.word)) ==
           reference_generation(s->reference);
}

/* The short place of the entry at an index of the leaf. */
static inline uint32_t search_place(const memtable_search *s, uint32_t index)
{
    return atomic_load_explicit(&s->leaf->place[s->order[index]],
                                memory_order_acquire);
}

/*
 * About how many entries are of keys before `key`: as if all nodes side by side
 * had as many. Results as of memtable_find(); MEMTABLE_FOUND: it is set.
 * (memtable_read.c)
 */
memtable_result memtable_rank(const memtable_view *view, cask_slice key,
                              uint64_t *ret_rank);

/* Read the record of an entry. */
bool memtable_read(const memtable_view *view, uint32_t stored,
                   memtable_entry *ret_entry);

/* Whether a record that has another key than is looked for may be believed. */
static inline bool memtable_verify(const memtable_view *view, uint64_t place)
{
    return view->log->verify == NULL ||
           view->log->verify(view->log->context, place);
}

/* The eight bytes of a key behind the first `skip`, zeros behind its end: as
 * numbers they are ordered like the keys, but for ties. */
static inline uint64_t memtable_head(cask_slice key, size_t skip)
{
    const uint8_t *bytes = key.data;
    uint64_t head = 0;

    if (key.size >= skip + 8) {
        return __builtin_bswap64(load_u64(bytes + skip));
    }
    for (size_t i = skip; i < key.size; i++) {
        head |= (uint64_t)bytes[i] << (56 - 8 * (i - skip));
    }
    return head;
}

/* memcmp() of a key and the prefix of a node; 0 if it begins with it. */
static inline int memtable_compare_prefix(const memtable_node *node,
                                          cask_slice key, uint32_t *ret_skip)
{
    uint64_t skip = memtable_load(&node->skip);

    skip = skip < MEMTABLE_PREFIX ? skip : MEMTABLE_PREFIX;
    *ret_skip = (uint32_t)skip;
    for (uint64_t i = 0; i < skip; i += 8) {
        uint64_t mask =
            skip - i >= 8 ? UINT64_MAX : ~(UINT64_MAX >> (8 * (skip - i)));
        uint64_t mine = memtable_head(key, i) & mask;
        uint64_t theirs =
            __builtin_bswap64(memtable_load(&node->prefix[i / 8])) & mask;

        if (mine != theirs) {
            return mine < theirs ? -1 : 1;
        }
    }
    return key.size < skip ? -1 : 0; /* it ends where theirs has zeros */
}

#endif
