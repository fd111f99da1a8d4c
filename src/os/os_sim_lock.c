/*
 * os_sim: byte locks that belong to an os_file, as the kernel's belong to an
 * open file description. Locks of one owner never overlap.
 */
#include "os/os_sim_internal.h"

#include <errno.h>

#include "base/array.h"

static bool overlaps(const sim_lock *lock, uint64_t start, uint64_t end)
{
    return lock->start < end && start < lock->end;
}

static int add_lock(os_sim *sim, const sim_lock *lock)
{
    sim_lock *locks = array_grow(sim->locks, sim->lock_count,
                                 &sim->lock_capacity, sizeof(*locks), NULL);

    if (locks == NULL) {
        return ENOLCK;
    }
    sim->locks = locks;
    locks[sim->lock_count++] = *lock;
    return 0;
}

void sim_locks_drop(os_sim *sim, const sim_handle *owner)
{
    size_t kept = 0;

    for (size_t i = 0; i < sim->lock_count; i++) {
        if (owner != NULL && sim->locks[i].owner != owner) {
            sim->locks[kept++] = sim->locks[i];
        }
    }
    sim->lock_count = kept;
}

static bool is_taken(const os_sim *sim, const sim_lock *wanted)
{
    for (size_t i = 0; i < sim->lock_count; i++) {
        const sim_lock *lock = &sim->locks[i];
        if (lock->owner != wanted->owner &&
            lock->owner->node == wanted->owner->node &&
            overlaps(lock, wanted->start, wanted->end) &&
            (lock->kind == OS_EXCLUSIVE || wanted->kind == OS_EXCLUSIVE)) {
            return true;
        }
    }
    return false;
}

/* Take [start, end) out of the locks that `range->owner` holds. */
static int carve(os_sim *sim, const sim_lock *range)
{
    size_t count = sim->lock_count;
    size_t kept = 0;
    int error = 0;

    /* First what lies behind the range, as new locks at the end. */
    for (size_t i = 0; error == 0 && i < count; i++) {
        sim_lock rest = sim->locks[i];
        if (rest.owner == range->owner &&
            overlaps(&rest, range->start, range->end) &&
            rest.end > range->end) {
            rest.start = range->end;
            error = add_lock(sim, &rest);
        }
    }
    if (error != 0) {
        sim->lock_count = count;
        return error;
    }
    for (size_t i = 0; i < sim->lock_count; i++) {
        sim_lock lock = sim->locks[i];
        if (lock.owner == range->owner &&
            overlaps(&lock, range->start, range->end)) {
            lock.end = range->start;
        }
        if (lock.start < lock.end) {
            sim->locks[kept++] = lock;
        }
    }
    sim->lock_count = kept;
    return 0;
}

/* As fcntl() does: a shared lock needs reading, an exclusive one writing. */
static int check_lock(const sim_lock *wanted)
{
    uint32_t flags = wanted->owner->flags;

    if (wanted->start >= wanted->end) {
        return EINVAL;
    }
    if ((wanted->kind == OS_SHARED && (flags & OS_READ) == 0) ||
        (wanted->kind == OS_EXCLUSIVE && (flags & OS_WRITE) == 0)) {
        return EBADF;
    }
    return 0;
}

int sim_lock_range(os_file *file, uint64_t offset, uint64_t size, os_lock kind)
{
    os_sim *sim = sim_of(file);
    sim_lock wanted = {
        .owner = sim_handle_of(file),
        .start = offset,
        .end = size > UINT64_MAX - offset ? 0 : offset + size,
        .kind = kind,
    };
    int error = sim_begin(sim, file);

    if (error != 0) {
        return error;
    }
    error = check_lock(&wanted);
    if (error == 0 && kind != OS_UNLOCK && is_taken(sim, &wanted)) {
        error = EAGAIN;
    }
    if (error == 0) {
        error = carve(sim, &wanted);
    }
    if (error == 0 && kind != OS_UNLOCK) {
        error = add_lock(sim, &wanted);
    }
    sim_unlock_guard(sim);
    return error;
}

int sim_is_locked(os_file *file, uint64_t offset, uint64_t size,
                  bool *ret_locked)
{
    os_sim *sim = sim_of(file);
    sim_lock wanted = {
        .owner = sim_handle_of(file),
        .start = offset,
        .end = size > UINT64_MAX - offset ? 0 : offset + size,
        .kind = OS_EXCLUSIVE, /* conflicts with any other */
    };
    int error = sim_begin(sim, file);

    if (error != 0) {
        return error;
    }
    if (wanted.start >= wanted.end) {
        error = EINVAL;
    } else {
        *ret_locked = is_taken(sim, &wanted);
    }
    sim_unlock_guard(sim);
    return error;
}
