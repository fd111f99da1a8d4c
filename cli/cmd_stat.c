/*
 * caskade stat: what a store holds, how large it is, what happens in it.
 */
#include <time.h>

#include "command.h"
#include "json_format.h"
#include "option.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "stat_report.h"
#include "units.h"

enum { OPTION_WATCH = 0x2001, WATCH_DEFAULT_MS = 1000, WATCH_MIN_MS = 100 };

typedef struct stat_settings {
    bool json;
    bool segments;
    uint64_t watch_ms; /* 0: once */
} stat_settings;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0,
     "Print one JSON object (with --watch: one per line, with rates)", 1},
    {"segments", 's', NULL, 0, "Also list every segment", 1},
    {"watch", OPTION_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
     "Show it again and again, with rates, every SECONDS (default: 1; 500ms "
     "and the like are fine) until interrupted",
     1},
    {0},
};

/* `--watch 2` works like --watch=2: a duration that follows belongs to it. */
static error_t take_watch(struct argp_state *state, const char *argument,
                          uint64_t *ret_ms)
{
    uint64_t ms;

    if (argument != NULL) {
        return option_take_duration(state, "--watch", argument, WATCH_MIN_MS,
                                    ret_ms);
    }
    *ret_ms = WATCH_DEFAULT_MS;
    if (state->next < state->argc &&
        units_parse_duration(state->argv[state->next], &ms)) {
        return option_take_duration(
            state, "--watch", state->argv[state->next++], WATCH_MIN_MS, ret_ms);
    }
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    stat_settings *settings = state->input;

    switch (key) {
    case 'j':
        settings->json = true;
        return 0;
    case 's':
        settings->segments = true;
        return 0;
    case OPTION_WATCH:
        return take_watch(state, argument, &settings->watch_ms);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- One sample -------------------------------------------------------- */

static exit_status take_sample(cask_db *db, const arguments *args,
                               stat_sample *ret_sample)
{
    const stat_settings *settings = args->settings;
    stat_sample sample = {.time_ms = progress_now_ms(),
                          .wall_ms = (uint64_t)time(NULL) * 1000};
    cask_error err = {0};

    if (cask_refresh(db, &err) != CASK_OK ||
        cask_stat(db, &sample.stats, &err) != CASK_OK ||
        cask_snapshot_list(db, &sample.snapshots, &sample.snapshot_count,
                           &err) != CASK_OK ||
        cask_merge_status(db, &sample.merge, &err) != CASK_OK ||
        (sample.stats.engine == CASK_ENGINE_TREE &&
         cask_tree_stat(db, &sample.tree, &err) != CASK_OK)) {
        return report_failure(args->words[0], &err);
    }
    /* JSON is for programs: always whole. */
    if ((settings->segments || settings->json) &&
        cask_segments(db, &sample.segments, &sample.segment_count, &err) !=
            CASK_OK) {
        return report_failure(args->words[0], &err);
    }
    *ret_sample = sample;
    return EXIT_DONE;
}

static void add_json(const char *directory, const stat_sample *now,
                     const stat_sample *before, text *out)
{
    json_format_add(out, stat_report_json(directory, now, before));
    text_add_char(out, '\n');
}

/* Print a sample; false if nobody reads it any more. */
static bool print_sample(const arguments *args, const stat_sample *now,
                         const stat_sample *before, bool is_first)
{
    const stat_settings *settings = args->settings;
    const char *directory = args->words[0];
    text out = {0};
    bool written;

    if (settings->json) {
        add_json(directory, now, before, &out);
    } else {
        if (settings->watch_ms != 0 && output_is_terminal()) {
            text_add_string(&out, "\033[H\033[J");
        } else if (!is_first) {
            text_add_char(&out, '\n');
        }
        stat_report_text(directory, now, before, &out);
    }
    written = output_text(&out);
    text_free(&out);
    return output_flush() && written;
}

/* ---- Watch ------------------------------------------------------------- */

/* Wait; false if a signal arrived. */
static bool pause_for(uint64_t ms)
{
    struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                            .tv_nsec = (long)(ms % 1000) * 1000000};

    return nanosleep(&wait, NULL) == 0 && signals_arrived() == 0;
}

/* An index of our own does not become that of writers that have come since:
 * open the store anew to see their counters, too. */
static exit_status join_writers(cask_db **db, const arguments *args)
{
    const char *directory = args->words[0];
    exit_status status = store_close(*db, directory, EXIT_DONE);

    *db = NULL;
    return status == EXIT_DONE ? store_open(&args->store, directory, false, db)
                               : status;
}

/* Show samples until interrupted, or once. */
static exit_status show(cask_db **db, const arguments *args)
{
    const stat_settings *settings = args->settings;
    stat_sample before = {0};
    stat_sample now = {0};
    bool is_first = true;
    exit_status status = EXIT_DONE;

    for (;;) {
        bool same_counters = false;
        bool go_on;

        status = take_sample(*db, args, &now);
        if (status != EXIT_DONE) {
            break;
        }
        same_counters =
            !is_first && now.stats.private_index == before.stats.private_index;
        go_on = print_sample(args, &now, same_counters ? &before : NULL,
                             is_first) &&
                settings->watch_ms != 0 && pause_for(settings->watch_ms);
        cask_free(now.segments);
        cask_free(now.snapshots);
        if (go_on && now.stats.private_index) {
            status = join_writers(db, args);
        }
        if (!go_on || status != EXIT_DONE) {
            break;
        }
        before = now;
        is_first = false;
    }
    return status;
}

static exit_status run(const arguments *args)
{
    const stat_settings *settings = args->settings;
    const char *directory = args->words[0];
    cask_db *db = NULL;
    exit_status status = store_open(&args->store, directory, false, &db);

    if (status != EXIT_DONE) {
        return status;
    }
    if (settings->watch_ms != 0) {
        signals_catch();
    }
    status = show(&db, args);
    if (settings->watch_ms != 0) {
        /* Ctrl-C is how watching ends: nothing to die of. */
        signals_forget();
    }
    return store_close(db, directory, status);
}

const command command_stat = {
    .name = "stat",
    .summary = "Show sizes, counters and waiting times",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text = "Show what the store holds, how much room it takes, how it is "
            "used, how long syncs and locks take, and what merges do.\v"
            "A segment is QUARANTINED if a merge found damage in it: what can "
            "be read of it was copied, and keys in the rest answer that they "
            "are damaged until they are overwritten or deleted. 'caskade "
            "verify' tells where. If its file is restored, 'caskade merge "
            "--all' makes an end of it.\n\n"
            "Examples:\n"
            "  caskade stat /tmp/store\n"
            "  caskade stat --watch 2 /tmp/store\n"
            "  caskade stat --json /tmp/store | jq .live_bytes\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(stat_settings),
    .store = STORE_READ,
    .run = run,
};
