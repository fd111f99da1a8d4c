/*
 * One run of recovery, for its parts: store_recover.c, which goes through the
 * segments, and store_log_end.c, where the log goes on.
 */
#ifndef CASKADE_STORE_RECOVERY_H
#define CASKADE_STORE_RECOVERY_H

#include "log/manifest.h"
#include "store/store.h"
#include "store/store_recover.h"

typedef struct recovery {
    store_handle *store;
    manifest_state manifest;
    bool rewrite;            /* the MANIFEST no longer says what is */
    bool unclean;            /* the last writer did not close the store */
    bool stayed;             /* and the end of its log is where it was */
    uint64_t highest;        /* sequence seen */
    uint32_t rows;           /* set up so far */
    size_t listed;           /* segments in the MANIFEST as it was */
    size_t taken_up;         /* 1: it is known which the log ends with */
    uint64_t listed_tail;    /* bytes of the MANIFEST as it was, and */
    uint64_t listed_nonce;   /* which one it was */
    uint64_t made;           /* id of the segment that was made; 0: none */
    const store_tail *tails; /* of the segments listed; owned by recover() */
} recovery;

/* Let row `row` be the active one, and its log end at `end`, durably. */
void recovery_activate(store_handle *store, uint32_t row, uint64_t end);

/*
 * Create a segment, put copies of [from.trusted_end, from.end) into it, and
 * make it the active one. `from` may be NULL; else it is the tail of `source`,
 * whose row was taken last. Statuses of store_create_row() and
 * store_copy_records().
 */
cask_status recovery_begin(recovery *r, const store_tail *from,
                           const manifest_segment *source, cask_error *err);

/*
 * Make the end of the log durable where it is, if the disk is low: r->stayed
 * tells whether. CASK_OK; CASK_POISONED; CASK_IO; CASK_NO_MEMORY: what
 * store_edit() answers.
 */
cask_status recovery_try_to_stay(recovery *r, manifest_segment *segment,
                                 const store_tail *tail, cask_error *err);

#endif
