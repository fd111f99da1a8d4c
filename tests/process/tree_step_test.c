/*
 * Death at any instruction of a flush or a compaction: a child flushes or
 * compacts a store of the tree engine under single-step and is killed; the
 * parent, whose handle stays open or is closed, finds all keys as they were,
 * goes on writing, and completes what the child had begun.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 25)
 *   CASK_TEST_STRIDE  system calls from one death to the next (default 16 of a
 *                     flush, 32 of a compaction)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "process/death.h"
#include "process/step_store.h"
#include "process/stray.h"
#include "run/run_writer.h"
#include "support/require.h"
#include "tree/tree.h"
#include "tree/tree_compact.h"
#include "tree/tree_flush.h"
#include "tree/tree_segments.h"
#include "tree/tree_tables.h"

enum {
    KEYS = 150,
    CHANGES = 120,
    VALUE_BYTES = 900,
    APART_BYTES = 1100,    /* of every other key: a value that is apart */
    ROUNDS_PER_STORE = 10, /* runs pile up, and each takes calls to be opened */
    RUNS = 3               /* flushed before a compaction, at least */
};

typedef struct scene {
    step_store store;
    uint64_t version[KEYS]; /* 0: absent */
    uint64_t next_version;
    uint64_t rounds;
} scene;

static size_t size_of(unsigned key)
{
    return key % 2 == 0 ? VALUE_BYTES : APART_BYTES;
}

static void change_key(scene *s, unsigned key)
{
    static char value[APART_BYTES];
    cask_error err = {CASK_OK, 0, ""};
    char name[16];

    s->next_version++;
    if (test_random_chance(&s->store.random, 25)) {
        s->version[key] = 0;
        require_ok(
            cask_delete(s->store.db, step_store_key(name, key), NULL, &err),
            &err);
        return;
    }
    s->version[key] = s->next_version;
    (void)snprintf(value, sizeof(value), "%" PRIu64, s->next_version);
    require_ok(cask_put(s->store.db, step_store_key(name, key),
                        (cask_slice){value, size_of(key)}, &err),
               &err);
}

static void change_some(scene *s)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        change_key(s, (unsigned)test_random_next(&s->store.random, KEYS));
    }
}

static void compare_keys(scene *s)
{
    cask_buffer value = {0};

    for (unsigned key = 0; key < KEYS; key++) {
        cask_error err = {CASK_OK, 0, ""};
        char name[16];
        char text[24];
        cask_status status =
            cask_get(s->store.db, step_store_key(name, key), &value, &err);

        if (s->version[key] == 0) {
            assert_int_equal(status, CASK_NOT_FOUND);
            continue;
        }
        require_ok(status, &err);
        assert_int_equal(value.size, size_of(key));
        (void)snprintf(text, sizeof(text), "%" PRIu64, s->version[key]);
        assert_string_equal(value.data, text);
    }
    cask_buffer_free(&value);
}

/* ---- The child ---- */

static int flush_in_child(void *prepared, void *context)
{
    scene *s = context;

    (void)prepared;
    return tree_flush(s->store.db->store, true, NULL) == CASK_OK ? 0 : 1;
}

static int compact_in_child(void *prepared, void *context)
{
    scene *s = context;
    const tree_wish wish = {.is_asked = true, .all = true};
    tree_merged merged;

    (void)prepared;
    return tree_compact(s->store.db->store, wish, &merged, NULL) == CASK_OK ? 0
                                                                            : 1;
}

/* ---- Rounds ---- */

static void flush(scene *s, bool all)
{
    cask_error err = {CASK_OK, 0, ""};

    require_ok(tree_flush(s->store.db->store, all, &err), &err);
}

static void begin_flush(void *context)
{
    scene *s = context;

    if (++s->rounds % ROUNDS_PER_STORE == 0) {
        step_store_renew(&s->store);
        memset(s->version, 0, sizeof(s->version));
    }
    change_some(s);
    if (test_random_chance(&s->store.random, 40)) {
        step_store_close(&s->store);
    }
}

/* Runs above each other, tombstones among them, and a memtable. */
static void begin_compaction(void *context)
{
    scene *s = context;

    for (unsigned i = 0; i < RUNS; i++) {
        change_some(s);
        flush(s, true);
    }
    begin_flush(s);
}

static void end_flush(void *context)
{
    scene *s = context;

    if (s->store.db == NULL) {
        step_store_open(&s->store);
    }
    compare_keys(s);
    for (unsigned i = 0; i < 5; i++) {
        change_key(s, (unsigned)test_random_next(&s->store.random, KEYS));
    }
    compare_keys(s);
    flush(s, test_random_chance(&s->store.random, 50));
    compare_keys(s);
    if (test_random_chance(&s->store.random, 30)) {
        step_store_close(&s->store);
        stray_check(s->store.path);
        step_store_open(&s->store);
        compare_keys(s);
    }
}

static void end_compaction(void *context)
{
    scene *s = context;
    const tree_wish wish = {.is_asked = true, .all = true};
    cask_error err = {CASK_OK, 0, ""};
    tree_merged merged;

    end_flush(s);
    require_ok(tree_compact(s->store.db->store, wish, &merged, &err), &err);
    compare_keys(s);
}

static death_round flushes_of(scene *s)
{
    return (death_round){{step_store_prepare, flush_in_child, s},
                         &s->store.random,
                         begin_flush,
                         end_flush};
}

static death_round compactions_of(scene *s)
{
    return (death_round){{step_store_prepare, compact_in_child, s},
                         &s->store.random,
                         begin_compaction,
                         end_compaction};
}

static void sweep(scene *s, const death_place *where)
{
    const death_round round = flushes_of(s);

    death_sweep(&round, where);
}

static void sweep_compactions(scene *s, const death_place *where)
{
    const death_round round = compactions_of(s);

    death_sweep(&round, where);
}

/* ---- Tests ---- */

static void test_death_at_each_system_call_of_a_flush(void **state)
{
    const death_round round = flushes_of(*state);

    death_sweep_calls(&round, test_number("CASK_TEST_STRIDE", 16));
}

static void test_death_while_a_memtable_is_begun(void **state)
{
    const death_place where = {STEPPER_FUNCTION(tree_tables_begin_locked), 1,
                               2500};

    sweep(*state, &where);
}

static void test_death_while_the_run_becomes_part_of_the_tree(void **state)
{
    const death_place where = {STEPPER_FUNCTION(version_apply), 1, 9000};

    sweep(*state, &where);
}

static void test_death_while_a_memtable_goes(void **state)
{
    const death_place where = {STEPPER_FUNCTION(tree_tables_drop_locked), 1,
                               700};

    sweep(*state, &where);
}

static void test_death_while_segments_go(void **state)
{
    const death_place where = {STEPPER_FUNCTION(tree_segments_drop), 1, 6000};

    sweep(*state, &where);
}

static void test_death_at_each_system_call_of_a_compaction(void **state)
{
    const death_round round = compactions_of(*state);

    death_sweep_calls(&round, test_number("CASK_TEST_STRIDE", 32));
}

/* Its records follow those of the flush before it. */
static void test_death_while_runs_are_merged(void **state)
{
    const death_place where = {STEPPER_FUNCTION(run_writer_add), 200, 1500};

    sweep_compactions(*state, &where);
}

static void test_death_while_an_output_is_completed(void **state)
{
    const death_place where = {STEPPER_FUNCTION(run_writer_finish), 2, 8000};

    sweep_compactions(*state, &where);
}

static void test_death_while_outputs_replace_their_inputs(void **state)
{
    /* The first is that of the flush before. */
    const death_place where = {STEPPER_FUNCTION(version_apply), 2, 12000};

    sweep_compactions(*state, &where);
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
    *state = &s;
    return 0;
}

#define STEP_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up, step_store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_death_at_each_system_call_of_a_flush),
        STEP_TEST(test_death_while_a_memtable_is_begun),
        STEP_TEST(test_death_while_the_run_becomes_part_of_the_tree),
        STEP_TEST(test_death_while_a_memtable_goes),
        STEP_TEST(test_death_while_segments_go),
        STEP_TEST(test_death_at_each_system_call_of_a_compaction),
        STEP_TEST(test_death_while_runs_are_merged),
        STEP_TEST(test_death_while_an_output_is_completed),
        STEP_TEST(test_death_while_outputs_replace_their_inputs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
