/*
 * What a region knows of a tree. docs/format/region.md
 */
#ifndef CASKADE_TREE_LAYOUT_H
#define CASKADE_TREE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { REGION_TABLES = 4 /* memtables */ };

/* Records that a memtable holds. Written under the write lock. */
typedef struct region_table {
    _Atomic uint64_t first_sequence; /* 0: it is not in use */
    _Atomic uint64_t last_sequence;  /* 0: it may take more */
} region_table;

typedef struct region_tree {
    /* As MANIFEST has them, by the holder of merge and maintenance lock: stored
     * when they are durable, `version` last. Whoever finds another version
     * than its own loads MANIFEST. */
    alignas(64) _Atomic uint64_t version; /* 0: there was none yet */
    _Atomic uint64_t flushed;
    /* Memtables from the newest to the oldest, in one word; see below. */
    _Atomic uint64_t tables;
    /* 0: there may be files of runs that MANIFEST does not name, or a version
     * in MANIFEST that was not published; by the holder of the merge lock. */
    _Atomic uint32_t settled;
    uint32_t unused;
    region_table table[REGION_TABLES];

    /* Write lock. */
    uint64_t applied_sequence; /* of the last record that a memtable took */
    /* What was moved when the end of the log was, up to this sequence, may be
     * read in the old segment as well, until it is flushed. */
    uint64_t moved_sequence;
    _Atomic uint64_t taken_bytes; /* of the log, that the newest memtable took;
                                     about */
    uint64_t unused_words[5];
} region_tree;

/*
 * The word `tables`: count:8, then the index of each in use, newest first,
 * 4 x 8 bits, then the number of changes so far:24.
 */
static inline unsigned region_tables_count(uint64_t tables)
{
    return (unsigned)(tables & UINT8_MAX);
}

/* Index of number `i` from the newest, less than the count. */
static inline unsigned region_tables_at(uint64_t tables, unsigned i)
{
    return (unsigned)(tables >> (8 + 8 * i)) & UINT8_MAX;
}

static inline uint64_t region_tables_make(uint64_t count, uint64_t indexes,
                                          uint64_t change)
{
    return count | indexes << 8 | change << 40;
}

/* Before the others; there is room for one more. */
static inline uint64_t region_tables_push(uint64_t tables, unsigned index)
{
    uint64_t indexes = tables >> 8 & UINT32_MAX;

    return region_tables_make(region_tables_count(tables) + 1,
                              (indexes << 8 & UINT32_MAX) | index,
                              (tables >> 40) + 1);
}

/* Without the oldest, of which there is one. */
static inline uint64_t region_tables_drop_oldest(uint64_t tables)
{
    unsigned count = region_tables_count(tables) - 1;
    uint64_t kept = (UINT64_C(1) << 8 * count) - 1;

    return region_tables_make(count, tables >> 8 & kept, (tables >> 40) + 1);
}

#endif
