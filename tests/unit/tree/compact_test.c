/*
 * Compactions carried out, against an oracle: after each of them every snapshot
 * and the present see what they saw, runs are in order, and no file is left
 * over; whatever fails, and whatever is flushed meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/tree/toy_tree.h"

enum { ROUNDS = 24, FLUSHES = 60, STEPS_MAX = 1000 };

static toy_tree tree; /* large */

/* Until nothing is due, or so often. */
static void settle(size_t most)
{
    for (size_t i = 0; i < most && toy_compact(&tree, false); i++) {
        assert_true(i < STEPS_MAX);
        toy_check(&tree);
    }
}

/* ---- Random lives ------------------------------------------------------- */

static void live(uint64_t seed, uint64_t number)
{
    test_random *random = &tree.random;

    toy_make(&tree, seed, number);
    tree.mix.keys = 20 + (uint32_t)test_random_next(random, TOY_KEYS - 20);
    tree.mix.delete_percent = (unsigned)test_random_next(random, 60);
    tree.mix.range_percent = number / 3 % 2 == 0 ? 0 : 4;
    tree.mix.expiring_percent =
        number % 4 == 1 ? 100 : (unsigned)test_random_next(random, 30);
    tree.settings.ratio = 2 + (uint32_t)test_random_next(random, 6);
    tree.settings.run_limit = 2 + (uint32_t)test_random_next(random, 4);
    tree.settings.sweep_parts = 1 + (uint32_t)test_random_next(random, 3);
    tree.settings.partition_bytes = 1000 + test_random_next(random, 6000);
    tree.settings.flush_bytes = 1000 + test_random_next(random, 3000);
    tree.settings.max_space_amplification = (double)test_random_next(random, 3);
    for (int i = 0; i < FLUSHES; i++) {
        toy_flush(&tree);
        tree.flushes = (unsigned)test_random_next(random, 3);
        if (test_random_chance(random, 20)) {
            toy_take_snapshot(&tree);
        }
        if (test_random_chance(random, 15)) {
            toy_drop_snapshot(&tree, (size_t)test_random_next(random, 4));
        }
        if (test_random_chance(random, 10)) {
            toy_expire(&tree);
        }
        /* Now and then compactions lag behind, or all become one. */
        settle(test_random_chance(random, 60)
                   ? (size_t)test_random_next(random, 4)
                   : STEPS_MAX);
        if (test_random_chance(random, 4)) {
            (void)toy_compact(&tree, true); /* nothing may be there */
            toy_check(&tree);
        }
    }
    toy_free(&tree);
}

static void test_what_is_seen_stays_as_it_is(void **state)
{
    uint64_t seed = test_seed();
    uint64_t rounds = test_number("CASK_TEST_ROUNDS", ROUNDS);

    (void)state;
    for (uint64_t number = 0; number < rounds; number++) {
        live(seed, number);
    }
}

/* Another strategy takes over what one has made. */
static void test_strategies_may_be_changed(void **state)
{
    uint64_t seed = test_seed();

    (void)state;
    toy_make(&tree, seed, 1000);
    tree.mix.range_percent = 2;
    for (int i = 0; i < FLUSHES; i++) {
        toy_flush(&tree);
        if (i % 7 == 0) {
            tree.settings.strategy =
                (compaction_strategy)test_random_next(&tree.random, 3);
        }
        settle((size_t)test_random_next(&tree.random, 5));
    }
    settle(STEPS_MAX);
    toy_free(&tree);
}

/* ---- Space -------------------------------------------------------------- */

static void fill(unsigned flushes, size_t steps)
{
    for (unsigned i = 0; i < flushes; i++) {
        toy_flush(&tree);
        settle(steps);
    }
}

static void test_space_comes_back_after_all_was_deleted(void **state)
{
    (void)state;
    for (uint64_t strategy = 0; strategy < 3; strategy++) {
        toy_make(&tree, 7, strategy);
        fill(30, STEPS_MAX);
        assert_true(toy_bytes(&tree) > 5000);
        toy_delete_all(&tree);
        assert_true(toy_compact(&tree, true));
        toy_check(&tree);
        assert_int_equal(tree.count, 0);
        toy_free(&tree);
    }
}

/* The tombstones are worth what they hide: nobody has to ask. */
static void test_a_deletion_of_all_is_due_at_once(void **state)
{
    (void)state;
    toy_make(&tree, 7, COMPACTION_LAZY);
    fill(30, STEPS_MAX);
    toy_delete_all(&tree);
    settle(STEPS_MAX);
    assert_true(toy_bytes(&tree) < 3000);
    toy_free(&tree);
}

static void test_a_snapshot_keeps_what_is_deleted_until_it_goes(void **state)
{
    (void)state;
    toy_make(&tree, 7, COMPACTION_LEVELED);
    fill(20, STEPS_MAX);
    toy_take_snapshot(&tree);
    toy_delete_all(&tree);
    assert_true(toy_compact(&tree, true));
    toy_check(&tree);
    assert_true(tree.count > 0);
    toy_drop_snapshot(&tree, 0);
    assert_true(toy_compact(&tree, true));
    toy_check(&tree);
    assert_int_equal(tree.count, 0);
    toy_free(&tree);
}

/* ---- Failures ----------------------------------------------------------- */

/* The same life each time, up to a compaction of many runs. */
static void prepare(void)
{
    toy_make(&tree, 11, COMPACTION_LAZY);
    tree.mix.range_percent = 3;
    fill(12, 0);
    toy_take_snapshot(&tree);
    fill(4, 0);
}

static cask_status compact_once(cask_error *err)
{
    version pinned = toy_version(&tree);
    uint32_t choices[TOY_RUNS];
    compaction_plan plan;
    compact_facts facts;
    cask_status status;

    assert_int_equal(compact_facts_make(&pinned, &facts, err), CASK_OK);
    assert_true(toy_choose(&tree, &facts, false, choices, &plan));
    assert_true(plan.count >= 8);
    status = toy_carry_out(&tree, &facts, &plan, choices, err);
    compact_facts_free(&facts);
    return status;
}

static void test_whatever_call_fails_nothing_is_left(void **state)
{
    (void)state;
    for (uint64_t fail_at = 0;; fail_at++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_error err = {0};
        cask_status status;
        size_t runs;

        prepare();
        runs = tree.count;
        plan.fail_at = fail_at;
        plan.error = fail_at % 2 == 0 ? ENOSPC : EIO;
        os_fault_arm(&tree.fault, &plan);
        status = compact_once(&err);
        if (os_fault_fired(&tree.fault) == 0) {
            assert_int_equal(status, CASK_OK);
            assert_true(fail_at > 10);
            toy_free(&tree);
            return;
        }
        plan = OS_FAULT_NOTHING;
        os_fault_arm(&tree.fault, &plan);
        assert_true(status == CASK_OK || status == CASK_NO_SPACE ||
                    status == CASK_IO);
        assert_true(status == CASK_OK || tree.count == runs);
        toy_check(&tree);
        if (status != CASK_OK) {
            assert_int_equal(compact_once(&err), CASK_OK); /* tried again */
            toy_check(&tree);
        }
        toy_free(&tree);
    }
}

static void test_it_may_be_stopped_after_any_step(void **state)
{
    (void)state;
    for (uint64_t stop_at = 1;; stop_at++) {
        cask_error err = {0};
        cask_status status;

        prepare();
        tree.stop_at = stop_at;
        status = compact_once(&err);
        toy_check(&tree);
        toy_free(&tree);
        if (status == CASK_OK) {
            assert_true(stop_at > 10);
            return;
        }
        assert_int_equal(status, CASK_TIMEOUT);
        assert_string_equal(err.message, "stopped by the test");
    }
}

/* What cannot be read is not dropped, and nothing is written in its place. */
static void test_a_damaged_input_stays_and_is_told(void **state)
{
    char name[32];
    cask_error err = {0};
    os *kernel;
    os_file *file;
    const os_span span = {"\0\0\0\0", 4};

    (void)state;
    prepare();
    kernel = os_sim_os(tree.sim);
    (void)snprintf(name, sizeof(name), "%016llx.run",
                   (unsigned long long)tree.runs[3].id);
    assert_int_equal(
        kernel->ops->open(tree.dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(kernel->ops->write_at(file, &span, 1, 400), 0);
    kernel->ops->close(file);
    assert_int_equal(compact_once(&err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, name));
    assert_non_null(strstr(err.message, "does not verify"));
    assert_int_equal(tree.count, 16);
    toy_free(&tree);
}

/* ---- Moves -------------------------------------------------------------- */

static void test_runs_in_the_order_of_keys_are_not_written_again(void **state)
{
    uint64_t files;

    (void)state;
    toy_make(&tree, 5, COMPACTION_LAZY);
    for (unsigned i = 0; i < 24; i++) {
        toy_put_in_order(&tree, i * 10, 10);
    }
    files = tree.next_id;
    settle(STEPS_MAX);
    assert_int_equal(tree.next_id, files);
    assert_int_equal(tree.count, 24);
    assert_true(tree.runs[0].level > 0);
    toy_check(&tree);
    toy_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_seen_stays_as_it_is),
        cmocka_unit_test(test_strategies_may_be_changed),
        cmocka_unit_test(test_space_comes_back_after_all_was_deleted),
        cmocka_unit_test(test_a_deletion_of_all_is_due_at_once),
        cmocka_unit_test(test_a_snapshot_keeps_what_is_deleted_until_it_goes),
        cmocka_unit_test(test_whatever_call_fails_nothing_is_left),
        cmocka_unit_test(test_it_may_be_stopped_after_any_step),
        cmocka_unit_test(test_a_damaged_input_stays_and_is_told),
        cmocka_unit_test(test_runs_in_the_order_of_keys_are_not_written_again),
    };

    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
