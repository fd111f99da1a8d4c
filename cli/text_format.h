/*
 * The formats of `load`, `dump` and `list`: one record per line, reversible for
 * any bytes. Pure functions.
 *
 *   tsv    key TAB value, both escaped as escape.h says
 *   jsonl  {"key":"..","value":".."}; "key64", "value64": base64, of what is
 *          not UTF-8; "expires_at_ms" if the record expires
 *   hex    key TAB value in lower-case hexadecimal digits
 *
 * tsv and hex carry no expiry.
 */
#ifndef CASKADE_CLI_TEXT_FORMAT_H
#define CASKADE_CLI_TEXT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

typedef struct text_record {
    cask_slice key;
    cask_slice value;
    uint64_t expires_at_ms; /* since 1970, 0 = never */
} text_record;

typedef struct text_format {
    const char *name;

    /* Append the record as a line, line feed included. */
    void (*encode)(const text_record *record, text *out);

    /* Append a line with the key alone. */
    void (*encode_key)(cask_slice key, text *out);

    /*
     * Read a line (without its line feed), which is changed in place.
     *
     *   scratch     where decoded bytes may go
     *   ret_record  set on success; lives as long as line and scratch
     *
     * Returns NULL, or what is wrong with the line, without any of its bytes.
     */
    const char *(*decode)(char *line, size_t size, text *scratch,
                          text_record *ret_record);
} text_format;

/* Append a line of the record, or of its key alone. */
static inline void text_format_add(const text_format *format,
                                   const text_record *record, bool keys_only,
                                   text *out)
{
    if (keys_only) {
        format->encode_key(record->key, out);
    } else {
        format->encode(record, out);
    }
}

/* The format of that name, or NULL. */
const text_format *text_format_find(const char *name);

#endif
