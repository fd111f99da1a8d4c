/*
 * caskade dump, list: print what is in a store, as text.
 */
#include "command.h"
#include "option_format.h"
#include "output.h"
#include "progress.h"
#include "signals.h"

typedef struct dump_settings {
    const text_format *format; /* NULL: tsv */
} dump_settings;

static const struct argp_option options[] = {
    OPTION_FORMAT,
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    dump_settings *settings = state->input;

    if (key != 'f') {
        return ARGP_ERR_UNKNOWN;
    }
    return option_take_format(state, argument, &settings->format);
}

typedef struct dumper {
    const text_format *format;
    bool keys_only;
    text line;
    uint64_t count;
    progress progress;
} dumper;

static bool dump_entry(void *context, const cask_entry *entry)
{
    dumper *dump = context;
    text_record record = {entry->key, entry->value, entry->info.expires_at_ms};

    text_clear(&dump->line);
    text_format_add(dump->format, &record, dump->keys_only, &dump->line);
    dump->count++;
    progress_update(&dump->progress, dump->count, dump->count);
    return output_text(&dump->line) && signals_arrived() == 0;
}

static exit_status dump_store(dumper *dump, cask_db *db, const char *directory)
{
    cask_fold_options fold = {.keys_only = dump->keys_only};
    cask_error err = {0};
    cask_stats stats = {0};
    cask_status result = cask_stat(db, &stats, &err);

    if (result == CASK_OK) {
        progress_start(&dump->progress, "writing", "records", stats.key_count);
        /* Lines on the same terminal would tear the progress apart. */
        dump->progress.enabled =
            dump->progress.enabled && !output_is_terminal();
        result = cask_fold(db, &fold, dump_entry, dump, &err);
        progress_stop(&dump->progress);
    }
    return result == CASK_OK ? EXIT_DONE : report_failure(directory, &err);
}

static exit_status dump_run(const arguments *args, bool keys_only)
{
    const dump_settings *settings = args->settings;
    const char *directory = args->words[0];
    dumper dump = {
        .format = settings->format != NULL ? settings->format
                                           : text_format_find("tsv"),
        .keys_only = keys_only,
    };
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, false, &db);

    if (status != EXIT_DONE) {
        return status;
    }
    signals_catch();
    status = dump_store(&dump, db, directory);
    text_free(&dump.line);
    return store_close(db, directory, status);
}

static exit_status run_dump(const arguments *args)
{
    return dump_run(args, false);
}

static exit_status run_list(const arguments *args)
{
    return dump_run(args, true);
}

const command command_dump = {
    .name = "dump",
    .summary = "Print all records as text",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Print every record on a line that 'caskade load' reads back, "
        "whatever the bytes; in the order of the log, or of the keys in a "
        "store of the engine tree. It is the content when the command starts; "
        "others may go on writing.\n\n"
        "  tsv    key TAB value, with the escapes \\\\ \\t \\n \\r \\xHH\n"
        "  jsonl  {\"key\":\"..\",\"value\":\"..\"}; key64, value64: base64,\n"
        "         where it is not UTF-8; expires_at_ms if it expires\n"
        "  hex    key TAB value, in hexadecimal digits\n\n"
        "tsv and hex leave out when a record expires.\v"
        "Examples:\n"
        "  caskade dump /tmp/store > backup.tsv\n"
        "  caskade dump --format jsonl /tmp/store | jq -r .key\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(dump_settings),
    .store = STORE_READ,
    .run = run_dump,
};

const command command_list = {
    .name = "list",
    .summary = "Print all keys",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Print every key on a line, in the order of the log, or of the keys "
        "in a store of the engine tree, without printing the values. "
        "Formats are those of 'caskade dump'.\v"
        "Examples:\n"
        "  caskade list /tmp/store | grep ^session:\n"
        "  caskade list --format hex /tmp/store | head\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(dump_settings),
    .store = STORE_READ,
    .run = run_list,
};
