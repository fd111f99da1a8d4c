/*
 * Reading and writing the text of CONFIG. Nothing is believed before the
 * checksum agrees; after that a line that is none was written by something
 * else, and the file is refused as a whole.
 */
#include "log/config_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"

#define NAME_PART "CASKADE CONFIG "
#define CHECKSUM_PART "crc32c="

enum {
    NAME_SIZE = sizeof(NAME_PART) - 1,
    FIRST_SIZE = sizeof(CONFIG_FIRST_LINE) - 1,
    CHECKSUM_DIGITS = 8,
    LAST_SIZE = sizeof(CHECKSUM_PART) - 1 + CHECKSUM_DIGITS + 1
};

static cask_status fail_line(cask_error *err, uint32_t number, uint64_t offset,
                             const char *what)
{
    return fail(err, CASK_CORRUPT, 0,
                CONFIG_NAME ": offset %" PRIu64 ": line %" PRIu32 " %s", offset,
                number, what);
}

/* ---- The ends ---- */

/* Of any version. */
static cask_status check_name(const char *text, size_t size, cask_error *err)
{
    return size >= NAME_SIZE && memcmp(text, NAME_PART, NAME_SIZE) == 0
               ? CASK_OK
               : fail_line(err, 1, 0, "is not \"CASKADE CONFIG 1\"");
}

/* The checksum is right: a damaged version is no other one. */
static cask_status check_version(const char *text, size_t size, cask_error *err)
{
    size_t at = NAME_SIZE;

    if (memcmp(text, CONFIG_FIRST_LINE, FIRST_SIZE) == 0) {
        return CASK_OK;
    }
    while (at < size && text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    if (at > NAME_SIZE && at < size && text[at] == '\n' &&
        text[NAME_SIZE] != '0') {
        return fail(err, CASK_UNSUPPORTED, 0,
                    CONFIG_NAME ": offset 0: of another version than 1, the "
                                "only one that is known");
    }
    return fail_line(err, 1, 0, "is not \"CASKADE CONFIG 1\"");
}

/* Exactly eight digits as we write them. */
static bool parse_checksum(const char *digits, uint32_t *ret_checksum)
{
    *ret_checksum = 0;
    for (int i = 0; i < CHECKSUM_DIGITS; i++) {
        const char *known = "0123456789abcdef";
        const char *at = digits[i] == '\0' ? NULL : strchr(known, digits[i]);

        if (at == NULL) {
            return false;
        }
        *ret_checksum = *ret_checksum << 4 | (uint32_t)(at - known);
    }
    return true;
}

static uint32_t count_lines(const char *text, size_t size)
{
    uint32_t count = 0;

    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n' ? 1 : 0;
    }
    return count;
}

static cask_status check_last(const char *text, size_t size, cask_error *err)
{
    size_t offset = size < LAST_SIZE ? 0 : size - LAST_SIZE;
    const char *last = text + offset;
    uint32_t number = count_lines(text, offset) + 1;
    size_t prefix = sizeof(CHECKSUM_PART) - 1;
    uint32_t computed;
    uint32_t stored;

    if (size < FIRST_SIZE + LAST_SIZE || last[-1] != '\n' ||
        memcmp(last, CHECKSUM_PART, prefix) != 0 ||
        last[LAST_SIZE - 1] != '\n' ||
        !parse_checksum(last + prefix, &stored)) {
        return fail_line(err, number, offset,
                         "is not the checksum, \"crc32c=\" and eight digits");
    }
    computed = crc32c(0, text, offset);
    if (computed != stored) {
        return fail(err, CASK_CORRUPT, 0,
                    CONFIG_NAME ": offset %zu: line %" PRIu32
                                ": crc32c is %08" PRIx32 ", stored %08" PRIx32,
                    offset, number, computed, stored);
    }
    return CASK_OK;
}

/* ---- The lines ---- */

static bool is_key_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           byte == '_';
}

/* Take the line at `reader->at`; NULL, or what is wrong with it. */
static const char *take_line(config_reader *reader, config_line *line)
{
    const char *start = reader->text + reader->at;
    const char *end = memchr(start, '\n', reader->end - reader->at);
    size_t key = 0;
    size_t value;

    if (end == NULL) {
        return "has no end";
    }
    while (is_key_byte(start[key])) {
        key++;
    }
    if (key == 0 || key > CONFIG_KEY_MOST || start[key] != '=') {
        return "is not key=value";
    }
    value = (size_t)(end - start) - key - 1;
    if (value > CONFIG_VALUE_MOST) {
        return "has a value of more than 1023 bytes";
    }
    for (size_t i = 0; i < value; i++) {
        if (start[key + 1 + i] < ' ' || start[key + 1 + i] > '~') {
            return "has a value that is no plain text";
        }
    }
    line->number = ++reader->number;
    line->offset = reader->at;
    memcpy(line->key, start, key);
    line->key[key] = '\0';
    memcpy(line->value, start + key + 1, value);
    line->value[value] = '\0';
    reader->at += (size_t)(end - start) + 1;
    return NULL;
}

bool config_next(config_reader *reader, config_line *ret_line)
{
    return reader->at < reader->end && take_line(reader, ret_line) == NULL;
}

static bool is_earlier(config_reader reader, const config_line *line)
{
    config_line earlier;

    while (reader.at < line->offset && config_next(&reader, &earlier)) {
        if (strcmp(earlier.key, line->key) == 0) {
            return true;
        }
    }
    return false;
}

cask_status config_check(const char *text, size_t size,
                         config_reader *ret_reader, cask_error *err)
{
    config_reader begin = {.text = text, .at = FIRST_SIZE, .number = 1};
    cask_status status = check_name(text, size, err);
    config_reader reader;
    config_line line;

    if (status == CASK_OK) {
        status = check_last(text, size, err);
    }
    if (status == CASK_OK) {
        status = check_version(text, size, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    begin.end = size - LAST_SIZE;
    reader = begin;
    while (reader.at < reader.end) {
        size_t offset = reader.at;
        uint32_t number = reader.number + 1;
        const char *wrong = take_line(&reader, &line);

        if (wrong == NULL && is_earlier(begin, &line)) {
            wrong = "has the key of an earlier one";
        }
        if (wrong != NULL) {
            return fail_line(err, number, offset, wrong);
        }
    }
    *ret_reader = begin;
    return CASK_OK;
}

/* ---- Writing ---- */

cask_status config_begin(cask_buffer *text, cask_error *err)
{
    return buffer_append(text, CONFIG_FIRST_LINE, FIRST_SIZE, err);
}

cask_status config_add(cask_buffer *text, const char *key, const char *value,
                       cask_error *err)
{
    char line[CONFIG_KEY_MOST + CONFIG_VALUE_MOST + 3];
    int size = snprintf(line, sizeof(line), "%s=%s\n", key, value);

    return buffer_append(text, line, (size_t)size, err);
}

cask_status config_finish(cask_buffer *text, cask_error *err)
{
    char line[LAST_SIZE + 1];

    (void)snprintf(line, sizeof(line), CHECKSUM_PART "%08" PRIx32 "\n",
                   crc32c(0, text->data, text->size));
    return buffer_append(text, line, LAST_SIZE, err);
}
