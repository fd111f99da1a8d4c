/*
 * The formats tsv and hex, and the table of formats.
 */
#include "text_format.h"

#include <string.h>

#include "escape.h"
#include "json_format.h"

/* Cut a line at its only TAB: key before it, value behind. */
static const char *split_at_tab(char *line, size_t size, cask_slice *ret_key,
                                cask_slice *ret_value)
{
    char *end = line + size;
    char *tab = size == 0 ? NULL : memchr(line, '\t', size);

    if (tab == NULL) {
        return "no TAB between key and value";
    }
    if (memchr(tab + 1, '\t', (size_t)(end - tab - 1)) != NULL) {
        return "more than one TAB; write a tab that belongs to a key or a "
               "value as \\t";
    }
    *ret_key = (cask_slice){line, (size_t)(tab - line)};
    *ret_value = (cask_slice){tab + 1, (size_t)(end - tab - 1)};
    return NULL;
}

/* Key and value, each of which `undo` turns into bytes in place. */
static const char *decode(char *line, size_t size,
                          const char *(*undo)(char *text, size_t *size),
                          text_record *ret_record)
{
    text_record record = {0};
    const char *wrong = split_at_tab(line, size, &record.key, &record.value);

    if (wrong == NULL) {
        wrong = undo(line, &record.key.size);
    }
    if (wrong == NULL) {
        wrong = undo(line + (size - record.value.size), &record.value.size);
    }
    if (wrong == NULL) {
        *ret_record = record;
    }
    return wrong;
}

/* ---- tsv --------------------------------------------------------------- */

static void tsv_encode_key(cask_slice key, text *out)
{
    escape_encode(key, out);
    text_add_char(out, '\n');
}

static void tsv_encode(const text_record *record, text *out)
{
    escape_encode(record->key, out);
    text_add_char(out, '\t');
    escape_encode(record->value, out);
    text_add_char(out, '\n');
}

static const char *tsv_decode(char *line, size_t size, text *scratch,
                              text_record *ret_record)
{
    (void)scratch;
    return decode(line, size, escape_decode, ret_record);
}

/* ---- hex --------------------------------------------------------------- */

static void add_hex(cask_slice bytes, text *out)
{
    const unsigned char *from = bytes.data;

    for (size_t i = 0; i < bytes.size; i++) {
        escape_add_hex(out, from[i]);
    }
}

static void hex_encode_key(cask_slice key, text *out)
{
    add_hex(key, out);
    text_add_char(out, '\n');
}

static void hex_encode(const text_record *record, text *out)
{
    add_hex(record->key, out);
    text_add_char(out, '\t');
    add_hex(record->value, out);
    text_add_char(out, '\n');
}

/* Undo add_hex() in place. */
static const char *hex_undo(char *digits, size_t *size)
{
    if (*size % 2 != 0) {
        return "an odd number of hexadecimal digits";
    }
    for (size_t i = 0; i < *size; i += 2) {
        int high = escape_hex_digit(digits[i]);
        int low = escape_hex_digit(digits[i + 1]);

        if (high < 0 || low < 0) {
            return "a character that is not a hexadecimal digit";
        }
        digits[i / 2] = (char)(high << 4 | low);
    }
    *size /= 2;
    return NULL;
}

static const char *hex_decode(char *line, size_t size, text *scratch,
                              text_record *ret_record)
{
    (void)scratch;
    return decode(line, size, hex_undo, ret_record);
}

/* ---- The table --------------------------------------------------------- */

static const text_format formats[] = {
    {"tsv", tsv_encode, tsv_encode_key, tsv_decode},
    {"jsonl", json_format_encode, json_format_encode_key, json_format_decode},
    {"hex", hex_encode, hex_encode_key, hex_decode},
};

const text_format *text_format_find(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}
