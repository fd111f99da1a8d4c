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
#include "work_list.h"

/* Gets in one get_many, puts in one batch. */
enum { WORK_MANY = 16, WORK_BATCH = 100 };

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
    bool merging;          /* the merging runs and their targets */
    bool tree;             /* those of the tree engine and its peers */
    unsigned load_seconds; /* of tree-load */
    uint64_t buffer_bytes; /* as in engine_config */
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
/* The same in the stream's order, `batch` in each, at most WORK_BATCH_MOST. */
enum { WORK_BATCH_MOST = 1000 };
void run_fill_batches(const bench_run *run, engine_store *store, size_t batch);
/*
 * Get `count` keys of the store in the random order `seed`. Ends the process
 * unless each is there with the value of version 0. Returns `count`.
 */
uint64_t run_gets(const bench_run *run, engine_store *store,
                  engine_reader *reader, uint64_t count, uint64_t seed);
/* Get as many keys that are not there. Ends the process if one is found. */
void run_gets_missing(const bench_run *run, engine_store *store,
                      engine_reader *reader);
/* End the process unless `good` results of `expected` were right. */
void run_check(const bench_run *run, const char *what, uint64_t good,
               uint64_t expected);
/* Warm up the memory that writing every key once takes. */
void run_warm(const bench_run *run);

/* What runs and targets are for, and which option asks for them. */
typedef enum bench_group {
    GROUP_HASH,    /* the hash engine beside its peers */
    GROUP_MERGING, /* --merging: the hash engine alone */
    GROUP_TREE     /* --tree: the tree engine beside its peers */
} bench_group;

/* A kind of run and the works it measures, in this order. */
typedef struct run_kind {
    const char *name;
    void (*body)(bench_run *run);
    const work_id *works;
    size_t work_count;
    bool scaled; /* once for each of settings.scales */
    bench_group group;
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
void run_tree_100(bench_run *run);
void run_tree_order_100(bench_run *run);
void run_tree_1k(bench_run *run);
void run_tree_order_1k(bench_run *run);
void run_tree_grow(bench_run *run);
void run_tree_load(bench_run *run);
void run_tree_open(bench_run *run);
void run_tree_steady(bench_run *run);

extern const run_kind bench_runs[];
extern const size_t bench_run_count;

/* The group of the run that `work` is part of. */
bench_group work_group(work_id work);

/* The engine of Caskade that the works of `group` are about; NULL: this build
 * has none. */
const bench_engine *group_own(bench_group group);

/* Whether more is better. */
static inline bool unit_is_rate(bench_unit unit)
{
    return unit == UNIT_RATE || unit == UNIT_MB_S;
}

#endif
