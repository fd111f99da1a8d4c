/*
 * Snapshots as the store knows them: who has one, what it keeps. An engine adds
 * how a key is looked up as of one.
 */
#ifndef CASKADE_STORE_SNAPSHOT_H
#define CASKADE_STORE_SNAPSHOT_H

#include "store/store_walk.h"

/* A moment of the store. Constant once taken: any number of threads. */
typedef struct store_snapshot {
    store_handle *store;    /* borrowed */
    region_snapshot *entry; /* in the region; NULL: the index is this handle's
                               own, and nobody changes it */
    uint64_t ticket;        /* of `entry` while it is this snapshot's */
    uint64_t sequence;      /* the last record that it sees */
    uint64_t key_count;
    uint64_t moment_ms;      /* wall clock: what had expired then */
    uint64_t expiry_seconds; /* the store's age of expiry then; 0: none */
    store_walk log;          /* owned; the rows that counted, and their ends */
    _Atomic(void *) cuts;    /* of the engine, which makes it by malloc() when
                                it is needed; owned */
} store_snapshot;

/*
 * Take a snapshot: every operation is in it wholly, or not at all. From then on
 * writers save what they change, and no segment goes that it may need, until
 * it is dropped or its process dies.
 *
 *   is_fold  for the list of snapshots only
 *
 * Returns CASK_OK; CASK_BUSY (REGION_SNAPSHOTS are open); CASK_TIMEOUT,
 * CASK_FENCED, CASK_IO (of the write lock); CASK_NO_MEMORY.
 *
 * Cost: the write lock, briefly; O(segments).
 */
cask_status store_snapshot_take(store_handle *store, bool is_fold,
                                store_snapshot *ret_snapshot, cask_error *err);

/* Give it up; accepts one that is {0}. Takes the write lock; if it cannot, what
 * was kept for it is given back later. Files that were kept for it alone go. */
void store_snapshot_drop(store_snapshot *snapshot);

/* Whether it was expelled: to be asked after everything that was looked up. */
static inline bool store_snapshot_is_lost(const store_snapshot *snapshot)
{
    return snapshot->entry != NULL &&
           atomic_load_explicit(&snapshot->entry->ticket,
                                memory_order_acquire) != snapshot->ticket;
}

/* CASK_SNAPSHOT_LOST. */
cask_status store_snapshot_fail_lost(const store_snapshot *snapshot,
                                     cask_error *err);

/* Drop the snapshots of processes that died. */
void store_snapshot_reap(store_handle *store);

/* Whether a snapshot may look into this row, which a merge has replaced. */
bool store_snapshot_needs_row(store_handle *store, uint32_t row);

/* Fill `ret_list`, with room for REGION_SNAPSHOTS, by age; returns how many.
 * Of an index of one's own: none. */
size_t store_snapshot_list(store_handle *store, cask_snapshot_info *ret_list);

#endif
