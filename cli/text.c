/*
 * Text that grows. Capacity doubles, so that repeated appending is linear.
 */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MIN_BYTES = 256, TEXT_READ_BYTES = 64 * 1024 };

void text_free(text *out)
{
    free(out->data);
    *out = (text){0};
}

void text_clear(text *out)
{
    out->size = 0;
    out->failed = false;
}

/* Make room for `bytes` more; false (and `failed`) if there is no memory. */
static bool reserve(text *out, size_t bytes)
{
    size_t capacity =
        out->capacity < TEXT_MIN_BYTES ? TEXT_MIN_BYTES : out->capacity;
    char *grown;

    if (out->failed || bytes > SIZE_MAX / 4 - out->size) {
        out->failed = true;
        return false;
    }
    if (bytes <= out->capacity - out->size) {
        return true;
    }
    while (capacity - out->size < bytes) {
        capacity *= 2;
    }
    grown = realloc(out->data, capacity);
    if (grown == NULL) {
        out->failed = true;
        return false;
    }
    out->data = grown;
    out->capacity = capacity;
    return true;
}

void text_add(text *out, const void *bytes, size_t size)
{
    if (size == 0 || !reserve(out, size)) {
        return;
    }
    memcpy(out->data + out->size, bytes, size);
    out->size += size;
}

void text_add_char(text *out, char c)
{
    text_add(out, &c, 1);
}

void text_add_string(text *out, const char *string)
{
    text_add(out, string, strlen(string));
}

void text_add_format(text *out, const char *format, ...)
{
    char line[512];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(line)) {
        out->failed = true;
        return;
    }
    text_add(out, line, (size_t)length);
}

cask_slice text_slice(const text *out)
{
    return (cask_slice){out->data, out->size};
}

int text_read_all(text *out, int fd, size_t max_bytes)
{
    size_t start = out->size;

    for (;;) {
        ssize_t got;

        if (!reserve(out, TEXT_READ_BYTES)) {
            return ENOMEM;
        }
        got = read(fd, out->data + out->size, out->capacity - out->size);
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            return 0;
        }
        out->size += (size_t)got;
        if (out->size - start > max_bytes) {
            return EFBIG;
        }
    }
}
