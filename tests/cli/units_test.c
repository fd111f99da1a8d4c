/*
 * Numbers with units: what people may write, and what they are shown.
 */
#include "cask_test.h"

#include "units.h"

static void test_durations_have_units_and_default_to_seconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"90", 90000},  {"0", 0},        {"500ms", 500},   {"10s", 10000},
        {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}, {"2w", 1209600000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 0;

        assert_true(units_parse_duration(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_other_durations_are_refused_and_set_nothing(void **state)
{
    static const char *const cases[] = {
        "",
        "s",
        "-1",
        "+1",
        "1.5s",
        " 1",
        "1 ",
        "1 s",
        "1S",
        "1ss",
        "0x1",
        "1e3",
        "ms",
        "18446744073709551616", /* 2^64 */
        "18446744073709551615", /* fits, but not in ms */
        "18446744073709551615s",
        "999999999999999999999ms",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 7;

        assert_false(units_parse_duration(cases[i], &ms));
        assert_int_equal(ms, 7);
    }
}

static void test_moments_are_milliseconds_or_dates_in_utc(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"0", 0},
        {"1700000000000", 1700000000000},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-03-01T00:00:01Z", 59 * UINT64_C(86400000) + 1000},
        {"2000-02-29T23:59:59Z", 951868799000},
        {"2024-12-31T12:30:00Z", 1735648200000},
        {"2100-03-01T00:00:00Z", 4107542400000},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    static const char *const wrong[] = {
        "",
        "-1",
        "1h",
        "1969-12-31T23:59:59Z",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-04-31T00:00:00Z",
        "2030-01-00T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T00:60:00Z",
        "2030-01-01T00:00:60Z",
        "2030-01-01T00:00:00",
        "2030-01-01 00:00:00Z",
        "2030-1-01T00:00:00Z",
        "2030-01-01T00:00:00Zx",
        "20300-01-01T00:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 7;

        assert_true(units_parse_moment(cases[i].text, &ms));
        assert_true(ms == cases[i].ms);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t ms = 7;

        assert_false(units_parse_moment(wrong[i], &ms));
        assert_int_equal(ms, 7);
    }
}

static void test_durations_are_shown_in_two_units(void **state)
{
    static const struct {
        uint64_t ms;
        const char *shown;
    } cases[] = {
        {0, "0ms"},
        {999, "999ms"},
        {1999, "1s"},
        {60000, "1m"},
        {1799999, "29m 59s"},
        {3600000, "1h"},
        {3659999, "1h"},
        {86399999, "23h 59m"},
        {604799999, "6d 23h"},
        {UINT64_MAX, "213503982334d 14h"},
    };
    char shown[UNITS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(units_format_duration(shown, cases[i].ms),
                            cases[i].shown);
    }
}

static void test_counts_are_limited(void **state)
{
    uint64_t count = 7;

    (void)state;
    assert_false(units_parse_count("0", 1, 10, &count));
    assert_false(units_parse_count("11", 1, 10, &count));
    assert_false(units_parse_count("1x", 1, 10, &count));
    assert_false(units_parse_count("", 0, 10, &count));
    assert_int_equal(count, 7);
    assert_true(units_parse_count("10", 1, 10, &count));
    assert_int_equal(count, 10);
    assert_true(
        units_parse_count("18446744073709551615", 0, UINT64_MAX, &count));
    assert_true(count == UINT64_MAX);
}

static void test_counts_are_shown_in_groups(void **state)
{
    char text[UNITS_TEXT_SIZE];

    (void)state;
    assert_string_equal(units_format_count(text, 0), "0");
    assert_string_equal(units_format_count(text, 999), "999");
    assert_string_equal(units_format_count(text, 1000), "1,000");
    assert_string_equal(units_format_count(text, 1234567), "1,234,567");
    assert_string_equal(units_format_count(text, UINT64_MAX),
                        "18,446,744,073,709,551,615");
}

static void test_one_has_no_plural(void **state)
{
    (void)state;
    assert_string_equal(units_plural(0), "s");
    assert_string_equal(units_plural(1), "");
    assert_string_equal(units_plural(2), "s");
}

static void test_sizes_have_three_digits(void **state)
{
    char text[UNITS_TEXT_SIZE];

    (void)state;
    assert_string_equal(units_format_bytes(text, 0), "0 B");
    assert_string_equal(units_format_bytes(text, 1023), "1023 B");
    assert_string_equal(units_format_bytes(text, 1024), "1.00 KiB");
    assert_string_equal(units_format_bytes(text, 10240), "10.0 KiB");
    assert_string_equal(units_format_bytes(text, 1536 * 1024), "1.50 MiB");
    assert_string_equal(units_format_bytes(text, 1048575), "1.00 MiB");
    assert_string_equal(units_format_bytes(text, (uint64_t)256 << 20),
                        "256 MiB");
    assert_string_equal(units_format_bytes(text, UINT64_MAX), "16.0 EiB");
}

static void test_times_have_three_digits(void **state)
{
    char text[UNITS_TEXT_SIZE];

    (void)state;
    assert_string_equal(units_format_ns(text, 0), "0 ns");
    assert_string_equal(units_format_ns(text, 999), "999 ns");
    assert_string_equal(units_format_ns(text, 1500), "1.50 us");
    assert_string_equal(units_format_ns(text, 999999), "1.00 ms");
    assert_string_equal(units_format_ns(text, 12345678), "12.3 ms");
    assert_string_equal(units_format_ns(text, 100000000000), "100 s");
    assert_string_equal(units_format_ns(text, UINT64_MAX), "18446744074 s");
}

static void test_clock_shows_hours_only_if_there_are_any(void **state)
{
    char text[UNITS_TEXT_SIZE];

    (void)state;
    assert_string_equal(units_format_clock(text, 7), "0:07");
    assert_string_equal(units_format_clock(text, 754), "12:34");
    assert_string_equal(units_format_clock(text, 3723), "1:02:03");
}

static void test_moments_are_as_they_are_read(void **state)
{
    static const char *const moments[] = {
        "1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2000-02-29T12:00:00Z",
        "2001-03-01T00:00:00Z", "2106-02-07T06:28:15Z", "9999-12-31T23:59:59Z"};
    char text[UNITS_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        uint64_t ms = 1;

        assert_true(units_parse_moment(moments[i], &ms));
        assert_string_equal(units_format_moment(text, ms), moments[i]);
    }
}

static void test_rates_are_short(void **state)
{
    char text[UNITS_TEXT_SIZE];

    (void)state;
    assert_string_equal(units_format_short(text, 0), "0");
    assert_string_equal(units_format_short(text, 950.4), "950");
    assert_string_equal(units_format_short(text, 12345), "12.3 k");
    assert_string_equal(units_format_short(text, 1234567), "1.23 M");
}

static void test_sizes_have_binary_units_and_default_to_bytes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"64K", 64 << 10},
        {"64KiB", 64 << 10},
        {"3M", 3 << 20},
        {"3MiB", 3 << 20},
        {"2G", UINT64_C(2) << 30},
        {"2GiB", UINT64_C(2) << 30},
        {"1T", UINT64_C(1) << 40},
        {"16777215TiB", UINT64_C(16777215) << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",    "K",   "-1",   "1 K",   "1k",          "1KB",
        "1.5", "1Mi", "0x10", "1KiB ", "16777216TiB", "18446744073709551616"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 1;

        assert_true(units_parse_bytes(cases[i].text, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 77;

        assert_false(units_parse_bytes(bad[i], &bytes));
        assert_int_equal(bytes, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_have_units_and_default_to_seconds),
        cmocka_unit_test(test_other_durations_are_refused_and_set_nothing),
        cmocka_unit_test(test_moments_are_milliseconds_or_dates_in_utc),
        cmocka_unit_test(test_durations_are_shown_in_two_units),
        cmocka_unit_test(test_sizes_have_binary_units_and_default_to_bytes),
        cmocka_unit_test(test_counts_are_limited),
        cmocka_unit_test(test_counts_are_shown_in_groups),
        cmocka_unit_test(test_one_has_no_plural),
        cmocka_unit_test(test_sizes_have_three_digits),
        cmocka_unit_test(test_times_have_three_digits),
        cmocka_unit_test(test_clock_shows_hours_only_if_there_are_any),
        cmocka_unit_test(test_moments_are_as_they_are_read),
        cmocka_unit_test(test_rates_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
