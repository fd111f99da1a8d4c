/*
 * caskade run build: a run of the lines of a text file, which are in order or
 * are sorted by the library.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "output.h"
#include "run_command.h"
#include "signals.h"
#include "units.h"

typedef struct builder {
    cask_run_writer *writer;
    const text_format *format;
    const char *path; /* of the run */
    const char *name; /* of the input */
    bool sort;
    uint64_t line_number;
    text scratch; /* for the decoder */
} builder;

/* Only what is wrong with the order is a message about the run. To what it says
 * behind the semicolon, what to do, the shell has a way. */
static exit_status report_line(const builder *build, const cask_error *err)
{
    const char *what = run_what(build->path, err);

    if (err->status != CASK_INVALID) {
        return run_report(build->path, err);
    }
    if (what == err->message) {
        return report(EXIT_USAGE, "%s: line %" PRIu64 ": %s. %s was not made",
                      build->name, build->line_number, what, build->path);
    }
    return report(EXIT_USAGE,
                  "%s: line %" PRIu64 ": %.*s; give each key once, sorted by "
                  "its bytes, or --sort. %s was not made",
                  build->name, build->line_number, (int)strcspn(what, ";"),
                  what, build->path);
}

static exit_status add_line(builder *build, const line *next)
{
    text_record record = {0};
    cask_run_entry entry = {.kind = CASK_RUN_PUT};
    cask_error err = {0};
    const char *wrong =
        build->format->decode(next->data, next->size, &build->scratch, &record);

    if (wrong != NULL) {
        return report(EXIT_USAGE,
                      "%s: line %" PRIu64 ": not %s: %s; %s was not made",
                      build->name, build->line_number, build->format->name,
                      wrong, build->path);
    }
    entry.key = record.key;
    entry.value = record.value;
    entry.info.expires_at_ms = record.expires_at_ms;
    return cask_run_writer_add(build->writer, &entry, &err) == CASK_OK
               ? EXIT_DONE
               : report_line(build, &err);
}

static exit_status add_lines(builder *build, FILE *file)
{
    line next = {0};
    int os_errno = 0;
    exit_status status = EXIT_DONE;

    while (status == EXIT_DONE && signals_arrived() == 0 &&
           line_read(&next, file, &os_errno)) {
        build->line_number++;
        status = add_line(build, &next);
    }
    if (status == EXIT_DONE && os_errno != 0 && signals_arrived() == 0) {
        status = report_errno(os_errno, "%s: cannot read line %" PRIu64,
                              build->name, build->line_number + 1);
    }
    free(next.data);
    return status;
}

/* How many lines became records, of which keys may come again. */
static exit_status tell_sorted(const builder *build)
{
    char lines[UNITS_TEXT_SIZE];
    char number[UNITS_TEXT_SIZE];
    cask_error err = {0};
    cask_run_info info;
    cask_run *run;

    if (cask_run_open(build->path, &run, &err) != CASK_OK) {
        return run_report(build->path, &err);
    }
    cask_run_get_info(run, &info);
    (void)output_print("%s record%s of %s line%s written to %s\n",
                       units_format_count(number, info.records),
                       units_plural(info.records),
                       units_format_count(lines, build->line_number),
                       units_plural(build->line_number), build->path);
    cask_run_close(run);
    return EXIT_DONE;
}

/* The writer is consumed. */
static exit_status complete(const builder *build)
{
    char number[UNITS_TEXT_SIZE];
    cask_error err = {0};

    if (cask_run_writer_finish(build->writer, &err) != CASK_OK) {
        return run_report(build->path, &err);
    }
    if (build->sort) {
        return tell_sorted(build);
    }
    (void)output_print("%s record%s written to %s\n",
                       units_format_count(number, build->line_number),
                       units_plural(build->line_number), build->path);
    return EXIT_DONE;
}

static exit_status build_from(builder *build, const run_settings *settings,
                              FILE *file)
{
    const cask_run_options options = {.no_filter = settings->no_filter,
                                      .prefix_bytes =
                                          (uint32_t)settings->prefix_bytes,
                                      .memory_bytes = settings->memory_bytes,
                                      .sort = settings->sort};
    cask_error err = {0};
    exit_status status;

    if (cask_run_writer_create(build->path, &options, &build->writer, &err) !=
        CASK_OK) {
        return run_report(build->path, &err);
    }
    signals_catch();
    status = add_lines(build, file);
    if (status == EXIT_DONE && signals_arrived() == 0) {
        return complete(build);
    }
    cask_run_writer_abort(build->writer);
    return status != EXIT_DONE ? status
                               : report(EXIT_DONE,
                                        "run build: interrupted; %s was not "
                                        "made",
                                        build->path);
}

exit_status run_build(const run_settings *settings, const char *path,
                      const char *file)
{
    bool is_input = strcmp(file, "-") == 0;
    FILE *from = is_input ? stdin : fopen(file, "re");
    builder build = {.format = settings->format != NULL
                                   ? settings->format
                                   : text_format_find("tsv"),
                     .path = path,
                     .sort = settings->sort,
                     .name = is_input ? "standard input" : file};
    exit_status status;

    if (from == NULL) {
        return report_errno(errno, "%s: cannot open it", file);
    }
    status = build_from(&build, settings, from);
    text_free(&build.scratch);
    if (!is_input) {
        (void)fclose(from);
    }
    return status;
}
