/*
 * The records of some segments by rising sequence, whatever segments they are
 * in. Segments are opened when their turn comes and closed when they are done,
 * so that a walk over a log without merges has one open at a time.
 */
#ifndef CASKADE_STORE_WALK_H
#define CASKADE_STORE_WALK_H

#include "store/store.h"
#include "store/store_read.h"
#include "store/store_peek.h"

/* A segment of a walk. Rows must not be given to another segment meanwhile:
 * see store_snapshot_take(). */
typedef struct walk_part {
    uint32_t row;
    uint64_t end;            /* of what is walked, bytes */
    uint64_t first_sequence; /* of its first record */

    /* The walk's own. */
    uint64_t sequence; /* of `item`; UINT64_MAX: no more */
    uint64_t missing;  /* bytes cut off the file's end, not told yet */
    scan_result result;
    scan_item item;
    segment_scan scan;
    store_bytes bytes; /* owned; CASK_IO_PREAD only */
    store_peek *peek;  /* owned; of a walk with a proof, over `bytes`; NULL:
                            all of it is read */
    store_map *held;   /* pinned; NULL: none */
} walk_part;

typedef struct store_walk {
    store_handle *store;
    uint64_t from;   /* no records before this sequence; set before it begins */
    bool holds_maps; /* so that none is let go while it is walked */
    scan_proof proof; /* of all parts, whose rows are told; {0}: none */
    walk_part *parts; /* owned; by rising first_sequence */
    size_t count;
    size_t capacity;
    size_t done;        /* parts before it are done, ... */
    size_t opened;      /* ... those from there to here are open */
    walk_part *current; /* which gave the last record */
    uint64_t limit;     /* below it `current` has the next one too */
} store_walk;

/* Add a part; only row, end and first_sequence count. CASK_OK or
 * CASK_NO_MEMORY. */
cask_status store_walk_add(store_walk *walk, const walk_part *part,
                           cask_error *err);

/* Begin, with all parts added. */
void store_walk_begin(store_walk *walk, store_handle *store);

/*
 * The next record or damage, NULL at the end: its `result` says which of the
 * two `item` is. Marks are left out. Valid until the next call.
 *
 * Returns CASK_OK; CASK_IO; CASK_NO_MEMORY.
 */
cask_status store_walk_next(store_walk *walk, const walk_part **ret_part,
                            cask_error *err);

void store_walk_free(store_walk *walk);

/* The bytes of a row up to `size`: in its mapping, or read; free `ret_bytes`
 * in any case. */
cask_status store_row_bytes(store_handle *store, uint32_t row, uint64_t size,
                            const uint8_t **ret_data, store_bytes *ret_bytes,
                            cask_error *err);

#endif
