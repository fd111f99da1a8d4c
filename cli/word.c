/*
 * A word of the command line as the bytes of a key or a value.
 */
#include "word.h"

#include <string.h>

#include "escape.h"

const struct argp_option word_options[] = {WORD_OPTION_ESCAPES("KEY"), {0}};

error_t word_parse(int key, char *argument, struct argp_state *state)
{
    word_settings *settings = state->input;

    (void)argument;
    if (key != 'e') {
        return ARGP_ERR_UNKNOWN;
    }
    settings->escapes = true;
    return 0;
}

exit_status word_bytes(char *word, bool escapes, cask_slice *ret_bytes)
{
    size_t size = strlen(word);
    const char *wrong = escapes ? escape_decode(word, &size) : NULL;

    if (wrong != NULL) {
        return report(EXIT_USAGE, "a word has %s", wrong);
    }
    *ret_bytes = (cask_slice){word, size};
    return EXIT_DONE;
}
