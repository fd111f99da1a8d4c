/*
 * Runs by one process: fill, get, overwrite, delete and their latencies.
 */
#include <math.h>
#include <stdlib.h>

#include "latency.h"
#include "measure.h"
#include "team.h"
#include "work.h"

typedef struct point {
    const bench_run *run;
    engine_store *store;
    engine_reader *reader;
} point;

/* One timed stretch; returns the number of operations. */
typedef struct point_step {
    work_id work;
    uint64_t (*body)(const point *self);
    bool writes; /* needs fresh memory */
} point_step;

static uint64_t step_fill(const point *self)
{
    return run_fill(self->run, self->store);
}

static uint64_t step_get(const point *self)
{
    return run_gets(self->run, self->store, self->reader, self->run->keys, 1);
}

static uint64_t step_get_missing(const point *self)
{
    run_gets_missing(self->run, self->store, self->reader);
    return self->run->keys;
}

static uint64_t step_get_many(const point *self)
{
    const bench_run *run = self->run;
    stream_key memory[WORK_MANY];
    cask_slice keys[WORK_MANY];
    cask_slice values[WORK_MANY];
    uint64_t index[WORK_MANY];
    uint64_t good = 0;
    uint64_t count = run->keys - run->keys % WORK_MANY;
    order random = order_of(run->keys, 2);
    for (uint64_t i = 0; i < count; i += WORK_MANY) {
        for (size_t j = 0; j < WORK_MANY; j++) {
            index[j] = order_at(&random, i + j);
            keys[j] = stream_key_at(&run->stream, index[j], &memory[j]);
        }
        run->engine->get_many(self->store, self->reader, keys, WORK_MANY,
                              values);
        for (size_t j = 0; j < WORK_MANY; j++) {
            good += values[j].data != NULL &&
                    stream_value_is(&run->stream, index[j], 0, values[j]);
        }
    }
    run_check(run, "get many", good, count);
    return count;
}

static uint64_t step_overwrite(const point *self)
{
    const bench_run *run = self->run;
    stream_key memory;
    order random = order_of(run->keys, 3);
    for (uint64_t i = 0; i < run->keys; i++) {
        uint64_t index = order_at(&random, i);
        cask_slice key = stream_key_at(&run->stream, index, &memory);
        run->engine->put(self->store, key,
                         stream_value_at(&run->stream, index, 1));
    }
    return run->keys;
}

static uint64_t step_delete(const point *self)
{
    const bench_run *run = self->run;
    stream_key memory;
    uint64_t good = 0;
    order random = order_of(run->keys, 4);
    for (uint64_t i = 0; i < run->keys; i++) {
        cask_slice key =
            stream_key_at(&run->stream, order_at(&random, i), &memory);
        good += run->engine->remove(self->store, key);
    }
    run_check(run, "delete", good, run->keys);
    return run->keys;
}

static uint64_t step_batch(const point *self)
{
    run_fill_batches(self->run, self->store, WORK_BATCH);
    return self->run->keys;
}

/* What a thread of get-2-threads works on. */
typedef struct getter {
    const point *point;
    engine_reader *reader;
    uint64_t seed;
} getter;

static void *getter_prepare(const void *context, size_t member)
{
    const point *self = context;
    getter *state = malloc(sizeof(*state));
    if (state == NULL) {
        bench_die("no memory");
    }
    state->point = self;
    state->reader = self->run->engine->reader_create(self->store);
    state->seed = 10 + member;
    return state;
}

static uint64_t getter_work(void *state)
{
    getter *self = state;
    const bench_run *run = self->point->run;
    return run_gets(run, self->point->store, self->reader, run->keys,
                    self->seed);
}

static void getter_finish(void *state)
{
    getter *self = state;
    self->point->run->engine->reader_free(self->reader);
    free(self);
}

static void get_by_threads(const point *self)
{
    const team_job job = {getter_prepare, getter_work, getter_finish, self};
    if (run_wants(self->run, WORK_GET_2_THREADS)) {
        team_result result = team_run(TEAM_THREADS, 2, &job);
        run_report_rate(self->run, WORK_GET_2_THREADS, result.operations,
                        result.elapsed_ns);
    }
}

static void run_step(const point *self, const point_step *step)
{
    if (step->writes) {
        run_warm(self->run);
    }
    uint64_t start_ns = now_ns();
    uint64_t operations = step->body(self);
    run_report_rate(self->run, step->work, operations, now_ns() - start_ns);
}

static point point_open(bench_run *run)
{
    point self = {.run = run, .store = run_open(run)};
    self.reader = run->engine->reader_create(self.store);
    return self;
}

static void point_close(point *self)
{
    self->run->engine->reader_free(self->reader);
    self->run->engine->close(self->store);
}

void run_point(bench_run *run)
{
    static const point_step fill = {WORK_FILL_RANDOM, step_fill, true};
    static const point_step reads[] = {
        {WORK_GET, step_get, false},
        {WORK_GET_MISSING, step_get_missing, false},
        {WORK_GET_MANY, step_get_many, false},
    };
    static const point_step writes[] = {
        {WORK_OVERWRITE, step_overwrite, true},
        {WORK_DELETE, step_delete, true},
    };
    point self = point_open(run);
    run_step(&self, &fill);
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        if (run_wants(run, reads[i].work)) {
            run_step(&self, &reads[i]);
        }
    }
    get_by_threads(&self);
    run_report(run, WORK_MEMORY_PEAK, (double)memory_peak_bytes() / 1e6);
    run_report(run, WORK_MEMORY_HELD, (double)memory_held_bytes() / 1e6);
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        if (run_wants(run, writes[i].work)) {
            run_step(&self, &writes[i]);
        }
    }
    point_close(&self);
}

void run_order(bench_run *run)
{
    static const point_step fill = {WORK_FILL_ORDER, step_fill, true};
    run->stream.ordered = true;
    point self = point_open(run);
    run_step(&self, &fill);
    point_close(&self);
}

void run_batch(bench_run *run)
{
    static const point_step batch = {WORK_BATCH_PUT, step_batch, true};
    point self = point_open(run);
    run_step(&self, &batch);
    point_close(&self);
}

static void time_puts(const point *self, latency *times)
{
    const bench_run *run = self->run;
    stream_key memory;
    run_warm(run);
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < run->keys; i++) {
        cask_slice key = stream_key_at(&run->stream, i, &memory);
        run->engine->put(self->store, key, stream_value_at(&run->stream, i, 0));
        uint64_t after = now_ns();
        latency_add(times, after - before);
        before = after;
    }
}

static void time_gets(const point *self, latency *times)
{
    const bench_run *run = self->run;
    stream_key memory;
    order random = order_of(run->keys, 5);
    uint64_t found = 0;
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < run->keys; i++) {
        cask_slice value;
        cask_slice key =
            stream_key_at(&run->stream, order_at(&random, i), &memory);
        found += run->engine->get(self->store, self->reader, key, &value);
        uint64_t after = now_ns();
        latency_add(times, after - before);
        before = after;
    }
    run_check(run, "timed get", found, run->keys);
}

/* Report three percentiles; their works follow one another. */
static void report_times(const bench_run *run, const work_id *works,
                         const latency *times)
{
    static const double fractions[] = {0.5, 0.99, 0.999};
    for (size_t i = 0; i < 3; i++) {
        run_report(run, works[i], latency_at(times, fractions[i]) / 1000);
    }
}

void run_latency(bench_run *run)
{
    static const work_id puts[] = {WORK_PUT_P50, WORK_PUT_P99, WORK_PUT_P999};
    static const work_id gets[] = {WORK_GET_P50, WORK_GET_P99, WORK_GET_P999};
    latency put_times = {0};
    latency get_times = {0};
    point self = point_open(run);
    time_puts(&self, &put_times);
    time_gets(&self, &get_times);
    point_close(&self);
    report_times(run, puts, &put_times);
    report_times(run, gets, &get_times);
}
