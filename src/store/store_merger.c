/*
 * The merging thread: waits for the word that all processes of the store wake
 * each other by, and lets the engine look.
 */
#include "store/store_merger.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

#include "store/store_merge.h"

/* How soon another thread takes over from one that died. */
enum { ASK_MS = 1000 };

struct store_merger {
    store_handle *store;
    const store_merger_work *work;
    os_thread *thread;
    alignas(max_align_t) uint8_t state[]; /* of the engine */
};

static void run(void *argument)
{
    store_merger *m = argument;
    store_handle *store = m->store;
    region_merger *shared = &store->region.header->merger;
    /* The kernel compares plain words. */
    uint32_t *futex = (uint32_t *)(uintptr_t)&shared->wake;
    bool is_woken = false;

    while (!atomic_load(&store->merger_stop)) {
        uint32_t wake = atomic_load(&shared->wake);

        m->work->look(store, m->state, is_woken);
        if (!atomic_load(&store->merger_stop)) {
            is_woken = store->os->ops->futex_wait(store->os, futex, wake,
                                                  ASK_MS) != ETIMEDOUT;
        }
    }
    if (m->work->end != NULL) {
        m->work->end(store, m->state);
    }
}

/* That it merges by itself, for others to see. */
static _Atomic uint32_t *flag_of(const store_handle *store)
{
    return &store->region.processes[store->process_slot].merges;
}

cask_status store_merger_start(store_handle *store,
                               const store_merger_work *work,
                               store_merger **ret_merger, cask_error *err)
{
    size_t size = sizeof(store_merger) + work->state_bytes;
    store_merger *m = calloc(1, size);
    int os_errno;

    if (m == NULL) {
        return fail_memory(err, size);
    }
    m->store = store;
    m->work = work;
    os_errno = store->os->ops->thread_start(store->os, run, m, &m->thread);
    if (os_errno != 0) {
        free(m);
        return fail_os(err, os_errno, "cannot start the merging thread");
    }
    atomic_store(flag_of(store), 1 + store->jitter_ms);
    *ret_merger = m;
    return CASK_OK;
}

void store_merger_stop(store_merger *take_merger)
{
    store_handle *store;

    if (take_merger == NULL) {
        return;
    }
    store = take_merger->store;
    atomic_store(flag_of(store), 0);
    atomic_store(&store->merger_stop, true);
    store_merge_wake(store);
    store->os->ops->thread_join(store->os, take_merger->thread);
    free(take_merger);
}

void store_merger_forget(store_merger *take_merger)
{
    free(take_merger);
}
