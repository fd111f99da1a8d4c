/*
 * The format jsonl: see text_format.h, which these functions serve.
 */
#ifndef CASKADE_CLI_JSON_FORMAT_H
#define CASKADE_CLI_JSON_FORMAT_H

#include <jansson.h>

#include "text_format.h"

void json_format_encode(const text_record *record, text *out);
void json_format_encode_key(cask_slice key, text *out);
const char *json_format_decode(char *line, size_t size, text *scratch,
                               text_record *ret_record);

/* Append `json` on one line, without a line feed; takes the reference. */
void json_format_add(text *out, json_t *take_json);

#endif
