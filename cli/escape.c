/*
 * Any bytes as one word of printable text, and back.
 */
#include "escape.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

static const char hex_digits[] = "0123456789abcdef";

/* Escapes of one letter: the letter, and the byte that it stands for. */
static const char letters[][2] = {
    {'\\', '\\'}, {'t', '\t'}, {'n', '\n'}, {'r', '\r'}};
enum { LETTER_COUNT = sizeof(letters) / sizeof(letters[0]) };

int escape_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

void escape_add_hex(text *out, unsigned char byte)
{
    char pair[2] = {hex_digits[byte >> 4], hex_digits[byte & 15]};

    text_add(out, pair, sizeof(pair));
}

static void add_escaped(text *out, unsigned char byte)
{
    for (size_t i = 0; i < LETTER_COUNT; i++) {
        if ((unsigned char)letters[i][1] == byte) {
            text_add_char(out, '\\');
            text_add_char(out, letters[i][0]);
            return;
        }
    }
    text_add(out, "\\x", 2);
    escape_add_hex(out, byte);
}

/* Whether a character can be shown. U+0080 .. U+009F are controls too: some
 * terminals obey them. */
static bool is_plain(const unsigned char *character, size_t size)
{
    if (size == 1) {
        return character[0] >= 0x20 && character[0] != 0x7f &&
               character[0] != '\\';
    }
    return size > 2 ||
           (size == 2 && !(character[0] == 0xc2 && character[1] < 0xa0));
}

/* Bytes from `from` on that need no escape. */
static size_t plain_run(const unsigned char *from, size_t size)
{
    size_t run = 0;

    while (run < size) {
        size_t step = utf8_character(from + run, size - run);

        if (!is_plain(from + run, step)) {
            break;
        }
        run += step;
    }
    return run;
}

void escape_encode(cask_slice bytes, text *out)
{
    const unsigned char *from = bytes.data;
    size_t left = bytes.size;

    while (left > 0) {
        size_t run = plain_run(from, left);

        text_add(out, from, run);
        from += run;
        left -= run;
        if (left > 0) {
            add_escaped(out, *from);
            from++;
            left--;
        }
    }
}

size_t escape_decode_one(const char *from, size_t left, char *ret_byte)
{
    if (left < 2) {
        return 0;
    }
    for (size_t i = 0; i < LETTER_COUNT; i++) {
        if (letters[i][0] == from[1]) {
            *ret_byte = letters[i][1];
            return 2;
        }
    }
    if (left >= 4 && from[1] == 'x') {
        int high = escape_hex_digit(from[2]);
        int low = escape_hex_digit(from[3]);

        if (high >= 0 && low >= 0) {
            *ret_byte = (char)(high << 4 | low);
            return 4;
        }
    }
    return 0;
}

const char *escape_decode(char *bytes, size_t *size)
{
    const char *end = bytes + *size;
    const char *from = bytes;
    char *to = bytes;

    while (from < end) {
        size_t step = 1;

        if (*from != '\\') {
            *to = *from;
        } else {
            step = escape_decode_one(from, (size_t)(end - from), to);
            if (step == 0) {
                return "a backslash that begins none of \\\\ \\t \\n \\r "
                       "\\xHH; write a backslash as \\\\";
            }
        }
        from += step;
        to++;
    }
    *size = (size_t)(to - bytes);
    return NULL;
}
