/*
 * SipHash-1-3-128, see key_hash.h.
 */
#include "key_hash.h"

#include <string.h>

typedef struct sip_state {
    uint64_t v0, v1, v2, v3;
} sip_state;

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void sip_round(sip_state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline uint64_t sip_finish(sip_state *s)
{
    sip_round(s);
    sip_round(s);
    sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* In the order of the machine: the hash never leaves the process. */
static inline uint64_t load_word(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

key_hash key_hash_of(const uint64_t seed[2], cask_slice key)
{
    const unsigned char *at = key.data;
    size_t size = key.size;
    uint64_t last = (uint64_t)size << 56;
    key_hash hash;
    sip_state s;

    s.v0 = seed[0] ^ 0x736f6d6570736575u;
    s.v1 = seed[1] ^ 0x646f72616e646f6du ^ 0xee;
    s.v2 = seed[0] ^ 0x6c7967656e657261u;
    s.v3 = seed[1] ^ 0x7465646279746573u;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word = load_word(at);

        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    for (size_t i = 0; i < size; i++) {
        last |= (uint64_t)at[i] << (8 * i);
    }
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xee;
    hash.word[0] = sip_finish(&s);
    s.v1 ^= 0xdd;
    hash.word[1] = sip_finish(&s);
    return hash;
}
