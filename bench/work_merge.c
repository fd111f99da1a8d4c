/*
 * Runs of Caskade alone: what merges cost others, how fast they are, how much
 * space and writing a store takes that is overwritten for long; folds and
 * snapshots.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "latency.h"
#include "measure.h"
#include "work.h"

/* Of a record in the log, besides key and value. */
#define RECORD_EXTRA_BYTES 28u

enum {
    SEGMENTS = 32,      /* that the data fills, unless the size is given */
    LOAD_ROUNDS = 2,    /* times that each measurement overwrites the keys */
    GET_MERGES = 3,     /* merges during which gets are measured */
    STEADY_ROUNDS = 20, /* times the data */
    STEADY_FIRST = 2,   /* the first of these that counts */
    SAMPLES = 16        /* looks at the space in each */
};

#define SLOW_RATE "20000000" /* merge_rate_bytes */

static void check(cask_status status, const char *call, const cask_error *err)
{
    if (status != CASK_OK) {
        bench_die("%s: %s: %s", call, cask_status_name(status), err->message);
    }
}

static uint64_t segment_bytes(const bench_run *run)
{
    const bench_settings *settings = run->settings;
    uint64_t bytes =
        run->keys *
        (settings->key_bytes + settings->value_bytes + RECORD_EXTRA_BYTES) /
        SEGMENTS;
    if (settings->segment_bytes != 0) {
        return settings->segment_bytes;
    }
    bytes = bytes < (64u << 10) ? 64u << 10 : bytes;
    return bytes > (256u << 20) ? 256u << 20 : bytes;
}

/* `most` 0: segments of the default size. */
static cask_db *open_sized(const bench_run *run, bool auto_merge, uint64_t most)
{
    cask_options options;
    cask_error err = {0};
    cask_db *db = NULL;
    cask_options_init(&options);
    options.create_if_missing = true;
    options.sync =
        run->settings->sync_interval ? CASK_SYNC_INTERVAL : CASK_SYNC_NONE;
    if (most != 0) {
        options.segment_max_bytes = most;
    }
    options.auto_merge = auto_merge;
    check(cask_open(run->path, &options, &db, &err), "open", &err);
    return db;
}

static cask_db *open_store(const bench_run *run, bool auto_merge)
{
    return open_sized(run, auto_merge, segment_bytes(run));
}

static void close_store(cask_db *db)
{
    cask_error err = {0};
    check(cask_close(db, &err), "close", &err);
}

static void put_index(const bench_run *run, cask_db *db, uint64_t index)
{
    stream_key memory;
    cask_error err;
    cask_slice key = stream_key_at(&run->stream, index, &memory);
    cask_status status =
        cask_put(db, key, stream_value_at(&run->stream, index, 0), &err);
    if (status != CASK_OK) {
        check(status, "put", &err);
    }
}

/* Put every key once, in the random order `seed`. */
static void put_all(const bench_run *run, cask_db *db, uint64_t seed)
{
    order random = order_of(run->keys, seed);
    for (uint64_t i = 0; i < run->keys; i++) {
        put_index(run, db, order_at(&random, i));
    }
}

/* ---- Merges beside gets and puts --------------------------------------- */

typedef struct merging {
    cask_db *db;
    bool all;
    pthread_t thread;
    bool again; /* when one is done, until it is stopped */
    _Atomic bool stop;
    _Atomic bool is_done;
} merging;

static void *merge_thread(void *context)
{
    merging *self = context;
    const cask_merge_options options = {.all = self->all};
    do {
        cask_error err = {0};
        cask_merge_report report = {0};
        cask_status status = cask_merge(self->db, &options, &report, &err);
        if (status != CASK_TIMEOUT) { /* cancelled */
            check(status, "merge", &err);
        }
        if (report.inputs == 0) {
            usleep(1000);
        }
    } while (self->again && !atomic_load(&self->stop));
    atomic_store(&self->is_done, true);
    return NULL;
}

static void merging_start(merging *self, cask_db *db, bool again)
{
    self->db = db;
    self->again = again;
    atomic_store(&self->stop, false);
    atomic_store(&self->is_done, false);
    if (pthread_create(&self->thread, NULL, merge_thread, self) != 0) {
        bench_die("cannot start a thread");
    }
}

static void merging_stop(merging *self)
{
    atomic_store(&self->stop, true);
    while (!atomic_load(&self->is_done)) {
        cask_error err = {0};
        /* Again: one that begins just now forgets what came before it. */
        check(cask_merge_cancel(self->db, &err), "cancel", &err);
        usleep(1000);
    }
    pthread_join(self->thread, NULL);
}

static void set_rate(cask_db *db, const char *rate)
{
    const cask_config_change change = {"merge_rate_bytes", rate};
    cask_error err = {0};
    check(cask_config_set(db, &change, 1, &err), "config", &err);
}

/* Overwrite all keys LOAD_ROUNDS times and count the time of each put. */
static void time_puts(const bench_run *run, cask_db *db, latency *times)
{
    run_warm(run);
    for (uint64_t round = 0; round < LOAD_ROUNDS; round++) {
        order random = order_of(run->keys, 40 + round);
        uint64_t before = now_ns();
        for (uint64_t i = 0; i < run->keys; i++) {
            put_index(run, db, order_at(&random, i));
            uint64_t after = now_ns();
            latency_add(times, after - before);
            before = after;
        }
    }
}

typedef struct tally {
    uint64_t count;
    uint64_t elapsed_ns;
} tally;

/* Get random keys: LOAD_ROUNDS times as many as there are, or as long as a
 * merge goes on. */
static void time_gets(const bench_run *run, cask_db *db, const merging *beside,
                      tally *sum)
{
    order random = order_of(run->keys, 50);
    cask_buffer value = {0};
    uint64_t good = 0;
    uint64_t done = 0;
    uint64_t start = now_ns();
    while (done < run->keys * LOAD_ROUNDS &&
           (beside == NULL || !atomic_load(&beside->is_done))) {
        uint64_t index = order_at(&random, done % run->keys);
        stream_key memory;
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        if (cask_get(db, key, &value, NULL) == CASK_OK) {
            cask_slice found = {value.data, value.size};
            good += stream_value_is(&run->stream, index, 0, found);
        }
        done++;
    }
    sum->elapsed_ns += now_ns() - start;
    sum->count += done;
    cask_buffer_free(&value);
    run_check(run, "get", good, done);
}

static void report_rate(const bench_run *run, work_id work, const tally *sum)
{
    run_report_rate(run, work, sum->count, sum->elapsed_ns);
}

static void report_puts(const bench_run *run, work_id work,
                        const latency *times)
{
    run_report(run, work, latency_at(times, 0.999) / 1000);
}

/* Half before all else, half after it: a store that is used changes. */
static void measure_alone(const bench_run *run, cask_db *db, latency *puts,
                          tally *gets)
{
    time_puts(run, db, puts);
    time_gets(run, db, NULL, gets);
}

static void measure_merging(const bench_run *run, cask_db *db)
{
    merging beside = {.all = true};
    latency puts = {0};
    tally gets = {0};
    merging_start(&beside, db, true);
    time_puts(run, db, &puts);
    merging_stop(&beside);
    for (uint64_t i = 0; i < GET_MERGES; i++) {
        tally first = {0};
        put_all(run, db, 60 + i);
        /* What was just written is not in the map for reading yet. */
        time_gets(run, db, NULL, &first);
        merging_start(&beside, db, false);
        time_gets(run, db, &beside, &gets);
        merging_stop(&beside);
    }
    report_puts(run, WORK_MERGING_PUT, &puts);
    report_rate(run, WORK_MERGING_GET, &gets);
}

static void measure_slow(const bench_run *run, cask_db *db)
{
    merging beside = {.all = true};
    latency puts = {0};
    tally gets = {0};
    set_rate(db, SLOW_RATE);
    merging_start(&beside, db, true);
    time_puts(run, db, &puts);
    time_gets(run, db, &beside, &gets);
    merging_stop(&beside);
    set_rate(db, "0");
    report_puts(run, WORK_SLOW_PUT, &puts);
    report_rate(run, WORK_SLOW_GET, &gets);
}

void run_merge_load(bench_run *run)
{
    latency puts = {0};
    tally gets = {0};
    run_warm(run);
    cask_db *db = open_store(run, false);
    put_all(run, db, 1);
    measure_alone(run, db, &puts, &gets);
    measure_merging(run, db);
    measure_slow(run, db);
    measure_alone(run, db, &puts, &gets);
    close_store(db);
    report_puts(run, WORK_ALONE_PUT, &puts);
    report_rate(run, WORK_ALONE_GET, &gets);
}

/* ---- How fast a merge is ------------------------------------------------ */

void run_merge_speed(bench_run *run)
{
    const cask_merge_options all = {.all = true};
    cask_merge_report report = {0};
    cask_error err = {0};
    run_warm(run);
    cask_db *db = open_store(run, false);
    put_all(run, db, 1);
    for (uint64_t i = 0; i < run->keys; i += 2) {
        put_index(run, db, i);
    }
    check(cask_sync(db, &err), "sync", &err);
    run_warm(run);
    uint64_t start = now_ns();
    check(cask_merge(db, &all, &report, &err), "merge", &err);
    uint64_t elapsed_ns = now_ns() - start;
    close_store(db);
    run_report(run, WORK_MERGE_RATE,
               (double)report.bytes_read * 1e3 / (double)elapsed_ns);
}

/* ---- A store that is overwritten for long ------------------------------- */

typedef struct steady {
    double space; /* the highest, of live bytes */
    double disk;
} steady;

/* What the figures of one run are called. */
typedef struct steady_works {
    work_id space, disk, writes, put;
} steady_works;

static void look_at_space(cask_db *db, steady *highest)
{
    cask_stats stats;
    cask_error err = {0};
    check(cask_stat(db, &stats, &err), "stat", &err);
    double space = (double)stats.data_bytes / (double)stats.live_bytes;
    double disk = (double)stats.disk_bytes / (double)stats.live_bytes;
    highest->space = space > highest->space ? space : highest->space;
    highest->disk = disk > highest->disk ? disk : highest->disk;
}

static uint64_t merged_bytes(cask_db *db)
{
    cask_merge_state state;
    cask_error err = {0};
    check(cask_merge_status(db, &state, &err), "merge status", &err);
    return state.bytes_written;
}

static uint64_t put_bytes(cask_db *db)
{
    cask_stats stats;
    cask_error err = {0};
    check(cask_stat(db, &stats, &err), "stat", &err);
    return stats.bytes_written;
}

static void measure_steady(bench_run *run, uint64_t most,
                           const steady_works *works)
{
    const uint64_t pause = run->keys / SAMPLES + 1;
    uint64_t seed = STREAM_SEED;
    steady highest = {0};
    run_warm(run);
    /* A thread that asks the policy, as the one of auto_merge does but for
     * the first minute, in which that one waits longer. */
    merging beside = {.all = false};
    cask_db *db = open_sized(run, false, most);
    put_all(run, db, 1);
    merging_start(&beside, db, true);
    uint64_t put_before = put_bytes(db);
    uint64_t merged_before = merged_bytes(db);
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < run->keys * STEADY_ROUNDS; i++) {
        put_index(run, db, stream_random(&seed) % run->keys);
        if (i % pause == 0 && i >= run->keys * STEADY_FIRST) {
            look_at_space(db, &highest);
        }
    }
    uint64_t elapsed_ns = now_ns() - start;
    merging_stop(&beside);
    double put = (double)(put_bytes(db) - put_before);
    double merged = (double)(merged_bytes(db) - merged_before);
    close_store(db);
    run_report(run, works->space, highest.space);
    run_report(run, works->disk, highest.disk);
    run_report(run, works->writes, (put + merged) / put);
    run_report_rate(run, works->put, run->keys * STEADY_ROUNDS, elapsed_ns);
}

void run_merge_steady(bench_run *run)
{
    const steady_works works = {WORK_SPACE, WORK_SPACE_DISK, WORK_WRITES,
                                WORK_STEADY_PUT};

    measure_steady(run, segment_bytes(run), &works);
}

void run_merge_default(bench_run *run)
{
    const steady_works works = {WORK_DEFAULT_SPACE, WORK_DEFAULT_DISK,
                                WORK_DEFAULT_WRITES, WORK_DEFAULT_PUT};

    measure_steady(run, 0, &works);
}

/* ---- Folds -------------------------------------------------------------- */

static bool count_entry(void *context, const cask_entry *entry)
{
    uint64_t *sum = context;
    *sum += 1 + entry->value.size;
    return true;
}

static uint64_t fold(const bench_run *run, cask_db *db, bool keys_only)
{
    const cask_fold_options options = {.keys_only = keys_only};
    size_t value_bytes = keys_only ? 0 : run->settings->value_bytes;
    uint64_t sum = 0;
    cask_error err = {0};
    uint64_t start = now_ns();
    check(cask_fold(db, &options, count_entry, &sum, &err), "fold", &err);
    uint64_t elapsed_ns = now_ns() - start;
    run_check(run, "fold", sum, run->keys * (1 + value_bytes));
    return elapsed_ns;
}

void run_fold(bench_run *run)
{
    run_warm(run);
    cask_db *db = open_store(run, false);
    put_all(run, db, 1);
    (void)fold(run, db, false); /* maps the segments */
    uint64_t values_ns = fold(run, db, false);
    uint64_t keys_ns = fold(run, db, true);
    close_store(db);
    run_report_rate(run, WORK_FOLD, run->keys, values_ns);
    run_report_rate(run, WORK_FOLD_KEYS, run->keys, keys_ns);
}

/* ---- Snapshots ---------------------------------------------------------- */

/* Twice without a snapshot, before and after: a store that is used changes. */
static void measure_rates(const bench_run *run, cask_db *db, tally *puts,
                          tally *gets)
{
    run_warm(run);
    uint64_t start = now_ns();
    put_all(run, db, 70);
    puts->elapsed_ns += now_ns() - start;
    puts->count += run->keys;
    time_gets(run, db, NULL, gets);
}

void run_snapshots(bench_run *run)
{
    cask_snapshot *snapshot = NULL;
    cask_error err = {0};
    tally bare_puts = {0};
    tally bare_gets = {0};
    tally puts = {0};
    tally gets = {0};
    run_warm(run);
    cask_db *db = open_store(run, false);
    put_all(run, db, 1);
    measure_rates(run, db, &bare_puts, &bare_gets);
    check(cask_snapshot_create(db, &snapshot, &err), "snapshot", &err);
    measure_rates(run, db, &puts, &gets);
    cask_snapshot_free(snapshot);
    measure_rates(run, db, &bare_puts, &bare_gets);
    close_store(db);
    report_rate(run, WORK_BARE_PUT, &bare_puts);
    report_rate(run, WORK_SNAPSHOT_PUT, &puts);
    report_rate(run, WORK_BARE_GET, &bare_gets);
    report_rate(run, WORK_SNAPSHOT_GET, &gets);
}
