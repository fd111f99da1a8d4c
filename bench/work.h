/*
 * What is measured: works (one figure each) and runs (one child process with
 * a fresh directory, which measures one or several works in a row).
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "stream.h"

typedef enum bench_unit {
    UNIT_RATE, /* operations or keys per second */
    UNIT_MB_S, /* of these two more is better, of all others less */
    UNIT_US,
    UNIT_MS,
    UNIT_BYTES_PER_KEY,
    UNIT_MB,
    UNIT_FACTOR
} bench_unit;

/* Gets in one get_many, puts in one batch. */
enum { WORK_MANY = 16, WORK_BATCH = 100 };

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
    X(RUN_SEEK, "run-seek", RATE, "seek a key, and nine records more")

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

extern const bench_work bench_works[WORK_COUNT];

/* What the command line says. */
#define SETTINGS_ENGINES_MAX 8
#define SETTINGS_SCALES_MAX 8
typedef struct bench_settings {
    uint64_t keys;
    size_t key_bytes;
    size_t value_bytes;
    unsigned repeats;
    const bench_engine *engines[SETTINGS_ENGINES_MAX + 1]; /* NULL at the end */
    bool works[WORK_COUNT];
    uint64_t scales[SETTINGS_SCALES_MAX]; /* key counts for the run "scale" */
    size_t scale_count;
    uint64_t segment_bytes; /* of the merging runs; 0: by the data */
    const char *directory;  /* where the stores go; NULL: beside the caller */
    bool sync_interval;
    bool json;
    bool targets;
    bool merging; /* the merging runs and their targets */
} bench_settings;

/* One run inside its child process. */
typedef struct bench_run {
    const bench_settings *settings;
    const bench_engine *engine;
    const char *path; /* fresh directory */
    uint64_t keys;
    int sink; /* descriptor that takes the samples */
    stream stream;
} bench_run;

/* One figure on its way from the child; at most PIPE_BUF, so never split. */
typedef struct bench_sample {
    work_id work;
    uint64_t keys;
    double value; /* NAN: not measured, the note says why */
    char note[80];
} bench_sample;

bool run_wants(const bench_run *run, work_id work);
/* Send one figure, or nothing if it is not wanted. */
void run_report(const bench_run *run, work_id work, double value);
/* The same for `operations` done in `elapsed_ns`. */
void run_report_rate(const bench_run *run, work_id work, uint64_t operations,
                     uint64_t elapsed_ns);
/* Say how a figure was measured, or why it was not (value: NAN). */
void run_report_note(const bench_run *run, work_id work, double value,
                     const char *note);

/* Open the run's store as a process that writes. */
engine_store *run_open(const bench_run *run);
/* Put every key in random order, version 0. */
uint64_t run_fill(const bench_run *run, engine_store *store);
/*
 * Get `count` keys of the store in the random order `seed`. Ends the process
 * unless each is there with the value of version 0. Returns `count`.
 */
uint64_t run_gets(const bench_run *run, engine_store *store,
                  engine_reader *reader, uint64_t count, uint64_t seed);
/* End the process unless `good` results of `expected` were right. */
void run_check(const bench_run *run, const char *what, uint64_t good,
               uint64_t expected);
/* Warm up the memory that writing every key once takes. */
void run_warm(const bench_run *run);

/* A kind of run and the works it measures, in this order. */
typedef struct run_kind {
    const char *name;
    void (*body)(bench_run *run);
    const work_id *works;
    size_t work_count;
    bool scaled;  /* once for each of settings.scales */
    bool merging; /* Caskade only, and only if asked for */
} run_kind;

void run_order(bench_run *run);
void run_point(bench_run *run);
void run_batch(bench_run *run);
void run_latency(bench_run *run);
void run_processes(bench_run *run);
void run_synced(bench_run *run);
void run_scale(bench_run *run);
void run_merge_load(bench_run *run);
void run_merge_speed(bench_run *run);
void run_merge_steady(bench_run *run);
void run_merge_default(bench_run *run);
void run_fold(bench_run *run);
void run_snapshots(bench_run *run);
void run_freed(bench_run *run);
void run_import(bench_run *run);
void run_sorted(bench_run *run);

extern const run_kind bench_runs[];
extern const size_t bench_run_count;

/* Whether `work` is one of the merging runs. */
bool work_is_merging(work_id work);

/* Whether more is better. */
static inline bool unit_is_rate(bench_unit unit)
{
    return unit == UNIT_RATE || unit == UNIT_MB_S;
}

#endif
