/*
 * What snapshots cost when there is none: a store in which one was made, kept
 * while everything was overwritten, and freed, beside one that never had any.
 */
#include <stdio.h>

#include "measure.h"
#include "work.h"

/* Both stores do the same in turn, a piece each, and processor time counts, so
 * that what disturbs the machine disturbs both, and little. */
enum { PIECES = 32, PATH_BYTES = 4096 };

typedef struct timed_store {
    cask_db *db;
    uint64_t put_ns;
    uint64_t get_ns;
} timed_store;

static void check(cask_status status, const char *call, const cask_error *err)
{
    if (status != CASK_OK) {
        bench_die("%s: %s: %s", call, cask_status_name(status), err->message);
    }
}

static cask_db *open_store(const bench_run *run, const char *name)
{
    char path[PATH_BYTES];
    cask_options options;
    cask_error err = {0};
    cask_db *db = NULL;
    snprintf(path, sizeof(path), "%s/%s", run->path, name);
    cask_options_init(&options);
    options.create_if_missing = true;
    options.sync = CASK_SYNC_NONE;
    options.auto_merge = false;
    check(cask_open(path, &options, &db, &err), "open", &err);
    return db;
}

/* Part of the keys: `first` to `end` of the random order `seed`. */
typedef struct piece {
    uint64_t first;
    uint64_t end;
    uint64_t seed;
} piece;

static void put_piece(const bench_run *run, cask_db *db, piece part)
{
    order random = order_of(run->keys, part.seed);
    cask_error err = {0};
    for (uint64_t i = part.first; i < part.end; i++) {
        stream_key memory;
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        check(cask_put(db, key, stream_value_at(&run->stream, index, 0), &err),
              "put", &err);
    }
}

static void get_piece(const bench_run *run, cask_db *db, piece part)
{
    order random = order_of(run->keys, part.seed);
    cask_buffer value = {0};
    uint64_t good = 0;
    for (uint64_t i = part.first; i < part.end; i++) {
        stream_key memory;
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        if (cask_get(db, key, &value, NULL) == CASK_OK) {
            cask_slice found = {value.data, value.size};
            good += stream_value_is(&run->stream, index, 0, found);
        }
    }
    cask_buffer_free(&value);
    run_check(run, "get", good, part.end - part.first);
}

static void time_piece(const bench_run *run, timed_store *store, piece part,
                       bool puts)
{
    uint64_t start = thread_ns();
    (puts ? put_piece : get_piece)(run, store->db, part);
    *(puts ? &store->put_ns : &store->get_ns) += thread_ns() - start;
}

/* Overwrite, or get, every key of both. */
static void time_both(const bench_run *run, timed_store stores[2], bool puts)
{
    for (uint64_t i = 0; i < PIECES; i++) {
        piece part = {.first = run->keys * i / PIECES,
                      .end = run->keys * (i + 1) / PIECES,
                      .seed = puts ? 80 : 81};
        /* Who comes second finds some of what both need in the caches. */
        time_piece(run, &stores[i % 2], part, puts);
        time_piece(run, &stores[1 - i % 2], part, puts);
    }
}

void run_freed(bench_run *run)
{
    const piece all = {.end = run->keys, .seed = 1};
    timed_store stores[2] = {{open_store(run, "never"), 0, 0},
                             {open_store(run, "freed"), 0, 0}};
    cask_snapshot *snapshot = NULL;
    cask_error err = {0};
    for (int i = 0; i < 2; i++) {
        run_warm(run);
        put_piece(run, stores[i].db, all);
    }
    check(cask_snapshot_create(stores[1].db, &snapshot, &err), "snapshot",
          &err);
    for (int i = 0; i < 2; i++) {
        run_warm(run);
        put_piece(run, stores[i].db, all);
    }
    cask_snapshot_free(snapshot);
    run_warm(run);
    run_warm(run);
    time_both(run, stores, true);
    time_both(run, stores, false);
    for (int i = 0; i < 2; i++) {
        check(cask_close(stores[i].db, &err), "close", &err);
    }
    run_report_rate(run, WORK_NEVER_PUT, run->keys, stores[0].put_ns);
    run_report_rate(run, WORK_FREED_PUT, run->keys, stores[1].put_ns);
    run_report_rate(run, WORK_NEVER_GET, run->keys, stores[0].get_ns);
    run_report_rate(run, WORK_FREED_GET, run->keys, stores[1].get_ns);
}
