/*
 * What a store of the tree engine has, does and did. A part of caskade.h, which
 * includes it, and whose conventions hold.
 */
#ifndef CASKADE_TREE_STATS_H
#define CASKADE_TREE_STATS_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CASK_TREE_LEVELS 8
#define CASK_TREE_MEMTABLES 4

/* Level 0 has what was flushed; the last one is the deepest, and has the oldest
 * records. */
typedef struct cask_tree_level {
    uint64_t runs;       /* each is sorted, and has one part or more */
    uint64_t parts;      /* files */
    uint64_t bytes;      /* of these */
    uint64_t records;    /* in them, of all kinds and versions */
    uint64_t tombstones; /* of these; deletions of ranges, too */
} cask_tree_level;

typedef struct cask_tree_memtable {
    uint64_t records;      /* in it: keys, deleted ones too, and further
                              versions that snapshots see */
    uint64_t memory_bytes; /* of the region that it takes */
    uint64_t log_bytes;    /* of the log that went into it, about */
    bool frozen;           /* takes nothing more, and waits to be flushed */
} cask_tree_memtable;

typedef struct cask_tree_stats {
    cask_tree_level level[CASK_TREE_LEVELS];

    /* Those in use, the newest first. */
    cask_tree_memtable memtable[CASK_TREE_MEMTABLES];
    uint32_t memtable_count;
    uint64_t memtable_bytes; /* of the log, after which this handle freezes
                                one: the option */

    /* Memory. Memtables are in the region, whose size cask_stats tells; files
     * of runs are mapped, so that the system may take their memory back. */
    uint64_t mapped_bytes; /* files of runs that this handle has open, those
                              of `level` */
    uint64_t index_bytes;  /* of these, what gets look at first: indexes, */
    uint64_t filter_bytes; /* and filters */

    /* Values that are written apart from the runs (value_separation_bytes). */
    uint64_t values_files;
    uint64_t values_bytes;       /* of these files, mapped, too */
    uint64_t values_named_bytes; /* of these, that runs name: what they do not
                                    is dead. About */

    /* Estimates: some hundred records of the runs are looked up, whether they
     * are the newest of their keys. All records of memtables count as live. */
    uint64_t live_keys;
    uint64_t live_bytes;        /* of records */
    double space_amplification; /* bytes of all files for each of these;
                                   0: there are none */

    /* What compactions have before them. */
    uint64_t debt_bytes; /* of runs that are to be written to a deeper level
                            yet; with tiered 0 */
    uint64_t due_bytes;  /* that the compaction reads which is due now; 0: none
                            is, cask_merge_state.reason tells why */
    uint64_t delay_us;   /* that a writer waits now, after each 256 KiB */

    /* Since the region was made, over all processes. */
    uint64_t flushes;                               /* done */
    uint64_t flush_bytes_read, flush_bytes_written; /* of the log, about; of
                                                       runs */
    uint64_t flush_ms;                              /* that they took */
    uint64_t compact_ms; /* that compactions took, which cask_merge_status()
                            counts */
    uint64_t ingested_runs, ingested_bytes; /* by cask_ingest() */
    /* The last ones, failed ones too; the newest first. `reason` is "a memtable
     * is full" of all. */
    size_t past_count;
    cask_past_merge past[CASK_PAST_MERGES];
} cask_tree_stats;

/*
 * Fill `ret_stats`. Bytes written in the store's whole life are in
 * cask_stat(): log_bytes, and merge_bytes of flushes and compactions.
 *
 * Returns CASK_OK; CASK_UNSUPPORTED: the store's engine is hash; CASK_CORRUPT,
 * CASK_TIMEOUT, CASK_IO (runs or MANIFEST cannot be read); CASK_NO_MEMORY;
 * CASK_INVALID; CASK_FORKED.
 *
 * Cost: O(n log n) for n files of runs, and some hundred look-ups, each of
 * which may read the disk once.
 */
CASK_API CASK_CHECKED cask_status cask_tree_stat(cask_db *db,
                                                 cask_tree_stats *ret_stats,
                                                 cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
