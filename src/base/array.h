/*
 * Arrays that grow by doubling.
 */
#ifndef CASKADE_ARRAY_H
#define CASKADE_ARRAY_H

#include "base/error.h"

/*
 * Make room for one more item.
 *
 *   items       owned, as is what is returned; NULL if *capacity is 0
 *   count       items that it has
 *   capacity    items that it has room for; set anew
 *   item_bytes  of each
 *
 * Returns the array, which may have moved; NULL if there is no memory, which
 * `err` says then, and nothing has changed.
 */
void *array_grow(void *items, size_t count, size_t *capacity, size_t item_bytes,
                 cask_error *err);

#endif
