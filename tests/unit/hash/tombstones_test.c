/*
 * Tombstones under merges by policy, as a store that merges by itself has them:
 * those that hide nothing go, however many cold keys there are and wherever
 * these lie, and a store without keys becomes empty.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"

enum {
    COLD_KEYS = 20000,
    SHORT_LIVED = 600000,
    ALIVE_AT_ONCE = 30000, /* of the short-lived */
    MERGE_EVERY = 20000,   /* operations */
    FEW = 5000,
    SEGMENT_BYTES = 1 << 20
};

static int set_up(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = SEGMENT_BYTES;
    h->options.sync = CASK_SYNC_NONE;
    handle_open(h);
    return result;
}

static cask_slice name_of(char text[32], const char *prefix, unsigned number)
{
    (void)snprintf(text, 32, "%s-%u", prefix, number);
    return cask_slice_of(text);
}

static void put_key(handle *h, const char *prefix, unsigned number)
{
    char text[32];

    assert_int_equal(cask_put(h->db, name_of(text, prefix, number),
                              (cask_slice){&number, sizeof(number)}, NULL),
                     CASK_OK);
}

static void delete_key(handle *h, const char *prefix, unsigned number)
{
    bool existed = false;
    char text[32];

    assert_int_equal(
        cask_delete(h->db, name_of(text, prefix, number), &existed, NULL),
        CASK_OK);
    assert_true(existed);
}

static bool exists(handle *h, const char *prefix, unsigned number)
{
    bool found = false;
    char text[32];

    assert_int_equal(
        cask_exists(h->db, name_of(text, prefix, number), &found, NULL),
        CASK_OK);
    return found;
}

/* What is due by policy, and not what `all` would do. */
static void merge_what_is_due(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_merge(h->db, NULL, NULL, &err) != CASK_OK) {
        fail_msg("merge: %s", err.message);
    }
}

static uint64_t data_bytes(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats.data_bytes;
}

/* Each is deleted when so many more have been put. */
static void live_shortly(handle *h)
{
    for (unsigned i = 0; i < SHORT_LIVED + ALIVE_AT_ONCE; i++) {
        if (i < SHORT_LIVED) {
            put_key(h, "short", i);
        }
        if (i >= ALIVE_AT_ONCE) {
            delete_key(h, "short", i - ALIVE_AT_ONCE);
        }
        if (i % MERGE_EVERY == MERGE_EVERY - 1) {
            merge_what_is_due(h);
        }
    }
    merge_what_is_due(h);
}

static void expect_cold_keys_only(handle *h)
{
    for (unsigned i = 0; i < COLD_KEYS; i++) {
        assert_true(exists(h, "cold", i));
    }
    for (unsigned i = 0; i < SHORT_LIVED; i += 997) {
        assert_false(exists(h, "short", i));
    }
    assert_int_equal(count_keys(h), COLD_KEYS);
}

static void
test_short_lived_keys_leave_few_tombstones_beside_cold_ones(void **state)
{
    handle *h = *state;

    for (unsigned i = 0; i < COLD_KEYS; i++) {
        put_key(h, "cold", i);
    }
    live_shortly(h);
    print_message("%llu tombstones of %d\n",
                  (unsigned long long)handle_tombstones(h), SHORT_LIVED);
    assert_true(handle_tombstones(h) < FEW);
    assert_true(data_bytes(h) < 2 * SEGMENT_BYTES);
    expect_cold_keys_only(h);
    handle_reopen(h);
    assert_true(handle_tombstones(h) < FEW);
    expect_cold_keys_only(h);
}

/* The cold keys are among the others in every segment. */
static void test_cold_keys_everywhere_do_not_keep_tombstones(void **state)
{
    enum { EACH = SHORT_LIVED / COLD_KEYS };
    handle *h = *state;

    for (unsigned i = 0; i < COLD_KEYS; i++) {
        put_key(h, "cold", i);
        for (unsigned j = 0; j < EACH; j++) {
            put_key(h, "short", i * EACH + j);
        }
        for (unsigned j = 0; j < EACH; j++) {
            delete_key(h, "short", i * EACH + j);
        }
        if (i % (MERGE_EVERY / EACH) == 0) {
            merge_what_is_due(h);
        }
    }
    merge_what_is_due(h);
    print_message("%llu tombstones of %d\n",
                  (unsigned long long)handle_tombstones(h), SHORT_LIVED);
    assert_true(handle_tombstones(h) < FEW);
    expect_cold_keys_only(h);
}

static void test_store_that_holds_only_tombstones_becomes_empty(void **state)
{
    handle *h = *state;
    cask_merge_options all = {.all = true};

    for (unsigned i = 0; i < SHORT_LIVED / 4; i++) {
        put_key(h, "gone", i);
    }
    for (unsigned i = 0; i < SHORT_LIVED / 4; i++) {
        delete_key(h, "gone", i);
    }
    merge_what_is_due(h);
    print_message("%llu bytes, %llu tombstones of %d\n",
                  (unsigned long long)data_bytes(h),
                  (unsigned long long)handle_tombstones(h), SHORT_LIVED / 4);
    /* What is not worth a merge by itself: less than a small file. */
    assert_true(data_bytes(h) < SEGMENT_BYTES / 4);
    assert_int_equal(count_keys(h), 0);
    handle_reopen(h);
    assert_int_equal(count_keys(h), 0);
    assert_int_equal(cask_merge(h->db, &all, NULL, NULL), CASK_OK);
    assert_int_equal(data_bytes(h), 0);
    assert_int_equal(handle_tombstones(h), 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_short_lived_keys_leave_few_tombstones_beside_cold_ones),
        TEST(test_cold_keys_everywhere_do_not_keep_tombstones),
        TEST(test_store_that_holds_only_tombstones_becomes_empty),
    };

    return cmocka_run_group_tests_name("tombstones", tests, NULL, NULL);
}
