/*
 * Whether bytes are UTF-8 (RFC 3629). Pure functions.
 */
#ifndef CASKADE_CLI_UTF8_H
#define CASKADE_CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of the character that starts at `bytes` (1 .. 4), or 0 if none does:
 * truncated, overlong, a surrogate, above U+10FFFF, or `size` is 0.
 */
size_t utf8_character(const unsigned char *bytes, size_t size);

/* Whether all of it is UTF-8; NUL is a character like any other. */
bool utf8_is_valid(const void *bytes, size_t size);

#endif
