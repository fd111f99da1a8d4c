/*
 * A window that moves through a file. What is near is read ahead: many small
 * reads cost more than the bytes between.
 */
#include "store/store_peek.h"

#include "store/store_read.h"

enum { NEAR_BYTES = 16 << 10, LEAST_BYTES = 4 << 10, AHEAD_BYTES = 256 << 10 };

bool store_peek_read(void *context, uint64_t offset, uint64_t size)
{
    store_peek *w = context;
    uint64_t bytes;
    bool is_near;

    if (w->status != CASK_OK || offset > w->size || size > w->size - offset) {
        return false;
    }
    is_near = offset >= w->wanted && offset - w->wanted <= NEAR_BYTES;
    w->wanted = offset + size;
    if (offset >= w->from && offset <= w->to && size <= w->to - offset) {
        return true;
    }
    bytes = is_near ? AHEAD_BYTES : LEAST_BYTES;
    if (bytes < size) {
        bytes = size;
    }
    if (bytes > w->size - offset) {
        bytes = w->size - offset;
    }
    w->status =
        store_pread(w->store, w->row, w->data + offset, bytes, offset, &w->err);
    if (w->status != CASK_OK) {
        return false;
    }
    w->from = offset;
    w->to = offset + bytes;
    return true;
}
