/*
 * caskade create: make an empty store.
 */
#include "command.h"
#include "option.h"

typedef struct create_settings {
    int engine;         /* cask_engine, 0: the default */
    uint32_t file_mode; /* 0: the default */
} create_settings;

enum { OPTION_MODE = 0x2001, MODE_MAX = 0777, MODE_OWNER = 0600 };

static const struct argp_option options[] = {
    {"engine", 'E', "hash|tree", 0,
     "What kind of index it has: hash (default), for point lookups and "
     "updates; or tree, which cannot do everything yet: see docs/ENGINES.md",
     1},
    {"mode", OPTION_MODE, "OCTAL", 0,
     "Permissions of its files (default: 600), whatever the umask; "
     "directories get x where r is",
     1},
    {0},
};

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
    default:
        return ARGP_ERR_UNKNOWN;
    }
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
    return store_close(db, args->words[0], EXIT_DONE);
}

const command command_create = {
    .name = "create",
    .summary = "Make an empty store",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text = "Make an empty store in the directory DIR, which is made if it is "
            "not there. It is an error if there is a store already. (put and "
            "load make a store that is not there, too.)\v"
            "Examples:\n"
            "  caskade create /var/lib/app/sessions\n"
            "  caskade create --engine hash --mode 660 /srv/shared\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(create_settings),
    .store = STORE_WRITE,
    .run = run,
};
