/*
 * Owned bytes that grow. Capacity is never given back before
 * cask_buffer_free(), so a buffer reused for many reads settles.
 */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { SMALLEST_BYTES = 64 };

cask_status buffer_reserve(cask_buffer *buffer, size_t bytes, cask_error *err)
{
    size_t capacity = buffer->capacity;
    void *data;

    if (bytes <= capacity && buffer->data != NULL) {
        return CASK_OK;
    }
    if (capacity > SIZE_MAX / 2 || capacity * 2 < bytes) {
        capacity = bytes;
    } else {
        capacity *= 2;
    }
    if (capacity < SMALLEST_BYTES) {
        capacity = SMALLEST_BYTES;
    }
    data = realloc(buffer->data, capacity);
    if (data == NULL) {
        return fail_memory(err, capacity);
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return CASK_OK;
}

cask_status buffer_append(cask_buffer *buffer, const void *data, size_t size,
                          cask_error *err)
{
    cask_status status;

    if (size > SIZE_MAX - buffer->size) {
        return fail_memory(err, size);
    }
    status = buffer_reserve(buffer, buffer->size + size, err);
    if (status == CASK_OK && size > 0) {
        memcpy((char *)buffer->data + buffer->size, data, size);
        buffer->size += size;
    }
    return status;
}

void cask_buffer_free(cask_buffer *buffer)
{
    if (buffer != NULL) {
        free(buffer->data);
        *buffer = (cask_buffer){0};
    }
}

void cask_free(void *memory)
{
    free(memory);
}

cask_slice cask_slice_of(const char *text)
{
    return (cask_slice){text, strlen(text)};
}
