/*
 * Little-endian integers in byte arrays of any alignment, and rounding.
 */
#ifndef CASKADE_BYTES_H
#define CASKADE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Caskade's files are little-endian and so are the machines it supports"
#endif

static inline uint16_t load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline void store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof(value));
}

/* `value` rounded up to a multiple of 8; value <= UINT64_MAX - 7. */
static inline uint64_t round_up_8(uint64_t value)
{
    return (value + 7) & ~(uint64_t)7;
}

/* `value` rounded up to a multiple of `unit`, a power of two. */
static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

#endif
