/*
 * Options of a range of keys.
 */
#include "key_range.h"

#include <string.h>

#include "option.h"
#include "units.h"
#include "word.h"

error_t key_range_parse(int key, char *argument, struct argp_state *state,
                        key_range *range)
{
    switch (key) {
    case OPTION_FROM:
        range->from = argument;
        return 0;
    case OPTION_TO:
        range->to = argument;
        return 0;
    case OPTION_PREFIX:
        range->prefix = argument;
        return 0;
    case OPTION_REVERSE:
        range->reverse = true;
        return 0;
    case OPTION_LIMIT:
        if (!units_parse_count(argument, 1, UINT64_MAX, &range->limit)) {
            return option_reject(
                state, "--limit: '%s' is no number of 1 or more", argument);
        }
        return 0;
    case OPTION_KEYS:
        range->keys_only = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static exit_status take_word(char *word, bool escapes, cask_slice *ret_bytes)
{
    return word != NULL ? word_bytes(word, escapes, ret_bytes) : EXIT_DONE;
}

exit_status key_range_bounds(const key_range *range, bool escapes,
                             key_bounds *ret_bounds)
{
    exit_status status = take_word(range->from, escapes, &ret_bounds->from);

    if (status == EXIT_DONE) {
        status = take_word(range->to, escapes, &ret_bounds->to);
    }
    if (status == EXIT_DONE) {
        status = take_word(range->prefix, escapes, &ret_bounds->prefix);
    }
    return status;
}

int key_range_compare(cask_slice a, cask_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

bool key_range_prefix_end(cask_slice prefix, text *end)
{
    const unsigned char *bytes = prefix.data;
    size_t size = prefix.size;

    while (size > 0 && bytes[size - 1] == 0xff) {
        size--;
    }
    if (size == 0) {
        return false;
    }
    text_add(end, bytes, size - 1);
    text_add_char(end, (char)(bytes[size - 1] + 1));
    return true;
}
