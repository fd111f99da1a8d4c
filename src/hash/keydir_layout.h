/*
 * Words and groups of the keydir, shared by lookup and growth.
 *
 *   root word       directory line:32 | depth:6 | generation:26
 *   directory word  group line:32 | class:4 | depth:6 | generation:22; 0: empty
 *   group           lines of four slots; a tag of 0 was never used
 *
 * The directory has KEYDIR_SHARDS << root depth words. A key's shard and the
 * top bits of its tag select a word; the low half of its tag selects the line
 * of the group where the search begins.
 */
#ifndef CASKADE_KEYDIR_LAYOUT_H
#define CASKADE_KEYDIR_LAYOUT_H

#include "hash/keydir.h"

enum {
    LINE_SLOTS = 4,
    PROBE_LINES = 20, /* a key is at most this many lines from home, less 1 */
    LAST_CLASS = 10,
    LAST_CLASS_LINES = 72,
    DEPTH_MOST = 26
};

struct keydir_slot {
    _Atomic uint64_t tag;
    _Atomic uint64_t place;
};

typedef struct keydir_line {
    alignas(REGION_LINE) keydir_slot slot[LINE_SLOTS];
} keydir_line;

extern const uint8_t keydir_class_lines[REGION_HEAP_CLASSES];

static inline uint64_t root_line(uint64_t root)
{
    return root & UINT32_MAX;
}

static inline unsigned root_depth(uint64_t root)
{
    return (unsigned)(root >> 32) & 63;
}

static inline uint64_t root_make(uint64_t line, unsigned depth,
                                 uint64_t old_root)
{
    return line | (uint64_t)depth << 32 | ((old_root >> 38) + 1) << 38;
}

static inline uint64_t word_line(uint64_t word)
{
    return word & UINT32_MAX;
}

static inline unsigned word_class(uint64_t word)
{
    return (unsigned)(word >> 32) & 15;
}

static inline unsigned word_depth(uint64_t word)
{
    return (unsigned)(word >> 36) & 63;
}

static inline uint64_t word_make(uint64_t line, uint64_t class, uint64_t depth,
                                 uint64_t old_word)
{
    uint64_t generation = (old_word >> 42) + 1;

    /* clang-tidy 14 takes 10 << 32 in 64 bits for an overflow.
     * NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    return line | class << 32 | depth << 36 | generation << 42;
}

/* The top `depth` bits of the tag. */
static inline uint64_t tag_prefix(uint64_t tag, unsigned depth)
{
    return depth == 0 ? 0 : tag >> (64 - depth);
}

/* Index into a directory of this depth. */
static inline uint64_t directory_index(keydir_hash hash, unsigned depth)
{
    return (uint64_t)hash.shard << depth | tag_prefix(hash.tag, depth);
}

static inline _Atomic uint64_t *directory_word(const region_handle *region,
                                               uint64_t root, uint64_t index)
{
    return (_Atomic uint64_t *)region_line(region, root_line(root)) + index;
}

/* Lines of a directory of this depth. */
static inline uint64_t directory_lines(unsigned depth)
{
    return ((uint64_t)KEYDIR_SHARDS << depth) * 8 / REGION_LINE;
}

static inline uint32_t home_line(uint64_t tag, uint32_t lines)
{
    return (uint32_t)(((tag & UINT32_MAX) * lines) >> 32);
}

/*
 * Make room for one more key in the group at `index` of the directory: the
 * group grows, splits or loses its deleted slots. The lock is held.
 */
void keydir_grow_locked(region_handle *region, uint64_t index);

#endif
