/*
 * caskade get, exists, count: commands that look something up.
 */
#include <inttypes.h>

#include "command.h"
#include "output.h"
#include "word.h"

/* ---- get --------------------------------------------------------------- */

static exit_status write_value(cask_db *db, const char *directory,
                               cask_slice key)
{
    cask_view view = {0};
    cask_error err = {0};
    cask_status result = cask_view_acquire(db, key, &view, &err);

    if (result == CASK_NOT_FOUND) {
        return report(EXIT_NOT_FOUND,
                      "%s: no such key; 'caskade list %s' shows the keys",
                      directory, directory);
    }
    if (result != CASK_OK) {
        return report_failure(directory, &err);
    }
    (void)output_write(view.value.data, view.value.size);
    /* Nothing of the view may wait in a buffer when it is released. */
    (void)output_flush();
    cask_view_release(db, &view);
    return EXIT_DONE;
}

static exit_status get_run(const arguments *args)
{
    const word_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_db *db = NULL;
    cask_slice key;
    exit_status status = word_bytes(args->words[1], settings->escapes, &key);

    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    return store_close(db, directory, write_value(db, directory, key));
}

const command command_get = {
    .name = "get",
    .summary = "Write the value of a key",
    .words = "DIR KEY",
    .word_min = 2,
    .word_max = 2,
    .text = "Write the value of KEY to standard output: its bytes and nothing "
            "else, no line feed either. Exit with 1 if there is no such key."
            "\v"
            "Examples:\n"
            "  caskade get /tmp/store greeting\n"
            "  caskade get /tmp/store photo > photo.jpg\n"
            "  caskade get -e /tmp/store 'key with a NUL\\x00'\n",
    .options = word_options,
    .parse = word_parse,
    .settings_size = sizeof(word_settings),
    .store = STORE_READ,
    .run = get_run,
};

/* ---- exists ------------------------------------------------------------ */

static exit_status check_key(cask_db *db, const arguments *args, char *word)
{
    const word_settings *settings = args->settings;
    bool exists = false;
    cask_error err = {0};
    cask_slice key;
    exit_status status = word_bytes(word, settings->escapes, &key);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cask_exists(db, key, &exists, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    return exists ? EXIT_DONE : EXIT_NOT_FOUND;
}

static exit_status check_keys(cask_db *db, const arguments *args)
{
    exit_status status = EXIT_DONE;

    for (int i = 1; i < args->word_count && status == EXIT_DONE; i++) {
        status = check_key(db, args, args->words[i]);
    }
    return status;
}

const command command_exists = {
    .name = "exists",
    .summary = "Tell by the exit status whether keys have a value",
    .words = "DIR KEY...",
    .word_min = 2,
    .word_max = COMMAND_MANY,
    .text = "Exit with 0 if every KEY has a value, with 1 if one has none. "
            "Nothing is printed.\v"
            "Examples:\n"
            "  caskade exists /tmp/store greeting && echo yes\n",
    .options = word_options,
    .parse = word_parse,
    .settings_size = sizeof(word_settings),
    .store = STORE_READ,
    .run_on = check_keys,
};

/* ---- count ------------------------------------------------------------- */

static exit_status count_keys(cask_db *db, const arguments *args)
{
    uint64_t count = 0;
    cask_error err = {0};

    if (cask_count(db, &count, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    (void)output_print("%" PRIu64 "\n", count);
    return EXIT_DONE;
}

const command command_count = {
    .name = "count",
    .summary = "Print the number of keys",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text = "Print the number of keys. A key that has expired counts until "
            "it is merged, deleted or overwritten; 'caskade list DIR | wc -l' "
            "leaves it out. In a store of the engine tree keys are counted one "
            "by one, without those that have expired.\v"
            "Examples:\n"
            "  caskade count /tmp/store\n",
    .store = STORE_READ,
    .run_on = count_keys,
};
