/*
 * caskade export: write the content of a store as another kind of store.
 */
#include <inttypes.h>
#include <string.h>

#include "aside.h"
#include "bitcask_output.h"
#include "command.h"
#include "foreign.h"
#include "key_text.h"
#include "option.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "units.h"

enum { OPTION_MAX_FILE_SIZE = 0x2001, OPTION_DROP_EXPIRY };

#define MAX_FILE_BYTES (UINT64_C(1) << 31) /* Bitcask's default */
#define MAX_FILE_BYTES_MAX (UINT64_C(1) << 39)

typedef struct export_settings {
    uint64_t max_file_bytes; /* 0: the default */
    bool drop_expiry;
} export_settings;

static const struct argp_option options[] = {
    {"drop-expiry", OPTION_DROP_EXPIRY, NULL, 0,
     "Export keys that expire as keys that do not; without it, such a key is "
     "an error",
     1},
    {"max-file-size", OPTION_MAX_FILE_SIZE, "SIZE", 0,
     "Begin a new file when one would grow larger: 4096 (bytes), 64KiB, 10MiB "
     "(default: 2GiB)",
     1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    export_settings *settings = state->input;

    switch (key) {
    case OPTION_DROP_EXPIRY:
        settings->drop_expiry = true;
        return 0;
    case OPTION_MAX_FILE_SIZE:
        if (!units_parse_bytes(argument, &settings->max_file_bytes) ||
            settings->max_file_bytes == 0 ||
            settings->max_file_bytes > MAX_FILE_BYTES_MAX) {
            return option_reject(state,
                                 "--max-file-size: '%s' is no size between 1 "
                                 "and 512GiB; write it like 4096 (bytes), "
                                 "64KiB, 10MiB or 2GiB",
                                 argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

typedef struct exporter {
    const export_settings *settings;
    const char *target; /* for messages */
    bitcask_output output;
    progress progress;
    uint64_t count; /* keys */
    exit_status status;
} exporter;

/* Report why the key cannot be exported; false ends the fold. */
static bool refuse(exporter *export, cask_slice key, const char *problem)
{
    text name = {0};

    key_text_add(&name, key);
    text_add_char(&name, '\0');
    progress_wipe(&export->progress);
    export->status =
        name.failed ? report_memory()
                    : report(EXIT_USAGE, "key '%s': %s", name.data, problem);
    text_free(&name);
    return false;
}

static bool export_entry(void *context, const cask_entry *entry)
{
    exporter *export = context;
    const char *problem = bitcask_output_problem(entry->key, entry->value);
    int os_errno;

    if (problem != NULL) {
        return refuse(export, entry->key, problem);
    }
    if (entry->info.expires_at_ms != 0 && !export->settings->drop_expiry) {
        return refuse(export, entry->key,
                      "it expires, which Bitcask knows of no single key; "
                      "export it for ever with --drop-expiry");
    }
    os_errno = bitcask_output_add(&export->output, entry->info.time_s,
                                  entry->key, entry->value);
    if (os_errno != 0) {
        progress_wipe(&export->progress);
        export->status =
            report_errno(os_errno, "%s: cannot write it", export->target);
        return false;
    }
    export->count++;
    progress_update(&export->progress, export->count, export->count);
    return signals_arrived() == 0;
}

/* Whether all that is whole is what was asked for. */
static bool is_enough(const arguments *args, cask_status result)
{
    return result == CASK_OK ||
           (result == CASK_CORRUPT &&
            args->store.options.damage == CASK_DAMAGE_SERVE);
}

/* Write the files; the status is that of the fold even if they are kept. */
static exit_status export_keys(exporter *export, const arguments *args,
                               cask_db *db, bool *ret_keep)
{
    cask_error err = {0};
    cask_stats stats = {0};
    cask_status result = cask_stat(db, &stats, &err);
    int os_errno;

    *ret_keep = false;
    if (result == CASK_OK) {
        progress_start(&export->progress, "exporting", "keys", stats.key_count);
        result = cask_fold(db, NULL, export_entry, export, &err);
        progress_stop(&export->progress);
    }
    if (export->status != EXIT_DONE || signals_arrived() != 0) {
        return export->status;
    }
    if (!is_enough(args, result)) {
        return report_failure(args->words[1], &err);
    }
    os_errno = bitcask_output_finish(&export->output);
    if (os_errno != 0) {
        return report_errno(os_errno, "%s: cannot write it", export->target);
    }
    *ret_keep = true;
    return result == CASK_OK ? EXIT_DONE : report_failure(args->words[1], &err);
}

static exit_status export_to(const arguments *args, cask_db *db,
                             const char *target, aside *made)
{
    const export_settings *settings = args->settings;
    char number[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];
    bool keep;
    exit_status status;
    exporter export = {
        .settings = settings,
        .target = target,
        .output = {.directory = made->path,
                   .max_file_bytes = settings->max_file_bytes != 0
                                         ? settings->max_file_bytes
                                         : MAX_FILE_BYTES}};

    status = export_keys(&export, args, db, &keep);
    if (keep) {
        exit_status published = aside_publish(made);

        keep = made->path == NULL;
        status = published != EXIT_DONE ? published : status;
    }
    if (!keep) {
        bitcask_output_abandon(&export.output);
    } else {
        (void)output_print("%s key%s exported",
                           units_format_count(number, export.count),
                           units_plural(export.count));
        (void)output_print(" to %" PRIu32 " file%s, %s\n",
                           export.output.file_count,
                           units_plural(export.output.file_count),
                           units_format_bytes(bytes, export.output.bytes));
    }
    return status;
}

static exit_status run(const arguments *args)
{
    const char *directory = args->words[1];
    const char *target = args->words[2];
    aside made = {.path = NULL};
    cask_db *db = NULL;
    exit_status status = foreign_check_format("export", args->words[0]);

    if (status == EXIT_DONE) {
        status = foreign_check_apart("DIR", directory, "DST", target);
    }
    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, false, &db);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    signals_catch();
    status = aside_create(&made, target);
    if (status == EXIT_DONE) {
        status = export_to(args, db, target, &made);
    }
    aside_free(&made);
    return store_close(db, directory, status);
}

const command command_export = {
    .name = "export",
    .summary = "Write the content of a store as a store of Bitcask",
    .words = "bitcask DIR DST",
    .word_min = 3,
    .word_max = 3,
    .text =
        "Write every key of the store DIR, with its value and the time of its "
        "record, into the directory DST as files that Riak's Bitcask opens. "
        "DST must be empty or not exist; it gets all or nothing.\n\n"
        "What Bitcask cannot hold is an error: a value that begins with "
        "'bitcask_tombstone', one of 4 GiB, and a key that expires.\v"
        "Examples:\n"
        "  caskade export bitcask /tmp/store /tmp/bitcask\n"
        "  caskade export --max-file-size 1GiB bitcask /tmp/store out\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(export_settings),
    .store = STORE_READ,
    .run = run,
};
