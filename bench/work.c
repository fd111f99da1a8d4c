/*
 * The tables of works and runs, and what all runs share.
 */
#include "work.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

const bench_work bench_works[WORK_COUNT] = {
#define WORK_ROW(name, text, unit, description)                                \
    {text, description, UNIT_##unit},
    WORK_LIST(WORK_ROW)
#undef WORK_ROW
};

static const work_id order_works[] = {WORK_FILL_ORDER};
static const work_id batch_works[] = {WORK_BATCH_PUT};
static const work_id point_works[] = {
    WORK_FILL_RANDOM, WORK_GET,           WORK_GET_MISSING,
    WORK_GET_MANY,    WORK_GET_2_THREADS, WORK_MEMORY_PEAK,
    WORK_MEMORY_HELD, WORK_OVERWRITE,     WORK_DELETE,
};
static const work_id latency_works[] = {
    WORK_PUT_P50, WORK_PUT_P99, WORK_PUT_P999,
    WORK_GET_P50, WORK_GET_P99, WORK_GET_P999,
};
static const work_id process_works[] = {
    WORK_GET_1_PROCESS,
    WORK_GET_2_PROCESSES,
};
static const work_id synced_works[] = {WORK_SYNCED_1, WORK_SYNCED_16};
static const work_id scale_works[] = {
    WORK_INDEX_BYTES, WORK_OPEN_FURTHER, WORK_FIRST_GET,
    WORK_REOPEN,      WORK_REOPEN_MS,
};

static const work_id load_works[] = {
    WORK_ALONE_PUT, WORK_MERGING_PUT, WORK_SLOW_PUT,
    WORK_ALONE_GET, WORK_MERGING_GET, WORK_SLOW_GET,
};
static const work_id speed_works[] = {WORK_MERGE_RATE};
static const work_id steady_works[] = {
    WORK_SPACE,
    WORK_SPACE_DISK,
    WORK_WRITES,
    WORK_STEADY_PUT,
};
static const work_id default_works[] = {
    WORK_DEFAULT_SPACE,
    WORK_DEFAULT_DISK,
    WORK_DEFAULT_WRITES,
    WORK_DEFAULT_PUT,
};
static const work_id fold_works[] = {WORK_FOLD, WORK_FOLD_KEYS};
static const work_id snapshot_works[] = {
    WORK_BARE_PUT,
    WORK_SNAPSHOT_PUT,
    WORK_BARE_GET,
    WORK_SNAPSHOT_GET,
};
static const work_id freed_works[] = {
    WORK_NEVER_PUT,
    WORK_FREED_PUT,
    WORK_NEVER_GET,
    WORK_FREED_GET,
};
static const work_id import_works[] = {
    WORK_DISK_100, WORK_DIRECT_100, WORK_COPY_100, WORK_IMPORT_100,
    WORK_DISK_200, WORK_DIRECT_200, WORK_COPY_200, WORK_IMPORT_200,
    WORK_DISK_400, WORK_DIRECT_400, WORK_COPY_400, WORK_IMPORT_400,
    WORK_DISK_1K,  WORK_DIRECT_1K,  WORK_COPY_1K,  WORK_IMPORT_1K,
    WORK_DISK_64K, WORK_DIRECT_64K, WORK_COPY_64K, WORK_IMPORT_64K,
};
static const work_id sorted_works[] = {
    WORK_RUN_WRITE, WORK_RUN_SCAN_FIRST,  WORK_RUN_SCAN, WORK_RUN_SCAN_BACK,
    WORK_RUN_GET,   WORK_RUN_GET_MISSING, WORK_RUN_SEEK,
};

static const work_id tree_100_works[] = {
    WORK_TREE_FILL_100, WORK_TREE_GET_100,  WORK_TREE_MISSING_100,
    WORK_TREE_SEEK_100, WORK_TREE_SCAN_100, WORK_TREE_HELD_100,
    WORK_TREE_PEAK_100,
};
static const work_id tree_1k_works[] = {
    WORK_TREE_FILL_1K, WORK_TREE_GET_1K,  WORK_TREE_MISSING_1K,
    WORK_TREE_SEEK_1K, WORK_TREE_SCAN_1K, WORK_TREE_HELD_1K,
    WORK_TREE_PEAK_1K,
};
static const work_id tree_order_100_works[] = {WORK_TREE_ORDER_100};
static const work_id tree_order_1k_works[] = {WORK_TREE_ORDER_1K};
static const work_id tree_grow_works[] = {
    WORK_GROW,   WORK_GROW_1, WORK_GROW_2,  WORK_GROW_3,
    WORK_GROW_4, WORK_GROW_5, WORK_GROW_6,  WORK_GROW_7,
    WORK_GROW_8, WORK_GROW_9, WORK_GROW_10,
};
static const work_id tree_load_works[] = {
    WORK_LOAD_PUT,
    WORK_LOAD_P999,
    WORK_LOAD_LONGEST,
};
static const work_id tree_open_works[] = {
    WORK_TREE_FURTHER,
    WORK_TREE_FIRST_GET,
    WORK_TREE_KILLED,
};
static const work_id tree_steady_works[] = {
    WORK_TREE_SPACE,
    WORK_TREE_SPACE_END,
    WORK_TREE_WRITES,
    WORK_TREE_STEADY,
};

#define WORKS(array) (array), sizeof(array) / sizeof((array)[0])

const run_kind bench_runs[] = {
    {"order", run_order, WORKS(order_works), false, GROUP_HASH},
    {"point", run_point, WORKS(point_works), false, GROUP_HASH},
    {"batch", run_batch, WORKS(batch_works), false, GROUP_HASH},
    {"latency", run_latency, WORKS(latency_works), false, GROUP_HASH},
    {"processes", run_processes, WORKS(process_works), false, GROUP_HASH},
    {"synced", run_synced, WORKS(synced_works), false, GROUP_HASH},
    {"scale", run_scale, WORKS(scale_works), true, GROUP_HASH},
    {"merge-load", run_merge_load, WORKS(load_works), false, GROUP_MERGING},
    {"merge-speed", run_merge_speed, WORKS(speed_works), false, GROUP_MERGING},
    {"merge-steady", run_merge_steady, WORKS(steady_works), false,
     GROUP_MERGING},
    {"merge-default", run_merge_default, WORKS(default_works), false,
     GROUP_MERGING},
    {"folds", run_fold, WORKS(fold_works), false, GROUP_MERGING},
    {"snapshots", run_snapshots, WORKS(snapshot_works), false, GROUP_MERGING},
    {"no-snapshot", run_freed, WORKS(freed_works), false, GROUP_MERGING},
    {"import", run_import, WORKS(import_works), false, GROUP_MERGING},
    {"sorted", run_sorted, WORKS(sorted_works), false, GROUP_MERGING},
    {"tree-100", run_tree_100, WORKS(tree_100_works), false, GROUP_TREE},
    {"tree-in-order-100", run_tree_order_100, WORKS(tree_order_100_works),
     false, GROUP_TREE},
    {"tree-1k", run_tree_1k, WORKS(tree_1k_works), false, GROUP_TREE},
    {"tree-in-order-1k", run_tree_order_1k, WORKS(tree_order_1k_works), false,
     GROUP_TREE},
    {"tree-sustained", run_tree_grow, WORKS(tree_grow_works), false,
     GROUP_TREE},
    {"tree-full-load", run_tree_load, WORKS(tree_load_works), false,
     GROUP_TREE},
    {"tree-opening", run_tree_open, WORKS(tree_open_works), false, GROUP_TREE},
    {"tree-overwriting", run_tree_steady, WORKS(tree_steady_works), false,
     GROUP_TREE},
};

const size_t bench_run_count = sizeof(bench_runs) / sizeof(bench_runs[0]);

bench_group work_group(work_id work)
{
    for (size_t i = 0; i < bench_run_count; i++) {
        const run_kind *kind = &bench_runs[i];
        for (size_t j = 0; j < kind->work_count; j++) {
            if (kind->works[j] == work) {
                return kind->group;
            }
        }
    }
    return GROUP_HASH;
}

const bench_engine *group_own(bench_group group)
{
    const unsigned wanted =
        ENGINE_OWN |
        (group == GROUP_TREE ? ENGINE_BESIDE_TREE : ENGINE_BESIDE_HASH);
    for (size_t i = 0; bench_engines[i] != NULL; i++) {
        if ((bench_engines[i]->abilities & wanted) == wanted) {
            return bench_engines[i];
        }
    }
    return NULL;
}

bool run_wants(const bench_run *run, work_id work)
{
    return run->settings->works[work];
}

void run_report_note(const bench_run *run, work_id work, double value,
                     const char *note)
{
    if (!run_wants(run, work)) {
        return;
    }
    bench_sample one;
    memset(&one, 0, sizeof(one));
    one.work = work;
    one.keys = run->keys;
    one.value = value;
    snprintf(one.note, sizeof(one.note), "%s", note);
    if (write(run->sink, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        bench_die("cannot report a result: %s", strerror(errno));
    }
}

void run_report(const bench_run *run, work_id work, double value)
{
    run_report_note(run, work, value, "");
}

void run_report_rate(const bench_run *run, work_id work, uint64_t operations,
                     uint64_t elapsed_ns)
{
    run_report(run, work, (double)operations * 1e9 / (double)elapsed_ns);
}

engine_store *run_open(const bench_run *run)
{
    engine_config config = {
        .path = run->path,
        .key_count = run->keys,
        .sync_interval = run->settings->sync_interval,
        .buffer_bytes = run->settings->buffer_bytes,
    };
    return run->engine->open(&config);
}

uint64_t run_fill(const bench_run *run, engine_store *store)
{
    stream_key memory;
    for (uint64_t i = 0; i < run->keys; i++) {
        cask_slice key = stream_key_at(&run->stream, i, &memory);
        run->engine->put(store, key, stream_value_at(&run->stream, i, 0));
    }
    return run->keys;
}

void run_fill_batches(const bench_run *run, engine_store *store, size_t batch)
{
    stream_key memory[WORK_BATCH_MOST];
    cask_slice keys[WORK_BATCH_MOST];
    cask_slice values[WORK_BATCH_MOST];
    size_t count = 0;
    for (uint64_t i = 0; i < run->keys; i++) {
        keys[count] = stream_key_at(&run->stream, i, &memory[count]);
        values[count] = stream_value_at(&run->stream, i, 0);
        count++;
        if (count == batch || i + 1 == run->keys) {
            run->engine->put_batch(store, keys, values, count);
            count = 0;
        }
    }
}

uint64_t run_gets(const bench_run *run, engine_store *store,
                  engine_reader *reader, uint64_t count, uint64_t seed)
{
    stream_key memory;
    uint64_t good = 0;
    order random = order_of(run->keys, seed);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        cask_slice value;
        if (run->engine->get(store, reader, key, &value)) {
            good += stream_value_is(&run->stream, index, 0, value);
        }
    }
    run_check(run, "get", good, count);
    return count;
}

void run_gets_missing(const bench_run *run, engine_store *store,
                      engine_reader *reader)
{
    stream_key memory;
    uint64_t good = 0;
    for (uint64_t i = 0; i < run->keys; i++) {
        cask_slice value;
        cask_slice key =
            stream_key_at(&run->stream, STREAM_MISSING + i, &memory);
        good += !run->engine->get(store, reader, key, &value);
    }
    run_check(run, "get missing", good, run->keys);
}

void run_check(const bench_run *run, const char *what, uint64_t good,
               uint64_t expected)
{
    if (good != expected && (run->engine->abilities & ENGINE_EMPTY) == 0) {
        bench_die("%s: %s: %" PRIu64 " of %" PRIu64 " results are right",
                  run->engine->name, what, good, expected);
    }
}

void run_warm(const bench_run *run)
{
    const uint64_t record =
        run->stream.key_bytes + run->stream.value_bytes + 64;
    memory_warm(run->keys * record * 2 + (UINT64_C(64) << 20));
    /* What was just given back must not count for the engine. */
    memory_peak_reset();
}
