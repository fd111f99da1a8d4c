/*
 * How many different values a long sequence has, from their hashes, within
 * 2 %, in 4 KiB.
 *
 * Source: Flajolet et al., HyperLogLog (2007).
 */
#ifndef CASKADE_DISTINCT_H
#define CASKADE_DISTINCT_H

#include <stdint.h>

enum { DISTINCT_REGISTERS = 4096 };

typedef struct distinct_counter {
    uint8_t rank[DISTINCT_REGISTERS]; /* begins as {0} */
} distinct_counter;

/* Take one value into account; `hash` has 64 good bits. */
static inline void distinct_add(distinct_counter *counter, uint64_t hash)
{
    uint32_t index = (uint32_t)hash & (DISTINCT_REGISTERS - 1);
    uint64_t rest = hash >> 12 | (uint64_t)1 << 52;
    uint8_t rank = (uint8_t)(__builtin_ctzll(rest) + 1);

    if (rank > counter->rank[index]) {
        counter->rank[index] = rank;
    }
}

/* The estimate; too high by up to 2 % of the registers below 10,000. */
uint64_t distinct_estimate(const distinct_counter *counter);

#endif
