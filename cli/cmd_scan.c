/*
 * caskade scan: print records in the order of their keys, all or a range.
 */
#include "command.h"
#include "option_format.h"
#include "output.h"
#include "signals.h"
#include "units.h"
#include "word.h"

enum {
    OPTION_FROM = 0x2001,
    OPTION_TO,
    OPTION_PREFIX,
    OPTION_REVERSE,
    OPTION_LIMIT,
    OPTION_KEYS
};

typedef struct scan_settings {
    const text_format *format; /* NULL: tsv */
    bool escapes;
    bool reverse;
    bool keys_only;
    char *from, *to, *prefix; /* NULL: not given */
    uint64_t limit;           /* 0: none */
} scan_settings;

static const struct argp_option options[] = {
    OPTION_FORMAT,
    WORD_OPTION_ESCAPES("the keys of options"),
    {"from", OPTION_FROM, "KEY", 0, "Keys from KEY on", 1},
    {"to", OPTION_TO, "KEY", 0, "Keys before KEY", 1},
    {"prefix", OPTION_PREFIX, "P", 0, "Keys that begin with P", 1},
    {"reverse", OPTION_REVERSE, NULL, 0, "From the last key to the first", 1},
    {"limit", OPTION_LIMIT, "N", 0, "At most N lines", 1},
    {"keys", OPTION_KEYS, NULL, 0, "Without the values", 1},
    {0},
};

static error_t take_limit(struct argp_state *state, const char *argument,
                          uint64_t *ret_limit)
{
    if (!units_parse_count(argument, 1, UINT64_MAX, ret_limit)) {
        return option_reject(state, "--limit: '%s' is no number of 1 or more",
                             argument);
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    scan_settings *settings = state->input;

    switch (key) {
    case 'f':
        return option_take_format(state, argument, &settings->format);
    case 'e':
        settings->escapes = true;
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
    case OPTION_REVERSE:
        settings->reverse = true;
        return 0;
    case OPTION_LIMIT:
        return take_limit(state, argument, &settings->limit);
    case OPTION_KEYS:
        settings->keys_only = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

typedef struct scanner {
    const text_format *format;
    bool keys_only;
    text line;
} scanner;

static bool print_entry(void *context, const cask_entry *entry)
{
    scanner *scan = context;
    text_record record = {entry->key, entry->value, entry->info.expires_at_ms};

    text_clear(&scan->line);
    if (scan->keys_only) {
        scan->format->encode_key(entry->key, &scan->line);
    } else {
        scan->format->encode(&record, &scan->line);
    }
    return output_text(&scan->line) && signals_arrived() == 0;
}

static exit_status take_word(const scan_settings *settings, char *word,
                             cask_slice *ret_bytes)
{
    return word != NULL ? word_bytes(word, settings->escapes, ret_bytes)
                        : EXIT_DONE;
}

static exit_status take_range(const scan_settings *settings,
                              cask_range_options *range)
{
    exit_status status =
        take_word(settings, settings->from, &range->keys.lower);

    if (status == EXIT_DONE) {
        status = take_word(settings, settings->to, &range->keys.upper);
    }
    if (status == EXIT_DONE) {
        status = take_word(settings, settings->prefix, &range->keys.prefix);
    }
    range->keys.keys_only = settings->keys_only;
    range->reverse = settings->reverse;
    range->limit = settings->limit;
    return status;
}

static exit_status scan_run(const arguments *args)
{
    const scan_settings *settings = args->settings;
    const char *directory = args->words[0];
    scanner scan = {.format = settings->format != NULL
                                  ? settings->format
                                  : text_format_find("tsv"),
                    .keys_only = settings->keys_only};
    cask_range_options range = {.limit = 0};
    cask_error err = {0};
    cask_db *db = NULL;
    exit_status status = take_range(settings, &range);

    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    signals_catch();
    if (cask_range(db, &range, print_entry, &scan, &err) != CASK_OK) {
        status = report_failure(directory, &err);
    }
    text_free(&scan.line);
    return store_close(db, directory, status);
}

const command command_scan = {
    .name = "scan",
    .summary = "Print records in the order of their keys",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Print every record on a line, by rising keys, or those of a range: "
        "from --from to before --to, and of these those that begin with "
        "--prefix. Keys are ordered by their bytes. It is the content when the "
        "command starts; others may go on writing. Formats are those of "
        "'caskade dump'. Only stores of the engine tree have an order of "
        "keys.\v"
        "Examples:\n"
        "  caskade scan --prefix user: /tmp/tree\n"
        "  caskade scan --from 2026-11-22 --to 2026-11-23 /tmp/tree\n"
        "  caskade scan --reverse --limit 10 --keys /tmp/tree\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(scan_settings),
    .store = STORE_READ,
    .run = scan_run,
};
