/*
 * Threads of one handle write and read while its own thread flushes: nobody
 * ever reads less than what was acknowledged before he began.
 */
#include "cask_test.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "support/random.h"
#include "support/scratch.h"

enum { WRITERS = 2, READERS = 2, KEYS = 300, PUTS = 15000, VALUE_BYTES = 200 };

typedef struct shared {
    char path[SCRATCH_PATH];
    cask_db *db;
    uint64_t seed;
    _Atomic uint64_t acked[WRITERS][KEYS];
    _Atomic uint64_t begun[WRITERS][KEYS];
    _Atomic unsigned writing;
    _Atomic unsigned wrong;
} shared;

typedef struct worker {
    shared *share;
    unsigned number;
    pthread_t thread;
} worker;

static cask_slice key_of(char text[32], unsigned writer, unsigned key)
{
    (void)snprintf(text, 32, "key %u of %u", key, writer);
    return cask_slice_of(text);
}

static void *write_keys(void *argument)
{
    worker *w = argument;
    shared *s = w->share;
    test_random random = test_random_make(s->seed, w->number);
    char value[VALUE_BYTES] = "";
    char text[32];

    for (uint64_t version = 1; version <= PUTS; version++) {
        unsigned key = (unsigned)test_random_next(&random, KEYS);

        (void)snprintf(value, sizeof(value), "%" PRIu64, version);
        atomic_store(&s->begun[w->number][key], version);
        if (cask_put(s->db, key_of(text, w->number, key),
                     (cask_slice){value, sizeof(value)}, NULL) != CASK_OK) {
            atomic_fetch_add(&s->wrong, 1);
        }
        atomic_store(&s->acked[w->number][key], version);
    }
    atomic_fetch_sub(&s->writing, 1);
    return NULL;
}

static void read_one(shared *s, test_random *random, cask_buffer *value)
{
    unsigned writer = (unsigned)test_random_next(random, WRITERS);
    unsigned key = (unsigned)test_random_next(random, KEYS);
    uint64_t least = atomic_load(&s->acked[writer][key]);
    uint64_t found = 0;
    char text[32];
    cask_status status =
        cask_get(s->db, key_of(text, writer, key), value, NULL);

    if (status == CASK_OK) {
        found = strtoull(value->data, NULL, 10);
    }
    if ((status != CASK_OK && status != CASK_NOT_FOUND) || found < least ||
        found > atomic_load(&s->begun[writer][key])) {
        atomic_fetch_add(&s->wrong, 1);
    }
}

static void *read_keys(void *argument)
{
    worker *w = argument;
    test_random random = test_random_make(w->share->seed, 100 + w->number);
    cask_buffer value = {0};

    while (atomic_load(&w->share->writing) > 0) {
        read_one(w->share, &random, &value);
    }
    cask_buffer_free(&value);
    return NULL;
}

static void open_store(shared *s)
{
    cask_options options;
    cask_error err = {CASK_OK, 0, ""};

    cask_options_init(&options);
    options.create_if_missing = true;
    options.engine = CASK_ENGINE_TREE;
    options.memtable_bytes = 64 << 10;
    options.segment_max_bytes = 256 << 10;
    if (cask_open(s->path, &options, &s->db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
}

static void test_readers_never_go_back_while_others_write(void **state)
{
    static shared s;
    worker workers[WRITERS + READERS];
    cask_buffer value = {0};
    test_random random;

    (void)state;
    s.seed = test_seed();
    random = test_random_make(s.seed, 1000);
    scratch_make(s.path);
    open_store(&s);
    atomic_store(&s.writing, WRITERS);
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (worker){.share = &s, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL,
                                        i < WRITERS ? write_keys : read_keys,
                                        &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    assert_int_equal(cask_close(s.db, NULL), CASK_OK);
    open_store(&s);
    for (unsigned i = 0; i < WRITERS * KEYS * 10; i++) {
        read_one(&s, &random, &value);
    }
    cask_buffer_free(&value);
    assert_true(atomic_load(&s.db->store->region.header->tree.version) > 3);
    assert_int_equal(cask_close(s.db, NULL), CASK_OK);
    scratch_remove(s.path);
    assert_int_equal(atomic_load(&s.wrong), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_never_go_back_while_others_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
