/*
 * What people see: histograms, progress lines, statistics, names in messages.
 */
#include "cask_test.h"

#include "histogram.h"
#include "mention.h"
#include "progress.h"
#include "stat_report.h"

#include <stdlib.h>
#include <string.h>

/* ---- Histograms -------------------------------------------------------- */

static void test_percentiles_are_upper_ends_of_buckets(void **state)
{
    cask_histogram waits = {{0}};

    (void)state;
    assert_int_equal(histogram_count(&waits), 0);
    assert_int_equal(histogram_below_ns(&waits, 500), 0);

    waits.bucket[10] = 98; /* 1024 .. 2047 ns */
    waits.bucket[12] = 1;
    waits.bucket[20] = 1;
    assert_int_equal(histogram_count(&waits), 100);
    assert_int_equal(histogram_below_ns(&waits, 500), 2048);
    assert_int_equal(histogram_below_ns(&waits, 980), 2048);
    assert_int_equal(histogram_below_ns(&waits, 990), 8192);
    assert_int_equal(histogram_below_ns(&waits, 1000), 2097152);
}

static void test_percentiles_of_few_and_of_huge_counts(void **state)
{
    cask_histogram waits = {{0}};

    (void)state;
    waits.bucket[0] = 1;
    assert_int_equal(histogram_below_ns(&waits, 1), 2);
    assert_int_equal(histogram_below_ns(&waits, 1000), 2);
    waits.bucket[CASK_HISTOGRAM_BUCKETS - 1] = UINT64_MAX / 2;
    assert_true(histogram_below_ns(&waits, 990) ==
                (uint64_t)1 << CASK_HISTOGRAM_BUCKETS);
}

/* ---- Progress ---------------------------------------------------------- */

static void assert_progress(progress_view view, const char *want)
{
    char line[80];

    progress_format(&view, line, sizeof(line));
    assert_string_equal(line, want);
}

static void test_progress_shows_rate_and_time_left(void **state)
{
    progress_view view = {"loading", "lines", 1234567, 500, 2000, 10};

    (void)state;
    assert_progress(view, "loading 1,234,567 lines, 123 k/s  "
                          "[=====               ]  25 %  0:30 left");
    view.done = 2500; /* the file has grown */
    assert_progress(view, "loading 1,234,567 lines, 123 k/s  "
                          "[====================] 100 %  0:00 left");
    view.done = 0;
    view.item_count = 0;
    assert_progress(view, "loading 0 lines, 0/s  "
                          "[                    ]   0 %  ? left");
}

static void test_progress_without_total_has_no_bar(void **state)
{
    progress_view view = {"loading", "lines", 1000, 5000, 0, 0};

    (void)state;
    assert_progress(view, "loading 1,000 lines, 0/s");
}

static void test_progress_never_exceeds_a_line(void **state)
{
    progress_view view = {"a verb that is very long",
                          "items also long",
                          UINT64_MAX,
                          1,
                          UINT64_MAX,
                          1e9};
    char line[200];

    (void)state;
    progress_format(&view, line, sizeof(line));
    assert_true(strlen(line) <= 79);
}

/* ---- Statistics -------------------------------------------------------- */

static stat_sample sample_of(uint64_t puts, uint64_t time_ms)
{
    stat_sample sample = {.time_ms = time_ms};

    sample.stats.engine = CASK_ENGINE_HASH;
    sample.stats.key_count = 1234567;
    sample.stats.data_bytes = 1000;
    sample.stats.live_bytes = 750;
    sample.stats.dead_bytes = 250;
    sample.stats.log_bytes = 4000;
    sample.stats.merge_bytes = 3000;
    sample.stats.puts = puts;
    sample.stats.sync_ns.bucket[10] = 3;
    return sample;
}

static void test_rates_are_differences_per_second(void **state)
{
    stat_sample before = sample_of(100, 1000);
    stat_sample now = sample_of(600, 1500);
    const stat_counter *puts = stat_counters();

    (void)state;
    assert_string_equal(puts->name, "puts");
    assert_int_equal(stat_counter_value(puts, &now), 600);
    assert_true(stat_counter_rate(puts, &now, &before) == 1000.0);
    /* A new region counts from 0; a clock that stands still divides by 0. */
    assert_true(stat_counter_rate(puts, &before, &now) == 0.0);
    now.time_ms = before.time_ms;
    assert_true(stat_counter_rate(puts, &now, &before) == 0.0);
}

/* End the text; all of these are in it. */
static void check_parts(text *out, const char *const *parts, size_t count)
{
    text_add_char(out, '\0');
    assert_false(out->failed);
    for (size_t i = 0; i < count; i++) {
        if (strstr(out->data, parts[i]) == NULL) {
            fail_msg("\"%s\" is not in:\n%s", parts[i], out->data);
        }
    }
}

static void test_text_is_for_people(void **state)
{
    static const char *const parts[] = {
        "/a/store\n",
        "1,234,567",
        "250 B dead (25.0 %)",
        "space 1.33, writes 1.75 (",
        "1.00 k/s",
        "p99 < 2.05 us",
    };
    stat_sample before = sample_of(100, 1000);
    stat_sample now = sample_of(600, 1500);
    text out = {0};

    (void)state;
    stat_report_text("/a/store", &now, &before, &out);
    check_parts(&out, parts, sizeof(parts) / sizeof(parts[0]));
    text_free(&out);
}

static void test_text_tells_of_the_merge_under_way_and_of_the_next(void **state)
{
    static const char *const parts[] = {
        "copying, 25 % of 2.00 KiB\n",
        "due: disk space is low\n",
        "merges                    1,234\n",
        "merged, freed          4.00 KiB\n",
        "waits: no trigger is reached\n",
    };
    stat_sample now = sample_of(600, 1500);
    text out = {0};

    (void)state;
    now.merge = (cask_merge_state){.phase = CASK_MERGE_COPYING,
                                   .bytes_done = 512,
                                   .bytes_total = 2048,
                                   .due = true,
                                   .reason = "disk space is low",
                                   .merges = 1234,
                                   .bytes_freed = 4096};
    stat_report_text("/a/store", &now, NULL, &out);
    now.merge = (cask_merge_state){.reason = "no trigger is reached"};
    stat_report_text("/a/store", &now, NULL, &out);
    check_parts(&out, parts, sizeof(parts) / sizeof(parts[0]));
    text_free(&out);
}

static void test_text_tells_who_merges_and_what_was_merged(void **state)
{
    static const char *const parts[] = {
        "process 4321, 2.00 KiB/s\n",
        "a process that died; another goes on\n",
        "2 handles\n",
        "a merge was asked for\n",
        "     1:00     1.50 s      7 > 2    ",
        "disk space is low; stopped\n",
        "disk space is low; failed: no space",
        " 11 > 2 ",
    };
    stat_sample now = sample_of(600, 1500);
    text out = {0};

    (void)state;
    now.wall_ms = 1000000;
    now.merge = (cask_merge_state){.phase = CASK_MERGE_COPYING,
                                   .pid = 4321,
                                   .rate_bytes = 2048,
                                   .bytes_total = 1,
                                   .reason = "a merge is due",
                                   .threads = 2,
                                   .asked = true,
                                   .past_count = CASK_PAST_MERGES};
    for (size_t i = 0; i < CASK_PAST_MERGES; i++) {
        now.merge.past[i] = (cask_past_merge){
            .number = CASK_PAST_MERGES - i,
            .began_ms = 1000000 - (i + 1) * 60000,
            .took_ms = 1500,
            .result = i == 1   ? CASK_NO_SPACE
                      : i == 2 ? CASK_TIMEOUT
                               : CASK_OK,
            .reason = "disk space is low",
            .did = {.inputs = 7 + i, .outputs = 2, .bytes_freed = 4096}};
    }
    stat_report_text("/a/store", &now, NULL, &out);
    now.merge.pid = 0;
    stat_report_text("/a/store", &now, NULL, &out);
    check_parts(&out, parts, sizeof(parts) / sizeof(parts[0]));
    assert_null(strstr(out.data, " 12 > 2 ")); /* the last five */
    text_free(&out);
}

/* Of all members of the object. */
static const char *const json_names[] = {
    "engine",
    "uuid",
    "key_count",
    "may_expire",
    "sequence",
    "durable_sequence",
    "segment_count",
    "data_bytes",
    "live_bytes",
    "dead_bytes",
    "expired_bytes",
    "log_bytes",
    "merge_bytes",
    "space_amplification",
    "write_amplification",
    "disk_bytes",
    "damaged_bytes",
    "quarantined_count",
    "quarantined_bytes",
    "index_bytes",
    "region_bytes",
    "handle_count",
    "poisoned",
    "private_index",
    "region_path",
    "puts",
    "deletes",
    "batches",
    "gets",
    "get_misses",
    "syncs",
    "bytes_written",
    "takeovers",
    "merges",
    "merge_bytes_read",
    "merge_bytes_written",
    "merge_bytes_freed",
    "merge",
    "snapshots",
    "snapshot_count",
    "snapshots_lost",
    "undo_bytes",
    "pinned_bytes",
    "sync_ns",
    "lock_wait_ns",
    "directory",
    "segments",
    "per_s",
};

static void test_json_has_every_member_of_the_structs(void **state)
{
    cask_segment_stats segment = {.id = 42, .sealed = true};
    cask_snapshot_info snapshot = {.pid = 7, .lag = 8, .is_fold = true};
    stat_sample before = sample_of(100, 1000);
    stat_sample now = sample_of(600, 1500);
    json_t *object;
    json_t *row;

    (void)state;
    now.segments = &segment;
    now.segment_count = 1;
    now.snapshots = &snapshot;
    now.snapshot_count = 1;
    object = stat_report_json("/a/store", &now, &before);
    for (size_t i = 0; i < sizeof(json_names) / sizeof(json_names[0]); i++) {
        assert_non_null(json_object_get(object, json_names[i]));
    }
    assert_int_equal(json_object_size(object),
                     sizeof(json_names) / sizeof(json_names[0]));
    assert_int_equal(json_integer_value(json_object_get(object, "puts")), 600);
    row = json_array_get(json_object_get(object, "segments"), 0);
    assert_int_equal(json_integer_value(json_object_get(row, "id")), 42);
    assert_true(json_is_true(json_object_get(row, "sealed")));
    row = json_array_get(json_object_get(object, "snapshots"), 0);
    assert_int_equal(json_integer_value(json_object_get(row, "pid")), 7);
    assert_int_equal(json_integer_value(json_object_get(row, "lag")), 8);
    assert_true(json_is_true(json_object_get(row, "is_fold")));
    json_decref(object);
}

/* ---- Names in messages -------------------------------------------------- */

static void test_a_message_that_names_the_store_is_known(void **state)
{
    (void)state;
    assert_true(mention_of("sy: no such store", "sy"));
    assert_true(mention_of("cannot open sy/LOCK: Permission denied", "sy"));
    assert_true(mention_of("cannot create directory sy: File exists", "sy"));
    assert_true(mention_of("make one with 'caskade create sy'", "sy"));
    assert_true(mention_of("cannot sync the directory above a/sy", "a/sy"));
    assert_true(mention_of("cannot open /LOCK", "/"));
    assert_true(mention_of("cannot open sy/LOCK", "sy/"));
    assert_true(mention_of("cannot open easy: sy/LOCK", "sy"));
}

static void test_a_word_that_contains_the_name_does_not_name_it(void **state)
{
    (void)state;
    assert_false(mention_of("Too many levels of symbolic links", "sy"));
    assert_false(mention_of("the system is busy: wait", "sy"));
    assert_false(mention_of("cannot open sym/LOCK", "sy"));
    assert_false(mention_of("cannot open busy/LOCK", "sy"));
    assert_false(mention_of("cannot open /tmp/sy/LOCK", "sy"));
    assert_false(mention_of("cannot grow the index in /dev/shm/sy", "sy"));
    assert_false(mention_of("cannot open sy.old: Is a directory", "sy"));
    assert_false(mention_of("cannot create a segment", "a"));
    assert_false(mention_of("", "sy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles_are_upper_ends_of_buckets),
        cmocka_unit_test(test_percentiles_of_few_and_of_huge_counts),
        cmocka_unit_test(test_progress_shows_rate_and_time_left),
        cmocka_unit_test(test_progress_without_total_has_no_bar),
        cmocka_unit_test(test_progress_never_exceeds_a_line),
        cmocka_unit_test(test_rates_are_differences_per_second),
        cmocka_unit_test(test_text_is_for_people),
        cmocka_unit_test(
            test_text_tells_of_the_merge_under_way_and_of_the_next),
        cmocka_unit_test(test_text_tells_who_merges_and_what_was_merged),
        cmocka_unit_test(test_json_has_every_member_of_the_structs),
        cmocka_unit_test(test_a_message_that_names_the_store_is_known),
        cmocka_unit_test(test_a_word_that_contains_the_name_does_not_name_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
