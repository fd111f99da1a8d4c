/*
 * caskade import: fill a store from another kind of store.
 */
#include <inttypes.h>

#include "bitcask_import.h"
#include "bitcask_lock.h"
#include "command.h"
#include "foreign.h"
#include "option.h"
#include "output.h"
#include "signals.h"
#include "units.h"

enum {
    OPTION_FORCE = 0x2001,
    OPTION_STRICT,
    OPTION_EXPIRY_SECONDS,
    OPTION_INTO_EXISTING
};

typedef struct import_settings {
    bool force;
    bool strict;
    bool into_existing;
    uint64_t expiry_s; /* 0: never */
} import_settings;

static const struct argp_option options[] = {
    {"expiry-seconds", OPTION_EXPIRY_SECONDS, "N", 0,
     "Let each value expire N seconds after the time of its record, as "
     "Bitcask's expiry_secs did",
     1},
    {"force", OPTION_FORCE, NULL, 0,
     "Read SRC though a process may be writing to it", 1},
    {"into-existing", OPTION_INTO_EXISTING, NULL, 0,
     "Import into a store that has keys; the imported ones replace what they "
     "had",
     1},
    {"strict", OPTION_STRICT, NULL, 0,
     "Exit with 3 if a part of SRC is damaged; all else is imported just the "
     "same",
     1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    import_settings *settings = state->input;

    switch (key) {
    case OPTION_FORCE:
        settings->force = true;
        return 0;
    case OPTION_STRICT:
        settings->strict = true;
        return 0;
    case OPTION_INTO_EXISTING:
        settings->into_existing = true;
        return 0;
    case OPTION_EXPIRY_SECONDS:
        if (!units_parse_count(argument, 1, UINT32_MAX, &settings->expiry_s)) {
            return option_reject(state,
                                 "--expiry-seconds: '%s' is no number between "
                                 "1 and %u",
                                 argument, UINT32_MAX);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Result ------------------------------------------------------------ */

static void print_summary(const bitcask_source *source,
                          const bitcask_import_counts *counts)
{
    char imported[UNITS_TEXT_SIZE];
    char number[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];

    (void)output_print("%s key%s imported",
                       units_format_count(imported, counts->imported),
                       units_plural(counts->imported));
    (void)output_print(" from %zu file%s, %s, ", source->count,
                       units_plural(source->count),
                       units_format_bytes(bytes, source->data_bytes));
    (void)output_print("%s record%s",
                       units_format_count(number, counts->records),
                       units_plural(counts->records));
    (void)output_print(" (%s tombstone%s)",
                       units_format_count(number, counts->tombstones),
                       units_plural(counts->tombstones));
    if (counts->expired > 0) {
        (void)output_print("; %s key%s had expired",
                           units_format_count(number, counts->expired),
                           units_plural(counts->expired));
    }
    if (source->left_out > 0) {
        (void)output_print("; %zu file%s left out", source->left_out,
                           units_plural(source->left_out));
    }
    if (counts->damaged_places == 0) {
        (void)output_print("; no damage\n");
        return;
    }
    (void)output_print("; %s damaged place%s",
                       units_format_count(number, counts->damaged_places),
                       units_plural(counts->damaged_places));
    (void)output_print(", %s\n",
                       units_format_bytes(bytes, counts->damaged_bytes));
}

static exit_status judge(const import_settings *settings, const char *path,
                         const bitcask_import_counts *counts)
{
    if (counts->stale > 0) {
        (void)report(EXIT_DONE,
                     "note: %s: of %" PRIu64 " key%s the newest value is "
                     "damaged; an older one was imported if there is one",
                     path, counts->stale, units_plural(counts->stale));
    }
    if (settings->strict && counts->damaged_places > 0) {
        return report(
            EXIT_DAMAGED,
            "%s: %" PRIu64 " damaged place%s of %" PRIu64
            " byte%s in all; everything else is imported",
            path, counts->damaged_places, units_plural(counts->damaged_places),
            counts->damaged_bytes, units_plural(counts->damaged_bytes));
    }
    return EXIT_DONE;
}

/* ---- Import ------------------------------------------------------------ */

static exit_status check_empty(const import_settings *settings, cask_db *db,
                               const char *directory, uint64_t *ret_count)
{
    cask_error err = {0};

    if (cask_count(db, ret_count, &err) != CASK_OK) {
        return report_failure(directory, &err);
    }
    if (*ret_count > 0 && !settings->into_existing) {
        return report(EXIT_USAGE,
                      "%s: has %" PRIu64 " keys already; give a new "
                      "directory, or --into-existing to replace those that "
                      "are imported",
                      directory, *ret_count);
    }
    return EXIT_DONE;
}

/* Of an import that was not completed: keys that were there stay. */
static const char *advice(uint64_t count_before)
{
    return count_before > 0
               ? " besides its own keys; import again to have all"
               : "; remove it and import again, or go on with --into-existing";
}

/* What was told of the failure is of the write that failed. */
static void tell_part(cask_db *db, uint64_t count_before, const char *directory)
{
    uint64_t count = 0;

    if (cask_count(db, &count, NULL) == CASK_OK && count > 0) {
        (void)report(EXIT_DONE, "note: %s may hold a part%s", directory,
                     advice(count_before));
    }
}

static exit_status import_into(const arguments *args, bitcask_source *source,
                               cask_db *db, const char *directory)
{
    const import_settings *settings = args->settings;
    bitcask_import_counts counts = {0};
    cask_error err = {0};
    uint64_t count_before = 0;
    exit_status status = check_empty(settings, db, directory, &count_before);

    if (status != EXIT_DONE) {
        return status;
    }
    status = bitcask_import(source, db, settings->expiry_s, &counts);
    if (status == EXIT_DONE && args->store.options.sync != CASK_SYNC_NONE &&
        cask_sync(db, &err) != CASK_OK) {
        status = report_failure(directory, &err);
    }
    if (status != EXIT_DONE) {
        tell_part(db, count_before, directory);
        return status;
    }
    if (signals_arrived() != 0) {
        return report(EXIT_DONE, "import: interrupted; %s may hold a part%s",
                      directory, advice(count_before));
    }
    print_summary(source, &counts);
    return judge(settings, source->path, &counts);
}

static exit_status run(const arguments *args)
{
    const import_settings *settings = args->settings;
    const char *path = args->words[1];
    const char *directory = args->words[2];
    bitcask_source source = {.path = NULL};
    cask_db *db = NULL;
    exit_status status = foreign_check_format("import", args->words[0]);

    if (status == EXIT_DONE && path[0] == '\0') {
        status = report(EXIT_USAGE, "SRC is empty; name Bitcask's directory");
    }
    if (status == EXIT_DONE) {
        status = foreign_check_apart("SRC", path, "DIR", directory);
    }
    if (status == EXIT_DONE) {
        status = bitcask_lock_check(path, settings->force);
    }
    if (status == EXIT_DONE) {
        status = bitcask_source_read(path, &source);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    signals_catch();
    status = store_open(&args->store, directory, true, &db);
    if (status == EXIT_DONE) {
        status = import_into(args, &source, db, directory);
        status = store_close(db, directory, status);
    }
    bitcask_source_free(&source);
    return status;
}

const command command_import = {
    .name = "import",
    .summary = "Fill a store from a store of Bitcask",
    .words = "bitcask SRC DIR",
    .word_min = 3,
    .word_max = 3,
    .text =
        "Put every key that the directory SRC of Riak's Bitcask holds into "
        "the store DIR, which is made if it is not there, with the time of "
        "its record. SRC is not changed, and must not be in use.\n\n"
        "A damaged SRC is read as far as it is whole: each damaged place is "
        "told on standard error, and all other records are imported.\v"
        "Examples:\n"
        "  caskade import bitcask /var/lib/bitcask/users /tmp/store\n"
        "  caskade import --expiry-seconds 86400 bitcask old /tmp/store\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(import_settings),
    .store = STORE_WRITE,
    .run = run,
};
