/*
 * caskade sync: make everything durable.
 */
#include "command.h"

static exit_status sync_store(cask_db *db, const arguments *args)
{
    cask_error err = {0};

    return cask_sync(db, &err) == CASK_OK
               ? EXIT_DONE
               : report_failure(args->words[0], &err);
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
    .run_on = sync_store,
};
