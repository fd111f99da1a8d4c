/*
 * Calls of ordered access, claim by claim.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cask_test.h"
#include "db/db.h"
#include "tree/tree_flush.h"
#include "unit/tree/tree_handle.h"

static bool visit(void *context, const cask_entry *entry)
{
    uint64_t *calls = context;

    (void)entry;
    (*calls)++;
    return true;
}

static cask_iterator *iterator_of(handle *h, cask_snapshot *snapshot)
{
    const cask_iterator_options options = {.snapshot = snapshot};
    cask_iterator *it = NULL;
    cask_error err = {CASK_OK, 0, ""};

    if (cask_iterator_create(h->db, &options, &it, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return it;
}

static void assert_text(cask_slice got, const char *expected)
{
    assert_int_equal(got.size, strlen(expected));
    assert_memory_equal(got.data, expected, got.size);
}

static void check_at(cask_iterator *it, cask_status status,
                     const cask_entry *entry, const char *key,
                     const char *value)
{
    assert_non_null(it);
    assert_int_equal(status, CASK_OK);
    assert_text(entry->key, key);
    assert_text(entry->value, value);
}

/* The memtable goes, and the segments of its records. */
static void test_what_is_lent_outlasts_a_flush(void **state)
{
    handle *h = *state;
    const cask_slice none = {NULL, 0};
    cask_iterator *it;
    cask_entry entry;

    put_text(h, "a", "first");
    put_text(h, "b", "second");
    it = iterator_of(h, NULL);
    assert_int_equal(
        cask_iterator_seek(it, CASK_SEEK_FIRST, none, &entry, NULL), CASK_OK);
    for (int i = 0; i < 40; i++) {
        uint8_t *bytes = make_bytes(8 << 10, (uint64_t)i);

        put_bytes(h, "c", bytes, 8 << 10);
        free(bytes);
        assert_int_equal(tree_flush(h->db->store, true, NULL), CASK_OK);
    }
    check_text(h, "a", "first");
    check_at(it, CASK_OK, &entry, "a", "first");
    check_at(it, cask_iterator_next(it, &entry, NULL), &entry, "b", "second");
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_NOT_FOUND);
    cask_iterator_free(it);
}

static void test_a_batch_is_seen_wholly_or_not_at_all(void **state)
{
    handle *h = *state;
    cask_batch *batch = NULL;
    cask_iterator *before;
    cask_iterator *after;
    cask_entry entry;

    put_text(h, "a", "old");
    before = iterator_of(h, NULL);
    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    assert_int_equal(cask_batch_put(batch, cask_slice_of("a"),
                                    cask_slice_of("new"), 0, NULL),
                     CASK_OK);
    assert_int_equal(cask_batch_put(batch, cask_slice_of("b"),
                                    cask_slice_of("new"), 0, NULL),
                     CASK_OK);
    assert_int_equal(cask_write(h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
    after = iterator_of(h, NULL);
    check_at(before,
             cask_iterator_seek(before, CASK_SEEK_LAST, (cask_slice){NULL, 0},
                                &entry, NULL),
             &entry, "a", "old");
    check_at(after,
             cask_iterator_seek(after, CASK_SEEK_LAST, (cask_slice){NULL, 0},
                                &entry, NULL),
             &entry, "b", "new");
    check_at(after, cask_iterator_previous(after, &entry, NULL), &entry, "a",
             "new");
    cask_iterator_free(before);
    cask_iterator_free(after);
}

static void test_a_lost_snapshot_is_told(void **state)
{
    handle *h = *state;
    region_snapshots *snapshots = h->db->store->region.snapshots;
    cask_iterator *it;
    cask_entry entry;

    put_text(h, "a", "1");
    put_text(h, "b", "2");
    it = iterator_of(h, NULL);
    assert_int_equal(cask_iterator_seek(it, CASK_SEEK_FIRST,
                                        (cask_slice){NULL, 0}, &entry, NULL),
                     CASK_OK);
    for (int i = 0; i < REGION_SNAPSHOTS; i++) {
        atomic_store(&snapshots->entry[i].ticket, 0);
    }
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_SNAPSHOT_LOST);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_INVALID);
    assert_int_equal(cask_iterator_refresh(it, NULL), CASK_OK);
    check_at(it,
             cask_iterator_seek(it, CASK_SEEK_AT_MOST, cask_slice_of("az"),
                                &entry, NULL),
             &entry, "a", "1");
    cask_iterator_free(it);
}

static void test_what_is_wrong_is_refused(void **state)
{
    handle *h = *state;
    cask_slice longer = {"", CASK_KEY_MAX_BYTES + 1};
    cask_iterator_options options = {.lower = longer};
    cask_snapshot *snapshot = NULL;
    cask_iterator *it = NULL;
    cask_entry entry;
    uint64_t count;

    assert_int_equal(cask_iterator_create(h->db, &options, &it, NULL),
                     CASK_INVALID);
    options = (cask_iterator_options){.prefix = {NULL, 1}};
    assert_int_equal(cask_iterator_create(h->db, &options, &it, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_iterator_create(h->db, NULL, NULL, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_range(h->db, NULL, NULL, NULL, NULL), CASK_INVALID);
    assert_int_equal(
        cask_count_range(h->db, (cask_slice){NULL, 0}, longer, &count, NULL),
        CASK_INVALID);
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    it = iterator_of(h, snapshot);
    assert_int_equal(cask_iterator_next(it, &entry, NULL), CASK_INVALID);
    assert_int_equal(cask_iterator_seek(it, CASK_SEEK_FIRST,
                                        (cask_slice){NULL, 0}, NULL, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_iterator_seek(it, (cask_seek)5, (cask_slice){NULL, 0},
                                        &entry, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_iterator_refresh(it, NULL), CASK_INVALID);
    assert_int_equal(cask_iterator_refresh(NULL, NULL), CASK_INVALID);
    cask_iterator_free(it);
    cask_iterator_free(NULL);
    cask_snapshot_free(snapshot);
    it = iterator_of(h, NULL);
    assert_int_equal(cask_close(h->db, NULL), CASK_BUSY);
    cask_iterator_free(it);
}

static uint64_t size_of_range(handle *h, const char *lower, const char *upper)
{
    const cask_slice none = {NULL, 0};
    cask_error err = {CASK_OK, 0, ""};
    uint64_t bytes = 0;

    if (cask_size_range(h->db, lower != NULL ? cask_slice_of(lower) : none,
                        upper != NULL ? cask_slice_of(upper) : none, &bytes,
                        &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return bytes;
}

/* Each record has 24 bytes of header, 8 of key, 96 of value. */
enum { SIZED = 20000, SIZED_BYTES = 128 };

static void put_sized(handle *h)
{
    uint8_t *value = make_bytes(96, 1);

    for (unsigned i = 0; i < SIZED; i++) {
        char key[16];

        /* In no order. */
        (void)snprintf(key, sizeof(key), "%08u", i * 7919 % SIZED);
        put_bytes(h, key, value, 96);
    }
    free(value);
}

static void assert_about(uint64_t got, uint64_t records)
{
    uint64_t bytes = records * SIZED_BYTES;

    assert_in_range(got, bytes - bytes / 4, bytes + bytes / 4);
}

static void test_the_size_of_a_range_is_about_right(void **state)
{
    handle *h = *state;

    handle_close(h);
    h->options.memtable_bytes = 4 << 20;
    handle_open(h);
    assert_int_equal(size_of_range(h, NULL, NULL), 0);
    put_sized(h);
    for (int flushes = 0; flushes < 2; flushes++) {
        assert_about(size_of_range(h, NULL, NULL), SIZED);
        assert_about(size_of_range(h, "00005000", "00015000"), 10000);
        assert_about(size_of_range(h, NULL, "00004000"), 4000);
        assert_about(size_of_range(h, "00015000", NULL), 5000);
        assert_int_equal(size_of_range(h, "00000100", "00000110"),
                         10 * SIZED_BYTES);
        assert_int_equal(size_of_range(h, "00000110", "00000100"), 0);
        assert_int_equal(size_of_range(h, "1", NULL), 0);
        assert_int_equal(size_of_range(h, NULL, ""), 0);
        assert_int_equal(tree_flush(h->db->store, true, NULL), CASK_OK);
    }
    assert_int_equal(size_of_range(h, "00005000", "00015000"),
                     10000 * SIZED_BYTES);
}

static void test_a_hash_store_names_the_engine_that_has_an_order(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    cask_iterator *it = NULL;
    uint64_t count;

    assert_int_equal(cask_iterator_create(h->db, NULL, &it, &err),
                     CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "caskade convert --engine tree"));
    assert_int_equal(cask_range(h->db, NULL, visit, NULL, NULL),
                     CASK_UNSUPPORTED);
    assert_int_equal(cask_count_range(h->db, (cask_slice){NULL, 0},
                                      (cask_slice){NULL, 0}, &count, NULL),
                     CASK_UNSUPPORTED);
    assert_int_equal(cask_size_range(h->db, (cask_slice){NULL, 0},
                                     (cask_slice){NULL, 0}, &count, NULL),
                     CASK_UNSUPPORTED);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, tree_handle_setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_lent_outlasts_a_flush),
        TEST(test_a_batch_is_seen_wholly_or_not_at_all),
        TEST(test_a_lost_snapshot_is_told),
        TEST(test_what_is_wrong_is_refused),
        TEST(test_the_size_of_a_range_is_about_right),
        cmocka_unit_test_setup_teardown(
            test_a_hash_store_names_the_engine_that_has_an_order, handle_setup,
            handle_teardown),
    };

    return cmocka_run_group_tests_name("tree_iterator_calls", tests, NULL,
                                       NULL);
}
