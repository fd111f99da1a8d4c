/*
 * A merge gives all records of all inputs in order, in both directions, from
 * wherever it is sent, and says so when an input fails.
 */
#include "iter/iter_merge.h"

#include <stdio.h>
#include <string.h>

#include "unit/iter/table.h"

enum { ROUNDS = 60, WALKS = 60, STEPS = 25 };

static const size_t COUNTS[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 17, 64, 1000};

enum { COUNT_MAX = sizeof(COUNTS) / sizeof(COUNTS[0]) };

static table_mix random_mix(test_random *random)
{
    const unsigned stable[] = {0, 50, 100};
    const table_mix mix = {
        .tables = COUNTS[test_random_next(random, COUNT_MAX)],
        .entries = test_random_next(
            random, test_random_chance(random, 20) ? 4 : TABLE_ENTRIES),
        .letters = (unsigned)test_random_next(random, 12) + 1,
        .front = test_random_chance(random, 50)
                     ? 0
                     : test_random_next(random, TABLE_KEY_MAX),
        .delete_percent = 20,
        .range_percent = 20,
        .stable_percent = stable[test_random_next(random, 3)]};

    return mix;
}

static iter_merge *merge_of(const table_set *set, size_t shared_bytes)
{
    iter_merge *merge = NULL;

    assert_int_equal(
        iter_merge_create(set->inputs, set->count, shared_bytes, &merge, NULL),
        CASK_OK);
    return merge;
}

/* `index` as of an array of all: beyond its ends there is nothing. */
static void check_at(const table_set *set, const iter_merge *merge,
                     cask_status status, size_t index)
{
    if (index < set->entries) {
        assert_int_equal(status, CASK_OK);
        assert_same_entry(iter_merge_entry(merge), &set->all[index]);
    } else {
        assert_int_equal(status, CASK_NOT_FOUND);
    }
}

static void check_whole(const table_set *set, iter_merge *merge)
{
    cask_status status =
        iter_merge_seek(merge, CASK_RUN_FIRST, (cask_slice){0}, NULL);

    for (size_t i = 0; i < set->entries; i++) {
        check_at(set, merge, status, i);
        status = iter_merge_next(merge, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(iter_merge_next(merge, NULL), CASK_INVALID);
    status = iter_merge_seek(merge, CASK_RUN_LAST, (cask_slice){0}, NULL);
    for (size_t i = set->entries; i > 0; i--) {
        check_at(set, merge, status, i - 1);
        status = iter_merge_previous(merge, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(iter_merge_previous(merge, NULL), CASK_INVALID);
}

/* Seek, then go to and fro. */
static void check_walk(const table_set *set, iter_merge *merge,
                       const table_mix *mix, test_random *random)
{
    cask_run_seek how = (cask_run_seek)(test_random_next(random, 4) + 1);
    char room[TABLE_KEY_MAX];
    cask_slice key = table_random_key(mix, random, room);
    size_t index = table_sought(set->all, set->entries, how, key);
    cask_status status = iter_merge_seek(merge, how, key, NULL);

    check_at(set, merge, status, index);
    for (int i = 0; i < STEPS && status == CASK_OK; i++) {
        if (test_random_chance(random, 50)) {
            index++;
            status = iter_merge_next(merge, NULL);
        } else {
            index = index > 0 ? index - 1 : set->entries;
            status = iter_merge_previous(merge, NULL);
        }
        check_at(set, merge, status, index);
    }
}

static void test_random_merges_are_as_a_sorted_array(void **state)
{
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        test_random random = test_random_make(seed, round);
        const table_mix mix = random_mix(&random);
        table_set *set = table_set_random(&mix, &random);
        iter_merge *merge =
            merge_of(set, test_random_chance(&random, 50) ? mix.front : 0);

        assert_int_equal(iter_merge_next(merge, NULL), CASK_INVALID);
        check_whole(set, merge);
        for (int i = 0; i < WALKS; i++) {
            check_walk(set, merge, &mix, &random);
        }
        iter_merge_free(merge);
        table_set_free(set);
    }
}

static void
test_the_same_version_twice_comes_in_the_order_of_inputs(void **state)
{
    table_set *set = table_set_of("b1 | a7 b5 | a7 b5 | a7");
    const size_t inputs[] = {1, 2, 3, 1, 2, 0};
    iter_merge *merge = merge_of(set, 0);
    cask_status status =
        iter_merge_seek(merge, CASK_RUN_FIRST, (cask_slice){0}, NULL);

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(status, CASK_OK);
        assert_int_equal(iter_merge_input(merge), inputs[i]);
        status = iter_merge_next(merge, NULL);
    }
    status = iter_merge_seek(merge, CASK_RUN_LAST, (cask_slice){0}, NULL);
    for (size_t i = 6; i > 0; i--) {
        assert_int_equal(status, CASK_OK);
        assert_int_equal(iter_merge_input(merge), inputs[i - 1]);
        /* To and fro between versions that nothing but the input tells
         * apart. */
        if (i > 1) {
            assert_int_equal(iter_merge_previous(merge, NULL), CASK_OK);
            assert_int_equal(iter_merge_next(merge, NULL), CASK_OK);
            assert_int_equal(iter_merge_input(merge), inputs[i - 1]);
        }
        status = iter_merge_previous(merge, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    iter_merge_free(merge);
    table_set_free(set);
}

/* An input that is ahead has a record more when the merge turns: it lies behind
 * where the merge is, in the old direction. */
static void test_records_that_come_into_being_do_not_break_a_turn(void **state)
{
    const cask_run_entry ahead = {
        .kind = CASK_RUN_PUT, .key = {"p", 1}, .info = {.sequence = 9}};
    const cask_run_entry behind = {
        .kind = CASK_RUN_PUT, .key = {"f", 1}, .info = {.sequence = 8}};
    table_set *set = table_set_of("b1 z2 | m3");
    iter_merge *merge = merge_of(set, 0);

    (void)state;
    assert_int_equal(
        iter_merge_seek(merge, CASK_RUN_AT_LEAST, (cask_slice){"c", 1}, NULL),
        CASK_OK);
    assert_memory_equal(iter_merge_entry(merge)->key.data, "m", 1);
    table_insert(&set->tables[0], &ahead);
    assert_int_equal(iter_merge_previous(merge, NULL), CASK_OK);
    assert_memory_equal(iter_merge_entry(merge)->key.data, "b", 1);

    assert_int_equal(
        iter_merge_seek(merge, CASK_RUN_AT_MOST, (cask_slice){"n", 1}, NULL),
        CASK_OK);
    assert_memory_equal(iter_merge_entry(merge)->key.data, "m", 1);
    table_insert(&set->tables[0], &behind);
    assert_int_equal(iter_merge_next(merge, NULL), CASK_OK);
    assert_memory_equal(iter_merge_entry(merge)->key.data, "p", 1);
    iter_merge_free(merge);
    table_set_free(set);
}

/* ---- Failures ----------------------------------------------------------- */

/* All there is, forward and back, and some turns. Returns the first status that
 * does not belong there. */
static cask_status read_all(const table_set *set, iter_merge *merge,
                            cask_error *err)
{
    size_t at = 0;
    cask_status status =
        iter_merge_seek(merge, CASK_RUN_FIRST, (cask_slice){0}, err);

    while (status == CASK_OK) {
        check_at(set, merge, status, at);
        if (at % 3 == 2) {
            status = iter_merge_previous(merge, err);
            if (status == CASK_OK) {
                check_at(set, merge, status, at - 1);
                status = iter_merge_next(merge, err);
            }
        }
        if (status == CASK_OK) {
            at++;
            status = iter_merge_next(merge, err);
        }
    }
    if (status != CASK_NOT_FOUND) {
        return status;
    }
    assert_int_equal(at, set->entries);
    status = iter_merge_seek(merge, CASK_RUN_LAST, (cask_slice){0}, err);
    while (status == CASK_OK) {
        at--;
        check_at(set, merge, status, at);
        status = iter_merge_previous(merge, err);
    }
    assert_true(status != CASK_NOT_FOUND || at == 0);
    return status;
}

/* Fails call 0, then call 1, ... until a run in which none failed. */
static void test_every_failure_of_an_input_is_passed_on(void **state)
{
    table_set *set = table_set_of("a9 c5 e1 | b8 c6 c4- g2 | | d7 e3");
    table_faults faults = {0};
    iter_merge *merge = merge_of(set, 0);

    (void)state;
    table_set_share(set, &faults);
    for (uint64_t fail_at = 0;; fail_at++) {
        cask_error err = {0};
        cask_status status;

        faults = (table_faults){.fail_at = fail_at};
        status = read_all(set, merge, &err);
        if (!faults.has_fired) {
            assert_int_equal(status, CASK_NOT_FOUND);
            assert_true(fail_at > 40);
            break;
        }
        assert_int_equal(status, CASK_CORRUPT);
        assert_string_equal(err.message, "planted");
        assert_int_equal(iter_merge_next(merge, &err), CASK_INVALID);
        assert_int_equal(iter_merge_previous(merge, &err), CASK_INVALID);
        /* It goes on when the input does. */
        faults.fail_at = UINT64_MAX;
        check_whole(set, merge);
    }
    iter_merge_free(merge);
    table_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_merges_are_as_a_sorted_array),
        cmocka_unit_test(
            test_the_same_version_twice_comes_in_the_order_of_inputs),
        cmocka_unit_test(test_records_that_come_into_being_do_not_break_a_turn),
        cmocka_unit_test(test_every_failure_of_an_input_is_passed_on),
    };

    return cmocka_run_group_tests_name("iter_merge", tests, NULL, NULL);
}
