/*
 * Lines of the shell as words. Words are decoded in place: what is written
 * never overtakes what is read.
 */
#include "shell_words.h"

#include <stdbool.h>
#include <string.h>

#include "escape.h"

/* Where reading and writing are. */
typedef struct splitter {
    const char *from;
    const char *end; /* of what is read */
    char *to;
} splitter;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *take_escape(splitter *split)
{
    size_t left = (size_t)(split->end - split->from);
    size_t step = escape_decode_one(split->from, left, split->to);

    if (step == 0 && left >= 2 && strchr(" \t\"'#", split->from[1]) != NULL &&
        split->from[1] != '\0') {
        *split->to = split->from[1];
        step = 2;
    }
    if (step == 0) {
        return "a backslash that begins no escape; write a backslash as \\\\";
    }
    split->from += step;
    split->to++;
    return NULL;
}

/* What is between two quotes; `from` is behind the first. */
static const char *take_quoted(splitter *split, char quote)
{
    while (split->from < split->end && *split->from != quote) {
        if (quote == '"' && *split->from == '\\') {
            const char *wrong = take_escape(split);

            if (wrong != NULL) {
                return wrong;
            }
            continue;
        }
        *split->to++ = *split->from++;
    }
    if (split->from == split->end) {
        return "a quote that is not closed; write a quote as \\\" or \\'";
    }
    split->from++;
    return NULL;
}

static const char *take_word(splitter *split)
{
    const char *wrong = NULL;

    while (wrong == NULL && split->from < split->end &&
           !is_blank(*split->from)) {
        char c = *split->from;

        if (c == '\\') {
            wrong = take_escape(split);
        } else if (c == '"' || c == '\'') {
            split->from++;
            wrong = take_quoted(split, c);
        } else {
            *split->to++ = *split->from++;
        }
    }
    return wrong;
}

static void skip_blanks(splitter *split)
{
    while (split->from < split->end && is_blank(*split->from)) {
        split->from++;
    }
}

const char *shell_words_split(char *line, size_t size, shell_word *words,
                              size_t word_max, size_t *ret_count)
{
    splitter split = {line, line + size, line};
    size_t count = 0;

    skip_blanks(&split);
    if (split.from < split.end && *split.from == '#') {
        split.from = split.end;
    }
    while (split.from < split.end) {
        char *start = split.to;
        const char *wrong =
            count == word_max ? "too many words" : take_word(&split);

        if (wrong != NULL) {
            return wrong;
        }
        words[count++] = (shell_word){start, (size_t)(split.to - start)};
        /* The blank is read before the NUL may take its place. */
        skip_blanks(&split);
        *split.to++ = '\0';
    }
    *ret_count = count;
    return NULL;
}
