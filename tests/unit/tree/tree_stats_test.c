/*
 * Statistics of a tree: sizes are those of the files, what was written in the
 * store's life is exact, and what is live is told about right.
 */
#include "cask_test.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "tree/tree.h"
#include "unit/tree/offline.h"
#include "unit/tree/tree_handle.h"

enum { KEYS = 4000, VALUE = 60, MARK_BYTES = 32 };

static int setup(void **state)
{
    handle *h;

    (void)tree_handle_prepare(state);
    h = *state;
    h->options.segment_max_bytes = 64 << 10;
    h->options.auto_merge = false;
    h->options.sync = CASK_SYNC_NONE; /* no marks behind syncs */
    handle_open(h);
    return 0;
}

static void put_number(handle *h, unsigned number, unsigned round)
{
    char key[16];
    char value[VALUE + 1];

    (void)snprintf(key, sizeof(key), "key %08u", number);
    (void)snprintf(value, sizeof(value), "%0*u", VALUE, round);
    put_text(h, key, value);
}

static void put_scattered(handle *h, unsigned keys, unsigned round)
{
    for (unsigned i = 0; i < keys; i++) {
        put_number(h, (unsigned)((uint64_t)i * 7919 % keys), round);
    }
}

static cask_tree_stats tree_of(handle *h)
{
    cask_tree_stats stats;
    cask_error err = {CASK_OK, 0, ""};

    if (cask_tree_stat(h->db, &stats, &err) != CASK_OK) {
        fail_msg("cask_tree_stat: %s", err.message);
    }
    return stats;
}

static void test_levels_are_the_files_that_are_there(void **state)
{
    handle *h = *state;
    cask_tree_level sum = {.runs = 0};
    cask_tree_stats stats;
    run_files found;

    put_scattered(h, KEYS, 0);
    merge_runs(h, true, NULL);
    put_scattered(h, 100, 1);
    delete_text(h, "key 00000001");
    merge_runs(h, false, NULL);
    found = find_runs(h);
    stats = tree_of(h);
    for (int i = 0; i < CASK_TREE_LEVELS; i++) {
        assert_true(stats.level[i].runs <= stats.level[i].parts);
        sum.runs += stats.level[i].runs;
        sum.parts += stats.level[i].parts;
        sum.bytes += stats.level[i].bytes;
        sum.records += stats.level[i].records;
        sum.tombstones += stats.level[i].tombstones;
    }
    assert_int_equal(sum.parts, found.count);
    assert_int_equal(sum.bytes, found.bytes);
    assert_int_equal(stats.mapped_bytes, found.bytes);
    assert_int_equal(sum.tombstones, 1);
    assert_int_equal(sum.records, KEYS + 100);
    assert_int_equal(sum.runs, 2);
    assert_true(stats.index_bytes > 0 && stats.filter_bytes > 0);
    assert_true(stats.index_bytes + stats.filter_bytes < sum.bytes);
}

static void test_what_was_put_is_in_a_memtable(void **state)
{
    handle *h = *state;
    cask_tree_stats stats = tree_of(h);

    assert_int_equal(stats.memtable_count, 1);
    assert_int_equal(stats.memtable[0].records, 0);
    assert_int_equal(stats.live_keys, 0);
    assert_true(stats.space_amplification == 0);
    put_scattered(h, 100, 0);
    put_scattered(h, 100, 1);
    stats = tree_of(h);
    assert_int_equal(stats.memtable[0].records, 100);
    assert_false(stats.memtable[0].frozen);
    assert_true(stats.memtable[0].memory_bytes > 0);
    assert_int_equal(stats.memtable[0].log_bytes, handle_stats(h).data_bytes);
    assert_int_equal(stats.memtable_bytes, h->options.memtable_bytes);
    assert_int_equal(stats.live_keys, 100);
    assert_true(stats.space_amplification > 1.9 &&
                stats.space_amplification < 2.1);
}

/* ---- What is live -------------------------------------------------------- */

static void test_the_estimate_of_what_is_live_is_about_right(void **state)
{
    handle *h = *state;
    cask_tree_stats stats;

    put_scattered(h, KEYS, 0);
    merge_runs(h, true, NULL);
    stats = tree_of(h);
    assert_int_equal(stats.live_keys, KEYS);
    assert_true(stats.space_amplification >= 1 &&
                stats.space_amplification < 1.3);
    /* A half of them is written once more. */
    put_scattered(h, KEYS / 2, 1);
    merge_runs(h, false, NULL);
    stats = tree_of(h);
    assert_true(stats.live_keys > KEYS * 85 / 100 &&
                stats.live_keys < KEYS * 115 / 100);
    assert_true(stats.space_amplification > 1.2 &&
                stats.space_amplification < 2);
}

/* ---- What was written ---------------------------------------------------- */

/* Of this region, from which nothing has left. */
static void check_written(handle *h, uint64_t log_before, uint64_t runs_before)
{
    cask_stats stats = handle_stats(h);
    cask_tree_stats tree = tree_of(h);
    cask_merge_state merges = handle_merge_state(h);

    assert_int_equal(stats.log_bytes, log_before + stats.bytes_written);
    assert_int_equal(stats.merge_bytes, runs_before + tree.flush_bytes_written +
                                            merges.bytes_written);
}

static void test_bytes_written_are_exact_over_reopening(void **state)
{
    handle *h = *state;
    uint64_t log = 0;
    uint64_t runs = 0;

    for (unsigned round = 0; round < 6; round++) {
        cask_stats stats;

        put_scattered(h, KEYS, round);
        merge_runs(h, round % 3 == 2, NULL);
        check_written(h, log, runs);
        stats = handle_stats(h);
        assert_true(stats.merge_bytes > runs);
        log = stats.log_bytes;
        runs = stats.merge_bytes;
        handle_reopen(h);
        stats = handle_stats(h);
        assert_int_equal(stats.merge_bytes, runs);
        /* An open may write a mark. */
        assert_true(stats.log_bytes == log ||
                    stats.log_bytes == log + MARK_BYTES);
        log = stats.log_bytes;
    }
    assert_true(runs > find_runs(h).bytes * 2);
}

/* What has no key in common becomes part of another run as it is. */
static void test_runs_that_only_move_are_not_written(void **state)
{
    handle *h = *state;
    cask_merge_state merges;

    for (unsigned i = 0; i < 5 * KEYS; i++) {
        put_number(h, i, 0);
        if (i % 500 == 499) {
            merge_runs(h, false, NULL);
        }
    }
    merges = handle_merge_state(h);
    assert_true(merges.merges > 0);
    assert_int_equal(merges.bytes_written, 0);
    check_written(h, 0, 0);
    assert_int_equal(handle_stats(h).merge_bytes, find_runs(h).bytes);
    handle_reopen(h);
    assert_int_equal(handle_stats(h).merge_bytes, find_runs(h).bytes);
}

/* ---- Flushes ------------------------------------------------------------- */

static void test_flushes_are_remembered(void **state)
{
    handle *h = *state;
    cask_tree_stats stats = tree_of(h);

    assert_int_equal(stats.past_count, 0);
    put_scattered(h, 100, 0);
    merge_runs(h, false, NULL);
    put_scattered(h, 200, 0);
    merge_runs(h, false, NULL);
    stats = tree_of(h);
    assert_int_equal(stats.flushes, 2);
    assert_int_equal(stats.past_count, 2);
    assert_int_equal(stats.past[0].did.records, 200);
    assert_int_equal(stats.past[1].did.records, 100);
    assert_int_equal(stats.past[0].result, CASK_OK);
    assert_string_equal(stats.past[0].reason, "a memtable takes nothing more");
    assert_true(stats.past[0].did.bytes_read > 200 * VALUE);
    assert_int_equal(stats.past[0].did.bytes_written +
                         stats.past[1].did.bytes_written,
                     stats.flush_bytes_written);
    assert_int_equal(stats.flush_bytes_written, find_runs(h).bytes);
}

static void test_what_waits_for_compactions_is_told(void **state)
{
    handle *h = *state;
    cask_tree_stats stats;

    put_scattered(h, 100, 0);
    merge_runs(h, true, NULL);
    stats = tree_of(h);
    assert_int_equal(stats.debt_bytes, 0);
    assert_int_equal(stats.due_bytes, 0);
    assert_int_equal(stats.delay_us, 0);
    for (unsigned round = 0; round < 5; round++) {
        put_scattered(h, KEYS, round);
    }
    stats = tree_of(h);
    assert_true(stats.debt_bytes > 0);
    assert_true(stats.debt_bytes < find_runs(h).bytes);
}

static void set(handle *h, const char *name, const char *value)
{
    const cask_config_change change = {name, value};

    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
}

static void test_the_setting_says_how_large_memtables_are(void **state)
{
    handle *h = *state;

    h->options.memtable_bytes = 0;
    handle_reopen(h);
    assert_int_equal(tree_of(h).memtable_bytes, 64 << 20);
    put_scattered(h, KEYS, 0);
    assert_int_equal(tree_of(h).memtable_count, 1);
    set(h, "memtable_bytes", "64KiB");
    assert_int_equal(tree_of(h).memtable_bytes, 64 << 10);
    put_scattered(h, KEYS, 1);
    merge_runs(h, false, NULL);
    assert_true(tree_of(h).flushes > 2);
    handle_reopen(h);
    assert_int_equal(tree_of(h).memtable_bytes, 64 << 10);
    h->options.memtable_bytes = 1 << 20;
    handle_reopen(h);
    assert_int_equal(tree_of(h).memtable_bytes, 1 << 20);
}

static void
test_the_setting_says_whether_runs_have_a_filter_of_prefixes(void **state)
{
    handle *h = *state;
    const version *newest;
    versions *all;

    set(h, "filter_prefix_bytes", "8");
    put_scattered(h, 500, 0);
    merge_runs(h, false, NULL);
    all = tree_state_of(h->db->store)->versions;
    assert_int_equal(version_pin(all, &newest, NULL), CASK_OK);
    assert_int_equal(newest->count, 1);
    assert_int_equal(newest->runs[0].file->footer.prefix_bytes, 8);
    assert_true(
        run_may_have_prefix(newest->runs[0].file, cask_slice_of("key 0000")));
    assert_false(
        run_may_have_prefix(newest->runs[0].file, cask_slice_of("key 0001")));
    version_unpin(all, newest);
    set(h, "filter_prefix_bytes", "0");
    merge_runs(h, true, NULL);
    assert_int_equal(version_pin(all, &newest, NULL), CASK_OK);
    assert_int_equal(newest->runs[0].file->footer.prefix_bytes, 0);
    version_unpin(all, newest);
}

static void test_a_hash_store_has_no_levels(void **state)
{
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    cask_tree_stats stats;

    assert_int_equal(cask_tree_stat(h->db, NULL, &err), CASK_INVALID);
    handle_close(h);
    clear_directory(h->kernel, HANDLE_PATH);
    h->options.engine = CASK_ENGINE_HASH;
    handle_open(h);
    assert_int_equal(cask_tree_stat(h->db, &stats, &err), CASK_UNSUPPORTED);
    assert_non_null(strstr(err.message, "hash"));
}

static void test_runs_that_were_taken_in_are_counted(void **state)
{
    handle *h = *state;
    cask_run_entry entry = offline_put("a", "value", 0);
    uint64_t bytes = 0;

    for (uint64_t round = 1; round <= 2; round++) {
        offline_build(h->kernel, "x", &entry, 1);
        bytes += offline_take(h->db, "x").bytes;
        assert_int_equal(tree_of(h).ingested_runs, round);
        assert_int_equal(tree_of(h).ingested_bytes, bytes);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_levels_are_the_files_that_are_there),
        TEST(test_what_was_put_is_in_a_memtable),
        TEST(test_the_estimate_of_what_is_live_is_about_right),
        TEST(test_bytes_written_are_exact_over_reopening),
        TEST(test_runs_that_only_move_are_not_written),
        TEST(test_flushes_are_remembered),
        TEST(test_what_waits_for_compactions_is_told),
        TEST(test_the_setting_says_how_large_memtables_are),
        TEST(test_the_setting_says_whether_runs_have_a_filter_of_prefixes),
        TEST(test_runs_that_were_taken_in_are_counted),
        TEST(test_a_hash_store_has_no_levels),
    };

    return cmocka_run_group_tests_name("tree statistics", tests, NULL, NULL);
}
