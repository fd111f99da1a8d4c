/*
 * What a region knows of syncs. docs/format/region.md
 */
#ifndef CASKADE_COMMIT_LAYOUT_H
#define CASKADE_COMMIT_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

/* Group commit; see store/store_sync.c. */
typedef struct region_commit {
    alignas(64) _Atomic uint64_t durable_sequence;
    _Atomic uint64_t leader; /* process slot + 1, generation << 16; 0: none */
    _Atomic uint64_t sync_epoch;   /* syncs begun */
    _Atomic uint64_t last_sync_ns; /* monotonic time of the last success */
    _Atomic uint32_t wake;         /* futex: changes when a leader is done */
    _Atomic uint32_t mark_due;     /* a sync happened since the last mark */
    uint64_t durable_offset; /* of the active segment; the next mark names it */
    _Atomic uint64_t sync_running;  /* epoch of the sync under way, or 0 */
    _Atomic uint64_t sync_worst_ns; /* the longest since a merge looked */
} region_commit;

#endif
