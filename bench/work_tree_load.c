/*
 * Stores with an order under load: a fill that goes on and on, puts at full
 * speed for some seconds, and what overwriting everything ten times costs in
 * bytes written and in space.
 */
#include <math.h>

#include "latency.h"
#include "measure.h"
#include "work.h"

enum {
    TENTHS = 10,
    STEADY_ROUNDS = 10, /* times the keys */
    STEADY_FIRST = 2,   /* the first round whose space counts */
    SAMPLES = 16        /* looks at the space in each */
};

static void put_index(const bench_run *run, engine_store *store, uint64_t index)
{
    stream_key memory;
    cask_slice key = stream_key_at(&run->stream, index, &memory);
    run->engine->put(store, key, stream_value_at(&run->stream, index, 0));
}

void run_tree_grow(bench_run *run)
{
    static const work_id tenths[TENTHS] = {
        WORK_GROW_1, WORK_GROW_2, WORK_GROW_3, WORK_GROW_4, WORK_GROW_5,
        WORK_GROW_6, WORK_GROW_7, WORK_GROW_8, WORK_GROW_9, WORK_GROW_10,
    };
    engine_store *store = run_open(run);
    run_warm(run);
    uint64_t start = now_ns();
    uint64_t before = start;
    uint64_t done = 0;
    for (uint64_t tenth = 0; tenth < TENTHS; tenth++) {
        uint64_t first = done;
        for (; done < run->keys * (tenth + 1) / TENTHS; done++) {
            put_index(run, store, done);
        }
        uint64_t after = now_ns();
        run_report_rate(run, tenths[tenth], done - first, after - before);
        before = after;
    }
    run_report_rate(run, WORK_GROW, run->keys, before - start);
    run->engine->close(store);
}

void run_tree_load(bench_run *run)
{
    const uint64_t seconds = run->settings->load_seconds;
    uint64_t seed = STREAM_SEED;
    latency times = {0};
    engine_store *store = run_open(run);
    run_warm(run);
    run_fill(run, store);
    uint64_t start = now_ns();
    uint64_t before = start;
    while (before - start < seconds * 1000000000u) {
        put_index(run, store, stream_random(&seed) % run->keys);
        uint64_t after = now_ns();
        latency_add(&times, after - before);
        before = after;
    }
    run_report_rate(run, WORK_LOAD_PUT, times.count, before - start);
    run_report(run, WORK_LOAD_P999, latency_at(&times, 0.999) / 1000);
    run_report(run, WORK_LOAD_LONGEST, (double)times.longest_ns / 1e6);
    run->engine->close(store);
}

static uint64_t written_bytes(const bench_run *run, engine_store *store)
{
    return run->engine->written_bytes == NULL
               ? 0
               : run->engine->written_bytes(store);
}

/* What the store takes, of the bytes of its keys and values. */
static double space_of(const bench_run *run)
{
    double live = (double)run->keys *
                  (double)(run->stream.key_bytes + run->stream.value_bytes);
    return (double)directory_bytes(run->path) / live;
}

/* Overwrite random keys; returns the highest of the looks at the space. */
static double overwrite(const bench_run *run, engine_store *store)
{
    const uint64_t pause = run->keys / SAMPLES + 1;
    uint64_t seed = STREAM_SEED;
    double highest = 0;
    for (uint64_t i = 0; i < run->keys * STEADY_ROUNDS; i++) {
        put_index(run, store, stream_random(&seed) % run->keys);
        if (i % pause == 0 && i >= run->keys * STEADY_FIRST) {
            double space = space_of(run);
            highest = space > highest ? space : highest;
        }
    }
    return highest;
}

static void report_writes(const bench_run *run, uint64_t written)
{
    double put = (double)run->keys * STEADY_ROUNDS *
                 (double)(run->stream.key_bytes + run->stream.value_bytes);
    if (run->engine->written_bytes == NULL) {
        run_report_note(run, WORK_TREE_WRITES, NAN, "it tells no bytes");
    } else if (written == 0) {
        run_report_note(run, WORK_TREE_WRITES, NAN,
                        "nothing was written back meanwhile");
    } else {
        run_report(run, WORK_TREE_WRITES, (double)written / put);
    }
}

void run_tree_steady(bench_run *run)
{
    engine_store *store = run_open(run);
    run_warm(run);
    run_fill(run, store);
    wait_for_rest();
    uint64_t before = written_bytes(run, store);
    uint64_t start = now_ns();
    double highest = overwrite(run, store);
    uint64_t elapsed_ns = now_ns() - start;
    wait_for_rest();
    report_writes(run, written_bytes(run, store) - before);
    run_report(run, WORK_TREE_SPACE, highest);
    run_report(run, WORK_TREE_SPACE_END, space_of(run));
    run_report_rate(run, WORK_TREE_STEADY, run->keys * STEADY_ROUNDS,
                    elapsed_ns);
    run->engine->close(store);
}
