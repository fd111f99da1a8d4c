/*
 * Segments that have expired in part: what has counts as dead, and is merged
 * for that, once.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 100, LASTING = 10, VALUE_BYTES = 2000, MERGES = 9 };

#define MINUTE_MS UINT64_C(60000)

static int small_segments(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = 65536;
    h->options.small_file_threshold_bytes = 0;
    handle_open(h);
    return result;
}

static void put_number(handle *h, unsigned number, uint64_t ttl_ms)
{
    cask_write_options options = {.ttl_ms = ttl_ms};
    char value[VALUE_BYTES] = {0};
    char key[32];

    (void)snprintf(key, sizeof(key), "key %u", number);
    assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                   (cask_slice){value, sizeof(value)}, &options,
                                   NULL, NULL),
                     CASK_OK);
}

/* All but every tenth, which lasts, with that time. */
static void put_all(handle *h, uint64_t ttl_ms)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_number(h, i, i % (KEYS / LASTING) == 0 ? 0 : ttl_ms);
    }
}

/* Merge by policy until nothing is due; how often that was. */
static unsigned merge_what_is_due(handle *h)
{
    cask_merge_report report = {.inputs = 1};
    unsigned merges = 0;

    while (report.inputs > 0 && merges < MERGES) {
        assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
        merges += report.inputs > 0 ? 1 : 0;
    }
    return merges;
}

static void test_what_expires_beside_lasting_values_goes_as_dead(void **state)
{
    handle *h = *state;
    cask_stats stats;

    put_all(h, MINUTE_MS);
    handle_reopen(h); /* by hints, which know when how much is over */
    assert_int_equal(handle_stats(h).expired_bytes, 0);
    assert_int_equal(merge_what_is_due(h), 0);
    os_sim_advance_ms(h->sim, MINUTE_MS + 1000);
    stats = handle_stats(h);
    assert_true(stats.expired_bytes * KEYS >=
                stats.live_bytes * (KEYS - LASTING) * 99 / 100);
    assert_true(stats.expired_bytes < stats.live_bytes);
    assert_int_not_equal(merge_what_is_due(h), 0);
    stats = handle_stats(h);
    assert_true(stats.data_bytes * 2 < stats.live_bytes * 3);
    assert_true(stats.key_count < KEYS / 2);
}

static void test_what_the_log_knows_after_an_open_it_knew_before(void **state)
{
    handle *h = *state;
    uint64_t expired_bytes;

    put_all(h, MINUTE_MS);
    put_all(h, 20 * MINUTE_MS);
    os_sim_advance_ms(h->sim, MINUTE_MS + 1000);
    expired_bytes = handle_stats(h).expired_bytes;
    handle_reopen(h);
    assert_int_equal(handle_stats(h).expired_bytes, expired_bytes);
    os_sim_advance_ms(h->sim, 20 * MINUTE_MS);
    expired_bytes = handle_stats(h).expired_bytes;
    assert_int_not_equal(expired_bytes, 0);
    handle_reopen(h);
    assert_int_equal(handle_stats(h).expired_bytes, expired_bytes);
}

/* Deletes take their place, and no merge is due for the sake of these. */
static void test_what_hid_older_values_is_merged_for_it_once(void **state)
{
    handle *h = *state;

    put_all(h, 0);
    handle_reopen(h);
    put_all(h, MINUTE_MS);
    os_sim_advance_ms(h->sim, MINUTE_MS + 1000);
    assert_true(merge_what_is_due(h) < MERGES);
    handle_reopen(h);
    assert_true(merge_what_is_due(h) < MERGES);
    assert_int_equal(merge_what_is_due(h), 0);
    assert_true(handle_stats(h).key_count < KEYS / 2);
}

static void test_grace_holds_in_parts_of_segments_too(void **state)
{
    const cask_config_change grace = {"expiry_grace_seconds", "60"};
    handle *h = *state;

    assert_int_equal(cask_config_set(h->db, &grace, 1, NULL), CASK_OK);
    put_all(h, MINUTE_MS);
    os_sim_advance_ms(h->sim, 2 * MINUTE_MS - 1000);
    assert_int_equal(handle_stats(h).expired_bytes, 0);
    os_sim_advance_ms(h->sim, 2000);
    assert_int_not_equal(handle_stats(h).expired_bytes, 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_expires_beside_lasting_values_goes_as_dead),
        TEST(test_what_the_log_knows_after_an_open_it_knew_before),
        TEST(test_what_hid_older_values_is_merged_for_it_once),
        TEST(test_grace_holds_in_parts_of_segments_too),
    };

    return cmocka_run_group_tests_name("expiry_part", tests, NULL, NULL);
}
