/*
 * Where the newest version of each key is: open addressing with linear probing.
 * See bitcask_index.h.
 */
#define _GNU_SOURCE /* madvise() */
#include "bitcask_index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum {
    FIRST_CAPACITY = 1024,
    NEWEST_BITS = 2,
    OFFSET_BITS = 40,
    NEWEST_MASK = (1 << NEWEST_BITS) - 1
};

#define CAPACITY_MAX UINT32_MAX
#define HUGE_PAGE ((size_t)2 << 20)

/* No file has this number, see BITCASK_FILE_MAX_COUNT. */
#define PLACE_FREE UINT64_MAX

bool bitcask_index_init(bitcask_index *index)
{
    *index = (bitcask_index){.count = 0};
    return getrandom(index->seed, sizeof(index->seed), 0) ==
           (ssize_t)sizeof(index->seed);
}

void bitcask_index_free(bitcask_index *index)
{
    free(index->slots);
    index->slots = NULL;
    index->count = 0;
    index->capacity = 0;
}

/* Where the search for a hash begins: its upper half as a part of the table,
 * which may have any size below CAPACITY_MAX. */
static size_t first_slot(key_hash hash, size_t capacity)
{
    return (size_t)(((hash.word[0] >> 32) * (uint64_t)capacity) >> 32);
}

/* The slot of `hash`, or the free one where it belongs. */
static bitcask_slot *probe(bitcask_slot *slots, size_t capacity, key_hash hash)
{
    size_t at = first_slot(hash, capacity);

    while (slots[at].place != PLACE_FREE &&
           (slots[at].hash.word[0] != hash.word[0] ||
            slots[at].hash.word[1] != hash.word[1])) {
        at = at + 1 == capacity ? 0 : at + 1;
    }
    return &slots[at];
}

/* A large table in huge pages: its slots are met in random order, and each
 * would miss the TLB. */
static bitcask_slot *allocate(size_t capacity)
{
    size_t bytes = capacity * sizeof(bitcask_slot);
    bitcask_slot *slots;

    if (bytes < 2 * HUGE_PAGE) {
        return malloc(bytes);
    }
    bytes = (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    slots = aligned_alloc(HUGE_PAGE, bytes);
    if (slots != NULL) {
        (void)madvise(slots, bytes, MADV_HUGEPAGE);
    }
    return slots;
}

static bool grow(bitcask_index *index)
{
    /* By a half only: old and new table are there at once. */
    size_t capacity = index->capacity == 0
                          ? FIRST_CAPACITY
                          : index->capacity + index->capacity / 2;
    bitcask_slot *slots = NULL;

    if (capacity <= CAPACITY_MAX) {
        slots = allocate(capacity);
    }
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0xff, capacity * sizeof(*slots)); /* all PLACE_FREE */
    for (size_t i = 0; i < index->capacity; i++) {
        if (bitcask_index_is_used(index, i)) {
            *probe(slots, capacity, index->slots[i].hash) = index->slots[i];
        }
    }
    free(index->slots);
    index->slots = slots;
    index->capacity = capacity;
    return true;
}

key_hash bitcask_index_hash(const bitcask_index *index, cask_slice key)
{
    return key_hash_of(index->seed, key);
}

void bitcask_index_prefetch(const bitcask_index *index, key_hash hash)
{
    if (index->capacity > 0) {
        __builtin_prefetch(&index->slots[first_slot(hash, index->capacity)], 1);
    }
}

bitcask_slot *bitcask_index_find(const bitcask_index *index, key_hash hash)
{
    bitcask_slot *slot;

    if (index->capacity == 0) {
        return NULL;
    }
    slot = probe(index->slots, index->capacity, hash);
    return slot->place == PLACE_FREE ? NULL : slot;
}

bitcask_slot *bitcask_index_add(bitcask_index *index, key_hash hash)
{
    bitcask_slot *slot;

    if (index->count >= index->capacity / 8 * 7 && !grow(index)) {
        return NULL;
    }
    slot = probe(index->slots, index->capacity, hash);
    if (slot->place == PLACE_FREE) {
        slot->hash = hash;
        bitcask_slot_set(slot, 0, BITCASK_UNKNOWN);
        index->count++;
    }
    return slot;
}

bool bitcask_index_is_used(const bitcask_index *index, size_t i)
{
    return index->slots[i].place != PLACE_FREE;
}

/* ---- Places ------------------------------------------------------------ */

uint64_t bitcask_place(size_t file, uint64_t offset)
{
    return (uint64_t)file << OFFSET_BITS | offset;
}

size_t bitcask_place_file(uint64_t place)
{
    return (size_t)(place >> OFFSET_BITS);
}

uint64_t bitcask_slot_place(const bitcask_slot *slot)
{
    return slot->place >> NEWEST_BITS;
}

bitcask_newest bitcask_slot_newest(const bitcask_slot *slot)
{
    return (bitcask_newest)(slot->place & NEWEST_MASK);
}

void bitcask_slot_set(bitcask_slot *slot, uint64_t place, bitcask_newest newest)
{
    slot->place = place << NEWEST_BITS | (uint64_t)newest;
}
