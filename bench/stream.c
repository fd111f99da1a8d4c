/*
 * Keys by a bijective mix of the index, values from a pool that stays in the
 * second-level cache, orders by a bijection on a power of two.
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* Values begin at multiples of PIECE in the first POOL_STARTS pieces. */
enum { PIECE = 16, POOL_STARTS = 4096 };

/* Bijective. Source: Steele et al., SplitMix (2014), Stafford's variant 13. */
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void stream_init(stream *self, size_t key_bytes, size_t value_bytes)
{
    size_t pieces = POOL_STARTS + value_bytes / PIECE + 1;
    *self = (stream){.key_bytes = key_bytes, .value_bytes = value_bytes};
    self->pool = malloc(pieces * PIECE);
    if (self->pool == NULL) {
        bench_die("no memory for %zu pieces of values", pieces);
    }
    for (size_t i = 0; i < pieces; i++) {
        uint64_t random = mix(i + 1);
        memcpy(self->pool + i * PIECE, &random, sizeof(random));
        memset(self->pool + i * PIECE + STREAM_SAME_AT, STREAM_SAME,
               PIECE - STREAM_SAME_AT);
    }
}

void stream_done(stream *self)
{
    free(self->pool);
    *self = (stream){0};
}

cask_slice stream_key_at(const stream *self, uint64_t index, stream_key *memory)
{
    uint64_t word = self->ordered ? __builtin_bswap64(index) : mix(index + 1);
    for (size_t at = 0; at < self->key_bytes; at += sizeof(word)) {
        memcpy(memory->bytes + at, &word, sizeof(word));
        word = mix(word + 0x9e37);
    }
    return (cask_slice){memory->bytes, self->key_bytes};
}

cask_slice stream_value_at(const stream *self, uint64_t index, unsigned version)
{
    uint64_t start = (index * 2654435761u + version * 97u) % POOL_STARTS;
    return (cask_slice){self->pool + start * PIECE, self->value_bytes};
}

bool stream_value_is(const stream *self, uint64_t index, unsigned version,
                     cask_slice found)
{
    cask_slice expected = stream_value_at(self, index, version);
    return found.size == expected.size &&
           memcmp(found.data, expected.data, found.size) == 0;
}

uint64_t stream_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * UINT64_C(0x2545f4914f6cdd1d)) >> 11;
}

order order_of(uint64_t count, uint64_t seed)
{
    unsigned bits = 1;
    while ((UINT64_C(1) << bits) < count) {
        bits++;
    }
    return (order){
        .count = count,
        .mask = (UINT64_C(1) << bits) - 1,
        .seed = mix(seed + 1),
        .shift = (bits + 1) / 2,
    };
}

uint64_t order_at(const order *self, uint64_t place)
{
    uint64_t x = place;
    /* Every step is a bijection on 0 .. mask, so walking on from an index
     * that is too large ends at one that is not, and never at the same. */
    do {
        x = (x ^ self->seed) & self->mask;
        x = (x * UINT64_C(0x9e3779b97f4a7c15)) & self->mask;
        x ^= x >> self->shift;
        x = (x * UINT64_C(0xbf58476d1ce4e5b9)) & self->mask;
        x ^= x >> self->shift;
        x = (x * UINT64_C(0x94d049bb133111eb)) & self->mask;
        x ^= x >> self->shift;
    } while (x >= self->count);
    return x;
}
