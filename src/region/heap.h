/*
 * Index memory inside the region, in 64-byte lines. Blocks of
 * REGION_HEAP_CLASSES sizes are recycled; nothing is ever given back. Every
 * call is made under the write lock. A process that dies inside a call leaks at
 * most one block.
 */
#ifndef CASKADE_HEAP_H
#define CASKADE_HEAP_H

#include <stdint.h>

#include "region/region.h"

/* Lines that can be taken without region_reserve(): allocated, and mapped by
 * this process. */
uint64_t heap_available(const region_handle *region);

/*
 * Take a block: the first of its class's free list, else new memory. The
 * content is whatever it was, and readers may still be looking at it: store
 * into it with release order. Returns its first line; 0 if there is no room.
 */
uint64_t heap_take(region_handle *region, unsigned class, uint32_t lines);

/* Take memory that never returns to a free list (the directory). */
uint64_t heap_take_plain(region_handle *region, uint64_t lines);

/* Give a block back to its class. No published word may refer to it. */
void heap_give(region_handle *region, unsigned class, uint64_t line,
               uint32_t lines);

#endif
