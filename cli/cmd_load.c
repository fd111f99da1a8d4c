/*
 * caskade load: store the records of text files.
 *
 * Lines are written in order, one at a time or in batches; whatever stops the
 * command, all lines before it are stored.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "line.h"
#include "option_format.h"
#include "progress.h"
#include "signals.h"
#include "units.h"

enum {
    BATCH_MAX_LINES = 1000000,
    /* A batch must fit into a segment, the smallest of which is larger. */
    BATCH_MAX_BYTES = 16 * 1024 * 1024
};

typedef struct load_settings {
    const text_format *format; /* NULL: tsv */
    uint64_t batch_lines;      /* 0: one by one */
} load_settings;

static const struct argp_option options[] = {
    OPTION_FORMAT,
    {"batch", 'b', "N", 0,
     "Write N lines at a time, all or nothing (default: 1; fewer if they are "
     "more than 16 MiB)",
     1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    load_settings *settings = state->input;

    switch (key) {
    case 'f':
        return option_take_format(state, argument, &settings->format);
    case 'b':
        if (!units_parse_count(argument, 1, BATCH_MAX_LINES,
                               &settings->batch_lines)) {
            return option_reject(state,
                                 "--batch: '%s' is no number between 1 and %d",
                                 argument, BATCH_MAX_LINES);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Lines ------------------------------------------------------------- */

typedef struct loader {
    cask_db *db;
    const text_format *format;
    cask_batch *batch;    /* NULL: one by one */
    uint64_t batch_lines; /* write the batch when it has that many */
    text scratch;         /* for the decoder */

    const char *name;     /* of the file, for messages */
    uint64_t line_number; /* in the file, from 1 */
    uint64_t line_count;  /* of all files */
    uint64_t bytes_read;  /* of all files */
    progress progress;
} loader;

/* Report what the library said about the current line. */
static exit_status report_line(loader *load, const cask_error *err)
{
    char subject[512];

    progress_stop(&load->progress);
    (void)snprintf(subject, sizeof(subject), "%s: line %" PRIu64, load->name,
                   load->line_number);
    return report_failure(subject, err);
}

/* Write the lines that wait in the batch. */
static exit_status flush_batch(loader *load)
{
    cask_error err = {0};

    if (load->batch == NULL || cask_batch_count(load->batch) == 0) {
        return EXIT_DONE;
    }
    if (cask_write(load->db, load->batch, &err) != CASK_OK) {
        return report_line(load, &err);
    }
    cask_batch_clear(load->batch);
    return EXIT_DONE;
}

static exit_status put_record(loader *load, const text_record *record)
{
    cask_write_options write = {.expires_at_ms = record->expires_at_ms};
    cask_error err = {0};

    if (cask_put_with(load->db, record->key, record->value, &write, NULL,
                      &err) != CASK_OK) {
        return report_line(load, &err);
    }
    return EXIT_DONE;
}

/* Add to the batch, writing it before it grows too large and when full. */
static exit_status batch_record(loader *load, const text_record *record)
{
    bool is_large = record->value.size > BATCH_MAX_BYTES;
    cask_error err = {0};
    exit_status status = EXIT_DONE;

    if (cask_batch_bytes(load->batch) > BATCH_MAX_BYTES || is_large) {
        status = flush_batch(load);
    }
    if (status != EXIT_DONE || is_large) {
        return status != EXIT_DONE ? status : put_record(load, record);
    }
    if (cask_batch_put(load->batch, record->key, record->value,
                       record->expires_at_ms, &err) != CASK_OK) {
        /* Written first, so that all lines before this one are stored. */
        (void)flush_batch(load);
        return report_line(load, &err);
    }
    if (cask_batch_count(load->batch) >= load->batch_lines) {
        return flush_batch(load);
    }
    return EXIT_DONE;
}

static exit_status load_line(loader *load, const line *next)
{
    text_record record = {0};
    const char *wrong =
        load->format->decode(next->data, next->size, &load->scratch, &record);

    if (wrong != NULL) {
        exit_status status = flush_batch(load);

        progress_stop(&load->progress);
        if (status != EXIT_DONE) {
            return status;
        }
        return report(EXIT_USAGE,
                      "%s: line %" PRIu64 ": not %s: %s; the lines before it "
                      "are stored, correct it and load the rest",
                      load->name, load->line_number, load->format->name, wrong);
    }
    return load->batch != NULL ? batch_record(load, &record)
                               : put_record(load, &record);
}

/* ---- Files ------------------------------------------------------------- */

static exit_status load_lines(loader *load, FILE *file)
{
    line next = {0};
    int os_errno = 0;
    exit_status status = EXIT_DONE;

    load->line_number = 0;
    while (status == EXIT_DONE && signals_arrived() == 0 &&
           line_read(&next, file, &os_errno)) {
        load->line_number++;
        load->line_count++;
        load->bytes_read += next.size + 1;
        status = load_line(load, &next);
        progress_update(&load->progress, load->bytes_read, load->line_count);
    }
    /* Now, not with the next file's lines: messages name file and line. */
    if (status == EXIT_DONE) {
        status = flush_batch(load);
    }
    if (status == EXIT_DONE && os_errno != 0 && signals_arrived() == 0) {
        progress_stop(&load->progress);
        status = report_errno(os_errno, "%s: cannot read line %" PRIu64,
                              load->name, load->line_number + 1);
    }
    free(next.data);
    return status;
}

static bool is_standard_input(const char *name)
{
    return strcmp(name, "-") == 0;
}

static exit_status load_file(loader *load, const char *name)
{
    exit_status status;
    FILE *file;

    if (is_standard_input(name)) {
        load->name = "standard input";
        return load_lines(load, stdin);
    }
    load->name = name;
    file = fopen(name, "re");
    if (file == NULL) {
        progress_stop(&load->progress);
        return report_errno(errno, "%s: cannot open it", name);
    }
    status = load_lines(load, file);
    (void)fclose(file);
    return status;
}

/*
 * Check that all files can be read, before the store is touched, and add up
 * their sizes; 0 if one of them is not a regular file.
 */
static exit_status check_files(char **names, int count, uint64_t *ret_bytes)
{
    bool is_known = true;
    uint64_t bytes = 0;

    for (int i = 0; i < count; i++) {
        struct stat what;
        bool is_input = is_standard_input(names[i]);
        int result =
            is_input ? fstat(STDIN_FILENO, &what) : stat(names[i], &what);

        if (result != 0 || (!is_input && access(names[i], R_OK) != 0)) {
            return report_errno(errno, "%s: cannot read it", names[i]);
        }
        if (S_ISDIR(what.st_mode)) {
            return report(EXIT_USAGE,
                          "%s: is a directory; name the files in "
                          "it",
                          names[i]);
        }
        is_known = is_known && S_ISREG(what.st_mode);
        bytes += S_ISREG(what.st_mode) ? (uint64_t)what.st_size : 0;
    }
    *ret_bytes = is_known ? bytes : 0;
    return EXIT_DONE;
}

static exit_status load_files(loader *load, char **names, int count,
                              uint64_t total_bytes)
{
    exit_status status = EXIT_DONE;

    signals_catch();
    progress_start(&load->progress, "loading", "lines", total_bytes);
    for (int i = 0; i < count && status == EXIT_DONE && signals_arrived() == 0;
         i++) {
        status = load_file(load, names[i]);
    }
    progress_stop(&load->progress);
    if (status == EXIT_DONE && signals_arrived() != 0) {
        return report(EXIT_DONE,
                      "load: interrupted; %" PRIu64 " line%s stored, load "
                      "the rest to go on",
                      load->line_count, units_plural(load->line_count));
    }
    return status;
}

static exit_status run(const arguments *args)
{
    char input_name[] = "-";
    char *only_input[] = {input_name};
    const load_settings *settings = args->settings;
    const char *directory = args->words[0];
    int count = args->word_count > 1 ? args->word_count - 1 : 1;
    char **names = args->word_count > 1 ? args->words + 1 : only_input;
    loader load = {
        .format = settings->format != NULL ? settings->format
                                           : text_format_find("tsv"),
        .batch_lines = settings->batch_lines,
    };
    uint64_t total_bytes = 0;
    exit_status status = check_files(names, count, &total_bytes);

    if (status == EXIT_DONE && settings->batch_lines > 1 &&
        cask_batch_create(&load.batch, NULL) != CASK_OK) {
        status = report_memory();
    }
    if (status == EXIT_DONE) {
        status = store_open(&args->store, directory, true, &load.db);
    }
    if (status == EXIT_DONE) {
        status = load_files(&load, names, count, total_bytes);
        status = store_close(load.db, directory, status);
    }
    cask_batch_free(load.batch);
    text_free(&load.scratch);
    return status;
}

const command command_load = {
    .name = "load",
    .summary = "Store the records of text files",
    .words = "DIR [FILE...]",
    .word_min = 1,
    .word_max = COMMAND_MANY,
    .text =
        "Store the record that each line of the FILEs describes; without "
        "FILE, or where FILE is -, of standard input. The store is made if it "
        "is not there.\n\n"
        "  tsv    key TAB value, with the escapes \\\\ \\t \\n \\r \\xHH\n"
        "  jsonl  {\"key\":\"..\",\"value\":\"..\"}; key64, value64: base64;\n"
        "         optional: expires_at_ms, milliseconds since 1970\n"
        "  hex    key TAB value, in hexadecimal digits\n\n"
        "At a line that is wrong, the command says which and why, and stops "
        "with exit status 2; the lines before it are stored. If standard "
        "error is a terminal, the progress is shown there.\v"
        "Examples:\n"
        "  caskade load /tmp/store users.tsv\n"
        "  caskade load --batch 1000 --sync commit /tmp/store < users.tsv\n"
        "  caskade dump -f jsonl /tmp/a | caskade load -f jsonl /tmp/b\n",
    .options = options,
    .parse = parse,
    .settings_size = sizeof(load_settings),
    .store = STORE_WRITE,
    .lasts = true,
    .run = run,
};
