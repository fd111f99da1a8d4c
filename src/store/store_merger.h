/*
 * The merging thread of a handle that writes, whatever the engine: it looks
 * about once a second, and when it is woken, whether there is something to do.
 * Every such handle has one; the merge lock lets one merge at a time, and
 * whoever comes first after the death of another completes what that had begun.
 */
#ifndef CASKADE_STORE_MERGER_H
#define CASKADE_STORE_MERGER_H

#include "store/store.h"

/* What an engine does in the thread. */
typedef struct store_merger_work {
    size_t state_bytes; /* of what it remembers between looks; zeros at first */
    /* Do what is due; is_woken: before the time. */
    void (*look)(store_handle *store, void *state, bool is_woken);
    /* The last that the thread does; NULL: nothing. */
    void (*end)(store_handle *store, void *state);
} store_merger_work;

typedef struct store_merger store_merger;

/* Start the thread; `work` is borrowed. CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status store_merger_start(store_handle *store,
                               const store_merger_work *work,
                               store_merger **ret_merger, cask_error *err);

/* Cancel what it does, wait for its end and free it; accepts NULL. */
void store_merger_stop(store_merger *take_merger);

/* In a child of fork(), where the thread is not: free it; accepts NULL. */
void store_merger_forget(store_merger *take_merger);

#endif
