/*
 * The format jsonl. Bytes that are UTF-8 are a string under "key" or "value";
 * others are base64 under "key64" or "value64", so that nothing is guessed.
 */
#include "json_format.h"

#include <string.h>

#include "base64.h"
#include "utf8.h"

/* ---- Encode ------------------------------------------------------------ */

static int add_piece(const char *bytes, size_t size, void *context)
{
    text *out = context;

    text_add(out, bytes, size);
    return out->failed ? -1 : 0;
}

void json_format_add(text *out, json_t *take_json)
{
    /* NULL (no memory) fails here as well. */
    if (json_dump_callback(take_json, add_piece, out, JSON_COMPACT) != 0) {
        out->failed = true;
    }
    json_decref(take_json);
}

void json_format_set_bytes(json_t *object, const char *name, const char *name64,
                           cask_slice bytes, text *out)
{
    const char *data = bytes.size == 0 ? "" : bytes.data;
    text encoded = {0};
    int result;

    if (utf8_is_valid(data, bytes.size)) {
        result = json_object_set_new(object, name,
                                     json_stringn_nocheck(data, bytes.size));
    } else {
        base64_encode(bytes, &encoded);
        result = encoded.failed
                     ? -1
                     : json_object_set_new(
                           object, name64,
                           json_stringn_nocheck(encoded.data, encoded.size));
        text_free(&encoded);
    }
    out->failed = out->failed || result != 0;
}

void json_format_encode(const text_record *record, text *out)
{
    json_t *object = json_object();

    json_format_set_bytes(object, "key", "key64", record->key, out);
    json_format_set_bytes(object, "value", "value64", record->value, out);
    if (record->expires_at_ms != 0) {
        json_t *number = json_integer((json_int_t)record->expires_at_ms);

        if (json_object_set_new(object, "expires_at_ms", number) != 0) {
            out->failed = true;
        }
    }
    json_format_add(out, object);
    text_add_char(out, '\n');
}

void json_format_encode_key(cask_slice key, text *out)
{
    json_t *object = json_object();

    json_format_set_bytes(object, "key", "key64", key, out);
    json_format_add(out, object);
    text_add_char(out, '\n');
}

void json_format_end_failed(text *out, const cask_error *err)
{
    const char *message =
        err->message[0] != '\0' ? err->message : cask_status_text(err->status);
    size_t begin = out->size;
    json_t *why = json_object();

    json_format_set_bytes(why, "error", "error64",
                          (cask_slice){message, strlen(message)}, out);
    json_format_add(out, why);
    text_add_char(out, '\n');
    if (!out->failed) {
        out->data[begin] = ','; /* its members are more of the object begun */
    }
}

/* ---- Decode ------------------------------------------------------------ */

/* The members of a line; NULL where there is none. Borrowed. */
typedef struct members {
    json_t *key, *key64, *value, *value64, *expires_at_ms;
} members;

/* Where the member `name` is kept, or NULL if no such one is known. */
static json_t **member_of(members *found, const char *name)
{
    const struct {
        const char *name;
        json_t **member;
    } table[] = {
        {"key", &found->key},
        {"key64", &found->key64},
        {"value", &found->value},
        {"value64", &found->value64},
        {"expires_at_ms", &found->expires_at_ms},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return table[i].member;
        }
    }
    return NULL;
}

static const char *find_members(json_t *object, members *ret_found)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        json_t **member = member_of(ret_found, name);

        /* An ignored member could be a misspelt expires_at_ms. */
        if (member == NULL) {
            return "a member other than key, key64, value, value64, "
                   "expires_at_ms";
        }
        *member = value;
    }
    if ((ret_found->key == NULL) == (ret_found->key64 == NULL)) {
        return "not exactly one of \"key\" and \"key64\"";
    }
    if ((ret_found->value == NULL) == (ret_found->value64 == NULL)) {
        return "not exactly one of \"value\" and \"value64\"";
    }
    return NULL;
}

/* Append the bytes of `plain` or, if that is NULL, of `encoded`. */
static const char *add_bytes(json_t *plain, json_t *encoded, text *scratch)
{
    json_t *string = plain != NULL ? plain : encoded;
    cask_slice bytes;

    if (!json_is_string(string)) {
        return "a key or value that is not a string";
    }
    bytes = (cask_slice){json_string_value(string), json_string_length(string)};
    if (plain != NULL) {
        text_add(scratch, bytes.data, bytes.size);
    } else if (!base64_decode(bytes, scratch)) {
        return "a key64 or value64 that is not base64";
    }
    return NULL;
}

static const char *decode_members(const members *found, text *scratch,
                                  text_record *ret_record)
{
    text_record record = {0};
    size_t key_size;
    const char *wrong;

    text_clear(scratch);
    wrong = add_bytes(found->key, found->key64, scratch);
    key_size = scratch->size;
    if (wrong == NULL) {
        wrong = add_bytes(found->value, found->value64, scratch);
    }
    if (wrong != NULL) {
        return wrong;
    }
    if (found->expires_at_ms != NULL) {
        json_int_t expires = json_integer_value(found->expires_at_ms);

        if (!json_is_integer(found->expires_at_ms) || expires <= 0) {
            return "an expires_at_ms that is not a number of milliseconds";
        }
        record.expires_at_ms = (uint64_t)expires;
    }
    if (scratch->failed) {
        return "more bytes than there is memory for";
    }
    record.key = (cask_slice){scratch->data, key_size};
    record.value =
        (cask_slice){scratch->data == NULL ? NULL : scratch->data + key_size,
                     scratch->size - key_size};
    *ret_record = record;
    return NULL;
}

const char *json_format_decode(char *line, size_t size, text *scratch,
                               text_record *ret_record)
{
    members found = {0};
    const char *wrong;
    json_error_t error; /* not shown: its text may quote the line */
    json_t *object =
        json_loadb(line, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (!json_is_object(object)) {
        json_decref(object);
        return "not one JSON object";
    }
    wrong = find_members(object, &found);
    if (wrong == NULL) {
        wrong = decode_members(&found, scratch, ret_record);
    }
    json_decref(object);
    return wrong;
}
