/*
 * The works, one figure each, in the order of the report.
 */
#ifndef BENCH_WORK_LIST_H
#define BENCH_WORK_LIST_H

typedef enum bench_unit {
    UNIT_RATE, /* operations or keys per second */
    UNIT_MB_S, /* of these two more is better, of all others less */
    UNIT_US,
    UNIT_MS,
    UNIT_BYTES_PER_KEY,
    UNIT_MB,
    UNIT_FACTOR
} bench_unit;

/* X(name, text, unit, description) */
#define WORK_LIST(X)                                                           \
    X(FILL_ORDER, "fill-order", RATE, "put new keys in ascending order")       \
    X(FILL_RANDOM, "fill-random", RATE, "put new keys in random order")        \
    X(BATCH_PUT, "batch-put", RATE, "put new keys, random, 100 in a batch")    \
    X(OVERWRITE, "overwrite", RATE, "put every key once more")                 \
    X(DELETE, "delete", RATE, "delete every key")                              \
    X(GET, "get", RATE, "get every key in another random order")               \
    X(GET_MISSING, "get-missing", RATE, "get keys that are not there")         \
    X(GET_MANY, "get-many", RATE, "get 16 keys at a time; per key")            \
    X(GET_2_THREADS, "get-2-threads", RATE, "get by two threads, sum")         \
    X(GET_1_PROCESS, "get-1-process", RATE, "get by one new process")          \
    X(GET_2_PROCESSES, "get-2-processes", RATE, "get by two new, sum")         \
    X(SYNCED_1, "synced-1", RATE, "put, synced, by one process")               \
    X(SYNCED_16, "synced-16", RATE, "put, synced, by 16 processes, sum")       \
    X(OPEN_FURTHER, "open-further", US, "open while another writer has it")    \
    X(FIRST_GET, "first-get", US, "the first get after that open")             \
    X(REOPEN, "reopen", RATE, "keys per second of an open after a close")      \
    X(REOPEN_MS, "reopen-time", MS, "time of that open")                       \
    X(INDEX_BYTES, "index-bytes", BYTES_PER_KEY, "index memory per key")       \
    X(MEMORY_PEAK, "memory-peak", MB, "highest resident size, with maps")      \
    X(MEMORY_HELD, "memory-held", MB, "resident after fill and get, no files") \
    X(PUT_P50, "put-p50", US, "put, random: half are faster than this")        \
    X(PUT_P99, "put-p99", US, "put, random: 99 in 100 are")                    \
    X(PUT_P999, "put-p99.9", US, "put, random: 999 in 1000 are")               \
    X(GET_P50, "get-p50", US, "get: half are faster than this")                \
    X(GET_P99, "get-p99", US, "get: 99 in 100 are")                            \
    X(GET_P999, "get-p99.9", US, "get: 999 in 1000 are")                       \
    X(ALONE_PUT, "alone-put-p99.9", US, "overwrite: no merge goes on")         \
    X(MERGING_PUT, "merging-put-p99.9", US, "beside merges at full speed")     \
    X(SLOW_PUT, "slow-put-p99.9", US, "beside merges of 20 MB/s")              \
    X(ALONE_GET, "alone-get", RATE, "get: no merge goes on")                   \
    X(MERGING_GET, "merging-get", RATE, "beside merges at full speed")         \
    X(SLOW_GET, "slow-get", RATE, "beside merges of 20 MB/s")                  \
    X(MERGE_RATE, "merge-input", MB_S, "a merge, nothing beside it")           \
    X(SPACE, "space", FACTOR, "highest of data / live bytes")                  \
    X(SPACE_DISK, "space-disk", FACTOR, "highest of disk / live bytes")        \
    X(WRITES, "write-factor", FACTOR, "written by puts and merges / by puts")  \
    X(STEADY_PUT, "steady-put", RATE, "overwrite 20 times, merging by itself") \
    X(DEFAULT_SPACE, "default-space", FACTOR, "space, default segment size")   \
    X(DEFAULT_DISK, "default-disk", FACTOR, "space-disk, default segments")    \
    X(DEFAULT_WRITES, "default-writes", FACTOR, "write-factor, the same")      \
    X(DEFAULT_PUT, "default-put", RATE, "steady-put, the same")                \
    X(FOLD, "fold", RATE, "fold, keys and values")                             \
    X(FOLD_KEYS, "fold-keys", RATE, "fold, keys only")                         \
    X(BARE_PUT, "bare-put", RATE, "overwrite: there is no snapshot")           \
    X(SNAPSHOT_PUT, "snapshot-put", RATE, "overwrite: there is one")           \
    X(BARE_GET, "bare-get", RATE, "get: there is no snapshot")                 \
    X(SNAPSHOT_GET, "snapshot-get", RATE, "get: there is one")                 \
    X(NEVER_PUT, "never-put", RATE, "overwrite: there never was a snapshot")   \
    X(FREED_PUT, "freed-put", RATE, "overwrite: one was made and freed")       \
    X(NEVER_GET, "never-get", RATE, "get: there never was a snapshot")         \
    X(FREED_GET, "freed-get", RATE, "get: one was made and freed")             \
    X(DISK_100, "disk-100", MB_S, "read a Bitcask, values of 100 bytes")       \
    X(DIRECT_100, "direct-100", MB_S, "read it past the page cache")           \
    X(COPY_100, "copy-100", MB_S, "copy its files and sync them")              \
    X(IMPORT_100, "import-100", MB_S, "import it")                             \
    X(DISK_200, "disk-200", MB_S, "the same, values of 200 bytes")             \
    X(DIRECT_200, "direct-200", MB_S, "read it past the page cache")           \
    X(COPY_200, "copy-200", MB_S, "copy its files and sync them")              \
    X(IMPORT_200, "import-200", MB_S, "import it")                             \
    X(DISK_400, "disk-400", MB_S, "the same, values of 400 bytes")             \
    X(DIRECT_400, "direct-400", MB_S, "read it past the page cache")           \
    X(COPY_400, "copy-400", MB_S, "copy its files and sync them")              \
    X(IMPORT_400, "import-400", MB_S, "import it")                             \
    X(DISK_1K, "disk-1k", MB_S, "the same, values of 1 KiB")                   \
    X(DIRECT_1K, "direct-1k", MB_S, "read it past the page cache")             \
    X(COPY_1K, "copy-1k", MB_S, "copy its files and sync them")                \
    X(IMPORT_1K, "import-1k", MB_S, "import it")                               \
    X(DISK_64K, "disk-64k", MB_S, "the same, values of 64 KiB")                \
    X(DIRECT_64K, "direct-64k", MB_S, "read it past the page cache")           \
    X(COPY_64K, "copy-64k", MB_S, "copy its files and sync them")              \
    X(IMPORT_64K, "import-64k", MB_S, "import it")                             \
    X(RUN_WRITE, "run-write", RATE, "write a sorted run, syncs included")      \
    X(RUN_SCAN_FIRST, "run-scan-first", RATE, "walk over it, just opened")     \
    X(RUN_SCAN, "run-scan", RATE, "walk over it once more")                    \
    X(RUN_SCAN_BACK, "run-scan-back", RATE, "the same from its end")           \
    X(RUN_GET, "run-get", RATE, "get its keys in random order")                \
    X(RUN_GET_MISSING, "run-get-missing", RATE, "keys that are not there")     \
    X(RUN_SEEK, "run-seek", RATE, "seek a key, and nine records more")         \
    X(TREE_FILL_100, "tree-fill-100", RATE, "put, random, 100-byte values")    \
    X(TREE_ORDER_100, "tree-order-100", RATE, "ascending, 1,000 a batch")      \
    X(TREE_GET_100, "tree-get-100", RATE, "get every key, random")             \
    X(TREE_MISSING_100, "tree-missing-100", RATE, "get others")                \
    X(TREE_SEEK_100, "tree-seek-100", RATE, "seek, nine records more")         \
    X(TREE_SCAN_100, "tree-scan-100", RATE, "walk over all records")           \
    X(TREE_HELD_100, "tree-held-100", MB, "resident, no files")                \
    X(TREE_PEAK_100, "tree-peak-100", MB, "highest, with maps")                \
    X(TREE_FILL_1K, "tree-fill-1k", RATE, "put, random, 1 KiB values")         \
    X(TREE_ORDER_1K, "tree-order-1k", RATE, "ascending, 1,000 a batch")        \
    X(TREE_GET_1K, "tree-get-1k", RATE, "get every key, random")               \
    X(TREE_MISSING_1K, "tree-missing-1k", RATE, "get others")                  \
    X(TREE_SEEK_1K, "tree-seek-1k", RATE, "seek, nine records more")           \
    X(TREE_SCAN_1K, "tree-scan-1k", RATE, "walk over all records")             \
    X(TREE_HELD_1K, "tree-held-1k", MB, "resident, no files")                  \
    X(TREE_PEAK_1K, "tree-peak-1k", MB, "highest, with maps")                  \
    X(GROW, "tree-grow", RATE, "put new keys, random")                         \
    X(GROW_1, "tree-grow-1", RATE, "tenth 1 of that")                          \
    X(GROW_2, "tree-grow-2", RATE, "tenth 2 of that")                          \
    X(GROW_3, "tree-grow-3", RATE, "tenth 3 of that")                          \
    X(GROW_4, "tree-grow-4", RATE, "tenth 4 of that")                          \
    X(GROW_5, "tree-grow-5", RATE, "tenth 5 of that")                          \
    X(GROW_6, "tree-grow-6", RATE, "tenth 6 of that")                          \
    X(GROW_7, "tree-grow-7", RATE, "tenth 7 of that")                          \
    X(GROW_8, "tree-grow-8", RATE, "tenth 8 of that")                          \
    X(GROW_9, "tree-grow-9", RATE, "tenth 9 of that")                          \
    X(GROW_10, "tree-grow-10", RATE, "tenth 10 of that")                       \
    X(LOAD_PUT, "tree-load", RATE, "overwrite for --load-seconds")             \
    X(LOAD_P999, "tree-p99.9", US, "put, then: 999 in 1000 are faster")        \
    X(LOAD_LONGEST, "tree-longest", MS, "the longest of these puts")           \
    X(TREE_FURTHER, "tree-further", US, "open while another writer has it")    \
    X(TREE_FIRST_GET, "tree-first-get", US, "the first get after that open")   \
    X(TREE_KILLED, "tree-killed", MS, "open after the only writer was killed") \
    X(TREE_SPACE, "tree-space", FACTOR, "highest of disk / live bytes")        \
    X(TREE_SPACE_END, "tree-space-end", FACTOR, "the same, at the end")        \
    X(TREE_WRITES, "tree-writes", FACTOR, "bytes written / bytes put")         \
    X(TREE_STEADY, "tree-steady", RATE, "overwrite random keys, 10 x")

typedef enum work_id {
#define WORK_ENUM(name, text, unit, description) WORK_##name,
    WORK_LIST(WORK_ENUM)
#undef WORK_ENUM
        WORK_COUNT
} work_id;

typedef struct bench_work {
    const char *name;
    const char *description;
    bench_unit unit;
} bench_work;

#endif
