/*
 * The order of keys, where they have one.
 */
#ifndef CASKADE_KEY_ORDER_H
#define CASKADE_KEY_ORDER_H

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

#endif
