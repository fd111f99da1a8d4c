/*
 * Any bytes as one word of printable text, and back: the escapes of the format
 * tsv, of --escapes and of the shell. Pure functions.
 *
 *   \\ \t \n \r   backslash, tab, line feed, carriage return
 *   \xHH          any other control character, and what is not UTF-8
 */
#ifndef CASKADE_CLI_ESCAPE_H
#define CASKADE_CLI_ESCAPE_H

#include "text.h"

/* Append the escaped form: no control characters, valid UTF-8. */
void escape_encode(cask_slice bytes, text *out);

/*
 * Undo it in place; the result is never longer. Bytes that need no escape may
 * stand as they are, also where escape_encode() would have escaped them.
 *
 * Returns NULL, or what is wrong with it, for an error message.
 */
const char *escape_decode(char *bytes, size_t *size);

/*
 * Decode the escape whose backslash is at `from`; `left` bytes are there.
 * Returns its size and sets `*ret_byte`, or 0 if it is none of the above.
 */
size_t escape_decode_one(const char *from, size_t left, char *ret_byte);

/* The value of a hexadecimal digit, or -1. */
int escape_hex_digit(char c);

/* Append a byte as two lower-case hexadecimal digits. */
void escape_add_hex(text *out, unsigned char byte);

#endif
