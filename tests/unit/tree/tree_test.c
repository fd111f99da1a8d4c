/*
 * A store of the tree engine, through the public API.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "support/random.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "unit/db/handle.h"

enum { MANY = 3000 };

static int setup(void **state)
{
    (void)handle_prepare(state);
    ((handle *)*state)->options.engine = CASK_ENGINE_TREE;
    ((handle *)*state)->options.memtable_bytes = 64 << 10;
    handle_open(*state);
    return 0;
}

static void flush_all(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};

    if (tree_flush(h->db->store, true, &err) != CASK_OK) {
        fail_msg("flush: %s", err.message);
    }
}

static void test_what_was_put_is_found_and_deletes_hide_it(void **state)
{
    handle *h = *state;

    put_text(h, "a", "1");
    put_text(h, "b", "2");
    put_text(h, "a", "3");
    check_text(h, "a", "3");
    check_text(h, "b", "2");
    check_text(h, "c", NULL);
    delete_text(h, "a");
    check_text(h, "a", NULL);
    put_text(h, "", "of the empty key");
    check_text(h, "", "of the empty key");
}

static void test_it_is_there_after_reopening(void **state)
{
    handle *h = *state;

    put_text(h, "a", "1");
    put_text(h, "b", "2");
    delete_text(h, "b");
    handle_reopen(h);
    check_text(h, "a", "1");
    check_text(h, "b", NULL);
    put_text(h, "b", "3");
    handle_reopen(h);
    check_text(h, "a", "1");
    check_text(h, "b", "3");
}

static void put_many(handle *h, unsigned round)
{
    for (unsigned i = 0; i < MANY; i++) {
        char key[32];
        char value[64];

        (void)snprintf(key, sizeof(key), "key %05u", (i * 7919u) % MANY);
        (void)snprintf(value, sizeof(value), "round %u of %u", round, i);
        put_text(h, key, value);
        if (i % 5 == round % 5) {
            delete_text(h, key);
        }
    }
}

static void check_many(handle *h, unsigned round)
{
    for (unsigned i = 0; i < MANY; i++) {
        char key[32];
        char value[64];

        (void)snprintf(key, sizeof(key), "key %05u", (i * 7919u) % MANY);
        (void)snprintf(value, sizeof(value), "round %u of %u", round, i);
        check_text(h, key, i % 5 == round % 5 ? NULL : value);
    }
}

static void test_conditions_hold_in_memtables(void **state)
{
    handle *h = *state;
    cask_write_options options = {.condition = CASK_IF_ABSENT};
    const cask_slice one = {"1", 1};
    uint64_t sequence = 0;
    bool existed = true;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"), one, &options,
                                   &sequence, NULL),
                     CASK_OK);
    assert_int_equal(
        cask_put_with(h->db, cask_slice_of("k"), one, &options, NULL, NULL),
        CASK_CONDITION);
    options = (cask_write_options){.condition = CASK_IF_SEQUENCE,
                                   .expected_sequence = sequence};
    assert_int_equal(
        cask_put_with(h->db, cask_slice_of("k"), one, &options, NULL, NULL),
        CASK_OK);
    assert_int_equal(
        cask_put_with(h->db, cask_slice_of("k"), one, &options, NULL, NULL),
        CASK_CONDITION);
    assert_int_equal(cask_delete(h->db, cask_slice_of("k"), &existed, NULL),
                     CASK_OK);
    assert_true(existed);
    assert_int_equal(cask_delete(h->db, cask_slice_of("k"), &existed, NULL),
                     CASK_OK);
    assert_false(existed);
    options = (cask_write_options){.condition = CASK_IF_PRESENT};
    assert_int_equal(
        cask_put_with(h->db, cask_slice_of("k"), one, &options, NULL, NULL),
        CASK_CONDITION);
}

static void test_flushed_records_are_found_in_runs(void **state)
{
    handle *h = *state;

    put_many(h, 1);
    flush_all(h);
    check_many(h, 1);
    put_many(h, 2);
    check_many(h, 2);
    flush_all(h);
    check_many(h, 2);
    handle_reopen(h);
    check_many(h, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_was_put_is_found_and_deletes_hide_it, setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_there_after_reopening, setup,
                                        handle_teardown),
        cmocka_unit_test_setup_teardown(test_conditions_hold_in_memtables,
                                        setup, handle_teardown),
        cmocka_unit_test_setup_teardown(test_flushed_records_are_found_in_runs,
                                        setup, handle_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
