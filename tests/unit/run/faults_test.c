/*
 * Runs on a failing system: each call fails once, the disk is full, the power
 * fails. A run is there as a whole, or not at all.
 */
#include "unit/run/run_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 80, VALUE = 50000, CALLS = 40 };

static char value[VALUE];

static cask_run_entry entry_at(uint32_t i, char key[8])
{
    cask_run_entry entry;

    (void)snprintf(key, 8, "k%03u", i);
    entry = put_of(key, "", i + 1);
    entry.value = (cask_slice){value, VALUE};
    return entry;
}

/* Two pieces and more. The first failure is the answer of all that follows. */
static cask_status write_run(run_place *place, cask_error *err)
{
    cask_run_writer *writer = NULL;
    cask_status status = run_place_begin(place, NULL, &writer, err);
    cask_status finished;

    if (status != CASK_OK) {
        return status;
    }
    for (uint32_t i = 0; i < ENTRIES && status == CASK_OK; i++) {
        char key[8];
        cask_run_entry entry = entry_at(i, key);

        status = run_writer_add(writer, &entry, err);
    }
    finished = run_writer_finish(writer, err);
    if (status != CASK_OK) {
        assert_int_equal(finished, status);
    }
    return finished;
}

/* CASK_OK: it holds what was written. */
static cask_status read_run(run_place *place, cask_error *err)
{
    cask_run_iterator it = {0};
    cask_run *run = NULL;
    cask_run_entry got;
    cask_status status = run_open(place->dir, RUN_NAME, NULL, &run, err);

    if (status != CASK_OK) {
        return status;
    }
    it.run = run;
    status = run_iterator_seek(&it, CASK_RUN_FIRST, (cask_slice){0}, &got, err);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        char key[8];
        cask_run_entry entry = entry_at(i, key);

        assert_int_equal(status, CASK_OK);
        assert_entry(&got, &entry);
        status = run_iterator_next(&it, &got, err);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    run_close(run);
    return CASK_OK;
}

static void check_run(run_place *place)
{
    assert_int_equal(read_run(place, NULL), CASK_OK);
}

static void test_each_call_that_fails_leaves_nothing(void **state)
{
    const run_place_work work = {write_run, check_run, 10, CALLS};

    run_place_fail_each_call(*state, &work, EIO, false);
    run_place_fail_each_call(*state, &work, ENOSPC, true);
    run_place_fail_each_call(*state, &work, ENOMEM, false);
}

/* As a killed writer does, which had another mode to make. */
static void leave_aside(run_place *place)
{
    const os_ops *ops = place->dir->os->ops;
    os_file *file;

    assert_int_equal(ops->open(place->dir, RUN_NAME ".new",
                               OS_READ | OS_WRITE | OS_CREATE, 0644, &file),
                     0);
    ops->close(file);
}

/* It may stay where it was; once nothing fails it is gone. */
static void test_what_was_left_never_becomes_the_run(void **state)
{
    run_place *place = *state;
    const os_ops *ops = place->dir->os->ops;
    os_stat stat;

    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_error err = {0};
        cask_status status;
        bool fired;

        leave_aside(place);
        plan.fail_at = n;
        plan.error = EIO;
        os_fault_arm(&place->fault, &plan);
        status = write_run(place, &err);
        fired = os_fault_fired(&place->fault) != 0;
        os_fault_arm(&place->fault, &OS_FAULT_NOTHING);
        if (fired) {
            assert_int_equal(status, CASK_IO);
            assert_string_not_equal(run_place_name(place), RUN_NAME);
            assert_string_not_equal(run_place_name(place), "*");
            assert_int_equal(write_run(place, &err), CASK_OK);
        }
        assert_string_equal(run_place_name(place), RUN_NAME);
        assert_int_equal(ops->stat_name(place->dir, RUN_NAME, &stat), 0);
        assert_int_equal(stat.mode, 0600);
        assert_int_equal(read_run(place, NULL), CASK_OK);
        assert_int_equal(ops->remove(place->dir, RUN_NAME), 0);
        if (!fired) {
            assert_int_equal(status, CASK_OK);
            assert_in_range(n, 14, CALLS);
            return;
        }
    }
}

static void test_each_call_of_an_open_that_fails_is_told(void **state)
{
    run_place *place = *state;

    assert_int_equal(write_run(place, NULL), CASK_OK);
    for (uint64_t n = 0;; n++) {
        os_fault_plan plan = OS_FAULT_NOTHING;
        cask_error err = {0};
        cask_status status;

        plan.fail_at = n;
        plan.error = EIO;
        os_fault_arm(&place->fault, &plan);
        status = read_run(place, &err);
        if (os_fault_fired(&place->fault) == 0) {
            assert_int_equal(status, CASK_OK);
            assert_int_equal(n, 3); /* open stat map */
            break;
        }
        assert_int_equal(status, CASK_IO);
        assert_non_null(strstr(err.message, RUN_NAME));
    }
}

static void test_a_full_disk_leaves_nothing_and_has_room_again(void **state)
{
    run_place *place = *state;
    cask_error err = {0};

    os_sim_set_capacity(place->sim, 1 << 20);
    assert_int_equal(write_run(place, &err), CASK_NO_SPACE);
    assert_int_equal(err.os_errno, ENOSPC);
    assert_string_equal(run_place_name(place), "");
    os_sim_set_capacity(place->sim, UINT64_C(1) << 40);
    assert_int_equal(write_run(place, &err), CASK_OK);
    assert_int_equal(read_run(place, &err), CASK_OK);
}

static void test_after_a_power_failure_a_run_is_whole_or_absent(void **state)
{
    (void)state;
    for (uint64_t cut = 0;; cut++) {
        void *inner = NULL;
        run_place *place;
        cask_status status;
        uint64_t first;
        bool complete;

        assert_int_equal(run_place_setup(&inner), 0);
        place = inner;
        leave_aside(place); /* its removal is one more place for a cut */
        assert_int_equal(os_sim_sync_all(place->sim), 0);
        first = os_sim_operations(place->sim);
        os_sim_cut_at(place->sim, first + cut);
        status = write_run(place, NULL);
        complete = !os_sim_is_cut(place->sim);
        assert_int_equal(status == CASK_OK, complete);
        assert_int_equal(os_sim_crash(place->sim, cut), 0);
        place->dir->os->ops->close(place->dir);
        assert_int_equal(place->fault.base.ops->open_dir(&place->fault.base,
                                                         "/d", &place->dir),
                         0);
        if (complete) {
            assert_int_equal(read_run(place, NULL), CASK_OK);
            assert_in_range(cut, 7, CALLS);
        } else {
            status = read_run(place, NULL);
            assert_true(status == CASK_OK || status == CASK_IO ||
                        status == CASK_NOT_FOUND);
        }
        assert_int_equal(run_place_teardown(&inner), 0);
        if (complete) {
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_each_call_that_fails_leaves_nothing, run_place_setup,
            run_place_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_was_left_never_becomes_the_run, run_place_setup,
            run_place_teardown),
        cmocka_unit_test_setup_teardown(
            test_each_call_of_an_open_that_fails_is_told, run_place_setup,
            run_place_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_full_disk_leaves_nothing_and_has_room_again, run_place_setup,
            run_place_teardown),
        cmocka_unit_test(test_after_a_power_failure_a_run_is_whole_or_absent),
    };

    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
