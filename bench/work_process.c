/*
 * Runs by several processes: gets by one and by two, synced puts by one and by
 * sixteen. The process that coordinates never opens the store itself, so that
 * no handle passes through a fork.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "measure.h"
#include "team.h"
#include "work.h"

/* Gets before the measurement, so that each process has the store mapped. */
#define WARM_GETS 200000u

static void fill_store(void *context)
{
    const bench_run *run = context;
    run_warm(run);
    engine_store *store = run_open(run);
    run_fill(run, store);
    run->engine->close(store);
}

/* One process that reads. */
typedef struct reader {
    const bench_run *run;
    engine_store *store;
    engine_reader *reader;
    uint64_t seed;
} reader;

static void *reader_prepare(const void *context, size_t member)
{
    const bench_run *run = context;
    engine_config config = {
        .path = run->path,
        .key_count = run->keys,
        .read_only = true,
        .sync_interval = run->settings->sync_interval,
        .buffer_bytes = run->settings->buffer_bytes,
    };
    reader *self = malloc(sizeof(*self));
    if (self == NULL) {
        bench_die("no memory");
    }
    self->run = run;
    self->store = run->engine->open(&config);
    self->reader = run->engine->reader_create(self->store);
    self->seed = 20 + member;
    uint64_t warm = run->keys < WARM_GETS ? run->keys : WARM_GETS;
    run_gets(run, self->store, self->reader, warm, 30 + member);
    return self;
}

static uint64_t reader_work(void *state)
{
    reader *self = state;
    return run_gets(self->run, self->store, self->reader, self->run->keys,
                    self->seed);
}

static void reader_finish(void *state)
{
    reader *self = state;
    self->run->engine->reader_free(self->reader);
    self->run->engine->close(self->store);
    free(self);
}

void run_processes(bench_run *run)
{
    static const char why[] = "one process at a time can open it";
    const team_job job = {reader_prepare, reader_work, reader_finish, run};
    if ((run->engine->abilities & ENGINE_MANY_READERS) == 0) {
        run_report_note(run, WORK_GET_1_PROCESS, NAN, why);
        run_report_note(run, WORK_GET_2_PROCESSES, NAN, why);
        return;
    }
    process_wait(process_start(fill_store, run));
    team_result one = team_run(TEAM_PROCESSES, 1, &job);
    run_report_rate(run, WORK_GET_1_PROCESS, one.operations, one.elapsed_ns);
    team_result two = team_run(TEAM_PROCESSES, 2, &job);
    run_report_rate(run, WORK_GET_2_PROCESSES, two.operations, two.elapsed_ns);
}

/* Synced puts into one store. */
typedef struct synced {
    const bench_run *run;
    engine_config config;
    engine_store *shared; /* by all threads; NULL: each process opens it */
    uint64_t duration_ns;
} synced;

typedef struct synced_writer {
    const synced *synced;
    engine_store *store;
    uint64_t first_index;
} synced_writer;

static void *writer_prepare(const void *context, size_t member)
{
    const synced *self = context;
    synced_writer *writer = malloc(sizeof(*writer));
    if (writer == NULL) {
        bench_die("no memory");
    }
    writer->synced = self;
    writer->first_index = (uint64_t)member << 32;
    writer->store = self->shared;
    if (writer->store == NULL) {
        writer->store = self->run->engine->open(&self->config);
    }
    return writer;
}

static uint64_t writer_work(void *state)
{
    const synced_writer *self = state;
    const bench_run *run = self->synced->run;
    uint64_t end_ns = now_ns() + self->synced->duration_ns;
    uint64_t count = 0;
    stream_key memory;
    while (now_ns() < end_ns) {
        uint64_t index = self->first_index + count;
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        run->engine->put(self->store, key,
                         stream_value_at(&run->stream, index, 0));
        count++;
    }
    return count;
}

static void writer_finish(void *state)
{
    synced_writer *self = state;
    if (self->synced->shared == NULL) {
        self->synced->run->engine->close(self->store);
    }
    free(self);
}

/* Measure `count` writers in a directory of their own. */
static void measure_synced(const bench_run *run, work_id work, size_t count)
{
    char path[4096];
    const bool processes = (run->engine->abilities & ENGINE_MANY_WRITERS) != 0;
    snprintf(path, sizeof(path), "%s/%zu", run->path, count);
    if (mkdir(path, 0700) != 0) {
        bench_die("cannot create %s: %s", path, strerror(errno));
    }
    synced self = {
        .run = run,
        .config = {.path = path, .key_count = run->keys, .sync_each = true},
        /* A second is enough for thousands; small runs are for tests. */
        .duration_ns = run->keys < 100000 ? 20000000u : 1000000000u,
    };
    const team_job job = {writer_prepare, writer_work, writer_finish, &self};
    run_warm(run);
    if (!processes) {
        self.shared = run->engine->open(&self.config);
    }
    team_result result =
        team_run(processes ? TEAM_PROCESSES : TEAM_THREADS, count, &job);
    if (!processes) {
        run->engine->close(self.shared);
    }
    run_report_note(run, work,
                    (double)result.operations * 1e9 / (double)result.elapsed_ns,
                    processes || count == 1 ? "" : "by threads of one process");
}

void run_synced(bench_run *run)
{
    if (run_wants(run, WORK_SYNCED_1)) {
        measure_synced(run, WORK_SYNCED_1, 1);
    }
    if (run_wants(run, WORK_SYNCED_16)) {
        measure_synced(run, WORK_SYNCED_16, 16);
    }
}
