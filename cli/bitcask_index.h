/*
 * Where the newest version of each key is, in memory: 27 to 41 bytes per key,
 * and 68 for a moment while the table grows, whatever keys and values take.
 * Keys are told apart by 128 bits of a seeded hash; there may be 3.7 billion.
 */
#ifndef CASKADE_CLI_BITCASK_INDEX_H
#define CASKADE_CLI_BITCASK_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key_hash.h"

/* What is known about the newest version of a key. */
typedef enum bitcask_newest {
    BITCASK_VALUE = 0,   /* a value */
    BITCASK_DELETED = 1, /* a tombstone */
    BITCASK_SETTLED = 2, /* one of them, and nothing is left to do */
    BITCASK_UNKNOWN = 3  /* nothing: hints and data contradict each other */
} bitcask_newest;

/* The most that a place can say. */
#define BITCASK_FILE_MAX_COUNT ((UINT64_C(1) << 22) - 1)
#define BITCASK_FILE_MAX_BYTES (UINT64_C(1) << 40)

typedef struct bitcask_slot {
    key_hash hash;
    uint64_t place; /* file, offset, bitcask_newest; see the functions */
} bitcask_slot;

/* Start with {0}. */
typedef struct bitcask_index {
    uint64_t seed[2];
    bitcask_slot *slots;
    size_t count;    /* keys */
    size_t capacity; /* slots */
} bitcask_index;

/* Seed the hash. False: the system has no random bytes. */
bool bitcask_index_init(bitcask_index *index);
void bitcask_index_free(bitcask_index *index);

/* The hash by which a key is found. */
key_hash bitcask_index_hash(const bitcask_index *index, cask_slice key);

/* Fetch the slot of a key that will be asked for soon: tables are larger than
 * caches. */
void bitcask_index_prefetch(const bitcask_index *index, key_hash hash);

/* The slot of a key, valid until the next one is added. NULL: there is none. */
bitcask_slot *bitcask_index_find(const bitcask_index *index, key_hash hash);

/* The same; if there is none, a new one, which is UNKNOWN. NULL: no memory. */
bitcask_slot *bitcask_index_add(bitcask_index *index, key_hash hash);

/* Whether slots[i] is one of a key. */
bool bitcask_index_is_used(const bitcask_index *index, size_t i);

/* The place of a record: the number of its file and its offset, both below
 * their limits. Later places are larger. */
uint64_t bitcask_place(size_t file, uint64_t offset);
size_t bitcask_place_file(uint64_t place);

/* The place in a slot, not meaningful if UNKNOWN, and what is there. */
uint64_t bitcask_slot_place(const bitcask_slot *slot);
bitcask_newest bitcask_slot_newest(const bitcask_slot *slot);
void bitcask_slot_set(bitcask_slot *slot, uint64_t place,
                      bitcask_newest newest);

#endif
