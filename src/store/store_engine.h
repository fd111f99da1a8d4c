/*
 * What an engine does for the store: an index of the records in the log.
 */
#ifndef CASKADE_STORE_ENGINE_H
#define CASKADE_STORE_ENGINE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/siphash.h"
#include "log/manifest.h"
#include "log/record_format.h"

typedef struct store_handle store_handle;
struct store_record; /* store_write.h */

/* A record, as an index finds it. */
typedef struct store_indexed {
    siphash_value hash; /* of its key */
    cask_slice key;
    uint64_t sequence;
} store_indexed;

/* What an engine does for the store. */
typedef struct store_engine {
    bool has_hints;         /* sealed segments get them */
    bool has_ranges;        /* its log may have records that delete ranges */
    bool maps_only;         /* it cannot do with io = CASK_IO_PREAD */
    uint64_t segment_bytes; /* of a segment, at most, whatever segment_max_bytes
                               says; 0: that alone counts */
    /* Set up store->engine_state, before there is a region; NULL: it has none.
     * What attach() has begun is ended by detach(), also if it failed. */
    cask_status (*attach)(store_handle *store, cask_error *err);
    void (*detach)(store_handle *store);
    /* Set up an empty index in a new region. */
    cask_status (*create_index)(store_handle *store, cask_error *err);
    /* Look at the file of a run as far as that takes no time: CASK_OK;
     * CASK_CORRUPT; CASK_UNSUPPORTED; CASK_IO. NULL: there are no runs. */
    cask_status (*check_run)(store_handle *store, const manifest_run *run,
                             cask_error *err);
    /* Open what a private index reads besides the log, all as it was when that
     * was made: others may remove it. NULL: nothing. CASK_CORRUPT: it has
     * changed since, or is damaged; CASK_IO; CASK_NO_MEMORY. */
    cask_status (*open_private)(store_handle *store, cask_error *err);
    /* Make the new index ready for about `count` keys. */
    cask_status (*presize)(store_handle *store, uint64_t count,
                           cask_error *err);
    /* The hash by which the index knows a key. NULL: SipHash by the store's
     * key. */
    siphash_value (*hash)(const store_handle *store, cask_slice key);
    /* Bring what apply_locked() will need into the cache. */
    void (*prefetch)(store_handle *store, siphash_value hash);
    /* Finish index changes that a dead writer began; write lock held. */
    void (*finish_locked)(store_handle *store);
    /* Memory that `count` apply calls may need; no lock held. */
    cask_status (*reserve)(store_handle *store, uint64_t count,
                           cask_error *err);
    /* Whether that memory is there; write lock held. */
    bool (*has_room_locked)(store_handle *store, uint64_t count);
    /* It was not: wait, without any lock, until there may be room that others
     * have to make. NULL: reserve() makes it. CASK_OK; CASK_TIMEOUT. */
    cask_status (*wait_for_room)(store_handle *store, cask_error *err);
    /* Apply the put or delete at `place` to index and counters, then advance
     * applied_tail to `tail`; write lock held. `key` is the record's, borrowed;
     * NULL where only its hash is known, by a hint. False: it cannot be. */
    bool (*apply_locked)(store_handle *store, siphash_value hash,
                         const record_header *header, const uint8_t *key,
                         uint64_t place, uint64_t tail);
    /* Apply as many of these records as go at once, of which the first is at
     * `place` and each behind that before; as apply_locked() for each, and who
     * dies does them again so. How many; 0: none, apply the first. NULL: always
     * one by one. */
    size_t (*apply_many_locked)(store_handle *store,
                                const struct store_record *records,
                                size_t count, uint64_t place);
    /* The place that the index names for a record, or for a newer one of its
     * key; 0 if none. Write lock held. */
    uint64_t (*place_locked)(store_handle *store, const store_indexed *record);
    /* Let it name another, of the same record; counters stay. False: it
     * cannot. */
    bool (*move_locked)(store_handle *store, const store_indexed *record,
                        uint64_t to);
} store_engine;

/* As many as there are, and one more: their numbers begin at 1. */
enum { STORE_ENGINES = 3 };

#endif
