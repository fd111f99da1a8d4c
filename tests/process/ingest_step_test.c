/*
 * Death at any instruction while runs are taken into a store: a child does it
 * under single-step and is killed; the parent, whose handle stays open or is
 * closed, finds all records of both runs or none, goes on writing, which opens
 * the gate that the child may have closed, and what it writes is newer. A
 * snapshot from before sees none. All readers of all handles see the same at
 * each moment, also one that loads MANIFEST for the first time. Nothing is left
 * behind.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 10)
 *   CASK_TEST_STRIDE  system calls from one death to the next (default 8)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "process/death.h"
#include "process/readers.h"
#include "process/step_store.h"
#include "process/stray.h"
#include "store/store_write.h"
#include "support/require.h"
#include "tree/tree_flush.h"
#include "tree/tree_gate.h"
#include "tree/version.h"

enum { KEYS = 40, PATH = SCRATCH_PATH + 16, ROUNDS_PER_STORE = 10 };

/* Beside the others: one that only a run has. */
enum { NEW_KEY = KEYS + 1 };

typedef struct scene {
    step_store store;
    char offline[SCRATCH_PATH];
    char files[2][PATH];
    cask_db *unread; /* beside it; has loaded no version; NULL if that is */
    cask_snapshot *before;
    uint64_t round; /* its puts have the value 2 * round, its runs one more */
    uint64_t rounds;
} scene;

static void close_unread(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    if (s->unread != NULL) {
        require_ok(cask_close(s->unread, &err), &err);
    }
    s->unread = NULL;
}

static void drop_snapshot(scene *s)
{
    cask_snapshot_free(s->before);
    s->before = NULL;
}

static void put_key(scene *s, unsigned key, uint64_t value)
{
    cask_error err = {CASK_OK, 0, ""};
    char name[16];

    require_ok(cask_put(s->store.db, step_store_key(name, key),
                        (cask_slice){&value, sizeof(value)}, &err),
               &err);
}

/* The first run has the first half of the keys, the second every other one of
 * all. */
static bool is_in_runs(unsigned key)
{
    return key < KEYS / 2 || key % 2 == 0;
}

static void build(scene *s, unsigned file, uint64_t value)
{
    cask_run_writer *writer = NULL;
    cask_error err = {CASK_OK, 0, ""};

    (void)remove(s->files[file]);
    require_ok(cask_run_writer_create(s->files[file], NULL, &writer, &err),
               &err);
    for (unsigned key = 0; key < KEYS; key++) {
        char name[16];
        const cask_run_entry entry = {.kind = CASK_RUN_PUT,
                                      .key = step_store_key(name, key),
                                      .value = {&value, sizeof(value)}};

        if (file == 0 ? key < KEYS / 2 : key % 2 == 0) {
            require_ok(cask_run_writer_add(writer, &entry, &err), &err);
        }
    }
    if (file == 0) {
        char name[16];
        const cask_run_entry entry = {.kind = CASK_RUN_PUT,
                                      .key = step_store_key(name, NEW_KEY),
                                      .value = {&value, sizeof(value)}};

        require_ok(cask_run_writer_add(writer, &entry, &err), &err);
    }
    require_ok(cask_run_writer_finish(writer, &err), &err);
}

static cask_status ingest(scene *s, cask_error *err)
{
    const char *const paths[] = {s->files[0], s->files[1]};

    return cask_ingest(s->store.db, paths, 2, NULL, NULL, err);
}

/* ---- The child ---- */

static int ingest_in_child(void *prepared, void *context)
{
    (void)prepared;
    return ingest(context, NULL) == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static uint64_t value_of(scene *s, cask_snapshot *at, unsigned key)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_buffer value = {0};
    uint64_t number = 0;
    char name[16];

    require_ok(at != NULL ? cask_snapshot_get(at, step_store_key(name, key),
                                              &value, NULL, &err)
                          : cask_get(s->store.db, step_store_key(name, key),
                                     &value, &err),
               &err);
    assert_int_equal(value.size, sizeof(number));
    memcpy(&number, value.data, sizeof(number));
    cask_buffer_free(&value);
    return number;
}

/* Whether the runs are there: all of them, or nothing. */
static bool are_there(scene *s)
{
    bool first = value_of(s, NULL, 0) == 2 * s->round + 1;

    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t right = 2 * s->round + (first && is_in_runs(key) ? 1 : 0);

        assert_true(value_of(s, NULL, key) == right);
    }
    return first;
}

/* To all readers of both handles, whoever has had a turn since. */
static bool are_there_to_all(scene *s)
{
    const unsigned keys[] = {NEW_KEY, 0, 2, KEYS - 2};
    char name[16];
    bool are = readers_see(s->unread, step_store_key(name, NEW_KEY)) != 0;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint64_t before = keys[i] == NEW_KEY ? 0 : 2 * s->round;
        uint64_t right = are ? 2 * s->round + 1 : before;

        assert_true(readers_see(s->unread, step_store_key(name, keys[i])) ==
                    right);
        assert_true(readers_see(s->store.db, step_store_key(name, keys[i])) ==
                    right);
    }
    return are;
}

static void begin_round(void *context)
{
    scene *s = context;
    cask_error err = {CASK_OK, 0, ""};
    char name[16];

    if (++s->rounds % ROUNDS_PER_STORE == 0) {
        step_store_renew(&s->store);
    }
    s->round++;
    for (unsigned key = 0; key < KEYS; key++) {
        put_key(s, key, 2 * s->round);
    }
    require_ok(
        cask_delete(s->store.db, step_store_key(name, NEW_KEY), NULL, &err),
        &err);
    build(s, 0, 2 * s->round + 1);
    build(s, 1, 2 * s->round + 1);
    if (test_random_chance(&s->store.random, 40)) {
        step_store_close(&s->store);
    } else {
        require_ok(
            cask_open(s->store.path, &s->store.options, &s->unread, &err),
            &err);
        assert_int_equal(cask_snapshot_create(s->store.db, &s->before, NULL),
                         CASK_OK);
    }
}

static void end_round(void *context)
{
    scene *s = context;
    char stray[STRAY_NAME];
    bool is_there;

    if (s->store.db == NULL) {
        step_store_open(&s->store);
        is_there = are_there(s);
    } else {
        is_there = are_there_to_all(s);
        assert_true(are_there(s) == is_there);
    }
    close_unread(s);
    /* It waits for whoever took them in, who is dead, and sees to the rest. */
    put_key(s, KEYS, 1);
    assert_true(are_there(s) || !is_there);
    for (unsigned key = 0; key < KEYS && s->before != NULL; key++) {
        assert_true(value_of(s, s->before, key) == 2 * s->round);
    }
    s->round++;
    for (unsigned key = 0; key < KEYS; key++) {
        put_key(s, key, 2 * s->round);
    }
    assert_false(are_there(s));
    if (test_random_chance(&s->store.random, 50)) {
        cask_error err = {CASK_OK, 0, ""};

        /* Copies of a dead one go with the next turn. */
        require_ok(tree_flush(s->store.db->store, false, &err), &err);
        drop_snapshot(s);
        step_store_close(&s->store);
        stray_find(s->store.path, stray);
        if (stray[0] != 0) {
            fail_msg("left behind: %s", stray);
        }
        step_store_open(&s->store);
        assert_false(are_there(s));
    }
    drop_snapshot(s);
}

/* ---- Tests ---- */

static death_round round_of(scene *s)
{
    return (death_round){.work = {step_store_prepare, ingest_in_child, s},
                         .random = &s->store.random,
                         .begin = begin_round,
                         .end = end_round};
}

static void test_death_at_each_system_call(void **state)
{
    const death_round round = round_of(*state);

    death_sweep_calls(&round, test_number("CASK_TEST_STRIDE", 8));
}

static void sweep(scene *s, void (*function)(void), uint64_t window)
{
    const death_round round = round_of(s);
    const death_place where = {function, 1, window};

    death_sweep(&round, &where);
}

static void test_death_from_the_closing_of_the_gate_on(void **state)
{
    sweep(*state, STEPPER_FUNCTION(tree_gate_close), 20000);
}

static void test_death_while_sequences_are_taken(void **state)
{
    sweep(*state, STEPPER_FUNCTION(tree_gate_take), 400);
}

/* Its version is durable, and is being told to others. */
static void test_all_readers_see_what_is_told(void **state)
{
    scene *s = *state;
    const death_round round = round_of(s);
    unsigned seen = 0;
    unsigned rounds = 0;

    for (uint64_t steps = 1; steps < 100; steps += 6) {
        pid_t pid;
        bool are;

        begin_round(s);
        pid = stepper_start(&round.work);
        assert_true(stepper_run_to(pid, STEPPER_FUNCTION(tree_gate_take), 1));
        assert_true(
            stepper_run_to(pid, STEPPER_FUNCTION(store_publish_runs), 1));
        assert_int_equal(stepper_step(pid, steps), steps);
        if (s->store.db != NULL) {
            are = are_there_to_all(s);
            seen += are ? 1 : 0;
            rounds++;
            assert_int_equal(stepper_step(pid, 50), 50);
            assert_true(are_there_to_all(s) || !are);
        }
        stepper_kill(pid);
        end_round(s);
    }
    assert_true(0 < seen && seen < rounds);
}

static void test_death_while_the_gate_is_opened(void **state)
{
    sweep(*state, STEPPER_FUNCTION(tree_gate_open), 300);
}

/* ---- Fixtures ---- */

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    step_store_begin(&s.store);
    s.store.options.memtable_bytes = 64 << 10;
    s.store.options.segment_max_bytes = 64 << 10;
    s.store.options.small_file_threshold_bytes = 0;
    step_store_open(&s.store);
    scratch_make(s.offline);
    (void)snprintf(s.files[0], PATH, "%s/first", s.offline);
    (void)snprintf(s.files[1], PATH, "%s/second", s.offline);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    drop_snapshot(s);
    close_unread(s);
    step_store_end(&s->store);
    scratch_remove(s->offline);
    return 0;
}

#define STEP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_death_at_each_system_call),
        STEP_TEST(test_death_from_the_closing_of_the_gate_on),
        STEP_TEST(test_death_while_sequences_are_taken),
        STEP_TEST(test_all_readers_see_what_is_told),
        STEP_TEST(test_death_while_the_gate_is_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
