/*
 * Settings: what is read, what is refused and how, what is written back.
 */
#include "maintain/settings.h"

#include <stdio.h>
#include <string.h>

#include "cask_test.h"

static void test_names_are_distinct_and_found(void **state)
{
    size_t count = 0;

    (void)state;
    for (; setting_at(count) != NULL; count++) {
        const setting *row = setting_at(count);

        assert_ptr_equal(setting_find(row->name), row);
        assert_true(strlen(row->meaning) > 0);
    }
    assert_int_equal(count, 19);
    assert_null(setting_find("no_such_setting"));
    assert_null(setting_find(""));
}

/* Bitcask's where it has them, and those of the design. */
static void test_defaults_are_these(void **state)
{
    static const char *const expected[][2] = {
        {"frag_merge_trigger", "60"},
        {"dead_bytes_merge_trigger", "512MiB"},
        {"age_merge_trigger", "0"},
        {"frag_threshold", "40"},
        {"dead_bytes_threshold", "128MiB"},
        {"small_file_threshold", "10MiB"},
        {"max_merge_size", "100GiB"},
        {"max_space_amplification", "1.5"},
        {"max_segments", "8192"},
        {"segment_max_bytes", "256MiB"},
        {"expiry_seconds", "0"},
        {"expiry_grace_seconds", "0"},
        {"merge_window", "always"},
        {"merge_rate_bytes", "0"},
        {"merge_sync_target_ms", "50"},
        {"compaction", "lazy"},
        {"memtable_bytes", "64MiB"},
        {"filter_prefix_bytes", "0"},
        {"value_separation_bytes", "1KiB"},
    };
    store_settings settings;

    (void)state;
    settings_default(&settings);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char text[SETTING_TEXT_SIZE];

        setting_print(setting_find(expected[i][0]), &settings, text);
        assert_string_equal(text, expected[i][1]);
    }
}

typedef struct value_row {
    const char *name;
    const char *given;
    const char *printed; /* NULL: refused */
} value_row;

static const value_row values[] = {
    {"memtable_bytes", "65535", NULL},
    {"memtable_bytes", "64K", "64KiB"},
    {"memtable_bytes", "0", "0"},
    {"memtable_bytes", "256MiB", "256MiB"},
    {"memtable_bytes", "257MiB", NULL},
    {"filter_prefix_bytes", "65535", "65535"},
    {"filter_prefix_bytes", "65536", NULL},
    {"filter_prefix_bytes", "8KiB", NULL},
    {"value_separation_bytes", "0", "0"},
    {"value_separation_bytes", "31", NULL},
    {"value_separation_bytes", "32", "32"},
    {"frag_threshold", "0", "0"},
    {"frag_threshold", "100", "100"},
    {"frag_threshold", "55%", "55"},
    {"frag_threshold", "101", NULL},
    {"frag_threshold", "", NULL},
    {"frag_threshold", "-1", NULL},
    {"frag_threshold", " 1", NULL},
    {"frag_threshold", "1 ", NULL},
    {"frag_threshold", "0x10", NULL},
    {"dead_bytes_threshold", "1048576", "1MiB"},
    {"dead_bytes_threshold", "1000", "1000"},
    {"dead_bytes_threshold", "3G", "3GiB"},
    {"dead_bytes_threshold", "1024GiB", "1TiB"},
    {"dead_bytes_threshold", "1 MiB", NULL},
    {"dead_bytes_threshold", "1MB", NULL},
    {"dead_bytes_threshold", "1025TiB", NULL},
    {"dead_bytes_threshold", "18446744073709551616", NULL},
    {"dead_bytes_threshold", "18446744073709551615T", NULL},
    {"small_file_threshold", "1GiB", "1GiB"},
    {"small_file_threshold", "1073741825", NULL},
    {"max_merge_size", "1MiB", "1MiB"},
    {"max_merge_size", "0", "0"},
    {"max_merge_size", "1", NULL},
    {"max_space_amplification", "2", "2"},
    {"max_space_amplification", "1.05", "1.05"},
    {"max_space_amplification", "1.234", "1.234"},
    {"max_space_amplification", "0", "0"},
    {"max_space_amplification", "1.500", "1.5"},
    {"max_space_amplification", "1.04", NULL},
    {"max_space_amplification", "1.2345", NULL},
    {"max_space_amplification", "1.", NULL},
    {"max_space_amplification", ".5", NULL},
    {"max_space_amplification", "1.5x", NULL},
    {"max_space_amplification", "99999999999999999999", NULL},
    {"max_segments", "1", NULL},
    {"max_segments", "2", "2"},
    {"max_segments", "60001", NULL},
    {"segment_max_bytes", "64KiB", "64KiB"},
    {"segment_max_bytes", "1025MiB", NULL},
    {"age_merge_trigger", "30d", "2592000"},
    {"expiry_seconds", "7d", "604800"},
    {"expiry_secs", "-1", "0"},
    {"expiry_grace_time", "1h", "3600"},
    {"max_file_size", "512MiB", "512MiB"},
    {"expiry_seconds", "2w", "1209600"},
    {"expiry_seconds", "90m", "5400"},
    {"expiry_seconds", "4294967295", "4294967295"},
    {"expiry_seconds", "4294967296", NULL},
    {"merge_rate_bytes", "20MiB", "20MiB"},
    {"merge_rate_bytes", "65535", NULL},
    {"merge_sync_target_ms", "2s", "2000"},
    {"merge_sync_target_ms", "10ms", "10"},
    {"compaction", "tiered", "tiered"},
    {"compaction", "leveled", "leveled"},
    {"compaction", "lazy", "lazy"},
    {"compaction", "1", NULL},
    {"compaction", "Lazy", NULL},
    {"compaction", "", NULL},
    {"merge_window", "MON-FRI 22:00-6:00", "mon-fri 22:00-06:00"},
    {"merge_window", "never", "never"},
    {"merge_window", "sometimes", NULL},
};

static void test_values_are_read_and_printed_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const setting *row = setting_find(values[i].name);
        store_settings settings;
        store_settings again;
        char text[SETTING_TEXT_SIZE];
        cask_error err = {.message = ""};
        cask_status status;

        settings_default(&settings);
        settings_default(&again);
        status = setting_parse(row, values[i].given, &settings, &err);
        if (values[i].printed == NULL) {
            assert_int_equal(status, CASK_INVALID);
            assert_non_null(strstr(err.message, row->name));
            assert_memory_equal(&settings, &again, sizeof(settings));
            continue;
        }
        assert_int_equal(status, CASK_OK);
        setting_print(row, &settings, text);
        assert_string_equal(text, values[i].printed);
        assert_int_equal(setting_parse(row, text, &again, NULL), CASK_OK);
        assert_true(setting_is_same(row, &settings, &again));
        setting_reset(row, &settings);
        settings_default(&again);
        assert_memory_equal(&settings, &again, sizeof(settings));
    }
}

static void test_a_refusal_names_setting_value_and_range(void **state)
{
    store_settings settings;
    cask_error err;

    (void)state;
    settings_default(&settings);
    assert_int_equal(
        setting_parse(setting_find("max_merge_size"), "12\nx", &settings, &err),
        CASK_INVALID);
    assert_string_equal(err.message, "max_merge_size: \"12?x\" is not a size "
                                     "like 512MiB, 0 or 1MiB .. 1024TiB");
    assert_int_equal(
        setting_parse(setting_find("frag_threshold"), "101", &settings, &err),
        CASK_INVALID);
    assert_string_equal(err.message,
                        "frag_threshold: \"101\" is not percent, 0 .. 100");
}

/* The merge policy's view of them. */
static void test_a_merge_gets_what_was_set(void **state)
{
    store_settings settings;
    merge_settings merge;

    (void)state;
    settings_default(&settings);
    settings.frag_threshold = 12;
    settings.max_space_amplification = 2250;
    settings.expiry_seconds = UINT32_MAX;
    merge = settings_for_merge(&settings, 1 << 20);
    assert_int_equal(merge.frag_threshold, 12);
    assert_true(merge.max_space_amplification == 2.25);
    assert_int_equal(merge.expiry_ms, UINT64_C(4294967295000));
    assert_int_equal(merge.segment_max_bytes, 1 << 20);
}

/* Bitcask's defaults are for its files of 2 GiB. */
static void test_dead_bytes_that_none_can_have_are_a_share(void **state)
{
    store_settings settings;
    merge_settings merge;

    (void)state;
    settings_default(&settings);
    merge = settings_for_merge(&settings, 256 << 20);
    assert_int_equal(merge.dead_bytes_merge_trigger, 512 << 20);
    settings.max_space_amplification = 0; /* no bound that comes before */
    merge = settings_for_merge(&settings, 256 << 20);
    assert_int_equal(merge.dead_bytes_merge_trigger, 64 << 20);
    assert_int_equal(merge.dead_bytes_threshold, 128 << 20);
    merge = settings_for_merge(&settings, 64 << 20);
    assert_int_equal(merge.dead_bytes_merge_trigger, 16 << 20);
    assert_int_equal(merge.dead_bytes_threshold, 4 << 20);
    merge = settings_for_merge(&settings, 1 << 30);
    assert_int_equal(merge.dead_bytes_merge_trigger, 512 << 20);
    settings.dead_bytes_merge_trigger = 0;
    merge = settings_for_merge(&settings, 64 << 20);
    assert_int_equal(merge.dead_bytes_merge_trigger, 0);
}

static void test_names_of_bitcask_are_known(void **state)
{
    cask_error err;

    (void)state;
    assert_ptr_equal(setting_find("expiry_secs"),
                     setting_find("expiry_seconds"));
    assert_string_equal(setting_bitcask_name(setting_find("expiry_seconds")),
                        "expiry_secs");
    assert_null(setting_bitcask_name(setting_find("frag_threshold")));
    assert_null(setting_find("max_fold_age"));
    assert_int_equal(settings_fail_unknown("max_fold_age", &err), CASK_INVALID);
    assert_string_equal(err.message,
                        "max_fold_age of Bitcask is no setting here: a fold "
                        "sees the store as it is when it begins");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_bytes_that_none_can_have_are_a_share),
        cmocka_unit_test(test_names_of_bitcask_are_known),
        cmocka_unit_test(test_names_are_distinct_and_found),
        cmocka_unit_test(test_defaults_are_these),
        cmocka_unit_test(test_values_are_read_and_printed_alike),
        cmocka_unit_test(test_a_refusal_names_setting_value_and_range),
        cmocka_unit_test(test_a_merge_gets_what_was_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
