/*
 * caskade run: make and read runs, sorted segments in files of their own.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "option_format.h"
#include "run_command.h"
#include "units.h"
#include "word.h"

enum {
    OPTION_RECORDS = OPTION_BEHIND_RANGE,
    OPTION_PREFIX_BYTES,
    OPTION_NO_FILTER,
    OPTION_SORT,
    OPTION_MEMORY
};

static const struct argp_option options[] = {
    OPTION_FORMAT,
    WORD_OPTION_ESCAPES("the keys of options"),
    {"from", OPTION_FROM, "KEY", 0, "dump: keys from KEY on", 1},
    {"to", OPTION_TO, "KEY", 0, "dump: keys before KEY", 1},
    {"prefix", OPTION_PREFIX, "P", 0, "dump: keys that begin with P", 1},
    {"reverse", OPTION_REVERSE, NULL, 0, "dump: from the last key to the first",
     1},
    {"limit", OPTION_LIMIT, "N", 0, "dump: at most N lines", 1},
    {"keys", OPTION_KEYS, NULL, 0, "dump: without the values", 1},
    {"records", OPTION_RECORDS, NULL, 0,
     "dump: all records, deletes and older versions too, as JSON with kind and "
     "sequence",
     1},
    {"json", 'j', NULL, 0, "info: print a JSON object", 1},
    {"no-filter", OPTION_NO_FILTER, NULL, 0,
     "build: without the filter of keys", 1},
    {"prefix-bytes", OPTION_PREFIX_BYTES, "N", 0,
     "build: with a filter of the first N bytes of keys", 1},
    {"sort", OPTION_SORT, NULL, 0,
     "build: sort the lines; of those with the same key the last one counts",
     1},
    {"memory", OPTION_MEMORY, "SIZE", 0,
     "build: take at most SIZE of memory (1GiB), 16MiB at least", 1},
    {0},
};

/* The options, what sets each, and with which action it goes. */
enum { ACTION_BUILD = 1, ACTION_INFO = 2, ACTION_DUMP = 4 };

static const struct {
    int key;
    const char *name;
    int actions;
} uses[] = {
    {'f', "--format", ACTION_BUILD | ACTION_DUMP},
    {'e', "--escapes", ACTION_DUMP},
    {OPTION_FROM, "--from", ACTION_DUMP},
    {OPTION_TO, "--to", ACTION_DUMP},
    {OPTION_PREFIX, "--prefix", ACTION_DUMP},
    {OPTION_REVERSE, "--reverse", ACTION_DUMP},
    {OPTION_LIMIT, "--limit", ACTION_DUMP},
    {OPTION_KEYS, "--keys", ACTION_DUMP},
    {OPTION_RECORDS, "--records", ACTION_DUMP},
    {'j', "--json", ACTION_INFO},
    {OPTION_NO_FILTER, "--no-filter", ACTION_BUILD},
    {OPTION_PREFIX_BYTES, "--prefix-bytes", ACTION_BUILD},
    {OPTION_SORT, "--sort", ACTION_BUILD},
    {OPTION_MEMORY, "--memory", ACTION_BUILD},
};

enum { MEMORY_MIN = 16 << 20 }; /* what sorting takes */

enum { USES = sizeof(uses) / sizeof(uses[0]) };

static void note_use(run_settings *settings, int key)
{
    for (unsigned i = 0; i < USES; i++) {
        if (uses[i].key == key) {
            settings->given |= 1u << i;
        }
    }
}

/* Options with a word or a number. */
static error_t parse_argument(int key, char *argument, struct argp_state *state)
{
    run_settings *settings = state->input;

    switch (key) {
    case 'f':
        return option_take_format(state, argument, &settings->format);
    case OPTION_PREFIX_BYTES:
        if (!units_parse_count(argument, 1, CASK_KEY_MAX_BYTES,
                               &settings->prefix_bytes)) {
            return option_reject(
                state, "--prefix-bytes: '%s' is no number between 1 and %d",
                argument, CASK_KEY_MAX_BYTES);
        }
        return 0;
    case OPTION_MEMORY:
        if (!units_parse_bytes(argument, &settings->memory_bytes) ||
            settings->memory_bytes < MEMORY_MIN) {
            return option_reject(
                state, "--memory: '%s' is no size from 16MiB on", argument);
        }
        return 0;
    default:
        return key_range_parse(key, argument, state, &settings->range);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    run_settings *settings = state->input;

    note_use(settings, key);
    switch (key) {
    case 'e':
        settings->escapes = true;
        return 0;
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_RECORDS:
        settings->records = true;
        return 0;
    case OPTION_NO_FILTER:
        settings->no_filter = true;
        return 0;
    case OPTION_SORT:
        settings->sort = true;
        return 0;
    default:
        return parse_argument(key, argument, state);
    }
}

const char *run_what(const char *path, const cask_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t size = strlen(name);

    return strncmp(err->message, name, size) == 0 &&
                   strncmp(err->message + size, ": ", 2) == 0
               ? err->message + size + 2
               : err->message;
}

exit_status run_report(const char *path, const cask_error *err)
{
    cask_error told = {.status = err->status, .os_errno = err->os_errno};

    (void)snprintf(told.message, sizeof(told.message), "%s",
                   run_what(path, err));
    /* 'caskade verify' knows stores only. */
    if (err->status == CASK_CORRUPT) {
        return report(EXIT_DAMAGED,
                      "%s: %s; make it again, or take a copy of it", path,
                      told.message);
    }
    return report_failure(path, &told);
}

static exit_status check_uses(const run_settings *settings, const char *what,
                              int action)
{
    for (unsigned i = 0; i < USES; i++) {
        if ((settings->given >> i & 1) != 0 &&
            (uses[i].actions & action) == 0) {
            return report(EXIT_USAGE,
                          "run: %s does not go with '%s'; 'caskade run --help' "
                          "tells what does",
                          uses[i].name, what);
        }
    }
    if (settings->records && settings->format != NULL) {
        return report(EXIT_USAGE, "run: --records prints JSON; leave --format "
                                  "out");
    }
    return EXIT_DONE;
}

static int find_action(const char *what, int word_count)
{
    if (strcmp(what, "build") == 0 && (word_count == 2 || word_count == 3)) {
        return ACTION_BUILD;
    }
    if (strcmp(what, "info") == 0 && word_count == 2) {
        return ACTION_INFO;
    }
    return strcmp(what, "dump") == 0 && word_count == 2 ? ACTION_DUMP : 0;
}

static exit_status run(const arguments *args)
{
    const run_settings *settings = args->settings;
    const char *what = args->word_count > 0 ? args->words[0] : "";
    int action = find_action(what, args->word_count);
    exit_status status;

    if (action == 0) {
        return report(EXIT_USAGE, "run: give 'build OUT [FILE]', 'info RUN' or "
                                  "'dump RUN'");
    }
    status = check_uses(settings, what, action);
    if (status != EXIT_DONE) {
        return status;
    }
    switch (action) {
    case ACTION_BUILD:
        return run_build(settings, args->words[1],
                         args->word_count > 2 ? args->words[2] : "-");
    case ACTION_INFO:
        return run_info(settings, args->words[1]);
    default:
        return run_dump(settings, args->words[1]);
    }
}

const command command_run = {
    .name = "run",
    .summary = "Make and read sorted files of records",
    .words = "build OUT [FILE]\ninfo RUN\ndump RUN",
    .word_min = 0, /* run() says what is missing */
    .word_max = COMMAND_MANY,
    .text =
        "A run is a file of records that are sorted by key, with an index: "
        "the sorted segment of the tree engine, which 'caskade ingest' takes "
        "into a store. All of it but the records is verified when it is "
        "opened, each record when it is read.\n\n"
        "build makes OUT, which must not exist, of the lines of FILE or "
        "standard input, in the formats of 'caskade load'; each key once, "
        "sorted by its bytes. Where a line is out of order nothing is made. "
        "With --sort lines come in any order, and more of them than fit into "
        "memory: parts wait sorted beside OUT. "
        "info tells counts, bounds and sizes. dump prints the newest value of "
        "each key, in the formats of 'caskade dump'; what is deleted is left "
        "out, what has expired is not.\v"
        "Examples:\n"
        "  caskade run build --sort users.run users.tsv\n"
        "  caskade dump -f hex /tmp/store | LC_ALL=C sort > sorted.hex\n"
        "  caskade run build -f hex sorted.run sorted.hex\n"
        "  caskade run info --json users.run\n"
        "  caskade run dump --prefix user: --limit 10 users.run\n"
        "  caskade run dump --from a --to c --reverse --keys users.run\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(run_settings),
    .store = STORE_UNUSED,
    .run = run,
};
