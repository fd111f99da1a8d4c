/*
 * Keys, values and orders: the same stream for every engine, made on the fly
 * so that the harness holds no table that would push an engine out of the
 * caches.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "caskade.h"

#define STREAM_KEY_MIN_BYTES 8u
#define STREAM_KEY_MAX_BYTES 64u
#define STREAM_VALUE_MAX_BYTES (1u << 20)

/* Every value has this byte there, if it is so long. */
#define STREAM_SAME_AT 8u
#define STREAM_SAME 'c'

/* Indexes from here on name keys that no run ever stores. */
#define STREAM_MISSING (UINT64_C(1) << 48)

typedef struct stream {
    size_t key_bytes;
    size_t value_bytes;
    bool ordered;        /* keys grow with the index; else they are scrambled */
    unsigned char *pool; /* values are windows of it; owned */
} stream;

/* One key, with the memory it is in. */
typedef struct stream_key {
    unsigned char bytes[STREAM_KEY_MAX_BYTES];
} stream_key;

/* Allocate the values. Ends the process if there is no memory. */
void stream_init(stream *self, size_t key_bytes, size_t value_bytes);
void stream_done(stream *self);

/* The key of `index`, written into `memory`. Keys of different indexes differ.
 */
cask_slice stream_key_at(const stream *self, uint64_t index,
                         stream_key *memory);

/*
 * The value of `index` after `version` overwrites: half random, half one
 * byte, so that a compressor halves it. Borrowed from the stream.
 */
cask_slice stream_value_at(const stream *self, uint64_t index,
                           unsigned version);

/* Whether `found` is that value. */
bool stream_value_is(const stream *self, uint64_t index, unsigned version,
                     cask_slice found);

/* A look at one byte, which is the same in all values: what a walk over
 * records that costs nothing itself would do with each. */
static inline bool stream_value_may_be(cask_slice found)
{
    return found.size > STREAM_SAME_AT &&
           ((const char *)found.data)[STREAM_SAME_AT] == STREAM_SAME;
}

/* For random indexes that may come twice, or not for long: xorshift64*. The
 * state begins with STREAM_SEED. */
#define STREAM_SEED UINT64_C(88172645463325252)
uint64_t stream_random(uint64_t *state);

/* A random order of 0 .. count-1 in which each index comes once. */
typedef struct order {
    uint64_t count;
    uint64_t mask; /* a power of two >= count, minus 1 */
    uint64_t seed;
    unsigned shift;
} order;

/* `count` >= 1; equal seeds give equal orders. */
order order_of(uint64_t count, uint64_t seed);

/* The index that comes at `place`, 0 .. count-1. */
uint64_t order_at(const order *self, uint64_t place);

#endif
