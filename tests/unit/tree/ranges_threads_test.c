/*
 * Threads of one handle read while one writes keys and deletes ranges of them,
 * and the handle's own thread flushes: what was deleted before a look-up began
 * is not found, and what was put and not deleted is.
 */
#include "cask_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "support/random.h"
#include "support/scratch.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 4000 };
#else
enum { ROUNDS = 20000 };
#endif

enum { READERS = 3, KEYS = 16, VALUE_BYTES = 100 };

typedef struct shared {
    char path[SCRATCH_PATH];
    cask_db *db;
    uint64_t seed;
    _Atomic uint64_t begun[KEYS];    /* rounds whose puts may be seen */
    _Atomic uint64_t put[KEYS];      /* are seen, unless they are deleted */
    _Atomic uint64_t deleting[KEYS]; /* may be deleted */
    _Atomic uint64_t deleted[KEYS];  /* are */
    _Atomic bool writing;
    _Atomic unsigned wrong;
} shared;

static cask_slice key_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "key %02u", key);
    return cask_slice_of(text);
}

static void check(shared *s, cask_status status)
{
    if (status != CASK_OK) {
        atomic_fetch_add(&s->wrong, 1);
    }
}

static void delete_some(shared *s, test_random *random, uint64_t round)
{
    unsigned from = (unsigned)test_random_next(random, KEYS);
    unsigned to = from + 1 + (unsigned)test_random_next(random, KEYS - from);
    char text[2][16];

    for (unsigned key = from; key < to; key++) {
        atomic_store(&s->deleting[key], round);
    }
    check(s, cask_delete_range(s->db, key_of(text[0], from),
                               key_of(text[1], to), NULL));
    for (unsigned key = from; key < to; key++) {
        atomic_store(&s->deleted[key], round);
    }
}

static void *write_rounds(void *argument)
{
    shared *s = argument;
    test_random random = test_random_make(s->seed, 0);
    char value[VALUE_BYTES] = "";

    for (uint64_t round = 1; round <= ROUNDS; round++) {
        unsigned key = (unsigned)test_random_next(&random, KEYS);
        char text[16];

        memcpy(value, &round, sizeof(round));
        atomic_store(&s->begun[key], round);
        check(s, cask_put(s->db, key_of(text, key),
                          (cask_slice){value, sizeof(value)}, NULL));
        atomic_store(&s->put[key], round);
        if (test_random_chance(&random, 30)) {
            delete_some(s, &random, round);
        }
    }
    atomic_store(&s->writing, false);
    return NULL;
}

static void read_one(shared *s, test_random *random, cask_buffer *value)
{
    unsigned key = (unsigned)test_random_next(random, KEYS);
    uint64_t deleted = atomic_load(&s->deleted[key]);
    uint64_t put = atomic_load(&s->put[key]);
    uint64_t found = 0;
    char text[16];
    cask_status status = cask_get(s->db, key_of(text, key), value, NULL);

    if (status == CASK_OK) {
        memcpy(&found, value->data, sizeof(found));
    }
    if ((status != CASK_OK && status != CASK_NOT_FOUND) ||
        (found != 0 && (found <= deleted || found < put ||
                        found > atomic_load(&s->begun[key]))) ||
        (found == 0 && put > atomic_load(&s->deleting[key]))) {
        atomic_fetch_add(&s->wrong, 1);
    }
}

static void *read_keys(void *argument)
{
    shared *s = argument;
    test_random random = test_random_make(s->seed, (uintptr_t)&random);
    cask_buffer value = {0};

    while (atomic_load(&s->writing)) {
        read_one(s, &random, &value);
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

static void test_deleted_ranges_stay_deleted_for_all_threads(void **state)
{
    static shared s;
    pthread_t threads[READERS + 1];
    cask_buffer value = {0};
    test_random random;

    (void)state;
    s.seed = test_seed();
    random = test_random_make(s.seed, 1000);
    scratch_make(s.path);
    open_store(&s);
    atomic_store(&s.writing, true);
    for (unsigned i = 0; i <= READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL,
                                        i == 0 ? write_rounds : read_keys, &s),
                         0);
    }
    for (unsigned i = 0; i <= READERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned key = 0; key < KEYS * 20; key++) {
            read_one(&s, &random, &value);
        }
        assert_int_equal(cask_close(s.db, NULL), CASK_OK);
        open_store(&s);
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
        cmocka_unit_test(test_deleted_ranges_stay_deleted_for_all_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
