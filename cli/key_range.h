/*
 * The options that say which keys are printed, and how: --from, --to, --prefix,
 * --reverse, --limit and --keys.
 */
#ifndef CASKADE_CLI_KEY_RANGE_H
#define CASKADE_CLI_KEY_RANGE_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "report.h"
#include "text.h"

/* For the tables of commands. */
enum {
    OPTION_FROM = 0x2001,
    OPTION_TO,
    OPTION_PREFIX,
    OPTION_REVERSE,
    OPTION_LIMIT,
    OPTION_KEYS,
    OPTION_BEHIND_RANGE /* the first number that is free for others */
};

typedef struct key_range {
    char *from, *to, *prefix; /* as given; NULL: not given */
    bool reverse;
    bool keys_only;
    uint64_t limit; /* 0: none */
} key_range;

/* For a command's parser: take such an option; ARGP_ERR_UNKNOWN: it is none. */
error_t key_range_parse(int key, char *argument, struct argp_state *state,
                        key_range *range);

/* The bytes of its keys; data NULL where none is given. They point into the
 * words, which are decoded in place if they have `escapes`. */
typedef struct key_bounds {
    cask_slice from;
    cask_slice to;
    cask_slice prefix;
} key_bounds;

/* EXIT_DONE; what is wrong with a word is reported. */
exit_status key_range_bounds(const key_range *range, bool escapes,
                             key_bounds *ret_bounds);

/* The order of keys: by bytes, a shorter one first. < 0, 0, > 0. */
int key_range_compare(cask_slice a, cask_slice b);

/*
 * The first key behind all that begin with `prefix`, added to `end`, which is
 * empty; false if there is none, as behind ff ff.
 */
bool key_range_prefix_end(cask_slice prefix, text *end);

#endif
