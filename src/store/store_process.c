/*
 * Who is alive, and who may do what: bytes of the file LOCK, held by open file
 * description, so that the kernel drops them when a process dies. PIDs are for
 * messages only.
 */
#include <errno.h>
#include <inttypes.h>

#include "store/store_recover.h"
#include "store/store_settings.h"

enum { POLL_MS = 1, POLL_MOST_MS = 20 };

cask_status store_lock_byte(store_handle *store, uint64_t byte, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    uint64_t deadline = ops->now_ns(store->os) +
                        store->options.lock_timeout_ms * UINT64_C(1000000);
    uint64_t pause_ms = POLL_MS;

    for (;;) {
        int os_errno = ops->lock(store->lock_file, byte, 1, OS_EXCLUSIVE);

        if (os_errno == 0) {
            return CASK_OK;
        }
        if (os_errno != EAGAIN) {
            return fail_os(err, os_errno, "%s: cannot lock LOCK", store->path);
        }
        if (ops->now_ns(store->os) >= deadline) {
            return fail(err, CASK_TIMEOUT, 0,
                        "%s: waited %" PRIu32 " ms for a process that is "
                        "opening, closing or tidying the store; nothing was "
                        "written",
                        store->path, store->options.lock_timeout_ms);
        }
        ops->sleep_ms(store->os, pause_ms);
        pause_ms = pause_ms * 2 > POLL_MOST_MS ? POLL_MOST_MS : pause_ms * 2;
    }
}

void store_unlock_byte(store_handle *store, uint64_t byte)
{
    (void)store->os->ops->lock(store->lock_file, byte, 1, OS_UNLOCK);
}

bool store_slot_is_alive(store_handle *store, uint32_t slot)
{
    bool locked = false;

    if (store->has_slot && slot == store->process_slot) {
        return true;
    }
    /* If the kernel cannot tell, nothing is taken from anybody. */
    return store->os->ops->is_locked(store->lock_file, LOCK_PROCESSES + slot, 1,
                                     &locked) != 0 ||
           locked;
}

/* What a handle counted is kept. */
static void leave_slot(store_handle *store, uint32_t slot)
{
    region_header *header = store->region.header;
    region_process *process = &store->region.processes[slot];

    atomic_fetch_add(&header->past_gets, atomic_load(&process->gets));
    atomic_fetch_add(&header->past_get_misses,
                     atomic_load(&process->get_misses));
    atomic_store(&process->gets, 0);
    atomic_store(&process->get_misses, 0);
    atomic_store(&process->in_use, 0);
}

/* The handle died: hints that it was writing are for others to write. `in_use`
 * last, so that whoever takes over from this one does all of it again. The
 * slot's byte is locked. */
static void bury(store_handle *store, uint32_t slot)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    if (atomic_load(&store->region.processes[slot].writer) != 0) {
        for (uint32_t i = 0; i < count; i++) {
            uint32_t claim = HINT_CLAIMED + slot;

            (void)atomic_compare_exchange_strong(
                &store->region.rows[i].has_hint, &claim, HINT_NONE);
        }
        atomic_store(&store->region.header->merger.sweep, 1);
    }
    leave_slot(store, slot);
}

void store_bury_dead(store_handle *store)
{
    const os_ops *ops = store->os->ops;

    for (uint32_t slot = 0; slot < REGION_PROCESSES; slot++) {
        const region_process *process = &store->region.processes[slot];

        if (atomic_load(&process->in_use) == 0 ||
            store_slot_is_alive(store, slot) ||
            ops->lock(store->lock_file, LOCK_PROCESSES + slot, 1,
                      OS_EXCLUSIVE) != 0) {
            continue;
        }
        if (atomic_load(&process->in_use) != 0) {
            bury(store, slot); /* nobody has meanwhile */
        }
        store_unlock_byte(store, LOCK_PROCESSES + slot);
    }
}

static void fill_slot(store_handle *store, uint32_t slot)
{
    region_process *process = &store->region.processes[slot];

    if (atomic_load(&process->in_use) != 0) {
        bury(store, slot);
    }
    store->generation = atomic_fetch_add(&process->generation, 1) + 1;
    atomic_store(&process->pid, store->os->ops->pid(store->os));
    atomic_store(&process->start_ms, store->os->ops->wall_ms(store->os));
    atomic_store(&process->writer, store->writer ? 1 : 0);
    atomic_store(&process->pinned, 0);
    atomic_store(&process->merges, 0);
    atomic_store(&process->opened_ns, store->opened_ns);
    atomic_store(&process->in_use, 1);
    store->process_slot = slot;
    store->has_slot = true;
}

cask_status store_claim_slot(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;

    for (uint32_t slot = 0; slot < REGION_PROCESSES; slot++) {
        int os_errno =
            ops->lock(store->lock_file, LOCK_PROCESSES + slot, 1, OS_EXCLUSIVE);

        if (os_errno == 0) {
            fill_slot(store, slot);
            return CASK_OK;
        }
        if (os_errno != EAGAIN) {
            return fail_os(err, os_errno, "%s: cannot lock LOCK", store->path);
        }
    }
    return fail(err, CASK_BUSY, 0,
                "%s: %d handles are open already; close some", store->path,
                REGION_PROCESSES);
}

void store_release_slot(store_handle *store)
{
    if (!store->has_slot) {
        return;
    }
    store_publish_counters(store);
    leave_slot(store, store->process_slot);
    store->has_slot = false;
    store_unlock_byte(store, LOCK_PROCESSES + store->process_slot);
}

bool store_files_are_kept(store_handle *store)
{
    bool kept = true;

    return store->os->ops->is_locked(store->lock_file, LOCK_KEEP, 1, &kept) !=
               0 ||
           kept;
}

bool store_has_other_writer(store_handle *store)
{
    for (uint32_t slot = 0; slot < REGION_PROCESSES; slot++) {
        const region_process *process = &store->region.processes[slot];

        if (atomic_load(&process->in_use) != 0 &&
            atomic_load(&process->writer) != 0 && slot != store->process_slot &&
            store_slot_is_alive(store, slot)) {
            return true;
        }
    }
    return false;
}

cask_status store_fail_busy(store_handle *store, cask_error *err)
{
    uint64_t now = store->os->ops->wall_ms(store->os);

    for (uint32_t slot = 0; slot < REGION_PROCESSES; slot++) {
        const region_process *process = &store->region.processes[slot];

        if (atomic_load(&process->in_use) != 0 &&
            atomic_load(&process->writer) != 0 &&
            store_slot_is_alive(store, slot)) {
            return fail(err, CASK_BUSY, 0,
                        "%s: process %" PRIu32 " has been writing to it for "
                        "%" PRIu64 " s; %s",
                        store->path, atomic_load(&process->pid),
                        (now - atomic_load(&process->start_ms)) / 1000,
                        store->options.exclusive
                            ? "open it without exclusive, or wait"
                            : "it holds the store exclusively: wait");
        }
    }
    return fail(err, CASK_BUSY, 0,
                "%s: another process writes to it; try again", store->path);
}

cask_status store_maintain_begin(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    cask_status status;
    int os_errno = ops->mutex_lock(store->os, &store->maintenance_mutex,
                                   store->options.lock_timeout_ms);

    if (os_errno == ETIMEDOUT) {
        return fail(err, CASK_TIMEOUT, 0,
                    "%s: another thread has been tidying the store for %" PRIu32
                    " ms; nothing was written",
                    store->path, store->options.lock_timeout_ms);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "%s: cannot lock", store->path);
    }
    status = store_lock_byte(store, LOCK_MAINTENANCE, err);
    if (status != CASK_OK) {
        ops->mutex_unlock(store->os, &store->maintenance_mutex);
    } else if (store_settings_are_unread(store)) {
        store_settings_load(store); /* its holder died while changing them */
    }
    return status;
}

void store_maintain_end(store_handle *store)
{
    store_unlock_byte(store, LOCK_MAINTENANCE);
    store->os->ops->mutex_unlock(store->os, &store->maintenance_mutex);
}
