/*
 * caskade sync: make everything durable.
 */
#include "command.h"

static exit_status run(const arguments *args)
{
    const char *directory = args->words[0];
    cask_error err = {0};
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, false, &db);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cask_sync(db, &err) != CASK_OK) {
        status = report_failure(directory, &err);
    }
    return store_close(db, directory, status);
}

const command command_sync = {
    .name = "sync",
    .summary = "Wait until everything written is on the device",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text = "Return when all that any process wrote before is on the device "
            "and survives a power failure.\v"
            "Examples:\n"
            "  caskade load --sync none /tmp/store big.tsv\n"
            "  caskade sync /tmp/store\n",
    .store = STORE_WRITE,
    .run = run,
};
