/*
 * The processes of the kill test: writers and readers. All that they do is
 * noted before and after, so that whoever comes later can tell what must be in
 * the store, what may be and what cannot be.
 */
#define _GNU_SOURCE
#include "kill_share.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "store/store_merge.h"
#include "tree/tree_flush.h"

typedef struct worker {
    kill_share *share;
    kill_worker *self;
    kill_writer *mine;
    unsigned number; /* of the writer */
    test_random random;
    cask_db *db;
    cask_options options;
    cask_error err;
    cask_buffer value;
    uint8_t *memory;
    uint64_t last_counter[COUNTERS];
} worker;

/* ---- Common ---- */

static worker start(kill_share *share, unsigned number, uint64_t life)
{
    worker w = {.share = share,
                .self = &share->worker[number],
                .number = number,
                .random = test_random_make(share->seed, life)};

    w.memory = malloc(VALUE_BYTES);
    if (w.memory == NULL) {
        kill_fail(share, "no memory");
    }
    return w;
}

static void wait_while_paused(worker *w)
{
    while (atomic_load(&w->share->pause)) {
        atomic_store(&w->self->paused, true);
        (void)usleep(200);
    }
    atomic_store(&w->self->paused, false);
}

/* One operation is over: note that this process is alive, and how long
 * it took. */
static void finish(worker *w, uint64_t start_ns)
{
    uint64_t took = kill_now_ns() - start_ns;

    kill_raise(&w->self->longest_ns, took);
    atomic_fetch_add(&w->self->operations, 1);
    if (took > BOUND_SECONDS * UINT64_C(1000000000)) {
        kill_fail(w->share, "an operation took %" PRIu64 " ms", took / 1000000);
    }
}

/* ---- Writing ---- */

static void note_sequence(worker *w, uint64_t before, uint64_t sequence)
{
    if (sequence <= before) {
        kill_fail(w->share,
                  "sequence %" PRIu64 " after %" PRIu64 " was acknowledged",
                  sequence, before);
    }
    kill_raise(&w->share->sequence, sequence);
}

static uint64_t next_version(kill_key *key)
{
    uint64_t version = atomic_load(&key->intent) + 1;

    atomic_store(&key->intent, version);
    return version;
}

static void write_owned(worker *w)
{
    unsigned number = (unsigned)test_random_next(&w->random, OWNED_KEYS);
    kill_key *key = &w->mine->key[number];
    uint64_t sequence_before = atomic_load(&w->share->sequence);
    uint64_t acked = atomic_load(&key->acked);
    uint64_t version = next_version(key);
    char text[KEY_BYTES];
    cask_slice name = kill_owned(text, w->number, number);
    cask_status status;

    if (kill_is_delete(w->share, w->number, number, version)) {
        bool existed = false;

        status = cask_delete(w->db, name, &existed, &w->err);
        kill_check(w->share, status, "delete", &w->err);
        if (existed != kill_is_put(w->share, w->number, number, acked)) {
            kill_fail(w->share, "delete %s: existed is %d, version %" PRIu64,
                      text, existed, acked);
        }
        atomic_fetch_add(&w->share->deletes, 1);
    } else {
        uint64_t sequence = 0;

        status = cask_put_with(w->db, name,
                               kill_value(w->share, name, version, w->memory),
                               NULL, &sequence, &w->err);
        kill_check(w->share, status, "put", &w->err);
        note_sequence(w, sequence_before, sequence);
    }
    atomic_store(&key->acked, version);
}

static void fill_batch(worker *w, cask_batch *batch, uint32_t size)
{
    unsigned first = (unsigned)test_random_next(&w->random, OWNED_KEYS);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < size; i++) {
        unsigned number = (first + i * 7) % OWNED_KEYS;
        kill_key *key = &w->mine->key[number];
        uint64_t version = atomic_load(&key->intent) + 1;
        char text[KEY_BYTES];
        cask_slice name = kill_owned(text, w->number, number);

        w->mine->batch_key[i] = number;
        w->mine->batch_version[i] = version;
        if (kill_is_delete(w->share, w->number, number, version)) {
            status = cask_batch_delete(batch, name, &w->err);
        } else {
            status = cask_batch_put(
                batch, name, kill_value(w->share, name, version, w->memory), 0,
                &w->err);
        }
        kill_check(w->share, status, "batch", &w->err);
    }
}

static void write_batch(worker *w)
{
    uint32_t size = 2 + (uint32_t)test_random_next(&w->random, BATCH_KEYS - 1);
    cask_batch *batch = NULL;

    kill_check(w->share, cask_batch_create(&batch, &w->err), "batch", &w->err);
    fill_batch(w, batch, size);
    /* Some values are too large for a batch, which must fit a segment. */
    if (cask_batch_bytes(batch) < 40000) {
        /* Intents first: a batch that is announced has all of them. */
        for (uint32_t i = 0; i < size; i++) {
            atomic_store(&w->mine->key[w->mine->batch_key[i]].intent,
                         w->mine->batch_version[i]);
        }
        atomic_store(&w->mine->batch_size, size);
        kill_check(w->share, cask_write(w->db, batch, &w->err), "write",
                   &w->err);
        for (uint32_t i = 0; i < size; i++) {
            atomic_store(&w->mine->key[w->mine->batch_key[i]].acked,
                         w->mine->batch_version[i]);
        }
        atomic_store(&w->mine->batch_size, 0);
        atomic_fetch_add(&w->share->batches, 1);
    }
    cask_batch_free(batch);
}

static void write_unique(worker *w)
{
    uint64_t sequence_before = atomic_load(&w->share->sequence);
    uint64_t number = atomic_load(&w->mine->unique_intent);
    cask_write_options options = {.condition = CASK_IF_ABSENT};
    uint64_t sequence = 0;
    char text[KEY_BYTES];
    cask_slice name = kill_unique(text, w->number, number);

    atomic_store(&w->mine->unique_intent, number + 1);
    kill_check(w->share,
               cask_put_with(w->db, name,
                             kill_value(w->share, name, number, w->memory),
                             &options, &sequence, &w->err),
               text, &w->err);
    note_sequence(w, sequence_before, sequence);
    atomic_store(&w->mine->unique_acked, number + 1);
}

/* Raise a counter by one; somebody else may be faster. */
static void write_counter(worker *w)
{
    unsigned number = (unsigned)test_random_next(&w->random, COUNTERS);
    cask_write_options options = {.condition = CASK_IF_ABSENT};
    uint64_t counter = 0;
    cask_info info;
    char text[KEY_BYTES];
    cask_slice name = kill_counter(text, number);
    cask_status status = cask_get_with(w->db, name, &w->value, &info, &w->err);

    if (status == CASK_OK) {
        options.condition = CASK_IF_SEQUENCE;
        options.expected_sequence = info.sequence;
        counter =
            kill_version(w->share, name,
                         (cask_slice){w->value.data, w->value.size}, w->memory);
    } else if (status != CASK_NOT_FOUND) {
        kill_check(w->share, status, "counter", &w->err);
    }
    atomic_store(&w->mine->counter_intent, number + 1);
    status = cask_put_with(w->db, name,
                           kill_value(w->share, name, counter + 1, w->memory),
                           &options, NULL, &w->err);
    if (status == CASK_OK) {
        atomic_fetch_add(&w->share->counter_acked[number], 1);
    } else if (status != CASK_CONDITION) {
        kill_check(w->share, status, "counter", &w->err);
    } else {
        atomic_fetch_add(&w->share->conditions, 1);
    }
    atomic_store(&w->mine->counter_intent, 0);
}

/* A flush, or compactions too. */
static void merge_tree(worker *w)
{
    const cask_merge_options what = {.all = test_random_chance(&w->random, 30)};
    bool is_flush = test_random_chance(&w->random, 40);
    cask_status status;

    atomic_fetch_add(&w->share->merges_begun, 1);
    status = is_flush ? tree_flush(w->db->store, what.all, &w->err)
                      : cask_merge(w->db, &what, NULL, &w->err);
    if (status == CASK_OK) {
        atomic_fetch_add(&w->share->merges, 1);
    } else if (status != CASK_BUSY) {
        kill_check(w->share, status, "merge", &w->err);
    }
}

/* Any of the sealed segments; others may be at it. */
static void merge_some(worker *w)
{
    static uint32_t rows[REGION_SEGMENTS];
    store_handle *store = w->db->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    store_expiry expiry;
    merge_report report;
    cask_status status;
    size_t chosen = 0;

    if (kill_is_tree()) {
        merge_tree(w);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&store->region.rows[i].state) == ROW_SEALED &&
            store_row_counts(store, i) && test_random_chance(&w->random, 70)) {
            rows[chosen++] = i;
        }
    }
    atomic_fetch_add(&w->share->merges_begun, 1);
    store_expiry_now(store, true, &expiry);
    status = test_random_chance(&w->random, 30)
                 ? hash_merge_all(store, &report, &w->err)
                 : hash_merge(store, rows, chosen, &expiry, &report, &w->err);
    if (status == CASK_OK) {
        atomic_fetch_add(&w->share->merges, 1);
        atomic_fetch_add(&w->share->merged, report.inputs);
    } else if (status != CASK_BUSY && status != CASK_INVALID) {
        kill_check(w->share, status, "merge", &w->err);
    }
}

static void open_writer(worker *w)
{
    w->options = kill_options(&w->random);
    kill_check(w->share,
               cask_open(w->share->path, &w->options, &w->db, &w->err), "open",
               &w->err);
    atomic_fetch_add(&w->self->opens, 1);
}

void kill_write(kill_share *share, unsigned writer, uint64_t life)
{
    worker w = start(share, writer, life);
    char text[KEY_BYTES];

    w.mine = &share->writer[writer];
    for (;;) {
        uint64_t operations = 1 + test_random_next(&w.random, 3000);
        /* Some do little else, so that many die at it. */
        bool is_merger = test_random_chance(&w.random, 30);
        cask_slice name = kill_hello(text, writer);

        wait_while_paused(&w);
        open_writer(&w);
        /* The write lock: what the life before had begun is finished. */
        kill_check(share, cask_put(w.db, name, name, &w.err), "put", &w.err);
        kill_resolve(share, w.db, writer, w.memory);
        for (uint64_t i = 0; i < operations; i++) {
            uint64_t kind = test_random_next(&w.random, 100);
            uint64_t start_ns;

            wait_while_paused(&w);
            start_ns = kill_now_ns();
            if (is_merger && i % 64 == 63) {
                merge_some(&w);
            } else if (kind < 50) {
                write_owned(&w);
            } else if (kind < 65) {
                write_batch(&w);
            } else if (kind < 90) {
                write_unique(&w);
            } else if (kind < 98) {
                write_counter(&w);
            } else if (kind < 99 && i % 4 == 0) {
                merge_some(&w);
            } else {
                kill_check(share, cask_sync(w.db, &w.err), "sync", &w.err);
            }
            finish(&w, start_ns);
        }
        kill_check(share, cask_close(w.db, &w.err), "close", &w.err);
    }
}

/* ---- Reading ---- */

/* Whether any version in [from, to] is a delete, or none was ever written. */
static bool may_be_absent(const worker *w, unsigned writer, unsigned key,
                          uint64_t from, uint64_t to)
{
    for (uint64_t version = from; version <= to; version++) {
        if (version == 0 || kill_is_delete(w->share, writer, key, version)) {
            return true;
        }
    }
    return false;
}

static void read_owned(worker *w, const uint64_t *floors)
{
    unsigned writer = (unsigned)test_random_next(&w->random, WRITERS);
    unsigned number = (unsigned)test_random_next(&w->random, OWNED_KEYS);
    kill_key *key = &w->share->writer[writer].key[number];
    uint64_t floor = floors != NULL ? floors[writer * OWNED_KEYS + number]
                                    : atomic_load(&key->acked);
    uint64_t seen = floors != NULL ? 0 : atomic_load(&key->seen);
    char text[KEY_BYTES];
    cask_slice name = kill_owned(text, writer, number);
    cask_status status = cask_get(w->db, name, &w->value, &w->err);
    uint64_t aborted = atomic_load(&key->aborted);
    uint64_t ceiling = atomic_load(&key->intent);
    uint64_t version;

    floor = seen > floor ? seen : floor;
    if (status == CASK_NOT_FOUND) {
        if (!may_be_absent(w, writer, number, floor, ceiling)) {
            kill_fail(w->share, "%s is missing; version %" PRIu64, text, floor);
        }
        return;
    }
    kill_check(w->share, status, text, &w->err);
    version = kill_version(
        w->share, name, (cask_slice){w->value.data, w->value.size}, w->memory);
    if (version < floor || version > ceiling ||
        (floors == NULL && version == aborted) ||
        kill_is_delete(w->share, writer, number, version)) {
        kill_fail(w->share,
                  "%s: version %" PRIu64 ", acknowledged %" PRIu64
                  ", begun %" PRIu64 ", lost %" PRIu64,
                  text, version, floor, ceiling, aborted);
    }
    if (floors == NULL) {
        kill_raise(&key->seen, version);
    }
}

static void read_unique(worker *w, const uint64_t *floors)
{
    unsigned writer = (unsigned)test_random_next(&w->random, WRITERS);
    kill_writer *other = &w->share->writer[writer];
    uint64_t acked = floors != NULL ? floors[WRITERS * OWNED_KEYS + writer]
                                    : atomic_load(&other->unique_acked);
    char text[KEY_BYTES];
    cask_slice name;
    cask_status status;

    if (acked == 0) {
        return;
    }
    name = kill_unique(text, writer, test_random_next(&w->random, acked));
    status = cask_get(w->db, name, &w->value, &w->err);
    kill_check(w->share, status, text, &w->err);
    (void)kill_version(w->share, name,
                       (cask_slice){w->value.data, w->value.size}, w->memory);
}

static void read_counter(worker *w)
{
    unsigned number = (unsigned)test_random_next(&w->random, COUNTERS);
    char text[KEY_BYTES];
    cask_slice name = kill_counter(text, number);
    uint64_t floor = atomic_load(&w->share->counter_seen[number]);
    cask_view view = {{NULL, 0}, {0}, NULL, NULL};
    cask_status status = cask_view_acquire(w->db, name, &view, &w->err);
    uint64_t counter;

    if (status == CASK_NOT_FOUND && floor == 0) {
        return;
    }
    kill_check(w->share, status, text, &w->err);
    counter = kill_version(w->share, name, view.value, w->memory);
    cask_view_release(w->db, &view);
    if (counter < floor) {
        kill_fail(w->share, "%s went back from %" PRIu64 " to %" PRIu64, text,
                  floor, counter);
    }
    kill_raise(&w->share->counter_seen[number], counter);
}

/* What a private index, made after this call, must know. */
static void note_floors(const worker *w, uint64_t *floors)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned j = 0; j < OWNED_KEYS; j++) {
            floors[i * OWNED_KEYS + j] =
                atomic_load(&w->share->writer[i].key[j].acked);
        }
        floors[WRITERS * OWNED_KEYS + i] =
            atomic_load(&w->share->writer[i].unique_acked);
    }
}

/* True if the handle has an index of its own. */
static bool open_reader(worker *w, uint64_t *floors)
{
    cask_stats stats;
    cask_status status;

    note_floors(w, floors);
    w->options = kill_options(&w->random);
    w->options.create_if_missing = false;
    w->options.read_only = true;
    status = cask_open(w->share->path, &w->options, &w->db, &w->err);
    kill_check(w->share, status, "open to read", &w->err);
    kill_check(w->share, cask_stat(w->db, &stats, &w->err), "stat", &w->err);
    atomic_fetch_add(&w->self->opens, 1);
    if (stats.private_index) {
        atomic_fetch_add(&w->share->private_opens, 1);
    }
    return stats.private_index;
}

void kill_read(kill_share *share, unsigned reader, uint64_t life)
{
    worker w = start(share, reader, life);
    static uint64_t floors[WRITERS * OWNED_KEYS + WRITERS];

    for (;;) {
        uint64_t operations = 1 + test_random_next(&w.random, 20000);
        bool is_private;

        wait_while_paused(&w);
        is_private = open_reader(&w, floors);
        for (uint64_t i = 0; i < operations; i++) {
            uint64_t kind = test_random_next(&w.random, 100);
            uint64_t start_ns;

            if (atomic_load(&share->pause)) {
                wait_while_paused(&w);
            }
            start_ns = kill_now_ns();
            if (kind < 60) {
                read_owned(&w, is_private ? floors : NULL);
            } else if (kind < 90) {
                read_unique(&w, is_private ? floors : NULL);
            } else if (!is_private) {
                read_counter(&w);
            }
            finish(&w, start_ns);
        }
        kill_check(share, cask_close(w.db, &w.err), "close", &w.err);
    }
}
