/*
 * Merge windows. The text is cut into pieces at its commas, each piece into
 * days, start and end; every failure names the piece it is in.
 */
#include "maintain/merge_window.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    DAYS = 7,
    EVERY_DAY = (1 << DAYS) - 1,
    DAY_NAME = 3,    /* letters */
    PIECE_SHOWN = 40 /* bytes of a piece that a message repeats */
};

static const char day_names[DAYS][DAY_NAME + 1] = {"sun", "mon", "tue", "wed",
                                                   "thu", "fri", "sat"};

/* What is left of a piece; `start` and `end` bound the whole of it. */
typedef struct cursor {
    const char *at;
    const char *start;
    const char *end;
} cursor;

/* ---- Reading ---- */

static cask_status fail_piece(const cursor *piece, const char *what,
                              cask_error *err)
{
    char shown[PIECE_SHOWN + 1];
    size_t size = (size_t)(piece->end - piece->start);

    size = size < PIECE_SHOWN ? size : PIECE_SHOWN;
    for (size_t i = 0; i < size; i++) {
        char byte = piece->start[i];

        /* A message is one line of text whatever the option holds. */
        shown[i] = (byte >= ' ' && byte <= '~') ? byte : '?';
    }
    shown[size] = '\0';
    return fail(err, CASK_INVALID, 0, "merge_window: \"%s\": %s", shown, what);
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t';
}

static void skip_spaces(cursor *in)
{
    while (in->at < in->end && is_space(*in->at)) {
        in->at++;
    }
}

static bool take(cursor *in, char byte)
{
    skip_spaces(in);
    if (in->at == in->end || *in->at != byte) {
        return false;
    }
    in->at++;
    return true;
}

static char lower(char byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

static bool is_letter(char byte)
{
    return lower(byte) >= 'a' && lower(byte) <= 'z';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Whether the piece, from `at` to its end, is `word` in any case. */
static bool is_word(const char *at, size_t size, const char *word)
{
    if (strlen(word) != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (lower(at[i]) != word[i]) {
            return false;
        }
    }
    return true;
}

/* Take letters; false if they are no name of a day. */
static bool take_day(cursor *in, unsigned *ret_day)
{
    const char *start;

    skip_spaces(in);
    start = in->at;
    while (in->at < in->end && is_letter(*in->at)) {
        in->at++;
    }
    for (unsigned day = 0; day < DAYS; day++) {
        if (is_word(start, (size_t)(in->at - start), day_names[day])) {
            *ret_day = day;
            return true;
        }
    }
    return false;
}

/* Take "[H]H:MM" up to 24:00. */
static bool take_time(cursor *in, uint16_t *ret_minute)
{
    unsigned hour = 0;
    unsigned minute = 0;
    int digits = 0;

    skip_spaces(in);
    for (; in->at < in->end && is_digit(*in->at) && digits < 3; digits++) {
        hour = hour * 10 + (unsigned)(*in->at++ - '0');
    }
    if (digits < 1 || digits > 2 || in->at == in->end || *in->at++ != ':') {
        return false;
    }
    for (digits = 0; in->at < in->end && is_digit(*in->at) && digits < 3;
         digits++) {
        minute = minute * 10 + (unsigned)(*in->at++ - '0');
    }
    *ret_minute = (uint16_t)(hour * 60 + minute);
    return digits == 2 && minute < 60 && *ret_minute <= MERGE_WINDOW_DAY;
}

static cask_status parse_days(cursor *in, uint8_t *ret_days, cask_error *err)
{
    unsigned first;
    unsigned last;

    skip_spaces(in);
    *ret_days = EVERY_DAY;
    if (in->at == in->end || !is_letter(*in->at)) {
        return CASK_OK;
    }
    if (!take_day(in, &first)) {
        return fail_piece(in, "days are sun mon tue wed thu fri sat", err);
    }
    last = first;
    if (take(in, '-') && !take_day(in, &last)) {
        return fail_piece(in, "a range of days is like mon-fri", err);
    }
    *ret_days = (uint8_t)(1U << last);
    for (unsigned day = first; day != last; day = (day + 1) % DAYS) {
        *ret_days = (uint8_t)(*ret_days | 1U << day);
    }
    return CASK_OK;
}

static cask_status parse_range(cursor *in, merge_window_range *ret_range,
                               cask_error *err)
{
    cask_status status;

    skip_spaces(in);
    if (in->at == in->end) {
        return fail_piece(in,
                          "a range is missing, like mon-fri 22:00-06:00; or "
                          "write always or never alone",
                          err);
    }
    if (is_word(in->at, (size_t)(in->end - in->at), "always") ||
        is_word(in->at, (size_t)(in->end - in->at), "never")) {
        return fail_piece(in, "always and never stand alone", err);
    }
    status = parse_days(in, &ret_range->days, err);
    if (status != CASK_OK) {
        return status;
    }
    skip_spaces(in);
    if (in->at == in->end) {
        return fail_piece(in, "times are missing, like sat 00:00-24:00", err);
    }
    if (!take_time(in, &ret_range->start_minute) || !take(in, '-') ||
        !take_time(in, &ret_range->end_minute)) {
        return fail_piece(in, "times are like 22:00-06:00, up to 24:00", err);
    }
    skip_spaces(in);
    if (in->at != in->end) {
        return fail_piece(in, "commas separate ranges, like 22:00-06:00", err);
    }
    if (ret_range->start_minute == MERGE_WINDOW_DAY) {
        return fail_piece(in, "a range starts before 24:00, say at 00:00", err);
    }
    if (ret_range->start_minute == ret_range->end_minute) {
        return fail_piece(
            in, "a range of no time; the whole day is 00:00-24:00", err);
    }
    return CASK_OK;
}

static cask_status parse_list(cursor *text, merge_window *ret_window,
                              cask_error *err)
{
    cask_status status = CASK_OK;
    bool is_last = false;

    while (status == CASK_OK && !is_last) {
        size_t left = (size_t)(text->end - text->at);
        const char *comma = memchr(text->at, ',', left);
        cursor piece = {.at = text->at, .start = text->at};

        is_last = comma == NULL;
        piece.end = is_last ? text->end : comma;
        skip_spaces(&piece);
        piece.start = piece.at;
        while (piece.end > piece.start && is_space(piece.end[-1])) {
            piece.end--;
        }
        if (ret_window->count == MERGE_WINDOW_RANGES) {
            return fail_piece(&piece, "at most 16 ranges", err);
        }
        status =
            parse_range(&piece, &ret_window->ranges[ret_window->count], err);
        ret_window->count++;
        text->at = is_last ? text->end : comma + 1;
    }
    return status;
}

cask_status merge_window_parse(const char *text, merge_window *ret_window,
                               cask_error *err)
{
    merge_window window = {.is_always = false};
    cursor whole = {.at = text, .start = text, .end = text + strlen(text)};
    cask_status status = CASK_OK;

    skip_spaces(&whole);
    while (whole.end > whole.at && is_space(whole.end[-1])) {
        whole.end--;
    }
    if (is_word(whole.at, (size_t)(whole.end - whole.at), "always")) {
        window.is_always = true;
    } else if (!is_word(whole.at, (size_t)(whole.end - whole.at), "never")) {
        status = parse_list(&whole, &window, err);
    }
    if (status == CASK_OK) {
        *ret_window = window;
    }
    return status;
}

/* ---- Writing ---- */

static bool has_day(const merge_window_range *range, unsigned day)
{
    return (range->days >> day % DAYS & 1) != 0;
}

/* Days are one run; its ends are where a neighbour is missing. */
static void print_days(const merge_window_range *range, char text[16])
{
    unsigned first = 0;
    unsigned last;

    text[0] = '\0';
    if (range->days == EVERY_DAY || range->days == 0) {
        return;
    }
    while (!has_day(range, first) || has_day(range, first + DAYS - 1)) {
        first++;
    }
    last = first;
    while (has_day(range, last + 1)) {
        last++;
    }
    if (first == last) {
        (void)snprintf(text, 16, "%s ", day_names[first % DAYS]);
    } else {
        (void)snprintf(text, 16, "%s-%s ", day_names[first % DAYS],
                       day_names[last % DAYS]);
    }
}

void merge_window_print(const merge_window *window,
                        char ret_text[MERGE_WINDOW_TEXT_SIZE])
{
    size_t used = 0;

    (void)snprintf(ret_text, MERGE_WINDOW_TEXT_SIZE, "%s",
                   window->is_always ? "always" : "never");
    if (window->is_always) {
        return;
    }
    for (unsigned i = 0; i < window->count; i++) {
        const merge_window_range *range = &window->ranges[i];
        char days[16];
        int size;

        print_days(range, days);
        size = snprintf(ret_text + used, MERGE_WINDOW_TEXT_SIZE - used,
                        "%s%s%02u:%02u-%02u:%02u", i == 0 ? "" : ", ", days,
                        range->start_minute / 60U, range->start_minute % 60U,
                        range->end_minute / 60U, range->end_minute % 60U);
        assert(size > 0 && (size_t)size < MERGE_WINDOW_TEXT_SIZE - used);
        used += (size_t)size;
    }
}

/* ---- Looking at the clock ---- */

static bool range_contains(const merge_window_range *range, unsigned weekday,
                           unsigned minute)
{
    if (range->start_minute < range->end_minute) {
        return has_day(range, weekday) && minute >= range->start_minute &&
               minute < range->end_minute;
    }
    /* After midnight it belongs to the day before. */
    return (has_day(range, weekday) && minute >= range->start_minute) ||
           (has_day(range, weekday + DAYS - 1) && minute < range->end_minute);
}

bool merge_window_contains(const merge_window *window, unsigned weekday,
                           unsigned minute)
{
    bool is_inside = window->is_always;

    for (unsigned i = 0; i < window->count && !is_inside; i++) {
        is_inside = range_contains(&window->ranges[i], weekday, minute);
    }
    return is_inside;
}
