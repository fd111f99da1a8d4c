/*
 * Lines of the shell as words. Pure functions.
 *
 *   blanks separate words; # at the start of a line begins a comment
 *   "..." keeps blanks; '...' keeps everything, backslashes too
 *   \\ \t \n \r \xHH as in tsv, outside '...'; a backslash before a blank, a
 *   quote or # stands for that character
 *   "" is an empty word
 */
#ifndef CASKADE_CLI_SHELL_WORDS_H
#define CASKADE_CLI_SHELL_WORDS_H

#include <stddef.h>

/* Bytes of a word, followed by a NUL that does not count. */
typedef struct shell_word {
    char *data;
    size_t size;
} shell_word;

/*
 * Split a line in place.
 *
 *   line       `size` bytes without a line feed, and one that may be changed
 *   words      room for `word_max`; they point into the line
 *   ret_count  set on success; 0 for an empty line or a comment
 *
 * Returns NULL, or what is wrong with the line.
 */
const char *shell_words_split(char *line, size_t size, shell_word *words,
                              size_t word_max, size_t *ret_count);

#endif
