/*
 * Bytes of a segment that are read when they are wanted, for who goes through
 * it from front to back and leaves most of it out: a fold of keys whose values
 * are large, without maps (CASK_IO_PREAD).
 */
#ifndef CASKADE_STORE_PEEK_H
#define CASKADE_STORE_PEEK_H

#include "store/store.h"

typedef struct store_peek {
    store_handle *store;
    uint32_t row;
    uint8_t *data;   /* of the whole file; only what was read takes memory */
    uint64_t size;   /* bytes of it */
    uint64_t from;   /* what was read last: from there ... */
    uint64_t to;     /* ... to there; the rest of what was read stays as well */
    uint64_t wanted; /* end of what was asked for last, read or there */
    cask_status status; /* of the first read that failed, with its error */
    cask_error err;
} store_peek;

/*
 * See to it that `size` bytes from `offset` on are there. False: they are
 * beyond the end, or could not be read: see `status`.
 *
 *   context  a store_peek; fits scan_source
 *
 * Cost: at most one read, of 4 KiB, or of 256 KiB if it is near to what was
 * read last: then most of what lies between is wanted, too.
 */
bool store_peek_read(void *context, uint64_t offset, uint64_t size);

#endif
