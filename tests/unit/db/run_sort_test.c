/*
 * Records in any order become a run: against an oracle, with and without
 * pieces; on a failing system nothing is left.
 */
#include "unit/run/run_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/run_sort.h"

enum { KEYS = 60, SEQUENCES = 4, ROUNDS = 12, VALUE = 100000, CALLS = 200 };

/* What was added last of each key and sequence; kind 0: nothing. */
typedef struct oracle {
    struct {
        cask_run_kind kind;
        size_t size;
        uint8_t fill;
    } at[KEYS][SEQUENCES];
} oracle;

static char end_key[] = "z";
static uint8_t values[256][VALUE];

static void key_of(uint32_t number, char key[16])
{
    (void)snprintf(key, 16, "k%u", number);
}

static cask_run_entry expected_entry(const oracle *o, uint32_t number,
                                     uint64_t sequence, char key[16])
{
    size_t index = (size_t)(sequence - 1);
    cask_run_entry entry;

    key_of(number, key);
    entry = put_of(key, "", sequence);
    entry.kind = o->at[number][index].kind;
    if (entry.kind == CASK_RUN_PUT) {
        entry.value = (cask_slice){values[o->at[number][index].fill],
                                   o->at[number][index].size};
    } else if (entry.kind == CASK_RUN_DELETE_RANGE) {
        entry.value = text_slice(end_key);
    }
    return entry;
}

/* Choose what comes next, note it, and add it. */
static void add_random(run_sorter *sorter, oracle *o)
{
    static const cask_run_kind kinds[] = {CASK_RUN_PUT, CASK_RUN_PUT,
                                          CASK_RUN_PUT, CASK_RUN_DELETE,
                                          CASK_RUN_DELETE_RANGE};
    uint32_t number = (uint32_t)(run_random() % KEYS);
    uint64_t sequence = run_random() % SEQUENCES + 1;
    cask_error err = {0};
    char key[16];
    cask_run_entry entry;

    o->at[number][sequence - 1].kind = kinds[run_random() % 5];
    o->at[number][sequence - 1].size = run_random() % VALUE;
    o->at[number][sequence - 1].fill = (uint8_t)run_random();
    entry = expected_entry(o, number, sequence, key);
    if (run_sorter_add(sorter, &entry, &err) != CASK_OK) {
        assert_string_equal(err.message, "");
    }
}

static int compare_numbers(const void *left, const void *right)
{
    char a[16];
    char b[16];

    key_of(*(const uint32_t *)left, a);
    key_of(*(const uint32_t *)right, b);
    return strcmp(a, b);
}

static void assert_run(run_place *place, const oracle *o)
{
    uint32_t order[KEYS];
    cask_run_iterator it = {0};
    cask_run_entry got;
    cask_run *run = NULL;
    cask_status status;

    for (uint32_t i = 0; i < KEYS; i++) {
        order[i] = i;
    }
    qsort(order, KEYS, sizeof(*order), compare_numbers);
    assert_int_equal(run_open(place->dir, RUN_NAME, NULL, &run, NULL), CASK_OK);
    it.run = run;
    status =
        run_iterator_seek(&it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);
    for (uint32_t i = 0; i < KEYS; i++) {
        for (uint64_t s = SEQUENCES; s > 0; s--) {
            char key[16];
            cask_run_entry entry = expected_entry(o, order[i], s, key);

            if (entry.kind != 0) {
                assert_int_equal(status, CASK_OK);
                assert_entry(&got, &entry);
                status = run_iterator_next(&it, &got, NULL);
            }
        }
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    run_close(run);
}

/* A writer of RUN_NAME, and its sorter. */
static cask_status begin(run_place *place, cask_run_writer **ret_writer,
                         run_sorter **ret_sorter, cask_error *err)
{
    const cask_run_options options = {.memory_bytes = RUN_SORTER_MEMORY_MIN};
    cask_status status = run_place_begin(place, &options, ret_writer, err);

    if (status == CASK_OK) {
        status = run_sorter_create(*ret_writer, ret_sorter, err);
        if (status != CASK_OK) {
            run_writer_abort(*ret_writer);
        }
    }
    return status;
}

static void test_what_was_added_last_is_there_in_order(void **state)
{
    run_place *place = *state;

    for (int round = 0; round < ROUNDS; round++) {
        /* None, some that fit into memory, several pieces. */
        uint64_t count = round == 0 ? 0 : run_random() % 50;
        cask_run_writer *writer = NULL;
        run_sorter *sorter = NULL;
        oracle o = {0};

        count = round % 3 == 0 ? count : count + 400;
        assert_int_equal(begin(place, &writer, &sorter, NULL), CASK_OK);
        for (uint64_t i = 0; i < count; i++) {
            add_random(sorter, &o);
        }
        assert_int_equal(run_sorter_finish(sorter, NULL), CASK_OK);
        run_sorter_free(sorter);
        assert_int_equal(run_writer_finish(writer, NULL), CASK_OK);
        assert_string_equal(run_place_name(place), RUN_NAME);
        assert_run(place, &o);
        assert_int_equal(place->dir->os->ops->remove(place->dir, RUN_NAME), 0);
    }
}

/* Three pieces and more. */
static cask_status sort_large(run_place *place, cask_error *err)
{
    cask_run_writer *writer = NULL;
    run_sorter *sorter = NULL;
    cask_status status = begin(place, &writer, &sorter, err);
    cask_status finished;

    if (status != CASK_OK) {
        return status;
    }
    for (uint32_t i = 0; i < 150 && status == CASK_OK; i++) {
        char key[16];
        cask_run_entry entry;

        key_of(i * 7 % 150, key);
        entry = put_of(key, "", 1);
        entry.value = (cask_slice){values[i], VALUE};
        status = run_sorter_add(sorter, &entry, err);
    }
    finished = run_sorter_finish(sorter, err);
    assert_true(status == CASK_OK || finished == status);
    run_sorter_free(sorter);
    status = run_writer_finish(writer, err);
    assert_true(finished == CASK_OK || finished == status);
    return status;
}

static void test_each_call_that_fails_leaves_nothing(void **state)
{
    const run_place_work work = {sort_large, NULL, 40, CALLS};

    run_place_fail_each_call(*state, &work, EIO, false);
    run_place_fail_each_call(*state, &work, ENOSPC, false);
}

static int set_up(void **state)
{
    for (int i = 0; i < 256; i++) {
        memset(values[i], i, VALUE);
    }
    return run_place_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_was_added_last_is_there_in_order, set_up,
            run_place_teardown),
        cmocka_unit_test_setup_teardown(
            test_each_call_that_fails_leaves_nothing, set_up,
            run_place_teardown),
    };

    return cmocka_run_group_tests_name("sorting into runs", tests, NULL, NULL);
}
