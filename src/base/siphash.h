/*
 * SipHash-1-3 with 128 bits of output: the keyed hash of the index, so that
 * nobody who chooses keys can make them collide.
 *
 * Source: Aumasson & Bernstein, SipHash: a fast short-input PRF (2012); one
 * compression and three finalization rounds as in Rust's and Python's tables.
 */
#ifndef CASKADE_SIPHASH_H
#define CASKADE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct siphash_key {
    uint64_t word[2];
} siphash_key;

typedef struct siphash_value {
    uint64_t word[2];
} siphash_value;

siphash_value siphash(siphash_key key, const void *data, size_t size);

#endif
