/*
 * Numbers with units, from people and for people. Pure functions.
 */
#ifndef CASKADE_CLI_UNITS_H
#define CASKADE_CLI_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* Enough for every units_format_*(), NUL included. */
#define UNITS_TEXT_SIZE 32

/*
 * A duration: a whole number followed by ms, s, m, h, d or w; without a unit,
 * seconds. False (nothing set) if it is something else or does not fit.
 */
bool units_parse_duration(const char *text, uint64_t *ret_ms);

/*
 * A moment: a whole number of milliseconds since 1970, or a date and time in
 * UTC like 2030-01-31T23:59:00Z, from 1970 on. False (nothing set) if it is
 * something else, or no such day is in the calendar.
 */
bool units_parse_moment(const char *text, uint64_t *ret_ms);

/* A whole number between `min` and `max`; false if it is something else. */
bool units_parse_count(const char *text, uint64_t min, uint64_t max,
                       uint64_t *ret_count);

/*
 * A size: a whole number of bytes, or followed by KiB, MiB, GiB or TiB (or K,
 * M, G, T, which mean the same). False (nothing set) if it is something else or
 * does not fit.
 */
bool units_parse_bytes(const char *text, uint64_t *ret_bytes);

/* "1,234,567" */
const char *units_format_count(char text[UNITS_TEXT_SIZE], uint64_t count);

/* "" for 1, else "s": behind the noun that is counted. */
const char *units_plural(uint64_t count);

/* "812 B", "1.5 MiB" */
const char *units_format_bytes(char text[UNITS_TEXT_SIZE], uint64_t bytes);

/* "250 ns", "1.5 us", "12 ms", "3.2 s" */
const char *units_format_ns(char text[UNITS_TEXT_SIZE], uint64_t ns);

/* "500ms", "59s", "29m 59s", "23h 59m", "6d 23h"; rounded down */
const char *units_format_duration(char text[UNITS_TEXT_SIZE], uint64_t ms);

/* "2030-01-31T23:59:00Z", as units_parse_moment() reads it; up to year 9999 */
const char *units_format_moment(char text[UNITS_TEXT_SIZE], uint64_t ms);

/* "0:07", "12:34", "1:02:03" */
const char *units_format_clock(char text[UNITS_TEXT_SIZE], uint64_t seconds);

/* "950", "12.3 k", "1.23 M": three digits of a rate or a large count */
const char *units_format_short(char text[UNITS_TEXT_SIZE], double value);

#endif
