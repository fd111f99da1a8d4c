/*
 * The merging thread: asks the policy now and then. Every handle that writes
 * has one; the merge lock lets one merge at a time, and whoever comes first
 * after its death completes what it had begun.
 */
#include "hash/hash_merger.h"

#include <stdlib.h>

#include "store/store_merge.h"
#include "store/store_recover.h"

/* A question costs microseconds; the answer changes with the segments. */
enum { ASK_MS = 1000 };

struct merger {
    store_handle *store;
    os_thread *thread;
};

static void tell(store_handle *store, const merge_report *report)
{
    if (report->inputs > 0) {
        store_event(store, CASK_EVENT_MERGED, CASK_OK,
                    "merged %llu segments into %llu: %llu bytes read, %llu "
                    "written",
                    (unsigned long long)report->inputs,
                    (unsigned long long)report->outputs,
                    (unsigned long long)report->bytes_read,
                    (unsigned long long)report->bytes_written);
    }
}

static void ask(store_handle *store)
{
    const merge_wish by_itself = {.is_asked = false};
    merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    if (atomic_load(&store->region.header->poisoned) != 0) {
        return;
    }
    if (atomic_load(&store->region.header->merge.phase) != MERGE_NONE ||
        store_merge_has_rubbish(store)) {
        status = hash_merge_complete(store, &err);
    } else {
        status = hash_merge_wished(store, by_itself, &report, &err);
        tell(store, &report);
    }
    if (status != CASK_OK && status != CASK_BUSY &&
        !store_merge_is_cancelled(store)) {
        store_event(store, CASK_EVENT_BACKGROUND, status, "%s", err.message);
    }
}

static void run(void *argument)
{
    merger *m = argument;
    store_handle *store = m->store;

    while (!atomic_load(&store->merger_stop)) {
        /* Also woken by this handle's rotations. */
        uint32_t wake = __atomic_load_n(&store->worker_wake, __ATOMIC_SEQ_CST);

        ask(store);
        if (!atomic_load(&store->merger_stop)) {
            (void)store->os->ops->futex_wait(store->os, &store->worker_wake,
                                             wake, ASK_MS);
        }
    }
}

cask_status merger_start(store_handle *store, merger **ret_merger,
                         cask_error *err)
{
    merger *m = calloc(1, sizeof(*m));
    int os_errno;

    if (m == NULL) {
        return fail_memory(err, sizeof(*m));
    }
    m->store = store;
    os_errno = store->os->ops->thread_start(store->os, run, m, &m->thread);
    if (os_errno != 0) {
        free(m);
        return fail_os(err, os_errno, "cannot start the merging thread");
    }
    *ret_merger = m;
    return CASK_OK;
}

void merger_stop(merger *m)
{
    store_handle *store;

    if (m == NULL) {
        return;
    }
    store = m->store;
    atomic_store(&store->merger_stop, true);
    store_worker_wake(store);
    store->os->ops->thread_join(store->os, m->thread);
    free(m);
}
