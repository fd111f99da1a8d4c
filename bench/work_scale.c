/*
 * The run that is repeated at growing numbers of keys: memory of the index,
 * opening while another process writes, opening again after a clean close.
 * And the same for stores with an order, after a kill.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "team.h"
#include "work.h"

/* Processes that open the store one after another; the median counts. */
enum { OPENINGS = 5 };

/* What the processes of a run leave for the one that coordinates. */
typedef struct scale_times {
    uint64_t index_bytes;
    uint64_t open_ns[OPENINGS];
    uint64_t get_ns[OPENINGS];
} scale_times;

typedef struct scale {
    const bench_run *run;
    scale_times *times; /* shared */
    size_t opening;     /* row of `times` for the next process */
    int ready[2];       /* the holder writes one byte when it is filled */
    int release[2];     /* the holder ends when this is closed */
} scale;

/* Fill the store and keep it open until released. */
static void hold_store(void *context)
{
    scale *self = context;
    const bench_run *run = self->run;
    char byte = 1;
    close(self->release[1]);
    run_warm(run);
    engine_store *store = run_open(run);
    run_fill(run, store);
    if (run->engine->index_bytes != NULL) {
        self->times->index_bytes = run->engine->index_bytes(store);
    }
    if (write(self->ready[1], &byte, 1) != 1 ||
        read(self->release[0], &byte, 1) != 0) {
        bench_die("lost the coordinating process: %s", strerror(errno));
    }
    run->engine->close(store);
}

/* Open, get one key, close; leave the times. */
static void open_store(void *context)
{
    scale *self = context;
    const bench_run *run = self->run;
    stream_key memory;
    cask_slice value = {0};
    /* The last one: it is in the tail that no hint covers. */
    uint64_t index = run->keys - 1;
    cask_slice key = stream_key_at(&run->stream, index, &memory);
    uint64_t start_ns = now_ns();
    engine_store *store = run_open(run);
    uint64_t opened_ns = now_ns();
    engine_reader *reader = run->engine->reader_create(store);
    uint64_t created_ns = now_ns();
    bool found = run->engine->get(store, reader, key, &value);
    uint64_t got_ns = now_ns();
    run_check(run, "first get",
              found && stream_value_is(&run->stream, index, 0, value), 1);
    run->engine->reader_free(reader);
    run->engine->close(store);
    self->times->open_ns[self->opening] = opened_ns - start_ns;
    self->times->get_ns[self->opening] = got_ns - created_ns;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Microseconds. */
static double median_us(uint64_t *values)
{
    qsort(values, OPENINGS, sizeof(*values), compare_u64);
    return (double)values[OPENINGS / 2] / 1000;
}

static void measure_further(scale *self, work_id open, work_id first_get)
{
    const bench_run *run = self->run;
    if ((run->engine->abilities & ENGINE_OPEN_FURTHER) == 0) {
        static const char why[] = "cannot be opened while another writes";
        run_report_note(run, open, NAN, why);
        run_report_note(run, first_get, NAN, why);
        return;
    }
    for (self->opening = 0; self->opening < OPENINGS; self->opening++) {
        process_wait(process_start(open_store, self));
    }
    run_report(run, open, median_us(self->times->open_ns));
    run_report(run, first_get, median_us(self->times->get_ns));
}

/* Opened again by a new process; nanoseconds. */
static uint64_t time_reopen(scale *self)
{
    memory_warm(self->run->keys * 64);
    self->opening = 0;
    process_wait(process_start(open_store, self));
    return self->times->open_ns[0];
}

static void measure_reopen(scale *self)
{
    const bench_run *run = self->run;
    if (!run_wants(run, WORK_REOPEN) && !run_wants(run, WORK_REOPEN_MS)) {
        return;
    }
    uint64_t elapsed_ns = time_reopen(self);
    if (run->engine->index_bytes != NULL) {
        run_report_rate(run, WORK_REOPEN, run->keys, elapsed_ns);
    } else {
        run_report_note(run, WORK_REOPEN, NAN, "its open loads no index");
    }
    run_report(run, WORK_REOPEN_MS, (double)elapsed_ns / 1e6);
}

/* Start the process that fills the store and holds it, and wait until it has
 * filled it. */
static pid_t start_holder(scale *self)
{
    char byte;
    if (pipe(self->ready) != 0 || pipe(self->release) != 0) {
        bench_die("cannot create a pipe: %s", strerror(errno));
    }
    pid_t holder = process_start(hold_store, self);
    close(self->ready[1]);
    close(self->release[0]);
    if (read(self->ready[0], &byte, 1) != 1) {
        process_wait(holder); /* it says why it ended */
        bench_die("the process that fills the store ended");
    }
    return holder;
}

void run_tree_open(bench_run *run)
{
    scale self = {.run = run, .times = shared_create(sizeof(scale_times))};
    pid_t holder = start_holder(&self);
    measure_further(&self, WORK_TREE_FURTHER, WORK_TREE_FIRST_GET);
    process_kill(holder);
    close(self.release[1]);
    run_report(run, WORK_TREE_KILLED, (double)time_reopen(&self) / 1e6);
}

void run_scale(bench_run *run)
{
    scale self = {.run = run, .times = shared_create(sizeof(scale_times))};
    pid_t holder = start_holder(&self);
    if (run->engine->index_bytes != NULL) {
        run_report(run, WORK_INDEX_BYTES,
                   (double)self.times->index_bytes / (double)run->keys);
    }
    measure_further(&self, WORK_OPEN_FURTHER, WORK_FIRST_GET);
    close(self.release[1]);
    process_wait(holder);
    measure_reopen(&self);
}
