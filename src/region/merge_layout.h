/*
 * What a region knows of the merge under way. docs/format/region.md
 */
#ifndef CASKADE_MERGE_LAYOUT_H
#define CASKADE_MERGE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

/* One key's place on its way from the input of a merge to the output; see
 * hash/hash_move.c. */
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
    _Atomic uint32_t cancel;                  /* raised to ask for its end */
    _Atomic uint64_t bytes_done, bytes_total; /* of the inputs */

    /* Statistics, of all merges. */
    _Atomic uint64_t bytes_read, bytes_written, bytes_freed;

    /* Keys whose values the merge under way gives up, because they have
     * expired; they leave the index while it moves. */
    _Atomic uint64_t expired;
} region_merge;

enum { REGION_MERGES = 16 /* merges remembered */ };

/* A merge that ended. Written by the holder of the merge lock, read by anybody:
 * whole if `number` is the same before and after. */
typedef struct region_merge_entry {
    alignas(64) _Atomic uint64_t number; /* 1, 2, ...; 0: not whole */
    _Atomic uint64_t began_ms;           /* wall clock */
    _Atomic uint64_t took_ms;
    _Atomic uint64_t bytes_read, bytes_written;
    _Atomic uint64_t bytes_freed; /* of the inputs' files */
    _Atomic uint64_t tombstones_dropped;
    _Atomic uint32_t inputs, outputs;
    _Atomic uint32_t pid;
    _Atomic uint32_t reason; /* merge_reason */
    _Atomic uint32_t result; /* cask_status */
    uint32_t unused;
    _Atomic uint64_t records; /* copied */
} region_merge_entry;

/* Who merges when, over all processes; see store/merge_turn.h. Words are
 * written by anybody, atomically, unless a comment says otherwise. */
typedef struct region_merger {
    alignas(64) _Atomic uint32_t wake; /* futex: there is something to do */
    _Atomic uint32_t worker;   /* process slot + 1 that merges, or did last; by
                                  the holder of the merge lock */
    _Atomic uint64_t began_ms; /* that merge, wall clock; likewise */
    _Atomic uint64_t asked_ns; /* monotonic: last question to the policy */
    _Atomic uint64_t asked_state;   /* what the answer depended on; 0: ask */
    _Atomic uint64_t not_before_ns; /* monotonic: no merge begins by itself */
    _Atomic uint32_t pause;         /* merge_wait, why not */
    _Atomic uint32_t failures;      /* one after the other */
    _Atomic uint64_t entries;       /* merges that ended; merge lock */
    _Atomic uint64_t cleaned_ns;    /* monotonic: last look for files to go */

    /* What cask_merge() asked for to be done by a merging thread. Written
     * under the write lock. */
    alignas(64) _Atomic uint64_t wish; /* number of the newest */
    _Atomic uint64_t wish_done;        /* all up to this one are settled */
    _Atomic uint64_t wish_all_below;   /* merge_wish.all_below_id */
    _Atomic uint32_t wish_result;      /* cask_status of the settled ones */
    /* 1: there may be retired rows; by the holder of the merge lock. */
    _Atomic uint32_t retired;
    _Atomic uint64_t wanted_until_ns; /* monotonic: somebody waits to merge */
    /* 1: a process that wrote has died, and may have left files that nobody
     * knows of; see store_sweep(). */
    _Atomic uint32_t sweep;
    /* Since when, monotonic, `bytes_written` of the region has been as it was
     * at the last look; the time is stored first. */
    _Atomic uint64_t rest_bytes;
    _Atomic uint64_t rest_since_ns;

    /* How fast a merge goes; see store/store_pace.h. Written by who merges. */
    alignas(64) _Atomic uint64_t paid_until_ns; /* monotonic; the bucket */
    _Atomic uint64_t allowed_bytes; /* per second, by the syncs; 0: any */
    _Atomic uint64_t rate_bytes;    /* per second, as it goes; 0: it does not */

    /* As MANIFEST has them, of segments that have left; write lock. */
    uint64_t past_log_bytes;
    uint64_t past_merge_bytes;

    region_merge_entry
        entry[REGION_MERGES]; /* of number n: n % REGION_MERGES */
} region_merger;

#endif
