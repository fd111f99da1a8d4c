/*
 * caskade: the command line of the library. Finds the command and runs it; see
 * commands.c for the table of commands and cmd_*.c for each.
 */
#include <string.h>

#include "arguments.h"
#include "output.h"
#include "signals.h"

static const char intro[] =
    "Usage: caskade COMMAND [OPTION...] DIR ...\n"
    "Key-value stores that every process on a machine can use at once.\n"
    "A store is a directory; DIR names it.\n"
    "\n";

static const char outro[] =
    "\n"
    "'caskade COMMAND --help' explains a command; 'man caskade' explains all.\n"
    "\n"
    "Exit status: 0 done; 1 not found, or a condition was not met; 2 wrong\n"
    "usage or input; 3 damaged data; 4 busy, or lost its place; 5 system "
    "error.\n"
    "\n"
    "Examples:\n"
    "  caskade put /tmp/store greeting hello\n"
    "  caskade get /tmp/store greeting\n"
    "  caskade stat /tmp/store\n";

static exit_status print_overview(void)
{
    (void)output_print("%s", intro);
    for (const command *const *at = command_table(); *at != NULL; at++) {
        (void)output_print("  %-12s  %s\n", (*at)->name, (*at)->summary);
    }
    (void)output_print("  %-12s  %s\n", "help",
                       "Explain a command, or list the commands");
    (void)output_print("%s", outro);
    return EXIT_DONE;
}

static exit_status reject_command(const char *name)
{
    return report(EXIT_USAGE,
                  "there is no command '%s'; 'caskade help' lists them", name);
}

static exit_status run_help(int argc, char **argv)
{
    char option[] = "--help";
    char *words[] = {argc > 1 ? argv[1] : option, option, NULL};
    const command *found;

    if (argc == 1 || strcmp(argv[1], option) == 0 ||
        strcmp(argv[1], "help") == 0) {
        return print_overview();
    }
    found = command_find(argv[1]);
    if (found == NULL) {
        return reject_command(argv[1]);
    }
    return arguments_run(found, 2, words);
}

/* `argv[0]` is the command, or an option in its place. */
static exit_status run(int argc, char **argv)
{
    const command *found;

    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
        (void)output_print("caskade %s\n", cask_version());
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        return print_overview();
    }
    if (strcmp(argv[0], "help") == 0) {
        return run_help(argc, argv);
    }
    found = command_find(argv[0]);
    if (found == NULL) {
        return reject_command(argv[0]);
    }
    return arguments_run(found, argc, argv);
}

int main(int argc, char **argv)
{
    exit_status status;

    signals_init();
    if (argc < 2) {
        status =
            report(EXIT_USAGE, "no command given; 'caskade help' lists them");
    } else {
        status = run(argc - 1, argv + 1);
    }
    status = output_finish(status);
    signals_finish(output_pipe_is_broken());
    return (int)status;
}
