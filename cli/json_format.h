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

/* Set `object[name]`, or `object[name64]` if the bytes are not UTF-8; on
 * failure out->failed. */
void json_format_set_bytes(json_t *object, const char *name, const char *name64,
                           cask_slice bytes, text *out);

/* Append `json` on one line, without a line feed; takes the reference. */
void json_format_add(text *out, json_t *take_json);

/* Append what ends an object that has a member already, when a call failed:
 * ,"error":"its message"} and a line feed. */
void json_format_end_failed(text *out, const cask_error *err);

#endif
