/*
 * caskade ttl, expire, persist: times of expiry of single keys.
 */
#include <inttypes.h>

#include "command.h"
#include "option.h"
#include "output.h"
#include "units.h"
#include "word.h"

enum { OPTION_TTL = 0x2001, OPTION_AT, OPTION_MS };

typedef struct expiry_settings {
    word_settings words;
    cask_expiry expiry; /* of expire */
    bool in_ms;         /* of ttl */
} expiry_settings;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    expiry_settings *settings = state->input;

    switch (key) {
    case 'e':
        settings->words.escapes = true;
        return 0;
    case OPTION_TTL:
        return option_take_duration(state, "--ttl", argument, 1,
                                    &settings->expiry.ttl_ms);
    case OPTION_AT:
        if (!units_parse_moment(argument, &settings->expiry.expires_at_ms) ||
            settings->expiry.expires_at_ms == 0) {
            return option_reject(state,
                                 "--at: '%s' is no time; give one like "
                                 "2030-01-31T23:59:00Z, or milliseconds since "
                                 "1970",
                                 argument);
        }
        return 0;
    case OPTION_MS:
        settings->in_ms = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static exit_status failed(const char *directory, cask_status result,
                          const cask_error *err)
{
    if (result == CASK_NOT_FOUND) {
        return report(EXIT_NOT_FOUND,
                      "%s: no such key; 'caskade list %s' shows the keys",
                      directory, directory);
    }
    return report_failure(directory, err);
}

/* What a command does with the key. */
typedef cask_status (*key_fn)(cask_db *db, cask_slice key,
                              const expiry_settings *settings, cask_error *err);

static exit_status run_on_key(const arguments *args, key_fn act)
{
    const expiry_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_error err = {0};
    cask_db *db = NULL;
    cask_status result;
    cask_slice key;
    exit_status status =
        word_bytes(args->words[1], settings->words.escapes, &key);

    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    result = act(db, key, settings, &err);
    if (result != CASK_OK) {
        status = failed(directory, result, &err);
    }
    return store_close(db, directory, status);
}

/* ---- ttl --------------------------------------------------------------- */

static const struct argp_option ttl_options[] = {
    {"ms", OPTION_MS, NULL, 0, "Print milliseconds, a plain number", 1},
    WORD_OPTION_ESCAPES("KEY"),
    {0},
};

static cask_status show_ttl(cask_db *db, cask_slice key,
                            const expiry_settings *settings, cask_error *err)
{
    char duration[UNITS_TEXT_SIZE];
    uint64_t ttl_ms = 0;
    cask_status status = cask_ttl(db, key, &ttl_ms, err);

    if (status != CASK_OK) {
        return status;
    }
    if (ttl_ms == CASK_TTL_NEVER) {
        (void)output_print("never\n");
    } else if (settings->in_ms) {
        (void)output_print("%" PRIu64 "\n", ttl_ms);
    } else {
        (void)output_print("%s\n", units_format_duration(duration, ttl_ms));
    }
    return CASK_OK;
}

static exit_status ttl_run(const arguments *args)
{
    return run_on_key(args, show_ttl);
}

const command command_ttl = {
    .name = "ttl",
    .summary = "Tell how long a key remains",
    .words = "DIR KEY",
    .word_min = 2,
    .word_max = 2,
    .text = "Print after which time the value of KEY expires, by its own time "
            "of expiry or by expiry_seconds of the store's settings: 500ms, "
            "59s, 29m 59s, 23h 59m, 6d 23h; or \"never\". Exit with 1 if "
            "there is no such key.\v"
            "Examples:\n"
            "  caskade ttl /tmp/store session:7\n"
            "  caskade ttl --ms /tmp/store session:7\n",
    .options = ttl_options,
    .parse = parse,
    .settings_size = sizeof(expiry_settings),
    .store = STORE_READ,
    .run = ttl_run,
};

/* ---- expire ------------------------------------------------------------ */

static const struct argp_option expire_options[] = {
    {"ttl", OPTION_TTL, "DURATION", 0,
     "After that time: 90 (seconds), 500ms, 10s, 5m, 2h, 1d", 1},
    {"at", OPTION_AT, "TIME", 0,
     "At 2030-01-31T23:59:00Z (UTC), or milliseconds since 1970", 1},
    WORD_OPTION_ESCAPES("KEY"),
    {0},
};

static cask_status set_expiry(cask_db *db, cask_slice key,
                              const expiry_settings *settings, cask_error *err)
{
    return cask_expire(db, key, &settings->expiry, err);
}

static exit_status expire_run(const arguments *args)
{
    const expiry_settings *settings = args->settings;

    if ((settings->expiry.ttl_ms == 0) ==
        (settings->expiry.expires_at_ms == 0)) {
        return report(EXIT_USAGE, "expire: give either --ttl DURATION or "
                                  "--at TIME");
    }
    return run_on_key(args, set_expiry);
}

const command command_expire = {
    .name = "expire",
    .summary = "Let a key expire at another time",
    .words = "DIR KEY",
    .word_min = 2,
    .word_max = 2,
    .text = "Give the value of KEY, which stays, another time of expiry. A "
            "value that somebody writes meanwhile is not overwritten. Exit "
            "with 1 if there is no such key.\v"
            "Examples:\n"
            "  caskade expire --ttl 30m /tmp/store session:7\n"
            "  caskade expire --at 2030-01-31T00:00:00Z /tmp/store offer\n",
    .options = expire_options,
    .parse = parse,
    .settings_size = sizeof(expiry_settings),
    .store = STORE_WRITE,
    .run = expire_run,
};

/* ---- persist ----------------------------------------------------------- */

static cask_status take_expiry(cask_db *db, cask_slice key,
                               const expiry_settings *settings, cask_error *err)
{
    (void)settings;
    return cask_persist(db, key, NULL, err);
}

static exit_status persist_run(const arguments *args)
{
    return run_on_key(args, take_expiry);
}

const command command_persist = {
    .name = "persist",
    .summary = "Let a key not expire",
    .words = "DIR KEY",
    .word_min = 2,
    .word_max = 2,
    .text = "Take its time of expiry from the value of KEY, which stays. The "
            "setting expiry_seconds of the store goes on to count from the "
            "time of its write. Exit with 1 if there is no such key.\v"
            "Examples:\n"
            "  caskade persist /tmp/store session:7\n",
    .options = word_options,
    .parse = word_parse,
    .settings_size = sizeof(expiry_settings),
    .store = STORE_WRITE,
    .run = persist_run,
};
