/*
 * A place: where a key's newest record is, in 64 bits.
 *
 *   segment row:16 | offset/8:27 | size/8:20 | live:1
 *
 * A row is an index into the region's segment table. A size that does not fit
 * is stored as the largest and means "look at the record". 0 is no place.
 */
#ifndef CASKADE_PLACE_H
#define CASKADE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define PLACE_SIZE_MAX ((UINT64_C(1) << 20) - 1)
/* Records start below it; bytes. */
#define PLACE_OFFSET_LIMIT (UINT64_C(1) << 30)

/* offset and size in bytes, multiples of 8; offset < PLACE_OFFSET_LIMIT. */
static inline uint64_t place_make(uint16_t row, uint64_t offset, uint64_t size,
                                  bool live)
{
    uint64_t units = size / 8 < PLACE_SIZE_MAX ? size / 8 : PLACE_SIZE_MAX;

    return (uint64_t)row << 48 | (offset / 8) << 21 | units << 1 |
           (live ? 1 : 0);
}

static inline uint16_t place_row(uint64_t place)
{
    return (uint16_t)(place >> 48);
}

static inline uint64_t place_offset(uint64_t place)
{
    return ((place >> 21) & ((UINT64_C(1) << 27) - 1)) * 8;
}

/* Bytes of the record; 0 if it is too large to be told here. */
static inline uint64_t place_size(uint64_t place)
{
    uint64_t units = (place >> 1) & PLACE_SIZE_MAX;

    return units == PLACE_SIZE_MAX ? 0 : units * 8;
}

static inline bool place_is_live(uint64_t place)
{
    return (place & 1) != 0;
}

/* What the index has for the key of a place when its value has gone. */
static inline uint64_t place_ended(uint64_t place)
{
    return place & ~UINT64_C(1);
}

#endif
