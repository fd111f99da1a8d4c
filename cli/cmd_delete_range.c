/*
 * caskade delete-range: remove all keys of a range by one record.
 */
#include "command.h"
#include "json_format.h"
#include "key_range.h"
#include "key_text.h"
#include "output.h"
#include "word.h"

enum { OPTION_EVERYTHING = OPTION_BEHIND_RANGE };

typedef struct range_settings {
    bool escapes;
    bool everything;
    bool json;
    key_range range;
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
    case OPTION_EVERYTHING:
        settings->everything = true;
        return 0;
    default:
        return key_range_parse(key, argument, state, &settings->range);
    }
}

/* A range must be said: what is deleted by mistake is gone. */
static exit_status check_wish(const range_settings *settings)
{
    const key_range *range = &settings->range;
    bool has_bound = range->from != NULL || range->to != NULL;
    int ways = (has_bound ? 1 : 0) + (range->prefix != NULL ? 1 : 0) +
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

/* Keys that begin with a prefix are a range, too. */
static exit_status take_prefix(key_bounds *bounds, text *prefix_end)
{
    cask_slice prefix = bounds->prefix;

    if (prefix.size > CASK_KEY_MAX_BYTES) {
        return report(EXIT_USAGE, "--prefix: %zu bytes; a key has at most %u",
                      prefix.size, CASK_KEY_MAX_BYTES);
    }
    bounds->from = prefix;
    if (key_range_prefix_end(prefix, prefix_end)) {
        bounds->to = text_slice(prefix_end);
    }
    return prefix_end->failed ? report_memory() : EXIT_DONE;
}

/* `prefix_end` is the memory of the end, where a prefix makes it. */
static exit_status take_range(const range_settings *settings,
                              key_bounds *bounds, text *prefix_end)
{
    exit_status status = check_wish(settings);

    if (status == EXIT_DONE) {
        status = key_range_bounds(&settings->range, settings->escapes, bounds);
    }
    if (status == EXIT_DONE && settings->range.prefix != NULL) {
        status = take_prefix(bounds, prefix_end);
    }
    if (status == EXIT_DONE && !settings->everything &&
        bounds->from.size == 0 && bounds->to.data == NULL) {
        status = report(EXIT_USAGE, "delete-range: these are all keys of the "
                                    "store; say so by --everything");
    }
    return status;
}

static bool is_empty(const key_bounds *bounds)
{
    return bounds->to.data != NULL &&
           key_range_compare(bounds->from, bounds->to) >= 0;
}

static void print_json(const key_bounds *bounds)
{
    text line = {0};
    json_t *object = json_pack("{s:b}", "written", !is_empty(bounds));

    if (bounds->from.size > 0) {
        json_format_set_bytes(object, "from", "from64", bounds->from, &line);
    }
    if (bounds->to.data != NULL) {
        json_format_set_bytes(object, "to", "to64", bounds->to, &line);
    }
    json_format_add(&line, object);
    text_add_char(&line, '\n');
    (void)output_text(&line);
    text_free(&line);
}

static void print_text(const key_bounds *bounds)
{
    text line = {0};

    text_add_string(&line, is_empty(bounds)
                               ? "nothing was written, there are no "
                                 "such keys: "
                               : "deleted by one record: ");
    if (bounds->from.size > 0) {
        text_add_string(&line, "keys from ");
        key_text_add(&line, bounds->from);
    } else {
        text_add_string(&line, bounds->to.data != NULL ? "keys" : "all keys");
    }
    if (bounds->to.data != NULL) {
        text_add_string(&line, " to before ");
        key_text_add(&line, bounds->to);
    }
    text_add_string(&line, "\n");
    (void)output_text(&line);
    text_free(&line);
}

static exit_status run(const arguments *args)
{
    const range_settings *settings = args->settings;
    const char *directory = args->words[0];
    key_bounds bounds = {.from = {0}};
    text prefix_end = {0};
    cask_error err = {0};
    cask_db *db = NULL;
    exit_status status = take_range(settings, &bounds, &prefix_end);

    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status == EXIT_DONE) {
        if (cask_delete_range(db, bounds.from, bounds.to, &err) != CASK_OK) {
            status = report_failure(directory, &err);
        } else if (settings->json) {
            print_json(&bounds);
        } else {
            print_text(&bounds);
        }
        status = store_close(db, directory, status);
    }
    text_free(&prefix_end);
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
    .for_tree = true,
    .run = run,
};
