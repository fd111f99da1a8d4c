/*
 * caskade scan: print records in the order of their keys, all or a range.
 */
#include "command.h"
#include "key_range.h"
#include "option_format.h"
#include "output.h"
#include "signals.h"
#include "word.h"

typedef struct scan_settings {
    const text_format *format; /* NULL: tsv */
    bool escapes;
    key_range range;
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

static error_t parse(int key, char *argument, struct argp_state *state)
{
    scan_settings *settings = state->input;

    switch (key) {
    case 'f':
        return option_take_format(state, argument, &settings->format);
    case 'e':
        settings->escapes = true;
        return 0;
    default:
        return key_range_parse(key, argument, state, &settings->range);
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
    text_format_add(scan->format, &record, scan->keys_only, &scan->line);
    return output_text(&scan->line) && signals_arrived() == 0;
}

static exit_status take_range(const scan_settings *settings,
                              cask_range_options *range)
{
    const key_range *asked = &settings->range;
    key_bounds bounds = {.from = {0}};
    exit_status status = key_range_bounds(asked, settings->escapes, &bounds);

    range->keys.lower = bounds.from;
    range->keys.upper = bounds.to;
    range->keys.prefix = bounds.prefix;
    range->keys.keys_only = asked->keys_only;
    range->reverse = asked->reverse;
    range->limit = asked->limit;
    return status;
}

static exit_status scan_run(const arguments *args)
{
    const scan_settings *settings = args->settings;
    const char *directory = args->words[0];
    scanner scan = {.format = settings->format != NULL
                                  ? settings->format
                                  : text_format_find("tsv"),
                    .keys_only = settings->range.keys_only};
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
    .for_tree = true,
    .run = scan_run,
};
