/*
 * caskade backup: a copy of a store, while it is in use.
 */
#include <inttypes.h>

#include "command.h"
#include "json_format.h"
#include "long_work.h"
#include "output.h"
#include "units.h"

enum { OPTION_NO_VERIFY = 0x2001 };

typedef struct backup_settings {
    const char *earlier; /* NULL: none */
    bool skip_verify;
    bool json;
} backup_settings;

static const struct argp_option options[] = {
    {"incremental", 'i', "EARLIER", 0,
     "Link what the backup in the directory EARLIER has, instead of copying it",
     1},
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {"no-verify", OPTION_NO_VERIFY, NULL, 0,
     "Do not read the copy again and check every checksum; also copies a store "
     "that is damaged",
     1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    backup_settings *settings = state->input;

    switch (key) {
    case 'i':
        settings->earlier = argument;
        return 0;
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_NO_VERIFY:
        settings->skip_verify = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const cask_backup_report *made)
{
    (void)output_print("{\"sequence\":%" PRIu64 ",\"segments\":%" PRIu64
                       ",\"linked_segments\":%" PRIu64 ",\"runs\":%" PRIu64
                       ",\"linked_runs\":%" PRIu64 ",\"linked_bytes\":%" PRIu64
                       ",\"copied_bytes\":%" PRIu64 ",\"without_config\":%s}\n",
                       made->sequence, made->segments, made->linked_segments,
                       made->runs, made->linked_runs, made->linked_bytes,
                       made->copied_bytes,
                       made->without_config ? "true" : "false");
}

static void print_text(const cask_backup_report *made)
{
    char count[UNITS_TEXT_SIZE];
    char linked[UNITS_TEXT_SIZE];
    char copied[UNITS_TEXT_SIZE];

    if (made->runs > 0) {
        (void)output_print("%s run%s, ", units_format_count(count, made->runs),
                           units_plural(made->runs));
    }
    (void)output_print("%s segment%s: %s linked, %s copied\n",
                       units_format_count(count, made->segments),
                       units_plural(made->segments),
                       units_format_bytes(linked, made->linked_bytes),
                       units_format_bytes(copied, made->copied_bytes));
}

static exit_status back_up(cask_db *db, const arguments *args)
{
    const backup_settings *settings = args->settings;
    long_work work;
    const cask_backup_options what = {.earlier = settings->earlier,
                                      .skip_verify = settings->skip_verify,
                                      .on_progress = long_work_goes_on,
                                      .context = &work};
    cask_backup_report made = {0};
    cask_error err = {0};
    cask_status result;

    long_work_begin(&work, "backup", "nothing of it is left", "copying",
                    "bytes");
    result = cask_backup(db, args->words[1], &what, &made, &err);
    long_work_end(&work);
    if (result != CASK_OK) {
        return long_work_failed(&work, args->words[0], &err);
    }
    if (made.without_config) {
        (void)report(EXIT_DONE,
                     "note: %s: CONFIG is damaged, or no plain file: the copy "
                     "has none, but the default settings; 'caskade verify' "
                     "tells what is wrong",
                     args->words[0]);
    }
    if (settings->json) {
        print_json(&made);
    } else {
        print_text(&made);
    }
    return EXIT_DONE;
}

const command command_backup = {
    .name = "backup",
    .summary = "Copy a store while it is in use",
    .words = "DIR OUT",
    .word_min = 2,
    .word_max = 2,
    .text =
        "Make a copy of the store DIR in the directory OUT, which must not "
        "exist or be empty: what was written before one moment, and nothing "
        "of what came after. Processes that use the store go on meanwhile. "
        "Files that will not change any more are shared by hard links where "
        "that is possible, others are copied; then all is read again and "
        "checked. The copy is a store like any other. If standard error is a "
        "terminal, the progress is shown there.\v"
        "Examples:\n"
        "  caskade backup /tmp/store /backups/monday\n"
        "  caskade backup -i /backups/monday /tmp/store /backups/tuesday\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(backup_settings),
    .store = STORE_READ,
    .run_on = back_up,
};
