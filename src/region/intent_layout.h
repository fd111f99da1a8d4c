/*
 * What a writer is about to do to the index, for who comes after it if it dies.
 * docs/format/region.md
 */
#ifndef CASKADE_INTENT_LAYOUT_H
#define CASKADE_INTENT_LAYOUT_H

#include <stdalign.h>
#include <stdint.h>

/* What a put is about to do to the index; see hash/hash_apply.c. */
typedef struct region_apply_intent {
    alignas(64) uint64_t new_place; /* 0: none */
    uint64_t old_place;
    uint64_t key_count;      /* before */
    uint64_t new_live_bytes; /* of the new place's row, before */
    uint64_t old_live_bytes; /* of the old place's row, before */
    uint32_t new_live_records;
    uint32_t old_live_records;
    uint32_t new_tombstones;
    uint32_t unused;
    uint64_t new_records;
    uint64_t new_first_sequence;
    uint64_t new_last_sequence;
} region_apply_intent;

/* A change of directory words that must be finished once begun; see
 * hash/keydir_grow.c. */
typedef struct region_keydir_intent {
    alignas(64) uint64_t armed; /* 0: none */
    uint64_t first_index;       /* of the directory */
    uint64_t word_count;        /* words to store, first half and second half */
    uint64_t first_word;        /* for the first half (or all) */
    uint64_t second_word;       /* for the second half; 0: for all first_word */
    uint64_t unused[3];
} region_keydir_intent;

#endif
