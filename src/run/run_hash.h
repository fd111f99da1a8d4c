/*
 * How index, filters and fences of a run know keys: hashes, lines, entries,
 * heads. docs/format/run.md, "Sections".
 */
#ifndef CASKADE_RUN_HASH_H
#define CASKADE_RUN_HASH_H

#include "run/run_format.h"

__extension__ typedef unsigned __int128 run_product;

/* Both halves of a product. */
static inline uint64_t run_fold(uint64_t a, uint64_t b)
{
    run_product product = (run_product)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * The hash by which index and filters know a key, or the start of one. No keys
 * are known that collide whatever the hash key is: the length goes into the
 * last product, so that keys of different lengths cannot make up for it by
 * their bytes. But nothing is proven of it as of SipHash, and whoever knows the
 * hash key finds keys that collide at once; look-ups of them read more records
 * than one. It takes a seventh of the instructions of SipHash: a look-up, which
 * mostly waits for memory, is short enough then for the processor to begin the
 * next one.
 *
 * Source: Wang Yi, wyhash: folded products of words and secrets, as in the
 * hash tables of Go and Abseil.
 */
static inline uint64_t run_hash(run_hash_key key, const void *data, size_t size)
{
    const uint8_t *at = data;
    const uint64_t last_word = key.word[1] ^ size;
    uint64_t hash = key.word[1];
    uint64_t first = 0;
    uint64_t last = 0;

    for (; size > 16; size -= 16, at += 16) {
        hash = run_fold(load_u64(at) ^ key.word[0], load_u64(at + 8) ^ hash);
    }
    if (size >= 8) {
        first = load_u64(at);
        last = load_u64(at + size - 8);
    } else if (size >= 4) {
        first = load_u32(at);
        last = load_u32(at + size - 4);
    } else if (size > 0) {
        first = at[0];
        last = (uint64_t)at[size / 2] << 8 | at[size - 1];
    }
    hash = run_fold(first ^ key.word[0], last ^ hash);
    return run_fold(hash ^ key.word[0], last_word);
}

/* The line, of `lines`, where a hash belongs; lines > 0. */
static inline uint32_t run_line(uint64_t hash, uint32_t lines)
{
    return (uint32_t)((hash >> 32) * lines >> 32);
}

/* How many bits a place takes in an entry of the index; 4 to 31. */
static inline uint32_t run_place_bits(uint64_t length)
{
    return 64 - (uint32_t)__builtin_clzll(length / 8);
}

/* The entry of the index for the record at `offset`. Never 0. */
static inline uint32_t run_index_entry(uint64_t hash, uint64_t offset,
                                       uint32_t place_bits)
{
    return (uint32_t)hash << place_bits | (uint32_t)(offset / 8);
}

/* The offset that an entry names: to be compared with the file's. */
static inline uint64_t run_index_offset(uint32_t entry, uint32_t place_bits)
{
    return (uint64_t)(entry & (((uint32_t)1 << place_bits) - 1)) * 8;
}

/* Nine bits for each of the probes, above eight that depend on few bits. */
static inline uint64_t run_filter_mix(uint64_t hash)
{
    return hash * UINT64_C(0x9e3779b97f4a7c15);
}

/* Set the bits of a hash in a filter. */
static inline void run_filter_add(uint8_t *filter, uint32_t lines,
                                  uint64_t hash)
{
    uint8_t *line = filter + (uint64_t)run_line(hash, lines) * RUN_LINE_SIZE;
    uint64_t mixed = run_filter_mix(hash);

    for (int i = 0; i < RUN_FILTER_PROBES; i++) {
        uint32_t bit = (uint32_t)(mixed >> (8 + 9 * i)) & 511;

        line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << bit % 8);
    }
}

/* The bit of a line that the lowest nine bits name, and others above it. */
static inline uint64_t run_filter_bit(const uint8_t *line, uint64_t nine)
{
    return load_u64(line + (nine >> 3 & 56)) >> (nine & 63);
}

/* Whether all bits of a hash are set. */
static inline bool run_filter_has(const uint8_t *filter, uint32_t lines,
                                  uint64_t hash)
{
    const uint8_t *line =
        filter + (uint64_t)run_line(hash, lines) * RUN_LINE_SIZE;
    uint64_t mixed = run_filter_mix(hash);
    uint64_t all = run_filter_bit(line, mixed >> 8);

    /* All, since it would be guessed wrong which is the first that is not. */
    all &= run_filter_bit(line, mixed >> 17);
    all &= run_filter_bit(line, mixed >> 26);
    all &= run_filter_bit(line, mixed >> 35);
    all &= run_filter_bit(line, mixed >> 44);
    all &= run_filter_bit(line, mixed >> 53);
    return (all & 1) != 0;
}

/* Eight bytes of a key behind its first `skip`, zeros where it ends, as a
 * number that sorts as they do. */
static inline uint64_t run_head(cask_slice key, size_t skip)
{
    uint8_t bytes[8] = {0};
    size_t left = key.size > skip ? key.size - skip : 0;

    if (left > 0) {
        memcpy(bytes, (const uint8_t *)key.data + skip, left < 8 ? left : 8);
    }
    return __builtin_bswap64(load_u64(bytes));
}

#endif
