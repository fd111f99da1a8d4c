/*
 * Lines for the shell: from a terminal with editing, history and completion,
 * else from a pipe or a file as they are.
 */
#ifndef CASKADE_CLI_SHELL_INPUT_H
#define CASKADE_CLI_SHELL_INPUT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct shell_input shell_input;

/* The name of the i-th command, for completion; NULL behind the last. */
typedef const char *(*shell_name_fn)(size_t index);

/* Begin. NULL if there is no memory. Free with shell_input_close(), which also
 * saves the history. */
shell_input *shell_input_open(shell_name_fn names);
void shell_input_close(shell_input *input);

/* Whether a person types. */
bool shell_input_is_interactive(const shell_input *input);

/*
 * The next line, without its line feed, with one writable byte behind; valid
 * until the next call. NULL at the end, after a signal, or if reading failed
 * (then errno is not 0). Ctrl-C on a terminal gives an empty line.
 */
char *shell_input_line(shell_input *input, size_t *ret_size);

#endif
