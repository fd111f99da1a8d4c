/*
 * What memtables look like in the region; docs/format/region.md.
 *
 *   reference    line of a node:32 | its generation:32; 0: none
 *   node word    count:16 | level:16 | generation:32; 0: the node is free
 *   short place  window:10 | offset in it / 8:21 | live:1
 *
 * A window is 16 MiB of a segment. A leaf has level 0 and `count` entries; an
 * inner node has `count` fences and one child more: child i + 1 begins with the
 * record of fence i, or would have.
 *
 * Memory order. What is published is stored with release order and loaded with
 * acquire order, so whoever sees an entry sees its record. All stores into
 * nodes have release order, because readers may still look at a node that is
 * used again: a reader that sees one of them sees, when it loads the node's
 * word afterwards, that the word is not the one it knew, since that was stored
 * before. Readers load with acquire order throughout, so that the word is
 * loaded last. Of a memtable as a whole `life` is what the word is of a node:
 * stored before any of its memory is given back, loaded after all else that
 * was read. Whatever that memory becomes is stored with release order (heap.h),
 * so that who sees it sees the other life. Stores whose order matters only to
 * the next owner of the write lock are kept in order by compiler fences: it
 * comes after the writer's death.
 */
#ifndef CASKADE_MEMTABLE_LAYOUT_H
#define CASKADE_MEMTABLE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region/place.h"
#include "region/region.h"
#include "tree/memtable.h"

enum {
    MEMTABLE_CHUNK_LINES = 1024, /* 64 KiB */
    MEMTABLE_CHUNKS = 4096,      /* of one memtable, at most */
    MEMTABLE_WINDOWS = 1024,     /* of one memtable, at most */
    MEMTABLE_WINDOW_BITS = 24,   /* a window's bytes */
    MEMTABLE_PREFIX = 48,        /* bytes that keys share and heads skip */
    MEMTABLE_FENCES = 255,       /* of an inner node */
    MEMTABLE_LEAF_LINES = 15,
    MEMTABLE_INNER_LINES = 81,
    MEMTABLE_LEVELS = 8,       /* more than fit into all chunks */
    MEMTABLE_FILTER_BITS = 10, /* for each expected entry */
    MEMTABLE_RANGE_BLOCKS = 256,
    MEMTABLE_BLOCK_LINES = 64,   /* 4 KiB */
    MEMTABLE_BLOCK_RANGES = 256, /* in a block */
    MEMTABLE_RANGES = MEMTABLE_RANGE_BLOCKS * MEMTABLE_BLOCK_RANGES
};

struct memtable {
    alignas(REGION_LINE) _Atomic uint64_t life; /* odd: in use */
    _Atomic uint64_t root;                      /* reference */
    _Atomic uint64_t entries;
    _Atomic uint32_t chunk_count;
    _Atomic uint32_t window_count;
    _Atomic uint64_t filter_lines; /* the first; constant while it lives */
    _Atomic uint64_t ranges;       /* rows in the blocks */
    uint64_t unused[2];

    /* For the writer. */
    alignas(REGION_LINE) uint64_t generation; /* last one given to a node */
    _Atomic uint64_t bump; /* lines used, counted through all chunks */
    uint64_t free_leaf;    /* lines of nodes, linked through `skip` */
    uint64_t free_inner;
    uint64_t begun_sequence; /* of the first of the entries added last, */
    uint64_t begun_entries;  /* `entries` before they were, */
    uint64_t begun_count;    /* and their number */
    uint64_t last_leaf;      /* reference of the rightmost leaf, if the last
                                entry went behind all others; 0: else, and while
                                nodes are replaced */

    /* Row:16, zeros, number of the window in its segment:6. */
    alignas(REGION_LINE) _Atomic uint32_t window[MEMTABLE_WINDOWS];
    _Atomic uint32_t chunk[MEMTABLE_CHUNKS];             /* lines */
    _Atomic uint32_t range_block[MEMTABLE_RANGE_BLOCKS]; /* lines; 0: none */
};

/* Of a block: a record that deletes a range. */
typedef struct memtable_range_row {
    _Atomic uint64_t sequence;
    _Atomic uint64_t place;
} memtable_range_row;

_Static_assert(sizeof(memtable_range_row) * MEMTABLE_BLOCK_RANGES ==
                   MEMTABLE_BLOCK_LINES * REGION_LINE,
               "a block is full lines");

/* What leaves and inner nodes begin with. */
typedef struct memtable_node {
    alignas(REGION_LINE) _Atomic uint64_t word;
    _Atomic uint64_t skip; /* bytes of all its keys that `prefix` has and heads
                              have not; of a free node: line of the next */
    _Atomic uint64_t prefix[MEMTABLE_PREFIX / 8];
} memtable_node;

typedef struct memtable_leaf {
    memtable_node node;
    /* Slots by order of their keys, a byte each; that of (count & 1) holds. */
    _Atomic uint64_t order[2][MEMTABLE_LEAF_SLOTS / 8];
    _Atomic uint32_t place[MEMTABLE_LEAF_SLOTS]; /* short */
    _Atomic uint64_t head[MEMTABLE_LEAF_SLOTS];
} memtable_leaf;

typedef struct memtable_inner {
    memtable_node node;
    _Atomic uint64_t head[MEMTABLE_FENCES + 1];
    _Atomic uint64_t child[MEMTABLE_FENCES + 1]; /* references */
    _Atomic uint32_t fence[MEMTABLE_FENCES + 1]; /* short places */
} memtable_inner;

_Static_assert(sizeof(memtable_leaf) == MEMTABLE_LEAF_LINES * REGION_LINE,
               "a leaf is full lines");
_Static_assert(sizeof(memtable_inner) == MEMTABLE_INNER_LINES * REGION_LINE,
               "an inner node is full lines");

/* ---- Words ---- */

static inline uint64_t memtable_load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline void memtable_set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* Of a word whose value leads nowhere. */
static inline uint32_t memtable_own(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint64_t reference_line(uint64_t reference)
{
    return reference & UINT32_MAX;
}

static inline uint64_t reference_generation(uint64_t reference)
{
    return reference >> 32;
}

static inline uint32_t node_count(uint64_t word)
{
    return (uint32_t)(word & UINT16_MAX);
}

static inline uint32_t node_level(uint64_t word)
{
    return (uint32_t)(word >> 16) & UINT16_MAX;
}

static inline uint64_t node_generation(uint64_t word)
{
    return word >> 32;
}

/* ---- Short places ---- */

static inline uint32_t window_key(uint64_t place)
{
    return (uint32_t)place_row(place) << 16 |
           (uint32_t)(place_offset(place) >> MEMTABLE_WINDOW_BITS);
}

static inline uint32_t short_make(uint32_t window, uint64_t place)
{
    uint64_t units =
        (place_offset(place) & ((UINT64_C(1) << MEMTABLE_WINDOW_BITS) - 1)) / 8;

    return window << 22 | (uint32_t)units << 1 | (place_is_live(place) ? 1 : 0);
}

static inline uint64_t short_place(const memtable *m, uint32_t stored)
{
    uint32_t window =
        atomic_load_explicit(&m->window[stored >> 22], memory_order_acquire);
    uint64_t offset = (uint64_t)(window & UINT16_MAX) << MEMTABLE_WINDOW_BITS |
                      (uint64_t)(stored >> 1 & ((1U << 21) - 1)) * 8;

    return place_make((uint16_t)(window >> 16), offset, PLACE_SIZE_MAX * 8,
                      (stored & 1) != 0);
}

/* The number of the window of a place, which is added if need be. The lock is
 * held. False: there is no room for it. (memtable_write.c) */
bool memtable_find_window(memtable *m, uint64_t place, uint32_t *ret_window);

/* ---- Memory ---- */

/* The memtable's line number `number`, counted through its chunks. */
static inline uint64_t memtable_line(const memtable *m, uint64_t number)
{
    return atomic_load_explicit(&m->chunk[number / MEMTABLE_CHUNK_LINES],
                                memory_order_relaxed) +
           number % MEMTABLE_CHUNK_LINES;
}

/* Take memory for a node of this level, with a generation of its own. Returns a
 * reference, 0 if there is no memory. (memtable.c) */
uint64_t memtable_take_node(const memtable_view *view, uint32_t level);

/* Take lines that go on being used until the memtable is freed, less than an
 * inner node has. The first, 0 if there is no memory. (memtable.c) */
uint64_t memtable_take_lines(const memtable_view *view, uint64_t lines);

/* A node that no word leads to any more may be used again. (memtable.c) */
void memtable_give_node(const memtable_view *view, uint64_t reference,
                        uint32_t level);

/* ---- Counting entries: see replace() in memtable_write.c ---- */

/* Before entries are added at once, whose sequences begin with this one. In
 * this order, or a sequence stands beside the numbers of others. */
static inline void memtable_begin_count(memtable *m, uint64_t sequence,
                                        uint64_t count)
{
    m->begun_sequence = 0;
    atomic_signal_fence(memory_order_seq_cst);
    m->begun_entries = atomic_load_explicit(&m->entries, memory_order_relaxed);
    m->begun_count = count;
    atomic_signal_fence(memory_order_seq_cst);
    m->begun_sequence = sequence;
    atomic_signal_fence(memory_order_seq_cst);
}

/* They are in their leaf. */
static inline void memtable_end_count(memtable *m)
{
    atomic_signal_fence(memory_order_seq_cst);
    memtable_set(&m->entries, m->begun_entries + m->begun_count);
}

/* Build a leaf without entries; a reference, or 0. (memtable_build.c) */
uint64_t memtable_build_empty(const memtable_view *view);

/* ---- The filter (memtable_filter.c) ---- */

void memtable_filter_add(const memtable_view *view, uint64_t hash);
/* Bring what that needs into the cache; no lock. */
void memtable_filter_prefetch(const memtable_view *view, uint64_t hash);
bool memtable_filter_has(const memtable_view *view, uint64_t hash);

#endif
