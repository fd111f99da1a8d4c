/*
 * caskade verify: read everything, check every checksum, list the damage.
 */
#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "json_format.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "units.h"

typedef struct verify_settings {
    bool json;
} verify_settings;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "Print one JSON object", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    verify_settings *settings = state->input;

    (void)argument;
    if (key != 'j') {
        return ARGP_ERR_UNKNOWN;
    }
    settings->json = true;
    return 0;
}

typedef struct verifier {
    bool json;
    uint64_t problem_count; /* printed so far */
    bool is_in_runs;        /* one is: a walk over the keys ends there */
    progress progress;
} verifier;

static void print_problem_json(verifier *verify, const cask_problem *problem)
{
    text line = {0};

    (void)output_print("%s", verify->problem_count > 0 ? "," : "");
    json_format_add(&line,
                    json_pack("{s:s, s:I, s:I, s:s}", "file", problem->file,
                              "offset", (json_int_t)problem->offset,
                              "size_bytes", (json_int_t)problem->size_bytes,
                              "reason", problem->reason));
    (void)output_text(&line);
    text_free(&line);
}

static void print_problem_text(const cask_problem *problem)
{
    char size[UNITS_TEXT_SIZE];

    (void)output_print("%s: offset %" PRIu64 ": %s", problem->file,
                       problem->offset, problem->reason);
    if (problem->size_bytes != 0) {
        (void)output_print(" (%s)",
                           units_format_bytes(size, problem->size_bytes));
    }
    (void)output_print("\n");
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t tail = strlen(suffix);

    return size > tail && strcmp(name + size - tail, suffix) == 0;
}

static void on_problem(void *context, const cask_problem *problem)
{
    verifier *verify = context;

    if (verify->json) {
        print_problem_json(verify, problem);
    } else {
        print_problem_text(problem);
    }
    verify->problem_count++;
    verify->is_in_runs = verify->is_in_runs || ends_with(problem->file, ".run");
}

static void on_progress(void *context, uint64_t bytes_done,
                        uint64_t bytes_total)
{
    verifier *verify = context;

    verify->progress.view.total = bytes_total;
    progress_update(&verify->progress, bytes_done, bytes_done);
    if (signals_arrived() != 0) {
        /* Nothing is open that would have to be closed. */
        progress_stop(&verify->progress);
        signals_finish(false);
    }
}

/* What was told stands, but it is not all. */
static void print_failure_json(const char *before, const cask_error *err)
{
    text line = {0};

    text_add(&line, before, strlen(before));
    json_format_end_failed(&line, err);
    (void)output_text(&line);
    text_free(&line);
}

static void print_report_json(const cask_verify_report *found,
                              const cask_error *err)
{
    (void)output_print(
        "],\"files\":%" PRIu64 ",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
        ",\"keys\":%" PRIu64 ",\"leftover_count\":%" PRIu64
        ",\"complete\":%s,\"problem_count\":%" PRIu64
        ",\"harmless_count\":%" PRIu64 ",\"readable\":%s",
        found->files, found->records, found->bytes, found->keys,
        found->leftovers, found->complete ? "true" : "false", found->problems,
        found->harmless, found->readable ? "true" : "false");
    if (found->complete) {
        (void)output_print("}\n");
    } else {
        print_failure_json("", err);
    }
}

/* "1 file, ", "1,000 records, " */
static void print_count(uint64_t count, const char *noun, const char *end)
{
    char number[UNITS_TEXT_SIZE];

    (void)output_print("%s %s%s%s", units_format_count(number, count), noun,
                       units_plural(count), end);
}

static void print_report_text(const cask_verify_report *found)
{
    char bytes[UNITS_TEXT_SIZE];

    print_count(found->files, "file", ", ");
    print_count(found->records, "record", ", ");
    (void)output_print("%s read; ", units_format_bytes(bytes, found->bytes));
    print_count(found->keys, "key", "; ");
    if (found->leftovers > 0) {
        print_count(found->leftovers, "file",
                    " of runs left by a process that died, which the next "
                    "open for writing removes; ");
    }
    if (found->problems == 0) {
        (void)output_print("no problems\n");
    } else {
        print_count(found->problems, "problem", "\n");
    }
}

static exit_status report_damage(const char *directory, const verifier *verify,
                                 const cask_verify_report *found,
                                 const cask_error *err)
{
    const char *plural = units_plural(found->problems);

    if (!found->complete) {
        return report(EXIT_DAMAGED, "%s", err->message);
    }
    if (!found->readable) {
        return report(EXIT_DAMAGED,
                      "%s: %" PRIu64 " problem%s, and it cannot be opened; "
                      "restore the files that are named from a backup, or save "
                      "what can be read with 'caskade repair'",
                      directory, found->problems, plural);
    }
    if (found->harmless == found->problems) {
        return report(EXIT_DAMAGED,
                      "%s: %" PRIu64 " problem%s, but nothing is lost; each "
                      "line says what to do",
                      directory, found->problems, plural);
    }
    if (verify->is_in_runs) {
        return report(EXIT_DAMAGED,
                      "%s: %" PRIu64 " problem%s; save what can be read in a "
                      "new store with 'caskade repair'",
                      directory, found->problems, plural);
    }
    return report(EXIT_DAMAGED,
                  "%s: %" PRIu64 " problem%s; read what is whole with "
                  "'caskade dump --damage serve %s', or save it in a new store "
                  "with 'caskade repair'",
                  directory, found->problems, plural, directory);
}

static exit_status run(const arguments *args)
{
    const verify_settings *settings = args->settings;
    const char *directory = args->words[0];
    verifier verify = {.json = settings->json};
    cask_verify_options what = {on_problem, on_progress, &verify};
    cask_verify_report found = {0};
    cask_error err = {0};
    cask_status result;

    (void)output_print("%s", settings->json ? "{\"problems\":[" : "");
    signals_catch();
    progress_start(&verify.progress, "reading", "bytes", 0);
    result = cask_verify(directory, &what, &found, &err);
    progress_stop(&verify.progress);
    if (result == CASK_OK || result == CASK_CORRUPT) {
        if (settings->json) {
            print_report_json(&found, &err);
        } else {
            print_report_text(&found);
        }
    } else if (settings->json) {
        print_failure_json("]", &err);
    }
    if (result == CASK_CORRUPT) {
        return report_damage(directory, &verify, &found, &err);
    }
    return result == CASK_OK ? EXIT_DONE : report_failure(directory, &err);
}

const command command_verify = {
    .name = "verify",
    .summary = "Check every checksum and list the damage",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Read every file of the store and check every checksum. Print file, "
        "offset and reason of each problem, then a summary; exit with 3 "
        "if there is a problem. Nothing is changed, and the store may be "
        "in use. If standard error is a terminal, the progress is shown "
        "there.\v"
        "Examples:\n"
        "  caskade verify /tmp/store\n"
        "  caskade verify --json /tmp/store | jq .problem_count\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(verify_settings),
    .store = STORE_UNUSED,
    .run = run,
};
