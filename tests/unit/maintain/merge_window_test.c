/*
 * Merge windows: what is read, what is refused and how, and which minutes of a
 * week they hold.
 */
#include "maintain/merge_window.h"

#include <stdio.h>
#include <string.h>

#include "cask_test.h"

enum { SUN, MON, TUE, WED, THU, FRI, SAT, HOUR = 60 };

static merge_window parsed(const char *text)
{
    merge_window window;
    cask_error err = {.message = ""};
    cask_status status = merge_window_parse(text, &window, &err);

    if (status != CASK_OK) {
        fail_msg("\"%s\": %s", text, err.message);
    }
    return window;
}

/* ---- Texts ---- */

typedef struct text_row {
    const char *name;
    const char *text;
    const char *printed;
} text_row;

static const text_row texts[] = {
    {"always", "always", "always"},
    {"never", "never", "never"},
    {"case and spaces around", "  ALWAYS\t", "always"},
    {"every day", "01:30-04:00", "01:30-04:00"},
    {"hour of one digit", "1:30-4:00", "01:30-04:00"},
    {"one day", "sat 00:00-24:00", "sat 00:00-24:00"},
    {"range of days", "mon-fri 22:00-06:00", "mon-fri 22:00-06:00"},
    {"days that wrap the week", "fri-mon 10:00-11:00", "fri-mon 10:00-11:00"},
    {"saturday and sunday", "sat-sun 10:00-11:00", "sat-sun 10:00-11:00"},
    {"all seven days by name", "mon-sun 10:00-11:00", "10:00-11:00"},
    {"all seven days, odd start", "thu-wed 10:00-11:00", "10:00-11:00"},
    {"a day to itself", "tue-tue 10:00-11:00", "tue 10:00-11:00"},
    {"until midnight, as the next day's", "22:00-00:00", "22:00-00:00"},
    {"several, wild spaces",
     " Mon - FRI 22:00 - 06:00 ,sat 00:00-24:00,1:30-4:00",
     "mon-fri 22:00-06:00, sat 00:00-24:00, 01:30-04:00"},
};

static void test_texts_are_read_and_printed_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        merge_window window = parsed(texts[i].text);
        merge_window again;
        char text[MERGE_WINDOW_TEXT_SIZE];

        print_message("%s\n", texts[i].name);
        merge_window_print(&window, text);
        assert_string_equal(text, texts[i].printed);
        again = parsed(text);
        assert_memory_equal(&window, &again, sizeof(window));
    }
}

static void test_sixteen_longest_ranges_fit(void **state)
{
    static const char longest[] = ", mon-fri 22:00-06:00";
    char text[(MERGE_WINDOW_RANGES + 1) * sizeof(longest)];
    char printed[MERGE_WINDOW_TEXT_SIZE];
    merge_window window;
    cask_error err;
    size_t used = 0;

    (void)state;
    for (int i = 0; i < MERGE_WINDOW_RANGES; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s",
                                 i == 0 ? longest + 2 : longest);
    }
    window = parsed(text);
    assert_int_equal(window.count, MERGE_WINDOW_RANGES);
    merge_window_print(&window, printed);
    assert_string_equal(printed, text);

    (void)snprintf(text + used, sizeof(text) - used, ", sat 1:00-2:00");
    assert_int_equal(merge_window_parse(text, &window, &err), CASK_INVALID);
    assert_string_equal(err.message, "merge_window: \"sat 1:00-2:00\": "
                                     "at most 16 ranges");
}

/* ---- Errors ---- */

static const text_row errors[] = {
    {"nothing", "", "\"\": a range is missing"},
    {"spaces", "  ", "\"\": a range is missing"},
    {"comma at the end", "1:00-2:00,", "\"\": a range is missing"},
    {"two commas", "1:00-2:00,,3:00-4:00", "\"\": a range is missing"},
    {"always in a list", "1:00-2:00, always", "\"always\": always and never"},
    {"never in a list", "never, 1:00-2:00", "\"never\": always and never"},
    {"no such day", "mon-fry 22:00-06:00",
     "\"mon-fry 22:00-06:00\": a range "
     "of days is like mon-fri"},
    {"a day in full", "monday 22:00-06:00",
     "\"monday 22:00-06:00\": days are "
     "sun mon tue wed thu fri sat"},
    {"a day alone", "sat, sun 1:00-2:00", "\"sat\": times are missing"},
    {"the second piece", "1:00-2:00, 3:00", "\"3:00\": times are like"},
    {"hours as in Bitcask", "22-6", "\"22-6\": times are like"},
    {"minute of one digit", "1:0-2:00", "\"1:0-2:00\": times are like"},
    {"minute 60", "1:60-2:00", "\"1:60-2:00\": times are like"},
    {"after 24:00", "1:00-24:01", "\"1:00-24:01\": times are like"},
    {"hour of three digits", "001:00-2:00", "\"001:00-2:00\": times are like"},
    {"huge hour", "4294967297:00-2:00", "\"4294967297:00-2:00\": times are"},
    {"starts at 24:00", "24:00-2:00", "\"24:00-2:00\": a range starts before"},
    {"no time at all", "8:00-8:00", "\"8:00-8:00\": a range of no time"},
    {"days behind", "1:00-2:00 mon", "\"1:00-2:00 mon\": commas separate"},
    {"a control character", "1:00\n-2:00", "\"1:00?-2:00\": times are like"},
    {"a long one", "mon 22:00-06:00 and every other day of the week as well",
     "\"mon 22:00-06:00 and every other day of t\": commas separate"},
};

static void test_errors_name_the_piece(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        merge_window window = {.count = 7};
        cask_error err = {.message = ""};

        print_message("%s\n", errors[i].name);
        assert_int_equal(merge_window_parse(errors[i].text, &window, &err),
                         CASK_INVALID);
        assert_int_equal(window.count, 7);
        if (strncmp(err.message, "merge_window: ", 14) != 0 ||
            strncmp(err.message + 14, errors[i].printed,
                    strlen(errors[i].printed)) != 0) {
            fail_msg("%s: %s", errors[i].name, err.message);
        }
    }
}

/* ---- Minutes ---- */

typedef struct minute_row {
    const char *name;
    const char *window;
    unsigned weekday;
    unsigned minute;
    bool is_open;
} minute_row;

static const minute_row minutes[] = {
    {"always is open", "always", WED, 700, true},
    {"never is closed", "never", WED, 700, false},
    {"the start is part of it", "1:30-4:00", MON, 90, true},
    {"the minute before is not", "1:30-4:00", MON, 89, false},
    {"the last minute is", "1:30-4:00", MON, 239, true},
    {"the end is not", "1:30-4:00", MON, 240, false},
    {"a whole day begins", "sat 0:00-24:00", SAT, 0, true},
    {"a whole day ends with it", "sat 0:00-24:00", SAT, 1439, true},
    {"not on the next", "sat 0:00-24:00", SUN, 0, false},
    {"not on the day before", "sat 0:00-24:00", FRI, 1439, false},
    {"wraps: before midnight", "mon-fri 22:00-6:00", FRI, 22 * HOUR, true},
    {"wraps: after midnight", "mon-fri 22:00-6:00", SAT, 0, true},
    {"wraps: its last minute", "mon-fri 22:00-6:00", SAT, 359, true},
    {"wraps: its end", "mon-fri 22:00-6:00", SAT, 360, false},
    {"wraps: not before the first day", "mon-fri 22:00-6:00", MON, 60, false},
    {"wraps: sunday to monday", "sun 23:00-1:00", MON, 59, true},
    {"wraps: sunday to monday, over", "sun 23:00-1:00", MON, 60, false},
    {"wraps: saturday to sunday", "sat 23:00-1:00", SUN, 30, true},
    {"wraps: sunday morning is no sunday", "sun 23:00-1:00", SUN, 30, false},
    {"ends at midnight", "22:00-0:00", TUE, 1439, true},
    {"midnight is after it", "22:00-0:00", TUE, 0, false},
    {"days that wrap the week", "fri-mon 8:00-9:00", SUN, 8 * HOUR, true},
    {"days between are out", "fri-mon 8:00-9:00", WED, 8 * HOUR, false},
    {"the second range", "mon 1:00-2:00, tue 3:00-4:00", TUE, 200, true},
    {"before the second range", "mon 1:00-2:00, tue 3:00-4:00", TUE, 170,
     false},
    {"overlapping ranges", "1:00-5:00, 4:00-8:00", THU, 299, true},
    {"a week but a minute", "wed 8:00-8:01", WED, 481, false},
};

static void test_minutes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        const minute_row *row = &minutes[i];
        merge_window window = parsed(row->window);

        print_message("%s\n", row->name);
        assert_int_equal(
            merge_window_contains(&window, row->weekday, row->minute),
            row->is_open);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_read_and_printed_alike),
        cmocka_unit_test(test_sixteen_longest_ranges_fit),
        cmocka_unit_test(test_errors_name_the_piece),
        cmocka_unit_test(test_minutes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
