/*
 * What a store with an order is for, by one process: fills in random order and
 * in batches of ascending keys, gets, seeks, a walk over everything; each with
 * small values and with larger ones.
 */
#include <math.h>
#include <string.h>

#include "measure.h"
#include "work.h"

enum {
    SMALL_BYTES = 100,
    LARGE_BYTES = 1024,
    BATCH = WORK_BATCH_MOST,
    SEEK_RECORDS = 10
};

/* More seeks than this tell nothing new. */
#define SEEKS_MOST UINT64_C(1000000)

/* What the figures of one run are called. */
typedef struct tree_works {
    work_id fill, get, missing, seek, scan, held, peak;
} tree_works;

static void use_values(bench_run *run, size_t value_bytes)
{
    stream_done(&run->stream);
    stream_init(&run->stream, run->settings->key_bytes, value_bytes);
}

static void measure_fill(const bench_run *run, engine_store *store,
                         work_id work)
{
    run_warm(run);
    uint64_t start = now_ns();
    run_fill(run, store);
    run_report_rate(run, work, run->keys, now_ns() - start);
}

static void measure_get(const bench_run *run, engine_store *store, work_id work)
{
    engine_reader *reader = run->engine->reader_create(store);
    uint64_t start = now_ns();
    run_gets(run, store, reader, run->keys, 1);
    run_report_rate(run, work, run->keys, now_ns() - start);
    run->engine->reader_free(reader);
}

static void measure_missing(const bench_run *run, engine_store *store,
                            work_id work)
{
    engine_reader *reader = run->engine->reader_create(store);
    uint64_t start = now_ns();
    run_gets_missing(run, store, reader);
    run_report_rate(run, work, run->keys, now_ns() - start);
    run->engine->reader_free(reader);
}

/* To a key that is there, and on over nine records. */
static void measure_seek(const bench_run *run, engine_walk *walk, work_id work)
{
    const uint64_t count = run->keys < SEEKS_MOST ? run->keys : SEEKS_MOST;
    order random = order_of(run->keys, 91);
    uint64_t good = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        stream_key memory;
        engine_entry entry;
        cask_slice key =
            stream_key_at(&run->stream, order_at(&random, i), &memory);
        bool found = run->engine->walk_seek(walk, key, &entry);
        good += found && entry.key.size == key.size &&
                memcmp(entry.key.data, key.data, key.size) == 0;
        for (int n = 1; n < SEEK_RECORDS && found; n++) {
            found = run->engine->walk_next(walk, &entry);
        }
    }
    run_report_rate(run, work, count, now_ns() - start);
    run_check(run, "seek", good, count);
}

/* Before the clock runs: every record is there, in order. */
static void check_order(const bench_run *run, engine_walk *walk)
{
    const cask_slice first = {0};
    const size_t key_bytes = run->stream.key_bytes;
    stream_key before = {{0}};
    engine_entry entry;
    uint64_t good = 0;
    bool found = run->engine->walk_seek(walk, first, &entry);
    while (found) {
        good += entry.key.size == key_bytes &&
                entry.value.size == run->stream.value_bytes &&
                memcmp(before.bytes, entry.key.data, key_bytes) < 0;
        memcpy(before.bytes, entry.key.data, key_bytes);
        found = run->engine->walk_next(walk, &entry);
    }
    run_check(run, "order", good, run->keys);
}

static void measure_scan(const bench_run *run, engine_walk *walk, work_id work)
{
    const cask_slice first = {0};
    engine_entry entry;
    uint64_t good = 0;
    uint64_t start = now_ns();
    bool found = run->engine->walk_seek(walk, first, &entry);
    while (found) {
        good += stream_value_may_be(entry.value);
        found = run->engine->walk_next(walk, &entry);
    }
    run_report_rate(run, work, run->keys, now_ns() - start);
    run_check(run, "scan", good, run->keys);
}

static void measure_order(const bench_run *run, engine_store *store,
                          const tree_works *works)
{
    static const char why[] = "it has no iterators";
    if (run->engine->walk_create == NULL) {
        run_report_note(run, works->seek, NAN, why);
        run_report_note(run, works->scan, NAN, why);
        return;
    }
    engine_walk *walk = run->engine->walk_create(store);
    check_order(run, walk);
    if (run_wants(run, works->seek)) {
        measure_seek(run, walk, works->seek);
    }
    if (run_wants(run, works->scan)) {
        measure_scan(run, walk, works->scan);
    }
    run->engine->walk_free(walk);
}

static void measure_all(bench_run *run, size_t value_bytes,
                        const tree_works *works)
{
    use_values(run, value_bytes);
    engine_store *store = run_open(run);
    measure_fill(run, store, works->fill);
    wait_for_rest();
    if (run_wants(run, works->get)) {
        measure_get(run, store, works->get);
    }
    if (run_wants(run, works->missing)) {
        measure_missing(run, store, works->missing);
    }
    if (run_wants(run, works->seek) || run_wants(run, works->scan)) {
        measure_order(run, store, works);
    }
    run_report(run, works->held, (double)memory_held_bytes() / 1e6);
    run_report(run, works->peak, (double)memory_peak_bytes() / 1e6);
    run->engine->close(store);
}

void run_tree_100(bench_run *run)
{
    static const tree_works works = {
        WORK_TREE_FILL_100, WORK_TREE_GET_100,  WORK_TREE_MISSING_100,
        WORK_TREE_SEEK_100, WORK_TREE_SCAN_100, WORK_TREE_HELD_100,
        WORK_TREE_PEAK_100,
    };
    measure_all(run, SMALL_BYTES, &works);
}

void run_tree_1k(bench_run *run)
{
    static const tree_works works = {
        WORK_TREE_FILL_1K, WORK_TREE_GET_1K,  WORK_TREE_MISSING_1K,
        WORK_TREE_SEEK_1K, WORK_TREE_SCAN_1K, WORK_TREE_HELD_1K,
        WORK_TREE_PEAK_1K,
    };
    measure_all(run, LARGE_BYTES, &works);
}

static void measure_batches(bench_run *run, size_t value_bytes, work_id work)
{
    use_values(run, value_bytes);
    run->stream.ordered = true;
    engine_store *store = run_open(run);
    run_warm(run);
    uint64_t start = now_ns();
    run_fill_batches(run, store, BATCH);
    run_report_rate(run, work, run->keys, now_ns() - start);
    run->engine->close(store);
}

void run_tree_order_100(bench_run *run)
{
    measure_batches(run, SMALL_BYTES, WORK_TREE_ORDER_100);
}

void run_tree_order_1k(bench_run *run)
{
    measure_batches(run, LARGE_BYTES, WORK_TREE_ORDER_1K);
}
