/*
 * The parts of `caskade run`: build, info and dump, and what they share.
 */
#ifndef CASKADE_CLI_RUN_COMMAND_H
#define CASKADE_CLI_RUN_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "key_range.h"
#include "report.h"
#include "text_format.h"

typedef struct run_settings {
    const text_format *format; /* NULL: tsv */
    bool json;
    bool records; /* all of them, as JSON */
    bool escapes;
    bool no_filter;
    bool sort;
    key_range range;
    uint64_t prefix_bytes; /* 0: no filter of prefixes */
    uint64_t memory_bytes; /* 0: as much as the library takes */
    unsigned given;        /* bits: which options, see cmd_run.c */
} run_settings;

/* The message without the name of the run `path`, which the library puts in
 * front: its last component. */
const char *run_what(const char *path, const cask_error *err);

/* report_failure() about the run `path`. */
exit_status run_report(const char *path, const cask_error *err);

/* file: "-": standard input. */
exit_status run_build(const run_settings *settings, const char *path,
                      const char *file);
exit_status run_info(const run_settings *settings, const char *path);
exit_status run_dump(const run_settings *settings, const char *path);

#endif
