/*
 * For the parsers of options: the arguments that several of them take, and the
 * one way to say what is wrong.
 */
#ifndef CASKADE_CLI_OPTION_H
#define CASKADE_CLI_OPTION_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

/* What state->hook points to while a command line is read. */
typedef struct option_state {
    const char *command; /* its name, for messages */
    bool reported;       /* an error was printed */
} option_state;

/*
 * Report that an option's argument is wrong, with what would be right, and
 * stop. Returns what the parser must return.
 */
error_t option_reject(struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An argument that is a duration of at least `min_ms`. */
error_t option_take_duration(struct argp_state *state, const char *option,
                             const char *text, uint64_t min_ms,
                             uint64_t *ret_ms);

/* One word of a fixed choice, and the value that it stands for. */
typedef struct choice {
    const char *name; /* NULL ends the table */
    int value;
} choice;

/* An argument that is one of `choices`. */
error_t option_take_choice(struct argp_state *state, const char *option,
                           const char *text, const choice *choices,
                           int *ret_value);

#endif
