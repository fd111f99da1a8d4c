/*
 * cask_reserve(): a store made ready for many keys gives no other answers, and
 * one that has keys is left as it is.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

static void fill(handle *h, int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_text(h, key, "value");
    }
}

static uint64_t index_bytes(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats.index_bytes;
}

static void test_a_store_made_ready_answers_every_handle(void **state)
{
    handle *h = *state;
    handle other = *h;
    uint64_t before = index_bytes(h);

    handle_open(&other);
    check_text(&other, "key 1", NULL);
    assert_int_equal(cask_reserve(h->db, 100000, NULL), CASK_OK);
    assert_true(index_bytes(h) - before >= 100000 * 16);
    check_text(&other, "key 1", NULL);
    put_text(&other, "key 1", "of the other");
    check_text(h, "key 1", "of the other");
    fill(h, 1000);
    delete_text(&other, "key 2");
    check_text(&other, "key 1", "value");
    check_text(h, "key 2", NULL);
    assert_int_equal(count_keys(h), 999);
    handle_close(&other);
    handle_reopen(h);
    check_text(h, "key 999", "value");
    assert_int_equal(count_keys(h), 999);
}

static void test_a_store_with_keys_is_not_made_ready(void **state)
{
    handle *h = *state;
    uint64_t before;

    put_text(h, "k", "v");
    before = index_bytes(h);
    assert_int_equal(cask_reserve(h->db, 1000000, NULL), CASK_OK);
    assert_int_equal(index_bytes(h), before);
    check_text(h, "k", "v");
}

static void test_room_that_nobody_has_is_refused(void **state)
{
    handle *h = *state;
    cask_error err = {0};

    assert_int_equal(cask_reserve(h->db, UINT64_MAX, &err), CASK_NO_SPACE);
    assert_non_null(strstr(err.message, "index"));
    fill(h, 100);
    assert_int_equal(count_keys(h), 100);
    assert_int_equal(cask_reserve(NULL, 1, &err), CASK_INVALID);
    h->options.read_only = true;
    handle_reopen(h);
    assert_int_equal(cask_reserve(h->db, 1, &err), CASK_READ_ONLY);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, handle_setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_store_made_ready_answers_every_handle),
        WITH_STORE(test_a_store_with_keys_is_not_made_ready),
        WITH_STORE(test_room_that_nobody_has_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
