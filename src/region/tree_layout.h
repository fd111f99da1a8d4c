/*
 * What a region knows of a tree. docs/format/region.md
 */
#ifndef CASKADE_TREE_LAYOUT_H
#define CASKADE_TREE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "region/merge_layout.h"

enum { REGION_TABLES = 4 /* memtables */ };

/* Records that a memtable holds. Written under the write lock. */
typedef struct region_table {
    _Atomic uint64_t first_sequence; /* 0: it is not in use */
    _Atomic uint64_t last_sequence;  /* 0: it may take more */
    _Atomic uint64_t log_bytes;      /* that it took, about; counts if it takes
                                        nothing more */
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
    /* 1: nobody writes, for runs are being taken in. Changed by the holder of
     * merge and write lock, and opened by whoever has the merge lock next. */
    _Atomic uint32_t closed;
    region_table table[REGION_TABLES];

    /* Write lock. */
    uint64_t applied_sequence; /* of the last record that a memtable took */
    /* What was moved when the end of the log was, up to this sequence, may be
     * read in the old segment as well, until it is flushed. */
    uint64_t moved_sequence;
    _Atomic uint64_t taken_bytes; /* of the log, that the newest memtable took;
                                     about */

    /* Bytes of all runs that were ever part of the tree; stored with
     * `version`. */
    _Atomic uint64_t run_bytes;

    /* Records of runs that are being taken in have the sequences from this one
     * on, and nobody sees them before `version` is `ingest_version`, see
     * region_tree_hidden_from(); 0: there are none. Write lock. */
    _Atomic uint64_t ingest_first;
    _Atomic uint64_t ingest_version;

    uint64_t memtable_bytes; /* the option of who made the region; 0: as the
                                setting says. Constant once created */
    _Atomic uint32_t merge_holder; /* process slot + 1 of the last that had the
                                      merge lock */

    /* Statistics, since the region was made. Merge lock. */
    alignas(64) _Atomic uint64_t flushes;
    _Atomic uint64_t flush_bytes_read; /* of the log */
    _Atomic uint64_t flush_bytes_written;
    _Atomic uint64_t flush_ms;
    _Atomic uint64_t compact_ms;
    _Atomic uint64_t flush_entries; /* flushes that ended, failed ones too */
    _Atomic uint64_t ingested_runs;
    _Atomic uint64_t ingested_bytes;
    region_merge_entry flush[REGION_MERGES]; /* of number n:
                                                n % REGION_MERGES */
} region_tree;

/*
 * The first sequence that nobody sees yet though it was given out; UINT64_MAX:
 * there is none. It changes with `version`, at one moment for all readers of
 * all processes. A version that MANIFEST has and that was not published may
 * have such records: whoever writes it may be dead.
 */
static inline uint64_t region_tree_hidden_from(const region_tree *tree)
{
    uint64_t published = atomic_load(&tree->version);
    uint64_t first = atomic_load(&tree->ingest_first);

    return first != 0 && published < atomic_load(&tree->ingest_version)
               ? first
               : UINT64_MAX;
}

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
