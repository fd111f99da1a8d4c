/*
 * caskade-bench: the command line.
 */
#define _GNU_SOURCE
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "report.h"
#include "schedule.h"
#include "targets.h"

const char *argp_program_version = "caskade-bench " CASK_VERSION_STRING;

enum {
    OPTION_VALUE_BYTES = 256,
    OPTION_KEY_BYTES,
    OPTION_SCALES,
    OPTION_INTERVAL,
    OPTION_TARGETS,
    OPTION_MERGING,
    OPTION_TREE,
    OPTION_LOAD_SECONDS,
    OPTION_SEGMENT_BYTES,
    OPTION_JSON,
    OPTION_BUFFER_BYTES,
    OPTION_LIST
};

static const struct argp_option options[] = {
    {"keys", 'n', "N", 0, "Keys in the store (default 1M)", 0},
    {"value-bytes", OPTION_VALUE_BYTES, "N", 0, "Default 100", 0},
    {"key-bytes", OPTION_KEY_BYTES, "N", 0, "8 .. 64, default 16", 0},
    {"repeats", 'r', "N", 0, "Each run; the median counts (default 3)", 0},
    {"engines", 'e', "LIST", 0, "Default those that the works are about", 0},
    {"work", 'w', "LIST", 0, "Works or runs, see --list (default all)", 0},
    {"scales", OPTION_SCALES, "LIST", 0,
     "Key counts for opening and index memory (default: --keys)", 0},
    {"dir", 'd', "DIR", 0,
     "Where a directory for the stores is made (default: the current one)", 0},
    {"interval", OPTION_INTERVAL, NULL, 0,
     "Caskade with its default sync policy, once a second, instead of none", 0},
    {"targets", OPTION_TARGETS, NULL, 0,
     "Judge the project's targets; without --work, measure only those", 0},
    {"merging", OPTION_MERGING, NULL, 0,
     "Measure what merges, folds and imports cost, of Caskade alone, and judge "
     "the targets for them",
     0},
    {"tree", OPTION_TREE, NULL, 0,
     "Measure what stores with an order do: fills, gets, seeks, scans, load; "
     "and judge the targets of the tree engine",
     0},
    {"load-seconds", OPTION_LOAD_SECONDS, "N", 0,
     "How long tree-load puts (default 10)", 0},
    {"segment-bytes", OPTION_SEGMENT_BYTES, "N", 0,
     "Segments of --merging (default: a 32nd of the data)", 0},
    {"buffer-bytes", OPTION_BUFFER_BYTES, "N", 0,
     "What Caskade's tree engine, LevelDB and RocksDB write as one sorted "
     "file, "
     "and by which RocksDB sizes its levels (default 64 MiB); a smaller one "
     "makes of little data a store of many levels",
     0},
    {"json", OPTION_JSON, NULL, 0, "Print JSON", 0},
    {"list", OPTION_LIST, NULL, 0, "Print engines, runs and works; end", 0},
    {0},
};

static const char documentation[] =
    "Run the same work on Caskade and on other stores and print ratios."
    "\v"
    "LIST is separated by commas; N may end in K or M. Exit status: 0 done; "
    "1 a run failed or, with --targets, --merging or --tree, a target was "
    "missed; 2 wrong usage; "
    "130 interrupted.";

/* A number with K or M; ends the program if it is outside the range. */
static uint64_t parse_number(struct argp_state *state, const char *name,
                             const char *text, uint64_t least, uint64_t most)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned long long factor = 1;
    if (end != text && (*end == 'K' || *end == 'M')) {
        factor = *end == 'K' ? 1000 : 1000000;
        end++;
    }
    if (end == text || *end != '\0' || *text == '-' || errno != 0 ||
        value > most / factor || value * factor < least) {
        argp_error(state, "--%s %s: give a number from %" PRIu64 " to %" PRIu64,
                   name, text, least, most);
    }
    return value * factor;
}

/* Call `take` for each part of a list. */
static void parse_list(struct argp_state *state, const char *list,
                       void (*take)(struct argp_state *state, const char *))
{
    char *copy = strdup(list);
    char *rest = NULL;
    if (copy == NULL) {
        bench_die("no memory");
    }
    for (char *part = strtok_r(copy, ",", &rest); part != NULL;
         part = strtok_r(NULL, ",", &rest)) {
        take(state, part);
    }
    free(copy);
}

static void take_engine(struct argp_state *state, const char *name)
{
    bench_settings *settings = state->input;
    const bench_engine *found = engine_find(name);
    size_t count = 0;
    if (found == NULL) {
        argp_error(state, "--engines: %s is not built or unknown", name);
    }
    while (settings->engines[count] != NULL) {
        if (settings->engines[count] == found) {
            return;
        }
        count++;
    }
    settings->engines[count] = found;
}

static void take_work(struct argp_state *state, const char *name)
{
    bench_settings *settings = state->input;
    bool known = false;
    for (size_t i = 0; i < WORK_COUNT; i++) {
        if (strcmp(bench_works[i].name, name) == 0) {
            settings->works[i] = true;
            known = true;
        }
    }
    for (size_t i = 0; i < bench_run_count; i++) {
        const run_kind *kind = &bench_runs[i];
        if (strcmp(kind->name, name) != 0) {
            continue;
        }
        for (size_t j = 0; j < kind->work_count; j++) {
            settings->works[kind->works[j]] = true;
        }
        known = true;
    }
    if (!known) {
        argp_error(state, "--work: there is no %s, see --list", name);
    }
}

static void take_scale(struct argp_state *state, const char *text)
{
    bench_settings *settings = state->input;
    if (settings->scale_count == SETTINGS_SCALES_MAX) {
        argp_error(state, "--scales: at most %d", SETTINGS_SCALES_MAX);
    }
    settings->scales[settings->scale_count++] =
        parse_number(state, "scales", text, 16, 1000000000);
}

static void print_list(void)
{
    printf("engines:");
    for (size_t i = 0; bench_engines[i] != NULL; i++) {
        printf(" %s", bench_engines[i]->name);
    }
    for (size_t i = 0; bench_missing_engines[i] != NULL; i++) {
        printf(" (%s: not built)", bench_missing_engines[i]);
    }
    printf("\n");
    for (size_t i = 0; i < bench_run_count; i++) {
        printf("\n%s\n", bench_runs[i].name);
        for (size_t j = 0; j < bench_runs[i].work_count; j++) {
            const bench_work *work = &bench_works[bench_runs[i].works[j]];
            printf("  %-16s %-5s  %s\n", work->name, report_unit(work->unit),
                   work->description);
        }
    }
}

/* Options that are numbers of bytes or seconds. */
static error_t parse_size(int key, char *argument, struct argp_state *state)
{
    bench_settings *settings = state->input;
    switch (key) {
    case OPTION_VALUE_BYTES:
        settings->value_bytes = (size_t)parse_number(
            state, "value-bytes", argument, 0, STREAM_VALUE_MAX_BYTES);
        return 0;
    case OPTION_KEY_BYTES:
        settings->key_bytes =
            (size_t)parse_number(state, "key-bytes", argument,
                                 STREAM_KEY_MIN_BYTES, STREAM_KEY_MAX_BYTES);
        return 0;
    case OPTION_LOAD_SECONDS:
        settings->load_seconds =
            (unsigned)parse_number(state, "load-seconds", argument, 1, 86400);
        return 0;
    case OPTION_SEGMENT_BYTES:
        settings->segment_bytes =
            parse_number(state, "segment-bytes", argument, 64u << 10, 1u << 30);
        return 0;
    case OPTION_BUFFER_BYTES:
        settings->buffer_bytes = parse_number(state, "buffer-bytes", argument,
                                              64u << 10, 256u << 20);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    bench_settings *settings = state->input;
    switch (key) {
    case 'n':
        settings->keys = parse_number(state, "keys", argument, 16, 1000000000);
        return 0;
    case 'r':
        settings->repeats =
            (unsigned)parse_number(state, "repeats", argument, 1, 101);
        return 0;
    case 'e':
        parse_list(state, argument, take_engine);
        return 0;
    case 'w':
        parse_list(state, argument, take_work);
        return 0;
    case OPTION_SCALES:
        parse_list(state, argument, take_scale);
        return 0;
    case 'd':
        settings->directory = argument;
        return 0;
    case OPTION_INTERVAL:
        settings->sync_interval = true;
        return 0;
    case OPTION_TARGETS:
        settings->targets = true;
        return 0;
    case OPTION_MERGING:
        settings->merging = true;
        return 0;
    case OPTION_TREE:
        settings->tree = true;
        return 0;
    case OPTION_JSON:
        settings->json = true;
        return 0;
    case OPTION_LIST:
        print_list();
        exit(0);
    default:
        return parse_size(key, argument, state);
    }
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Whether a work is measured if the command line names none. */
static bool is_wanted_anyway(const bench_settings *settings, work_id work)
{
    switch (work_group(work)) {
    case GROUP_HASH:
        return !settings->targets && !settings->merging && !settings->tree;
    case GROUP_MERGING:
        return settings->merging;
    case GROUP_TREE:
        return settings->tree;
    }
    return false;
}

static bool any_work_wanted(const bench_settings *settings, bench_group group)
{
    for (size_t i = 0; i < WORK_COUNT; i++) {
        if (settings->works[i] && work_group((work_id)i) == group) {
            return true;
        }
    }
    return false;
}

/* The engines that take part if the command line names none. */
static void choose_engines(bench_settings *settings)
{
    const bool merging = any_work_wanted(settings, GROUP_MERGING);
    unsigned beside = 0;
    size_t count = 0;
    if (any_work_wanted(settings, GROUP_TREE)) {
        beside |= ENGINE_BESIDE_TREE;
    }
    if (any_work_wanted(settings, GROUP_HASH)) {
        beside |= ENGINE_BESIDE_HASH;
    }
    for (size_t i = 0; bench_engines[i] != NULL; i++) {
        const bench_engine *engine = bench_engines[i];
        if ((engine->abilities & beside) != 0 ||
            (merging && engine == &engine_caskade)) {
            settings->engines[count++] = engine;
        }
    }
    if (count == 0) {
        bench_die("none of the engines that the works are about was built; "
                  "see --list");
    }
}

/* Fill in what the command line left open. */
static void complete_settings(bench_settings *settings)
{
    bool any_work = false;
    for (size_t i = 0; i < WORK_COUNT; i++) {
        any_work = any_work || settings->works[i];
    }
    for (size_t i = 0; i < WORK_COUNT && !any_work; i++) {
        settings->works[i] = is_wanted_anyway(settings, (work_id)i);
    }
    if (settings->targets || settings->merging || settings->tree) {
        targets_require(settings, !any_work);
    }
    if (settings->engines[0] == NULL) {
        choose_engines(settings);
    }
    if (!settings->targets && settings->scale_count == 0) {
        settings->scales[settings->scale_count++] = settings->keys;
    }
    qsort(settings->scales, settings->scale_count, sizeof(settings->scales[0]),
          compare_keys);
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = options, .parser = parse_option, .doc = documentation};
    bench_settings settings = {
        .keys = 1000000,
        .key_bytes = 16,
        .value_bytes = 100,
        .repeats = 3,
        .load_seconds = 10,
        .directory = ".",
    };
    bench_machine machine;
    bench_results results = {0};
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &settings);
    complete_settings(&settings);
    machine_describe(&machine, settings.directory);
    if (!schedule_all(&settings, &results)) {
        results_done(&results);
        fputs("caskade-bench: interrupted\n", stderr);
        return 130;
    }
    if (settings.json) {
        report_json(stdout, &machine, &settings, &results);
    } else {
        report_text(stdout, &machine, &settings, &results);
    }
    bool good =
        results.failed_runs == 0 && report_targets_met(&settings, &results);
    results_done(&results);
    return good ? 0 : 1;
}
