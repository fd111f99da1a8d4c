/*
 * The order of keys, where they have one.
 */
#ifndef CASKADE_KEY_ORDER_H
#define CASKADE_KEY_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "caskade.h"

/* By bytes, a shorter one first. < 0, 0, > 0. */
static inline int key_compare(cask_slice a, cask_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

/*
 * Where a range without an end ends: longer than a key can be, and so behind
 * all of them, for key_compare() as for everything that compares by it. In
 * records and in what callers are told it is an empty slice.
 */
extern const uint8_t key_end_bytes[CASK_KEY_MAX_BYTES + 1];

static inline bool key_is_end(cask_slice end)
{
    return end.size > CASK_KEY_MAX_BYTES;
}

/* From a record's form, in which no end is empty, and back. */
static inline cask_slice key_end_of(cask_slice stored)
{
    return stored.size > 0 ? stored
                           : (cask_slice){key_end_bytes, sizeof(key_end_bytes)};
}

static inline cask_slice key_end_stored(cask_slice end)
{
    return key_is_end(end) ? (cask_slice){NULL, 0} : end;
}

#endif
