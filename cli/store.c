/*
 * Opening and closing a store for a command.
 *
 * Commands that only read open read-only, so that looking never changes the
 * directory; --linger asks for the shared index and so for a normal open.
 * Merging in the background is for commands that last: one that puts a key
 * must not begin to copy gigabytes, and give up when it is done.
 */
#include "store.h"

#include <stdio.h>

#include "option.h"

enum {
    OPTION_SYNC = 0x1001,
    OPTION_LINGER,
    OPTION_EXCLUSIVE,
    OPTION_READ_ONLY,
    OPTION_REGION_DIR,
    OPTION_IO,
    OPTION_DAMAGE,
    OPTION_TIMEOUT,
    OPTION_ALLOW_REMOTE,
    OPTION_VERBOSE = 'v',
    GROUP_STORE = 50,
    TIMEOUT_MAX_MS = 3600000
};

/* An option, and the kinds of command (store_use) that take it. */
typedef struct store_option {
    unsigned uses;
    struct argp_option option;
} store_option;

enum {
    USE_READ = STORE_READ | STORE_EITHER,
    USE_WRITE = STORE_WRITE | STORE_EITHER,
    USE_ALL = STORE_READ | STORE_WRITE | STORE_EITHER
};

static const store_option all_options[] = {
    {USE_ALL, {NULL, 0, NULL, 0, "Opening the store:", GROUP_STORE}},
    {USE_WRITE,
     {"sync", OPTION_SYNC, "none|interval|commit", 0,
      "When writes reach the device: when the kernel likes, once a second "
      "(default), or before the command answers",
      0}},
    {USE_WRITE,
     {"exclusive", OPTION_EXCLUSIVE, NULL, 0,
      "Be the only writing process while the store is open", 0}},
    {USE_READ,
     {"read-only", OPTION_READ_ONLY, NULL, 0,
      "Change nothing in the directory (commands that only read do so "
      "anyway, except with --linger)",
      0}},
    {USE_ALL,
     {"linger", OPTION_LINGER, NULL, 0,
      "Keep the index in shared memory afterwards, so that the next open "
      "takes no time",
      0}},
    {USE_ALL,
     {"region-dir", OPTION_REGION_DIR, "DIR", 0,
      "Where the shared index is (default: " CASK_REGION_DIR ")", 0}},
    {USE_ALL,
     {"io", OPTION_IO, "map|pread", 0,
      "Read through a mapping (default) or, not with the engine tree, by "
      "system calls, which survive failing media",
      0}},
    {USE_ALL,
     {"damage", OPTION_DAMAGE, "fail|serve", 0,
      "If the store is damaged, refuse it (default) or serve what is whole",
      0}},
    {USE_ALL,
     {"timeout", OPTION_TIMEOUT, "DURATION", 0,
      "How long to wait for other processes (default: 10s, at most 1h)", 0}},
    {USE_WRITE,
     {"allow-remote", OPTION_ALLOW_REMOTE, NULL, 0,
      "Write to a store on a network file system, at your own risk", 0}},
    {USE_ALL,
     {"verbose", OPTION_VERBOSE, NULL, 0,
      "Tell on standard error what happens to the store (recovery, rotation, "
      "...)",
      0}},
};

static const choice sync_choices[] = {{"none", CASK_SYNC_NONE},
                                      {"interval", CASK_SYNC_INTERVAL},
                                      {"commit", CASK_SYNC_COMMIT},
                                      {NULL, 0}};
static const choice io_choices[] = {
    {"map", CASK_IO_MAP}, {"pread", CASK_IO_PREAD}, {NULL, 0}};
static const choice damage_choices[] = {
    {"fail", CASK_DAMAGE_FAIL}, {"serve", CASK_DAMAGE_SERVE}, {NULL, 0}};

void store_init(store_settings *settings, store_use use)
{
    *settings = (store_settings){.use = use};
    cask_options_init(&settings->options);
    settings->options.auto_merge = false;
}

void store_list_options(store_use use,
                        struct argp_option options[STORE_OPTION_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < sizeof(all_options) / sizeof(all_options[0]); i++) {
        if ((all_options[i].uses & use) != 0) {
            options[used++] = all_options[i].option;
        }
    }
    options[used] = (struct argp_option){0};
}

/* ---- Parse ------------------------------------------------------------- */

static error_t take_timeout(struct argp_state *state, const char *argument,
                            store_settings *settings)
{
    uint64_t timeout_ms = 0;
    error_t result =
        option_take_duration(state, "--timeout", argument, 1, &timeout_ms);

    if (result == 0 && timeout_ms > TIMEOUT_MAX_MS) {
        return option_reject(state, "--timeout: at most 1h");
    }
    settings->options.lock_timeout_ms = (uint32_t)timeout_ms;
    return result;
}

/* Options that are one word of a table. */
static error_t take_word(int key, char *argument, struct argp_state *state)
{
    store_settings *settings = state->input;
    cask_options *options = &settings->options;
    int value = 0;
    error_t result;

    switch (key) {
    case OPTION_SYNC:
        result =
            option_take_choice(state, "--sync", argument, sync_choices, &value);
        options->sync = (cask_sync_policy)value;
        return result;
    case OPTION_IO:
        result =
            option_take_choice(state, "--io", argument, io_choices, &value);
        options->io = (cask_io)value;
        return result;
    case OPTION_DAMAGE:
        result = option_take_choice(state, "--damage", argument, damage_choices,
                                    &value);
        options->damage = (cask_damage)value;
        return result;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

error_t store_parse(int key, char *argument, struct argp_state *state)
{
    store_settings *settings = state->input;

    switch (key) {
    case OPTION_LINGER:
        settings->options.linger = true;
        return 0;
    case OPTION_EXCLUSIVE:
        settings->options.exclusive = true;
        return 0;
    case OPTION_READ_ONLY:
        settings->read_only = true;
        return 0;
    case OPTION_REGION_DIR:
        settings->options.region_dir = argument;
        return 0;
    case OPTION_TIMEOUT:
        return take_timeout(state, argument, settings);
    case OPTION_ALLOW_REMOTE:
        settings->options.allow_remote = true;
        return 0;
    case OPTION_VERBOSE:
        settings->verbose = true;
        return 0;
    default:
        return take_word(key, argument, state);
    }
}

exit_status store_check(const store_settings *settings, const char *command)
{
    const cask_options *options = &settings->options;

    if (settings->read_only && (options->linger || options->exclusive)) {
        return report(EXIT_USAGE,
                      "%s: --read-only excludes --linger and --exclusive; "
                      "leave one out",
                      command);
    }
    return EXIT_DONE;
}

/* ---- Open, close ------------------------------------------------------- */

/* Damage must not pass unseen: where it is not served, the command fails and
 * says so itself, in one line. The rest is for the curious. */
static void tell_event(void *context, const cask_event *event)
{
    const store_settings *settings = context;

    if (settings->verbose || event->kind == CASK_EVENT_POISONED ||
        (event->kind == CASK_EVENT_DAMAGE &&
         settings->options.damage == CASK_DAMAGE_SERVE)) {
        (void)report(EXIT_DONE, "note: %s", event->message);
    }
}

static exit_status report_open(const store_settings *settings,
                               const char *directory, const cask_error *err)
{
    if (err->status == CASK_NOT_FOUND) {
        return report(EXIT_NOT_FOUND,
                      "%s: no store here; make one with 'caskade create %s%s', "
                      "if nothing else is there",
                      directory, settings->for_tree ? "--engine tree " : "",
                      directory);
    }
    return report_failure(directory, err);
}

static cask_db *shared; /* NULL: none */

void store_share(cask_db *db)
{
    shared = db;
}

bool store_is_shared(void)
{
    return shared != NULL;
}

exit_status store_open(const store_settings *settings, const char *directory,
                       bool create, cask_db **ret_db)
{
    cask_options options = settings->options;
    cask_error err = {0};

    if (shared != NULL) {
        *ret_db = shared;
        return EXIT_DONE;
    }
    if (directory[0] == '\0') {
        return report(EXIT_USAGE, "DIR is empty; name the store's directory");
    }
    options.create_if_missing = create;
    options.read_only =
        settings->read_only || (settings->use == STORE_READ && !options.linger);
    options.on_event = tell_event;
    /* tell_event() only reads it. */
    options.event_context = (void *)(uintptr_t)settings;
    if (cask_open(directory, &options, ret_db, &err) != CASK_OK) {
        return report_open(settings, directory, &err);
    }
    return EXIT_DONE;
}

exit_status store_close(cask_db *db, const char *directory, exit_status status)
{
    cask_error err = {0};

    if (db == shared || cask_close(db, &err) == CASK_OK) {
        return status;
    }
    if (status != EXIT_DONE) {
        /* The first error says more than what follows from it. */
        return status;
    }
    return report_failure(directory, &err);
}
