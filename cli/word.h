/*
 * A word of the command line as the bytes of a key or a value.
 */
#ifndef CASKADE_CLI_WORD_H
#define CASKADE_CLI_WORD_H

#include <argp.h>
#include <stdbool.h>

#include "report.h"

/* The option --escapes, for the tables of commands that take `words`, a string
 * literal. */
#define WORD_OPTION_ESCAPES(words)                                             \
    {                                                                          \
        "escapes", 'e', NULL, 0,                                               \
            "Read the escapes \\\\ \\t \\n \\r \\xHH in " words                \
            ", as 'list' and 'dump' print them",                               \
            1                                                                  \
    }

/* Settings of a command whose only option is --escapes, and their parser. */
typedef struct word_settings {
    bool escapes;
} word_settings;
extern const struct argp_option word_options[];
error_t word_parse(int key, char *argument, struct argp_state *state);

/*
 * The bytes of `word`, which is decoded in place if it has `escapes`. What is
 * wrong with it is reported.
 */
exit_status word_bytes(char *word, bool escapes, cask_slice *ret_bytes);

#endif
