/*
 * The write lock: one robust mutex in the region. Its next owner after a death
 * redoes what the log says before anybody writes again.
 */
#include <errno.h>
#include <inttypes.h>

#include "store/store.h"
#include "store/store_recover.h"

const char *store_poison_text(const store_handle *store)
{
    return atomic_load(&store->region.header->poisoned) == POISONED_BY_INDEX
               ? "the index could not take a record that the log has"
               : "a sync failed";
}

/* Something that this handle did, or that was done to it, forbids writing. */
static cask_status check_standing(store_handle *store, bool even_poisoned,
                                  cask_error *err)
{
    region_header *header = store->region.header;
    uint32_t state = atomic_load(&header->state);

    if (!region_is_covered(&store->region)) {
        return region_fail_uncovered(&store->region, err);
    }
    if ((state != REGION_LIVE && state != REGION_CLEAN) ||
        atomic_load(&store->region.processes[store->process_slot].generation) !=
            store->generation) {
        return fail(err, CASK_FENCED, 0,
                    "%s: this handle lost its place in the store; nothing was "
                    "written; close and reopen it",
                    store->path);
    }
    if (atomic_load_explicit(&header->poisoned, memory_order_relaxed) != 0 &&
        !even_poisoned) {
        return fail(err, CASK_POISONED, 0,
                    "%s: %s and nothing can be written any more; nothing was "
                    "written; close the store in all processes and reopen it",
                    store->path, store_poison_text(store));
    }
    return CASK_OK;
}

static cask_status timed_out(store_handle *store, cask_error *err)
{
    uint32_t holder = atomic_load(&store->region.header->lock_holder);
    uint32_t pid = holder == 0 || holder > REGION_PROCESSES
                       ? 0
                       : atomic_load(&store->region.processes[holder - 1].pid);

    return fail(err, CASK_TIMEOUT, 0,
                "%s: waited %" PRIu32 " ms for the write lock, last taken by "
                "process %" PRIu32 "; nothing was written",
                store->path, store->options.lock_timeout_ms, pid);
}

/* Take the mutex; the time of a contended wait is counted. */
static int take(store_handle *store)
{
    const os_ops *ops = store->os->ops;
    region_header *header = store->region.header;
    int os_errno = ops->mutex_lock(store->os, &header->write_lock, 0);

    if (os_errno == ETIMEDOUT) {
        uint64_t start = ops->now_ns(store->os);

        os_errno = ops->mutex_lock(store->os, &header->write_lock,
                                   store->options.lock_timeout_ms);
        store_histogram_add(header->lock_wait_ns,
                            ops->now_ns(store->os) - start);
    }
    return os_errno;
}

static cask_status lock(store_handle *store, bool even_poisoned,
                        cask_error *err)
{
    region_header *header = store->region.header;
    int os_errno = take(store);
    cask_status status;

    if (os_errno == ETIMEDOUT) {
        return timed_out(store, err);
    }
    if (os_errno != 0 && os_errno != EOWNERDEAD) {
        return fail_os(err, os_errno, "%s: cannot take the write lock",
                       store->path);
    }
    if (os_errno == EOWNERDEAD) {
        /* First the note, then "consistent": whoever dies in between leaves
         * the work to the next. */
        atomic_store(&header->redo_needed, 1);
        atomic_fetch_add(&header->takeovers, 1);
        store->os->ops->mutex_consistent(store->os, &header->write_lock);
    }
    atomic_store_explicit(&header->lock_holder, store->process_slot + 1,
                          memory_order_relaxed);
    status = check_standing(store, even_poisoned, err);
    if (status == CASK_OK && atomic_load(&header->redo_needed) != 0) {
        status = store_redo_locked(store, err);
    }
    if (status != CASK_OK) {
        store_unlock(store);
    } else if (os_errno == EOWNERDEAD) {
        store_event(store, CASK_EVENT_TAKEOVER, CASK_OK,
                    "%s: a writer died holding the write lock; its writes "
                    "were completed",
                    store->path);
    }
    return status;
}

cask_status store_lock(store_handle *store, cask_error *err)
{
    return lock(store, false, err);
}

cask_status store_lock_always(store_handle *store, cask_error *err)
{
    return lock(store, true, err);
}

void store_unlock(store_handle *store)
{
    store->os->ops->mutex_unlock(store->os, &store->region.header->write_lock);
}

void store_poison(store_handle *store, int os_errno, const char *what)
{
    cask_error err;

    if (atomic_exchange(&store->region.header->poisoned, POISONED_BY_SYNC) ==
        0) {
        (void)fail(&err, CASK_POISONED, os_errno,
                   "%s: read-only until it is reopened: cannot sync %s",
                   store->path, what);
        store_event(store, CASK_EVENT_POISONED, CASK_POISONED, "%s",
                    err.message);
    }
}
