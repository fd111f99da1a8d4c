/*
 * caskade create: make an empty store.
 */
#include "command.h"
#include "option.h"
#include "units.h"

typedef struct create_settings {
    int engine;                      /* cask_engine, 0: the default */
    uint32_t file_mode;              /* 0: the default */
    const char *segment_max_bytes;   /* as given; NULL: the default */
    const char *memtable_bytes;      /* likewise */
    const char *filter_prefix_bytes; /* likewise */
} create_settings;

enum {
    OPTION_MODE = 0x2001,
    OPTION_SEGMENT,
    OPTION_MEMTABLE,
    OPTION_PREFIX,
    MODE_MAX = 0777,
    MODE_OWNER = 0600
};

/* Ranges of settings, which are checked before anything is made. */
#define SIZE_MIN (UINT64_C(64) << 10)
#define SEGMENT_MAX (UINT64_C(1) << 30)
#define MEMTABLE_MAX (UINT64_C(256) << 20)

static const struct argp_option options[] = {
    {"engine", 'E', "hash|tree", 0,
     "What kind of index it has: hash (default), for point lookups and "
     "updates; or tree, which keeps an order: see docs/ENGINES.md",
     1},
    {"mode", OPTION_MODE, "OCTAL", 0,
     "Permissions of its files (default: 600), whatever the umask; "
     "directories get x where r is",
     1},
    {"segment-max-bytes", OPTION_SEGMENT, "SIZE", 0,
     "A segment is full at that size at the latest (default: 256MiB); 'caskade "
     "config' changes it later",
     1},
    {"memtable-bytes", OPTION_MEMTABLE, "SIZE", 0,
     "Tree: of the log, after which what is new becomes a run (default: "
     "64MiB); 'caskade config' changes it later",
     1},
    {"filter-prefix-bytes", OPTION_PREFIX, "NUMBER", 0,
     "Tree: runs get a filter of so many first bytes of keys, for scans of a "
     "prefix (default: 0, none); 'caskade config' changes it later",
     1},
    {0},
};

static error_t take_size(struct argp_state *state, const char *option,
                         const char *argument, uint64_t most,
                         const char **ret_text)
{
    uint64_t bytes;

    if (!units_parse_bytes(argument, &bytes) || bytes < SIZE_MIN ||
        bytes > most) {
        return option_reject(state, "%s: '%s' is no size between 64KiB and %s",
                             option, argument,
                             most == SEGMENT_MAX ? "1GiB" : "256MiB");
    }
    *ret_text = argument;
    return 0;
}

static error_t take_prefix(struct argp_state *state, const char *argument,
                           const char **ret_text)
{
    uint64_t bytes;

    if (!units_parse_count(argument, 0, CASK_KEY_MAX_BYTES, &bytes)) {
        return option_reject(state,
                             "--filter-prefix-bytes: '%s' is no number from 0 "
                             "to %u",
                             argument, CASK_KEY_MAX_BYTES);
    }
    *ret_text = argument;
    return 0;
}

static error_t take_mode(struct argp_state *state, const char *argument,
                         uint32_t *ret_mode)
{
    uint32_t mode = 0;

    for (const char *at = argument; *at != '\0'; at++) {
        if (*at < '0' || *at > '7' || mode > MODE_MAX / 8) {
            return option_reject(state,
                                 "--mode: '%s' is no mode; write it "
                                 "like 600 or 660",
                                 argument);
        }
        mode = mode * 8 + (uint32_t)(*at - '0');
    }
    if ((mode & MODE_OWNER) != MODE_OWNER) {
        return option_reject(state,
                             "--mode: '%s' keeps the owner from reading or "
                             "writing; use 600 to 777 with that, like 600 or "
                             "660",
                             argument);
    }
    *ret_mode = mode;
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    static const choice engines[] = {
        {"hash", CASK_ENGINE_HASH}, {"tree", CASK_ENGINE_TREE}, {NULL, 0}};
    create_settings *settings = state->input;

    switch (key) {
    case 'E':
        return option_take_choice(state, "--engine", argument, engines,
                                  &settings->engine);
    case OPTION_MODE:
        return take_mode(state, argument, &settings->file_mode);
    case OPTION_MEMTABLE:
        return take_size(state, "--memtable-bytes", argument, MEMTABLE_MAX,
                         &settings->memtable_bytes);
    case OPTION_SEGMENT:
        return take_size(state, "--segment-max-bytes", argument, SEGMENT_MAX,
                         &settings->segment_max_bytes);
    case OPTION_PREFIX:
        return take_prefix(state, argument, &settings->filter_prefix_bytes);
    case ARGP_KEY_END:
        if (settings->engine != CASK_ENGINE_TREE &&
            (settings->memtable_bytes != NULL ||
             settings->filter_prefix_bytes != NULL)) {
            return option_reject(state, "--memtable-bytes and "
                                        "--filter-prefix-bytes are for "
                                        "--engine tree; leave them out");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Sizes are written alike on the command line and in a setting. */
static exit_status configure(cask_db *db, const arguments *args)
{
    const create_settings *settings = args->settings;
    cask_config_change changes[3];
    cask_error err = {0};
    size_t count = 0;

    if (settings->segment_max_bytes != NULL) {
        changes[count++] = (cask_config_change){"segment_max_bytes",
                                                settings->segment_max_bytes};
    }
    if (settings->memtable_bytes != NULL) {
        changes[count++] =
            (cask_config_change){"memtable_bytes", settings->memtable_bytes};
    }
    if (settings->filter_prefix_bytes != NULL) {
        changes[count++] = (cask_config_change){"filter_prefix_bytes",
                                                settings->filter_prefix_bytes};
    }
    return count == 0 || cask_config_set(db, changes, count, &err) == CASK_OK
               ? EXIT_DONE
               : report_failure(args->words[0], &err);
}

static exit_status run(const arguments *args)
{
    const create_settings *settings = args->settings;
    store_settings store = args->store;
    cask_db *db = NULL;
    exit_status status;

    store.options.error_if_exists = true;
    if (settings->engine != 0) {
        store.options.engine = (cask_engine)settings->engine;
    }
    if (settings->file_mode != 0) {
        store.options.file_mode = settings->file_mode;
    }
    status = store_open(&store, args->words[0], true, &db);
    if (status != EXIT_DONE) {
        return status;
    }
    return store_close(db, args->words[0], configure(db, args));
}

const command command_create = {
    .name = "create",
    .summary = "Make an empty store",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text = "Make an empty store in the directory DIR, which is made if it is "
            "not there. It is an error if there is a store already. (put, "
            "load, import and shell make a store that is not there, too, of "
            "the engine hash.)\v"
            "Examples:\n"
            "  caskade create /var/lib/app/sessions\n"
            "  caskade create --engine hash --mode 660 /srv/shared\n"
            "  caskade create --engine tree --memtable-bytes 16MiB /srv/logs\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(create_settings),
    .store = STORE_WRITE,
    .run = run,
};
