/*
 * A hash of keys that nobody who does not know the seed can make collide:
 * SipHash-1-3 with 128 bits. (The library has its own, which programs do not
 * see.) Pure.
 */
#ifndef CASKADE_CLI_KEY_HASH_H
#define CASKADE_CLI_KEY_HASH_H

#include <stdint.h>

#include "caskade.h"

typedef struct key_hash {
    uint64_t word[2];
} key_hash;

/* Hash `key` with a seed of 128 random bits. */
key_hash key_hash_of(const uint64_t seed[2], cask_slice key);

#endif
