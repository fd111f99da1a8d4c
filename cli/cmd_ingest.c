/*
 * caskade ingest: take runs that were built offline into a store.
 */
#include <inttypes.h>

#include "command.h"
#include "long_work.h"
#include "mention.h"
#include "output.h"
#include "units.h"

enum { OPTION_MOVE = 0x2001 };

typedef struct ingest_settings {
    bool move;
    bool json;
} ingest_settings;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {"move", OPTION_MOVE, NULL, 0,
     "Remove the files once they are in the store", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    ingest_settings *settings = state->input;

    (void)argument;
    switch (key) {
    case 'j':
        settings->json = true;
        return 0;
    case OPTION_MOVE:
        settings->move = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_json(const cask_ingest_report *done)
{
    (void)output_print(
        "{\"runs\":%" PRIu64 ",\"records\":%" PRIu64 ",\"keys\":%" PRIu64
        ",\"bytes\":%" PRIu64 ",\"sequence\":%" PRIu64 "}\n",
        done->runs, done->records, done->keys, done->bytes, done->sequence);
}

static void print_text(const cask_ingest_report *done)
{
    char runs[UNITS_TEXT_SIZE];
    char records[UNITS_TEXT_SIZE];
    char bytes[UNITS_TEXT_SIZE];

    (void)output_print(
        "took %s run%s in: %s record%s, %s\n",
        units_format_count(runs, done->runs), units_plural(done->runs),
        units_format_count(records, done->records), units_plural(done->records),
        units_format_bytes(bytes, done->bytes));
}

/* A damaged FILE is none of the store, which 'caskade verify' looks at. */
static exit_status failed(const long_work *work, const arguments *args,
                          const cask_error *err)
{
    for (int i = 1; i < args->word_count && err->status == CASK_CORRUPT; i++) {
        if (mention_of(err->message, args->words[i])) {
            return report(EXIT_DAMAGED,
                          "%s; make it again, or take a copy of it",
                          err->message);
        }
    }
    return long_work_failed(work, args->words[0], err);
}

static exit_status ingest(cask_db *db, const arguments *args)
{
    const ingest_settings *settings = args->settings;
    long_work work;
    const cask_ingest_options what = {.move = settings->move,
                                      .on_progress = long_work_goes_on,
                                      .context = &work};
    const char *const *paths = (const char *const *)(args->words + 1);
    cask_ingest_report done = {0};
    cask_error err = {0};
    cask_status result;

    long_work_begin(&work, "ingest", "nothing was changed", "taking in",
                    "bytes");
    result = cask_ingest(db, paths, (size_t)args->word_count - 1, &what, &done,
                         &err);
    long_work_end(&work);
    if (result != CASK_OK) {
        return failed(&work, args, &err);
    }
    if (done.unmoved > 0) {
        (void)report(EXIT_DONE,
                     "note: ingest: %" PRIu64 " file%s could not be removed, "
                     "and are in the store all the same; remove them",
                     done.unmoved, units_plural(done.unmoved));
    }
    if (settings->json) {
        print_json(&done);
    } else {
        print_text(&done);
    }
    return EXIT_DONE;
}

const command command_ingest = {
    .name = "ingest",
    .summary = "Take runs that were built offline into a store",
    .words = "DIR FILE...",
    .word_min = 2,
    .word_max = COMMAND_MANY,
    .text =
        "Take the runs FILE, which 'caskade run build' made, into the store "
        "DIR of the tree engine: all of them at once, or none. It is as if "
        "their records were written now, in one write: newer than all that is "
        "there, for every process that has the store open; records of later "
        "FILEs are newer than those of earlier ones. Deletes and deleted "
        "ranges hide what is there; times of expiry stay. Each file is copied, "
        "and every byte verified, before anything changes. If standard error "
        "is a terminal, the progress is shown there.\v"
        "Examples:\n"
        "  caskade run build --sort users.run users.tsv\n"
        "  caskade ingest /tmp/store users.run\n"
        "  caskade ingest --move /tmp/store part-*.run\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(ingest_settings),
    .store = STORE_WRITE,
    .for_tree = true,
    .lasts = true,
    .run_on = ingest,
};
