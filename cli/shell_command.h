/*
 * The commands of the shell: a table, and a function that runs one line.
 */
#ifndef CASKADE_CLI_SHELL_COMMAND_H
#define CASKADE_CLI_SHELL_COMMAND_H

#include <limits.h>
#include <stdbool.h>

#include "report.h"

typedef struct shell {
    cask_db *db;
    char directory[PATH_MAX + 2]; /* for messages; never like an option */
    uint64_t line_number; /* from 1; 0: interactive, not shown in messages */
    bool quit;            /* set by `quit` */
} shell;

/* Run a line, which is changed; what is wrong is reported. */
exit_status shell_command_run(shell *sh, char *line, size_t size);

/* The name of the i-th command, or NULL behind the last. */
const char *shell_command_name(size_t index);

#endif
