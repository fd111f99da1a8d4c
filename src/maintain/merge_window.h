/*
 * When merges may run: ranges of local time per weekday. Pure functions; the
 * caller says what time it is.
 */
#ifndef CASKADE_MERGE_WINDOW_H
#define CASKADE_MERGE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    MERGE_WINDOW_RANGES = 16,     /* at most */
    MERGE_WINDOW_TEXT_SIZE = 352, /* bytes of the longest text, NUL included */
    MERGE_WINDOW_DAY = 24 * 60    /* minutes */
};

/* From `start_minute` of each of `days` until before `end_minute`, which is on
 * the next day unless it is above `start_minute`. */
typedef struct merge_window_range {
    uint16_t start_minute; /* 0 .. 1439 of the local day */
    uint16_t end_minute;   /* 0 .. 1440, never equal to the start */
    uint8_t days;          /* bit 0: Sunday ... bit 6: Saturday; one run,
                              which may wrap from Saturday to Sunday */
} merge_window_range;

/* Flat and of one size, so that it can be kept in shared memory. Open in any
 * of its ranges; without a range never, unless `is_always`. */
typedef struct merge_window {
    bool is_always;
    uint8_t count; /* of ranges */
    merge_window_range ranges[MERGE_WINDOW_RANGES];
} merge_window;

/*
 * Read "always", "never" or a comma list of ranges, each "[days] from-to":
 *
 *   mon-fri 22:00-06:00, sat 00:00-24:00, 01:30-04:00
 *
 * Without days: every day. Days are sun mon tue wed thu fri sat in any case,
 * one or a range that may wrap; a range of times that wraps midnight ends on
 * the day after; the end is no part of it. Spaces do not matter.
 *
 *   text        borrowed; ends with NUL
 *   ret_window  set on CASK_OK only
 *
 * Returns CASK_OK or CASK_INVALID, which names the offending piece.
 */
cask_status merge_window_parse(const char *text, merge_window *ret_window,
                               cask_error *err);

/* Write the text that merge_window_parse() reads back as the same window. */
void merge_window_print(const merge_window *window,
                        char ret_text[MERGE_WINDOW_TEXT_SIZE]);

/*
 * Whether merges may run.
 *
 *   weekday  0 .. 6 from Sunday, as in struct tm
 *   minute   0 .. 1439 of the local day
 */
bool merge_window_contains(const merge_window *window, unsigned weekday,
                           unsigned minute);

#endif
