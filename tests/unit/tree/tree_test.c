/*
 * A store of the tree engine, through the public API.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "support/random.h"
#include "store/store_merge.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "unit/tree/tree_handle.h"

enum { MANY = 3000 };

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

static size_t segments_of(handle *h)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    cask_free(segments);
    return count;
}

static void test_writers_flush_for_themselves_and_segments_go(void **state)
{
    static uint8_t bytes[2000];
    handle *h = *state;

    h->options.segment_max_bytes = 64 << 10;
    h->options.small_file_threshold_bytes = 0;
    handle_reopen(h);
    /* Thirty memtables, of which there are four; nobody else flushes. */
    for (unsigned i = 0; i < 1000; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %05u", i % 700);
        memset(bytes, (int)i, sizeof(bytes));
        put_bytes(h, key, bytes, sizeof(bytes));
    }
    assert_in_range(segments_of(h), 1, 12);
    flush_all(h);
    assert_in_range(segments_of(h), 1, 3);
    handle_reopen(h);
    for (unsigned i = 300; i < 1000; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %05u", i % 700);
        memset(bytes, (int)i, sizeof(bytes));
        check_bytes(h, key, bytes, sizeof(bytes));
    }
}

static void test_batches_views_and_expiry_go_by_the_newest_record(void **state)
{
    handle *h = *state;
    cask_batch *batch = NULL;
    cask_view view = {{NULL, 0}, {0}, NULL, NULL};
    cask_write_options soon = {.ttl_ms = 1000};

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (int i = 0; i < 3; i++) {
        const char *value = i == 0 ? "1" : "2";

        assert_int_equal(cask_batch_put(batch, cask_slice_of("k"),
                                        cask_slice_of(value), 0, NULL),
                         CASK_OK);
    }
    assert_int_equal(cask_batch_delete(batch, cask_slice_of("none"), NULL),
                     CASK_OK);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
    for (int flushed = 0; flushed < 2; flushed++) {
        check_text(h, "k", "2");
        assert_int_equal(
            cask_view_acquire(h->db, cask_slice_of("k"), &view, NULL), CASK_OK);
        assert_int_equal(view.value.size, 1);
        assert_memory_equal(view.value.data, "2", 1);
        cask_view_release(h->db, &view);
        flush_all(h);
    }
    assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                   cask_slice_of("3"), &soon, NULL, NULL),
                     CASK_OK);
    check_text(h, "k", "3");
    flush_all(h);
    check_text(h, "k", "3");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 2000);
    check_text(h, "k", NULL);
}

/* Turn one bit of a file around, or back. */
static void flip(handle *h, const char *name, uint64_t offset)
{
    const os_ops *ops = h->kernel->ops;
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    os_file *dir;
    os_file *file;
    size_t got;

    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->read_at(file, &byte, 1, offset, &got), 0);
    assert_int_equal(got, 1);
    byte ^= 1;
    assert_int_equal(ops->write_at(file, &span, 1, offset), 0);
    ops->close(file);
    ops->close(dir);
}

/* Served without it, its key shows an older value; that must not last. */
static void
test_a_damaged_log_is_not_flushed_before_it_is_restored(void **state)
{
    static const char name[] = "0000000000000001.log";
    static uint8_t bytes[2000];
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};

    h->options.segment_max_bytes = 64 << 10;
    h->options.memtable_bytes = 1 << 20;
    h->options.auto_merge = false;
    handle_reopen(h);
    for (unsigned i = 0; i < 100; i++) {
        put_text(h, "key", i == 0 ? "old" : "new");
        put_bytes(h, "other", bytes, sizeof(bytes));
    }
    handle_close(h);
    flip(h, name, 30000);
    h->options.damage = CASK_DAMAGE_SERVE;
    handle_open(h);
    assert_int_equal(tree_flush(h->db->store, true, &err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, name));
    put_text(h, "later", "1");
    handle_close(h);
    h->options.damage = CASK_DAMAGE_FAIL;
    assert_int_equal(
        db_open_on(h->kernel, HANDLE_PATH, &h->options, &h->db, &err),
        CASK_CORRUPT);
    flip(h, name, 30000);
    handle_open(h);
    flush_all(h);
    check_text(h, "key", "new");
    check_text(h, "later", "1");
    check_bytes(h, "other", bytes, sizeof(bytes));
}

/* ---- Two handles ---- */

static cask_db *open_beside(handle *h, uint64_t memtable_bytes)
{
    cask_options options = h->options;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *db = NULL;

    options.memtable_bytes = memtable_bytes;
    options.lock_timeout_ms = 300;
    if (db_open_on(h->kernel, HANDLE_PATH, &options, &db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
    return db;
}

static void test_size_of_memtables_is_that_of_who_came_first(void **state)
{
    handle *h = *state;
    cask_tree_stats stats;
    cask_db *other;

    handle_close(h);
    h->options.memtable_bytes = 4 << 20;
    handle_open(h);
    other = open_beside(h, 64 << 10);
    for (unsigned i = 0; i < MANY; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %05u", i);
        assert_int_equal(
            cask_put(other, cask_slice_of(key),
                     cask_slice_of("a value of some bytes, so that "
                                   "a small memtable is full"),
                     NULL),
            CASK_OK);
    }
    assert_int_equal(cask_tree_stat(other, &stats, NULL), CASK_OK);
    assert_int_equal(stats.memtable_bytes, 4 << 20);
    assert_int_equal(stats.memtable_count, 1);
    assert_int_equal(cask_close(other, NULL), CASK_OK);
}

/* Whoever waits for memtables to be flushed is told who has the turn. */
static void test_full_memtables_name_who_should_flush(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    cask_db *other = open_beside(h, 64 << 10);
    uint8_t *value = make_bytes(40 << 10, 1);
    store_handle *store = h->db->store;
    cask_status status = CASK_OK;
    char process[64];

    assert_int_equal(store_merge_lock(store, NULL), CASK_OK);
    for (unsigned i = 0; i < 16 && status == CASK_OK; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %05u", i);
        status = cask_put(other, cask_slice_of(key),
                          (cask_slice){value, 40 << 10}, &err);
    }
    store_merge_unlock(store);
    assert_int_equal(status, CASK_TIMEOUT);
    (void)snprintf(process, sizeof(process), "process %u has the turn to flush",
                   (unsigned)atomic_load(
                       &store->region.processes[store->process_slot].pid));
    assert_non_null(strstr(err.message, process));
    assert_non_null(strstr(err.message, "nothing was written"));
    assert_int_equal(cask_close(other, NULL), CASK_OK);
    free(value);
}

static void test_many_gets_find_what_gets_find(void **state)
{
    enum { WANTED = 200 };
    handle *h = *state;
    char names[WANTED][32];
    cask_slice keys[WANTED];
    cask_buffer values[WANTED] = {{0}};
    cask_status statuses[WANTED];

    put_many(h, 1);
    flush_all(h);
    for (unsigned i = 0; i < WANTED; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "key %05u",
                       i % 7 == 0 ? MANY + i : i);
        keys[i] = cask_slice_of(names[i]);
        if (i % 3 == 1) {
            put_text(h, names[i], "newer");
        }
    }
    assert_int_equal(cask_get_many(h->db, keys, WANTED, values, statuses, NULL),
                     CASK_OK);
    for (unsigned i = 0; i < WANTED; i++) {
        cask_buffer value = {0};
        cask_status status = cask_get(h->db, keys[i], &value, NULL);

        assert_int_equal(statuses[i], status);
        if (status == CASK_OK) {
            assert_int_equal(values[i].size, value.size);
            assert_memory_equal(values[i].data, value.data, value.size);
        }
        cask_buffer_free(&value);
        cask_buffer_free(&values[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_was_put_is_found_and_deletes_hide_it, tree_handle_setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(test_it_is_there_after_reopening,
                                        tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(test_conditions_hold_in_memtables,
                                        tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(test_flushed_records_are_found_in_runs,
                                        tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_writers_flush_for_themselves_and_segments_go,
            tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_batches_views_and_expiry_go_by_the_newest_record,
            tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_damaged_log_is_not_flushed_before_it_is_restored,
            tree_handle_setup, handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_size_of_memtables_is_that_of_who_came_first, tree_handle_setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(
            test_full_memtables_name_who_should_flush, tree_handle_setup,
            handle_teardown),
        cmocka_unit_test_setup_teardown(test_many_gets_find_what_gets_find,
                                        tree_handle_setup, handle_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
