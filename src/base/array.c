/*
 * Arrays that grow by doubling: moved as often as that takes.
 */
#include "base/array.h"

#include <stdlib.h>

enum { FIRST_ITEMS = 16 };

void *array_grow(void *items, size_t count, size_t *capacity, size_t item_bytes,
                 cask_error *err)
{
    size_t wanted = *capacity == 0 ? FIRST_ITEMS : *capacity * 2;
    void *grown;

    if (count < *capacity) {
        return items;
    }
    if (wanted > SIZE_MAX / item_bytes) {
        (void)fail_memory(err, SIZE_MAX);
        return NULL;
    }
    grown = realloc(items, wanted * item_bytes);
    if (grown == NULL) {
        (void)fail_memory(err, wanted * item_bytes);
        return NULL;
    }
    *capacity = wanted;
    return grown;
}
