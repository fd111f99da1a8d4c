/*
 * The option --format of load, dump and list.
 */
#ifndef CASKADE_CLI_OPTION_FORMAT_H
#define CASKADE_CLI_OPTION_FORMAT_H

#include "option.h"
#include "text_format.h"

#define OPTION_FORMAT                                                          \
    {                                                                          \
        "format", 'f', "tsv|jsonl|hex", 0,                                     \
            "What a line looks like (default: tsv)", 1                         \
    }

/* Takes its argument. */
static inline error_t option_take_format(struct argp_state *state,
                                         const char *name,
                                         const text_format **ret_format)
{
    const text_format *found = text_format_find(name);

    if (found == NULL) {
        return option_reject(
            state, "--format: '%s' is not known; give tsv, jsonl or hex", name);
    }
    *ret_format = found;
    return 0;
}

#endif
