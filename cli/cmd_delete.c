/*
 * caskade delete: remove keys.
 */
#include "command.h"
#include "word.h"

/* Delete one key; adds to `*missing` if there was none. */
static exit_status delete_key(cask_db *db, const arguments *args, char *word,
                              int *missing)
{
    const word_settings *settings = args->settings;
    bool existed = false;
    cask_error err = {0};
    cask_slice key;
    exit_status status = word_bytes(word, settings->escapes, &key);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cask_delete(db, key, &existed, &err) != CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    *missing += existed ? 0 : 1;
    return EXIT_DONE;
}

static exit_status run(const arguments *args)
{
    const char *directory = args->words[0];
    int key_count = args->word_count - 1;
    int missing = 0;
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, false, &db);

    if (status != EXIT_DONE) {
        return status;
    }
    for (int i = 1; i <= key_count && status == EXIT_DONE; i++) {
        status = delete_key(db, args, args->words[i], &missing);
    }
    if (status == EXIT_DONE && missing == 1 && key_count == 1) {
        status = report(EXIT_NOT_FOUND,
                        "%s: no such key; 'caskade list %s' shows the keys",
                        directory, directory);
    } else if (status == EXIT_DONE && missing > 0) {
        status = report(EXIT_NOT_FOUND,
                        "%s: %d of %d keys did not exist; 'caskade list %s' "
                        "shows the keys",
                        directory, missing, key_count, directory);
    }
    return store_close(db, directory, status);
}

const command command_delete = {
    .name = "delete",
    .summary = "Remove keys",
    .words = "DIR KEY...",
    .word_min = 2,
    .word_max = COMMAND_MANY,
    .text = "Remove each KEY with its value. Exit with 1 if one of them did "
            "not exist; the others are removed all the same.\v"
            "Examples:\n"
            "  caskade delete /tmp/store greeting\n"
            "  caskade delete /tmp/store session:7 session:8\n",
    .options = word_options,
    .parse = word_parse,
    .settings_size = sizeof(word_settings),
    .store = STORE_WRITE,
    .run = run,
};
