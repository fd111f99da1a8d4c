/*
 * caskade shell: many commands on one open store.
 */
#include <errno.h>
#include <stdio.h>

#include "command.h"
#include "output.h"
#include "shell_command.h"
#include "shell_input.h"
#include "signals.h"

/* Run lines until the end; the status of the first that failed, or of what
 * ended the shell. */
static exit_status run_lines(shell *sh, shell_input *input)
{
    bool is_interactive = shell_input_is_interactive(input);
    exit_status first = EXIT_DONE;
    char *line;
    size_t size;

    while (!sh->quit && (line = shell_input_line(input, &size)) != NULL) {
        exit_status status;

        sh->line_number += is_interactive ? 0 : 1;
        status = shell_command_run(sh, line, size);
        /* Errors at a prompt were seen and are over. */
        if (first == EXIT_DONE && !is_interactive) {
            first = status;
        }
        if (!output_flush()) {
            return first;
        }
        if (is_interactive && signals_arrived() != 0) {
            signals_forget();
        } else if (signals_arrived() != 0) {
            return first;
        }
    }
    if (!sh->quit && signals_arrived() == 0 && errno != 0) {
        return report_errno(errno, "shell: cannot read commands");
    }
    return first;
}

static exit_status run(const arguments *args)
{
    const char *directory = args->words[0];
    shell sh = {.db = NULL};
    shell_input *input;
    exit_status status;

    (void)snprintf(sh.directory, sizeof(sh.directory), "%s%s",
                   directory[0] == '-' ? "./" : "", directory);
    status =
        store_open(&args->store, directory, !args->store.read_only, &sh.db);
    if (status != EXIT_DONE) {
        return status;
    }
    store_share(sh.db);
    signals_catch();
    input = shell_input_open(shell_command_name);
    if (input == NULL) {
        status = report_memory();
    } else {
        if (shell_input_is_interactive(input)) {
            (void)output_print("caskade %s: %s. 'help' lists the commands, "
                               "'quit' leaves.\n",
                               cask_version(), sh.directory);
        }
        status = run_lines(&sh, input);
    }
    shell_input_close(input);
    store_share(NULL);
    report_from(NULL, 0);
    return store_close(sh.db, directory, status);
}

const command command_shell = {
    .name = "shell",
    .summary = "Type commands on a store that stays open",
    .words = "DIR",
    .word_min = 1,
    .word_max = 1,
    .text =
        "Read commands and run them on the store, which stays open; it is "
        "made if it is not there. 'help' lists the commands. On a terminal, "
        "lines can be edited, the Tab key completes commands, and lines are "
        "remembered in ~/.caskade_history (or the file that CASKADE_HISTORY "
        "names; nowhere if that is empty). From a pipe or a file, the shell "
        "goes on after an error, and exits with the status of the first.\n\n"
        "Words are separated by blanks. \"..\" and '..' keep blanks, \"\" is "
        "empty; \\\\ \\t \\n \\r \\xHH stand for any byte (not in '..'). A "
        "line that begins with # is a comment.\v"
        "Examples:\n"
        "  caskade shell /tmp/store\n"
        "  printf 'put a\\\\x00b \"two words\"\\nlist\\n' | caskade shell "
        "/tmp/store\n",
    .store = STORE_EITHER,
    .lasts = true,
    .run = run,
};
