/*
 * Whoever comes first after the death of another that flushed completes what
 * that had begun.
 */
#include "tree/tree_merger.h"

#include <stdlib.h>

#include "store/store_merge.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"

enum {
    ASK_MS = 1000,    /* how soon another takes over from one that died */
    PAUSE_MS = 10000, /* after a failure */
};

struct tree_merger {
    store_handle *store;
    os_thread *thread;
    uint64_t not_before_ns; /* monotonic */
};

static void flush(tree_merger *m)
{
    store_handle *store = m->store;
    const os_ops *ops = store->os->ops;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    if (!tree_flush_is_due(store) ||
        atomic_load(&store->region.header->poisoned) != 0 ||
        ops->now_ns(store->os) < m->not_before_ns) {
        return;
    }
    status = tree_flush(store, false, &err);
    if (status != CASK_OK && status != CASK_BUSY) {
        store_event(store, CASK_EVENT_BACKGROUND, status, "%s", err.message);
        m->not_before_ns =
            ops->now_ns(store->os) + (uint64_t)PAUSE_MS * 1000 * 1000;
    }
}

static void run(void *argument)
{
    tree_merger *m = argument;
    store_handle *store = m->store;
    region_merger *shared = &store->region.header->merger;
    /* The kernel compares plain words. */
    uint32_t *futex = (uint32_t *)(uintptr_t)&shared->wake;

    while (!atomic_load(&store->merger_stop)) {
        uint32_t wake = atomic_load(&shared->wake);

        flush(m);
        versions_let_go(tree_state_of(store)->versions);
        if (!atomic_load(&store->merger_stop)) {
            (void)store->os->ops->futex_wait(store->os, futex, wake, ASK_MS);
        }
    }
    flush(m); /* if this is the last handle nobody else will, for long */
}

cask_status tree_merger_start(store_handle *store, tree_merger **ret_merger,
                              cask_error *err)
{
    tree_merger *m = calloc(1, sizeof(*m));
    int os_errno;

    if (m == NULL) {
        return fail_memory(err, sizeof(*m));
    }
    m->store = store;
    os_errno = store->os->ops->thread_start(store->os, run, m, &m->thread);
    if (os_errno != 0) {
        free(m);
        return fail_os(err, os_errno, "cannot start the flushing thread");
    }
    *ret_merger = m;
    return CASK_OK;
}

void tree_merger_stop(tree_merger *take_merger)
{
    store_handle *store;

    if (take_merger == NULL) {
        return;
    }
    store = take_merger->store;
    atomic_store(&store->merger_stop, true);
    store_merge_wake(store);
    store->os->ops->thread_join(store->os, take_merger->thread);
    free(take_merger);
}

void tree_merger_forget(tree_merger *take_merger)
{
    free(take_merger);
}
