/*
 * Numbers with units, from people and for people.
 */
#include "units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static const unit duration_units[] = {
    {"", 1000},     {"ms", 1},       {"s", 1000},         {"m", 60000},
    {"h", 3600000}, {"d", 86400000}, {"w", 7 * 86400000},
};

static const unit size_units[] = {
    {"", 1},
    {"K", UINT64_C(1) << 10},
    {"KiB", UINT64_C(1) << 10},
    {"M", UINT64_C(1) << 20},
    {"MiB", UINT64_C(1) << 20},
    {"G", UINT64_C(1) << 30},
    {"GiB", UINT64_C(1) << 30},
    {"T", UINT64_C(1) << 40},
    {"TiB", UINT64_C(1) << 40},
};

/* Digits at `*text`, which is moved behind them. False: none, or overflow. */
static bool parse_digits(const char **text, uint64_t *ret_value)
{
    const char *at = *text;
    uint64_t value = 0;

    if (!isdigit((unsigned char)*at)) {
        return false;
    }
    for (; isdigit((unsigned char)*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *text = at;
    *ret_value = value;
    return true;
}

/* A number followed by the name of one of `count` units. */
static bool parse_with_unit(const char *text, const unit *units, size_t count,
                            uint64_t *ret_value)
{
    uint64_t value;

    if (!parse_digits(&text, &value)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, text) == 0) {
            if (value > UINT64_MAX / units[i].factor) {
                return false;
            }
            *ret_value = value * units[i].factor;
            return true;
        }
    }
    return false;
}

bool units_parse_duration(const char *text, uint64_t *ret_ms)
{
    return parse_with_unit(text, duration_units,
                           sizeof(duration_units) / sizeof(duration_units[0]),
                           ret_ms);
}

/* A number of so many digits, and the character behind it. */
static bool parse_part(const char **text, size_t digits, char behind,
                       uint64_t *ret_value)
{
    const char *at = *text;

    if (!parse_digits(&at, ret_value) || (size_t)(at - *text) != digits ||
        *at != behind) {
        return false;
    }
    *text = at + 1;
    return true;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. */
static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
    /* The year begins in March, so that a leap day is its last. */
    uint64_t shifted = month > 2 ? month - 3 : month + 9;
    uint64_t years = month > 2 ? year : year - 1;

    return years * 365 + years / 4 - years / 100 + years / 400 +
           (shifted * 153 + 2) / 5 + day - 1 - 719468;
}

static bool is_leap(uint64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool parse_date_and_time(const char *text, uint64_t *ret_ms)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30,
                                      31, 31, 30, 31, 30, 31};
    uint64_t year, month, day, hour, minute, second;

    if (!parse_part(&text, 4, '-', &year) ||
        !parse_part(&text, 2, '-', &month) ||
        !parse_part(&text, 2, 'T', &day) || !parse_part(&text, 2, ':', &hour) ||
        !parse_part(&text, 2, ':', &minute) ||
        !parse_part(&text, 2, 'Z', &second) || *text != '\0') {
        return false;
    }
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u) ||
        hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *ret_ms =
        (((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 +
         second) *
        1000;
    return true;
}

bool units_parse_moment(const char *text, uint64_t *ret_ms)
{
    return units_parse_count(text, 0, UINT64_MAX, ret_ms) ||
           parse_date_and_time(text, ret_ms);
}

const char *units_format_duration(char text[UNITS_TEXT_SIZE], uint64_t ms)
{
    static const unit parts[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t at = 0;
    int used;

    while (at + 1 < sizeof(parts) / sizeof(parts[0]) && ms < parts[at].factor) {
        at++;
    }
    used = snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%s",
                    ms / parts[at].factor, parts[at].name);
    if (at < 3 && ms % parts[at].factor >= parts[at + 1].factor) {
        (void)snprintf(
            text + used, UNITS_TEXT_SIZE - (size_t)used, " %" PRIu64 "%s",
            ms % parts[at].factor / parts[at + 1].factor, parts[at + 1].name);
    }
    return text;
}

bool units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    return parse_with_unit(text, size_units,
                           sizeof(size_units) / sizeof(size_units[0]),
                           ret_bytes);
}

bool units_parse_count(const char *text, uint64_t min, uint64_t max,
                       uint64_t *ret_count)
{
    uint64_t value;

    if (!parse_digits(&text, &value) || *text != '\0') {
        return false;
    }
    if (value < min || value > max) {
        return false;
    }
    *ret_count = value;
    return true;
}

const char *units_format_count(char text[UNITS_TEXT_SIZE], uint64_t count)
{
    char digits[UNITS_TEXT_SIZE];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    char *to = text;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            *to++ = ',';
        }
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

const char *units_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* `value` with three digits: 1.23, 12.3, 123. */
static void format_three_digits(char text[UNITS_TEXT_SIZE], double value,
                                const char *suffix)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    (void)snprintf(text, UNITS_TEXT_SIZE, "%.*f%s", decimals, value, suffix);
}

const char *units_format_bytes(char text[UNITS_TEXT_SIZE], uint64_t bytes)
{
    static const char *const names[] = {" B",   " KiB", " MiB", " GiB",
                                        " TiB", " PiB", " EiB"};
    double value = (double)bytes;
    size_t step = 0;

    while (value >= 1023.5 && step + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1024;
        step++;
    }
    if (step == 0) {
        (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 " B", bytes);
    } else {
        format_three_digits(text, value, names[step]);
    }
    return text;
}

const char *units_format_ns(char text[UNITS_TEXT_SIZE], uint64_t ns)
{
    static const char *const names[] = {" ns", " us", " ms", " s"};
    double value = (double)ns;
    size_t step = 0;

    while (value >= 999.5 && step + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1000;
        step++;
    }
    if (step == 0) {
        (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 " ns", ns);
    } else {
        format_three_digits(text, value, names[step]);
    }
    return text;
}

const char *units_format_moment(char text[UNITS_TEXT_SIZE], uint64_t ms)
{
    uint64_t seconds = ms / 1000;
    uint64_t days = seconds / (24 * 60 * 60);
    uint64_t year = 1970 + days / 366; /* no later than the right one */
    uint64_t month = 1;

    while (year < 9999 && days_since_1970(year + 1, 1, 1) <= days) {
        year++;
    }
    while (month < 12 && days_since_1970(year, month + 1, 1) <= days) {
        month++;
    }
    (void)snprintf(text, UNITS_TEXT_SIZE,
                   "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64
                   ":%02" PRIu64 ":%02" PRIu64 "Z",
                   year, month, days - days_since_1970(year, month, 1) + 1,
                   seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    return text;
}

const char *units_format_clock(char text[UNITS_TEXT_SIZE], uint64_t seconds)
{
    uint64_t minutes = seconds / 60;

    if (minutes < 60) {
        (void)snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 ":%02" PRIu64, minutes,
                       seconds % 60);
    } else {
        (void)snprintf(text, UNITS_TEXT_SIZE,
                       "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, minutes / 60,
                       minutes % 60, seconds % 60);
    }
    return text;
}

const char *units_format_short(char text[UNITS_TEXT_SIZE], double value)
{
    static const char *const names[] = {"", " k", " M", " G", " T"};
    size_t step = 0;

    while (value >= 999.5 && step + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1000;
        step++;
    }
    if (step == 0) {
        (void)snprintf(text, UNITS_TEXT_SIZE, "%.0f", value);
    } else {
        format_three_digits(text, value, names[step]);
    }
    return text;
}
