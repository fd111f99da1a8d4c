/*
 * Text that grows: what the encoders write to. Errors stick, so that a caller
 * checks once at the end instead of after each piece.
 */
#ifndef CASKADE_CLI_TEXT_H
#define CASKADE_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "caskade.h"

/* Start with {0}. */
typedef struct text {
    char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    bool failed;     /* memory ran out: the content is not complete */
} text;

/* Release the memory and make it {0}. */
void text_free(text *out);

/* Make it empty, keep its memory, forget a failure. */
void text_clear(text *out);

void text_add(text *out, const void *bytes, size_t size);
void text_add_char(text *out, char c);
void text_add_string(text *out, const char *string);
void text_add_format(text *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The content, valid until the next change. */
cask_slice text_slice(const text *out);

/*
 * Append all that `fd` gives until its end, at most `max_bytes`.
 * Returns 0, an errno value, or EFBIG if there is more than that.
 */
int text_read_all(text *out, int fd, size_t max_bytes);

#endif
