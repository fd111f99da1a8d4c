/*
 * What a region knows of the merge under way. docs/format/region.md
 */
#ifndef CASKADE_MERGE_LAYOUT_H
#define CASKADE_MERGE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

/* One key's place on its way from the input of a merge to the output; see
 * hash/hash_merge.c. */
typedef struct region_move_intent {
    alignas(64) uint64_t armed; /* 0: none */
    uint64_t hash[2];
    uint64_t to;
    uint64_t size;          /* of the record, bytes */
    uint64_t to_live_bytes; /* of the rows, before */
    uint64_t from_live_bytes;
    uint32_t to_live_records;
    uint32_t from_live_records;
    uint32_t from_row;
    uint32_t unused;
    uint64_t key_count; /* before */
} region_move_intent;

typedef enum region_merge_phase {
    MERGE_NONE = 0,
    MERGE_COPYING = 1, /* outputs do not count: whoever takes over drops them */
    MERGE_MOVING = 2   /* inputs do not count: whoever takes over goes on */
} region_merge_phase;

/* The merge under way; see store/store_merge.c. */
typedef struct region_merge {
    alignas(64) _Atomic uint64_t number;      /* merges that replaced inputs */
    _Atomic uint32_t phase;                   /* region_merge_phase */
    _Atomic uint32_t cancel;                  /* somebody asks it to stop */
    _Atomic uint64_t bytes_done, bytes_total; /* of the inputs */

    /* Statistics, of all merges. */
    _Atomic uint64_t bytes_read, bytes_written, bytes_freed;

    /* Keys whose values the merge under way gives up, because they have
     * expired; they leave the index while it moves. */
    _Atomic uint64_t expired;
} region_merge;

#endif
