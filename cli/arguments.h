/*
 * From the words of the command line to a command that runs.
 */
#ifndef CASKADE_CLI_ARGUMENTS_H
#define CASKADE_CLI_ARGUMENTS_H

#include "command.h"

/*
 * Read the options and words of `found`, and run it; argv[0] is its name.
 * --help prints its help instead. What is wrong is reported.
 */
exit_status arguments_run(const command *found, int argc, char **argv);

#endif
