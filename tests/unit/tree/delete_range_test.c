/*
 * Deleting ranges, through the public API.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "tree/tree.h"
#include "tree/tree_tables.h"
#include "unit/tree/tree_handle.h"

static const cask_slice none = {NULL, 0};

static void delete_range(handle *h, const char *from, const char *to)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_status status =
        cask_delete_range(h->db, from != NULL ? cask_slice_of(from) : none,
                          to != NULL ? cask_slice_of(to) : none, &err);

    if (status != CASK_OK) {
        fail_msg("delete_range: %s", err.message);
    }
}

static void put_letters(handle *h)
{
    static const char *const letters[] = {"a", "b", "c", "d", "e"};

    for (unsigned i = 0; i < 5; i++) {
        put_text(h, letters[i], letters[i]);
    }
}

/* The letters of `there` are there and nothing else of a to e: by look-ups, by
 * views and by a count. */
static void check_letters(handle *h, const char *there)
{
    for (char letter = 'a'; letter <= 'e'; letter++) {
        const char key[2] = {letter, 0};
        bool is_there = strchr(there, letter) != NULL;
        cask_view view;
        cask_status status =
            cask_view_acquire(h->db, cask_slice_of(key), &view, NULL);

        check_text(h, key, is_there ? key : NULL);
        assert_int_equal(status, is_there ? CASK_OK : CASK_NOT_FOUND);
        if (status == CASK_OK) {
            cask_view_release(h->db, &view);
        }
    }
    assert_int_equal(count_keys(h), strlen(there));
}

/* In memtables, over memtables, in runs, over runs; after an open, too. */
static void test_a_range_is_deleted_wherever_it_is(void **state)
{
    handle *h = *state;

    for (unsigned flushes = 0; flushes < 4; flushes++) {
        put_letters(h);
        if (flushes % 2 != 0) {
            flush_all(h);
        }
        delete_range(h, "b", "d");
        check_letters(h, "ade");
        if (flushes >= 2) {
            flush_all(h);
        }
        check_letters(h, "ade");
        handle_reopen(h);
        check_letters(h, "ade");
        put_text(h, "c", "c");
        check_letters(h, "acde");
        flush_all(h);
        check_letters(h, "acde");
        delete_range(h, NULL, NULL);
        check_letters(h, "");
    }
}

static void test_bounds_may_be_missing(void **state)
{
    handle *h = *state;

    put_letters(h);
    delete_range(h, "d", NULL);
    check_letters(h, "abc");
    delete_range(h, NULL, "b");
    check_letters(h, "bc");
    flush_all(h);
    check_letters(h, "bc");
    delete_range(h, NULL, "");
    delete_range(h, "c", "c");
    delete_range(h, "c", "b");
    check_letters(h, "bc");
    delete_range(h, "", "c");
    check_letters(h, "c");
}

/* To the end means the longest and greatest of all keys, too. */
static void test_no_key_is_behind_the_end(void **state)
{
    handle *h = *state;
    uint8_t *last = malloc(CASK_KEY_MAX_BYTES);
    cask_slice key = {last, CASK_KEY_MAX_BYTES};
    bool exists = true;

    assert_non_null(last);
    memset(last, 0xff, CASK_KEY_MAX_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cask_put(h->db, key, cask_slice_of("v"), NULL),
                         CASK_OK);
        delete_range(h, "x", NULL);
        assert_int_equal(cask_exists(h->db, key, &exists, NULL), CASK_OK);
        assert_false(exists);
        flush_all(h);
        assert_int_equal(cask_exists(h->db, key, &exists, NULL), CASK_OK);
        assert_false(exists);
    }
    free(last);
}

static void test_a_snapshot_sees_what_was_deleted_later(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot = NULL;
    cask_buffer value = {0};
    uint64_t count = 0;

    put_letters(h);
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    delete_range(h, "a", "c");
    for (unsigned i = 0; i < 3; i++) {
        check_letters(h, "cde");
        assert_int_equal(
            cask_snapshot_get(snapshot, cask_slice_of("b"), &value, NULL, NULL),
            CASK_OK);
        assert_int_equal(cask_snapshot_count(snapshot, &count, NULL), CASK_OK);
        assert_int_equal(count, 5);
        if (i == 0) {
            flush_all(h);
        } else {
            cask_merge_options options = {.all = true};

            assert_int_equal(cask_merge(h->db, &options, NULL, NULL), CASK_OK);
        }
    }
    cask_buffer_free(&value);
    cask_snapshot_free(snapshot);
}

static void test_batches_delete_what_stands_before_it(void **state)
{
    handle *h = *state;
    cask_batch *batch = NULL;

    put_letters(h);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(cask_batch_put(batch, cask_slice_of("b"),
                                    cask_slice_of("gone"), 0, NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_delete_range(batch, cask_slice_of("a"),
                                             cask_slice_of("d"), NULL),
                     CASK_OK);
    assert_int_equal(
        cask_batch_put(batch, cask_slice_of("c"), cask_slice_of("c"), 0, NULL),
        CASK_OK);
    assert_int_equal(cask_batch_delete_range(batch, cask_slice_of("z"),
                                             cask_slice_of("y"), NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_count(batch), 3);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    check_letters(h, "cde");
    handle_reopen(h);
    check_letters(h, "cde");
    cask_batch_clear(batch);
    for (unsigned i = 0; i <= TREE_BATCH_RANGES; i++) {
        assert_int_equal(cask_batch_delete_range(batch, cask_slice_of("a"),
                                                 cask_slice_of("z"), NULL),
                         CASK_OK);
    }
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_INVALID);
    check_letters(h, "cde");
    cask_batch_free(batch);
}

static void test_conditions_know_deleted_ranges(void **state)
{
    handle *h = *state;
    cask_write_options options = {.condition = CASK_IF_ABSENT};
    uint64_t sequence = 0;
    bool existed = true;

    assert_int_equal(cask_put_with(h->db, cask_slice_of("b"),
                                   cask_slice_of("1"), &options, &sequence,
                                   NULL),
                     CASK_OK);
    delete_range(h, "a", "c");
    assert_int_equal(cask_delete(h->db, cask_slice_of("b"), &existed, NULL),
                     CASK_OK);
    assert_false(existed);
    options.condition = CASK_IF_SEQUENCE;
    options.expected_sequence = sequence;
    assert_int_equal(cask_put_with(h->db, cask_slice_of("b"),
                                   cask_slice_of("2"), &options, NULL, NULL),
                     CASK_CONDITION);
    options = (cask_write_options){.condition = CASK_IF_PRESENT};
    assert_int_equal(cask_put_with(h->db, cask_slice_of("b"),
                                   cask_slice_of("2"), &options, NULL, NULL),
                     CASK_CONDITION);
    options.condition = CASK_IF_ABSENT;
    assert_int_equal(cask_put_with(h->db, cask_slice_of("b"),
                                   cask_slice_of("2"), &options, NULL, NULL),
                     CASK_OK);
    check_text(h, "b", "2");
}

static unsigned tables_of(const handle *h)
{
    return region_tables_count(tree_tables_word(h->db->store));
}

/* Many, also nested ones: all of them count, and memtables change in time. */
static void test_a_memtable_takes_so_many_ranges(void **state)
{
    handle *h = *state;
    const unsigned many = MEMTABLE_RANGES_USUAL + MEMTABLE_RANGES_USUAL / 2;
    unsigned tables;

    h->options.memtable_bytes = 64 << 20; /* not that is what fills it */
    handle_reopen(h);
    tables = tables_of(h);
    for (unsigned i = 0; i < many; i++) {
        char text[3][16];

        (void)snprintf(text[0], 16, "%05u", i);
        (void)snprintf(text[1], 16, "%05u", i + 1 + i % 3);
        (void)snprintf(text[2], 16, "%05ux", i);
        put_text(h, text[0], "v");
        put_text(h, text[2], "v");
        delete_range(h, text[0], i % 2 == 0 ? text[2] : text[1]);
        check_text(h, text[0], NULL);
        check_text(h, text[2], i % 2 == 0 ? "v" : NULL);
    }
    assert_int_equal(tables_of(h), tables + 1);
    for (unsigned i = 0; i < 3; i++) {
        cask_stats stats;

        assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
        assert_true(i > 0 || stats.deletes == many);
        for (unsigned n = 0; n < many; n++) {
            char text[16];

            (void)snprintf(text, 16, "%05u", n);
            check_text(h, text, NULL);
        }
        if (i == 0) {
            handle_reopen(h);
        } else {
            flush_all(h);
        }
    }
}

/* So that the space does not wait until a memtable is full. */
static void test_a_range_that_hides_much_is_flushed_soon(void **state)
{
    handle *h = *state;
    uint8_t *bytes = make_bytes(100 << 10, 1);
    unsigned tables;

    put_text(h, "x", "1");
    put_bytes(h, "b", bytes, 100 << 10);
    flush_all(h);
    tables = tables_of(h);
    delete_range(h, "a", "c"); /* the run has x, too */
    put_text(h, "y", "1");
    assert_int_equal(tables_of(h), tables);
    delete_range(h, "a", NULL);
    put_text(h, "y", "2");
    assert_int_equal(tables_of(h), tables + 1);
    flush_all(h);
    /* One is enough, until it is compacted. */
    delete_range(h, "a", NULL);
    put_text(h, "y", "3");
    assert_int_equal(tables_of(h), tables);
    free(bytes);
}

static void tell_problem(void *context, const cask_problem *problem)
{
    (void)context;
    fail_msg("%s: offset %llu: %s", problem->file,
             (unsigned long long)problem->offset, problem->reason);
}

/* In the log and in runs, with an end and without one. */
static void test_verify_knows_them(void **state)
{
    handle *h = *state;
    const cask_verify_options options = {.on_problem = tell_problem};
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;

    for (unsigned i = 0; i < 3; i++) {
        put_letters(h);
        delete_range(h, "b", "c");
        delete_range(h, "d", i == 1 ? "e" : NULL);
        handle_close(h);
        if (db_verify_on(h->kernel, HANDLE_PATH, &options, &report, &err) !=
            CASK_OK) {
            fail_msg("verify: %s", err.message);
        }
        assert_int_equal(report.keys, i == 1 ? 3 : 2);
        handle_open(h);
        flush_all(h);
    }
}

static void test_hash_stores_say_what_they_cannot_do(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    cask_batch *batch = NULL;

    assert_int_equal(cask_delete_range(h->db, none, none, &err),
                     CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "tree"));
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(
        cask_batch_put(batch, cask_slice_of("a"), cask_slice_of("a"), 0, NULL),
        CASK_OK);
    assert_int_equal(cask_batch_delete_range(batch, none, none, NULL), CASK_OK);
    assert_int_equal(cask_write(h->db, batch, &err), CASK_UNSUPPORTED);
    check_text(h, "a", NULL);
    cask_batch_clear(batch);
    assert_int_equal(
        cask_batch_put(batch, cask_slice_of("a"), cask_slice_of("a"), 0, NULL),
        CASK_OK);
    assert_int_equal(cask_write(h->db, batch, &err), CASK_OK);
    cask_batch_free(batch);
}

static void test_what_is_no_key_is_refused(void **state)
{
    handle *h = *state;
    const cask_slice large = {"", CASK_KEY_MAX_BYTES + 1};

    assert_int_equal(cask_delete_range(h->db, large, none, NULL), CASK_INVALID);
    assert_int_equal(cask_delete_range(h->db, none, large, NULL), CASK_INVALID);
    assert_int_equal(cask_batch_delete_range(NULL, none, none, NULL),
                     CASK_INVALID);
}

#define TREE_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, tree_handle_setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(test_a_range_is_deleted_wherever_it_is),
        TREE_TEST(test_bounds_may_be_missing),
        TREE_TEST(test_no_key_is_behind_the_end),
        TREE_TEST(test_a_snapshot_sees_what_was_deleted_later),
        TREE_TEST(test_batches_delete_what_stands_before_it),
        TREE_TEST(test_conditions_know_deleted_ranges),
        TREE_TEST(test_a_memtable_takes_so_many_ranges),
        TREE_TEST(test_what_is_no_key_is_refused),
        TREE_TEST(test_verify_knows_them),
        TREE_TEST(test_a_range_that_hides_much_is_flushed_soon),
        cmocka_unit_test_setup_teardown(
            test_hash_stores_say_what_they_cannot_do, handle_setup,
            handle_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
