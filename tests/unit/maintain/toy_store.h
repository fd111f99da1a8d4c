/*
 * A store in a few arrays: segments are lists of records without values, a
 * merge is exact about what stays and nothing else. It is there to drive the
 * merge policy for as long as a real store would run for days.
 */
#ifndef CASKADE_TESTS_TOY_STORE_H
#define CASKADE_TESTS_TOY_STORE_H

#include "maintain/merge_policy.h"

enum {
    TOY_PUT_BYTES = 128,
    TOY_TOMBSTONE_BYTES = 48,
    TOY_SEGMENTS = 8192 /* at most */
};

typedef struct toy_record {
    uint64_t sequence;
    uint32_t key;
    bool is_tombstone;
} toy_record;

typedef struct toy_segment {
    toy_record *records;
    size_t capacity;
    uint64_t newest_ms;
    bool is_input; /* of the merge under way */
    merge_segment facts;
} toy_segment;

/* The newest put of a key. */
typedef struct toy_place {
    uint64_t sequence; /* 0: none */
    uint32_t row;
} toy_place;

typedef struct toy_store {
    merge_settings settings;
    merge_moment moment; /* what toy_work() tells the policy, but for bytes */
    toy_segment rows[TOY_SEGMENTS]; /* facts.id is 0: free */
    uint32_t row_count;             /* rows ever used */
    uint32_t active;
    toy_place *keydir;
    uint64_t *oldest; /* per key, scratch of merges */
    uint32_t key_limit;
    uint64_t next_id;
    uint64_t next_sequence;
    uint64_t now_ms;
    uint64_t ms_per_write_q10; /* milliseconds a write takes, times 1024 */
    uint64_t clock_q10;
    uint64_t writes_per_tick; /* merges are looked for so often, too */

    /* Totals. */
    uint64_t user_bytes;
    uint64_t merge_bytes; /* written by merges */
    uint64_t merges;
    uint64_t idle_merges; /* freed no record and no file */
    uint64_t live_bytes;
    uint64_t total_bytes;
    uint64_t peak_bytes;                      /* inputs and outputs together */
    double worst_at_rest;                     /* total / live */
    double worst_peak;                        /* peak / live */
    uint64_t reasons[MERGE_REASON_SMALL + 1]; /* merges by reason */
} toy_store;

/* `key_limit`: keys are below it. */
toy_store *toy_open(uint32_t key_limit, uint64_t segment_max_bytes);
void toy_close(toy_store *store);

/* Each seals a full segment and then lets merges run, as a worker would. */
void toy_put(toy_store *store, uint32_t key);
void toy_delete(toy_store *store, uint32_t key);

/* Seal the active segment. */
void toy_seal(toy_store *store);

/* Merge until the policy has nothing more to do; returns how many merges. */
uint64_t toy_work(toy_store *store);

/* Forget totals and worst cases: the steady state begins. */
void toy_restart_totals(toy_store *store);

double toy_write_amplification(const toy_store *store);
uint64_t toy_tombstones(const toy_store *store);
uint64_t toy_segments(const toy_store *store);

#endif
