/*
 * How fast a merge goes: within what the settings allow for all processes, and
 * slower while syncs of the log take too long.
 */
#ifndef CASKADE_STORE_PACE_H
#define CASKADE_STORE_PACE_H

#include "store/store_settings.h"

typedef struct store_pace {
    store_handle *store;
    store_settings settings; /* as of the last step */
    uint64_t unpaid;         /* bytes since the last look at the clock */
    uint64_t step_ns;        /* monotonic begin of the step */
    uint64_t step_bytes;
} store_pace;

/* A merge begins to copy; merge lock held until it ends. */
void store_pace_begin(store_pace *pace, store_handle *store);

/*
 * It has read or written so many bytes: wait, until it may go on or is
 * cancelled. No lock is held that anybody needs but for merging.
 *
 * Cost: mostly an addition; the time of day every 64 KiB.
 */
void store_pace_add(store_pace *pace, uint64_t bytes);

/* It has done something else for a while, which says nothing about its rate. */
void store_pace_resume(store_pace *pace);

/* It ends. */
void store_pace_end(store_pace *pace);

/*
 * How long a writer of the hash engine is to wait for a merge now, by
 * merge_yield_ms(): what has expired is dead. 0 also if the lock could not be
 * had. Cost: the write lock, O(segments).
 */
uint64_t store_pace_yield_ms(store_handle *store,
                             const store_settings *settings);

#endif
