/*
 * caskade delete-range: remove all keys of a range by one record.
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json_format.h"
#include "key_text.h"
#include "output.h"
#include "word.h"

enum { OPTION_FROM = 0x2201, OPTION_TO, OPTION_PREFIX, OPTION_EVERYTHING };

typedef struct range_settings {
    bool escapes;
    bool everything;
    bool json;
    char *from, *to, *prefix; /* NULL: not given */
} range_settings;

static const struct argp_option options[] = {
    WORD_OPTION_ESCAPES("the keys of options"),
    {"from", OPTION_FROM, "KEY", 0, "Keys from KEY on", 1},
    {"to", OPTION_TO, "KEY", 0, "Keys before KEY", 1},
    {"prefix", OPTION_PREFIX, "P", 0, "Keys that begin with P", 1},
    {"everything", OPTION_EVERYTHING, NULL, 0, "All keys", 1},
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    range_settings *settings = state->input;

    switch (key) {
    case 'e':
        settings->escapes = true;
        return 0;
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_FROM:
        settings->from = argument;
        return 0;
    case OPTION_TO:
        settings->to = argument;
        return 0;
    case OPTION_PREFIX:
        settings->prefix = argument;
        return 0;
    case OPTION_EVERYTHING:
        settings->everything = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Data NULL: no bound. */
typedef struct key_range {
    cask_slice from;
    cask_slice to;
    char *end; /* `to`, if it is made of a prefix; owned */
} key_range;

static exit_status take_word(const range_settings *settings, char *word,
                             cask_slice *ret_bytes)
{
    return word != NULL ? word_bytes(word, settings->escapes, ret_bytes)
                        : EXIT_DONE;
}

/* Keys that begin with it are a range: to before its last byte that can be
 * greater, made so; or to the end. */
static exit_status take_prefix(cask_slice prefix, key_range *range)
{
    size_t size = prefix.size;

    range->from = prefix;
    range->end = malloc(size + 1);
    if (range->end == NULL) {
        return report(EXIT_SYSTEM, "no memory for %zu bytes", size);
    }
    memcpy(range->end, prefix.data, size);
    while (size > 0 && (unsigned char)range->end[size - 1] == 0xff) {
        size--;
    }
    if (size > 0) {
        range->end[size - 1]++;
        range->to = (cask_slice){range->end, size};
    }
    return EXIT_DONE;
}

/* A range must be said: what is deleted by mistake is gone. */
static exit_status check_wish(const range_settings *settings)
{
    bool has_bound = settings->from != NULL || settings->to != NULL;
    int ways = (has_bound ? 1 : 0) + (settings->prefix != NULL ? 1 : 0) +
               (settings->everything ? 1 : 0);

    if (ways == 0) {
        return report(EXIT_USAGE, "delete-range: say which keys: --from, --to, "
                                  "--prefix, or --everything");
    }
    return ways == 1 ? EXIT_DONE
                     : report(EXIT_USAGE,
                              "delete-range: --from and --to, --prefix, and "
                              "--everything exclude each other");
}

static exit_status take_range(const range_settings *settings, key_range *range)
{
    exit_status status = check_wish(settings);
    cask_slice prefix = {NULL, 0};

    if (status == EXIT_DONE) {
        status = take_word(settings, settings->from, &range->from);
    }
    if (status == EXIT_DONE) {
        status = take_word(settings, settings->to, &range->to);
    }
    if (status == EXIT_DONE) {
        status = take_word(settings, settings->prefix, &prefix);
    }
    if (status == EXIT_DONE && prefix.size > CASK_KEY_MAX_BYTES) {
        status = report(EXIT_USAGE, "--prefix: %zu bytes; a key has at most %u",
                        prefix.size, CASK_KEY_MAX_BYTES);
    }
    if (status == EXIT_DONE && prefix.size > 0) {
        status = take_prefix(prefix, range);
    }
    if (status == EXIT_DONE && !settings->everything && range->from.size == 0 &&
        range->to.data == NULL) {
        status = report(EXIT_USAGE, "delete-range: these are all keys of the "
                                    "store; say so by --everything");
    }
    return status;
}

static bool is_empty(const key_range *range)
{
    size_t from = range->from.size;
    size_t to = range->to.size;
    size_t shorter = from < to ? from : to;
    int order;

    if (range->to.data == NULL) {
        return false;
    }
    order = shorter > 0 ? memcmp(range->from.data, range->to.data, shorter) : 0;
    return order > 0 || (order == 0 && from >= to);
}

static void print_json(const key_range *range)
{
    text line = {0};
    json_t *object = json_pack("{s:b}", "written", !is_empty(range));

    if (range->from.size > 0) {
        json_format_set_bytes(object, "from", "from64", range->from, &line);
    }
    if (range->to.data != NULL) {
        json_format_set_bytes(object, "to", "to64", range->to, &line);
    }
    json_format_add(&line, object);
    text_add_char(&line, '\n');
    (void)output_text(&line);
    text_free(&line);
}

static void print_text(const key_range *range)
{
    text line = {0};

    text_add_string(&line, is_empty(range)
                               ? "nothing was written, there are no "
                                 "such keys: "
                               : "deleted by one record: ");
    if (range->from.size > 0) {
        text_add_string(&line, "keys from ");
        key_text_add(&line, range->from);
    } else {
        text_add_string(&line, range->to.data != NULL ? "keys" : "all keys");
    }
    if (range->to.data != NULL) {
        text_add_string(&line, " to before ");
        key_text_add(&line, range->to);
    }
    text_add_string(&line, "\n");
    (void)output_text(&line);
    text_free(&line);
}

static exit_status run(const arguments *args)
{
    const range_settings *settings = args->settings;
    const char *directory = args->words[0];
    key_range range = {.end = NULL};
    cask_error err = {0};
    cask_db *db = NULL;
    exit_status status = take_range(settings, &range);

    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status == EXIT_DONE) {
        if (cask_delete_range(db, range.from, range.to, &err) != CASK_OK) {
            status = report_failure(directory, &err);
        } else if (settings->json) {
            print_json(&range);
        } else {
            print_text(&range);
        }
        status = store_close(db, directory, status);
    }
    free(range.end);
    return status;
}

const command command_delete_range = {
    .name = "delete-range",
    .summary = "Remove all keys of a range",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Remove all keys from --from to before --to, or those that begin with "
        "--prefix, with their values: by one record, however many they are, so "
        "it takes no longer for a million. Their space comes back when runs "
        "are compacted; 'caskade merge' does that at once. Nothing is asked. "
        "Only stores of the engine tree have an order of keys.\v"
        "Examples:\n"
        "  caskade delete-range --to 2026-11-01 /tmp/tree\n"
        "  caskade delete-range --from a --to b /tmp/tree\n"
        "  caskade delete-range --prefix session: /tmp/tree\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(range_settings),
    .store = STORE_WRITE,
    .run = run,
};
