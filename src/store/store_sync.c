/*
 * Group commit: one leader syncs for all that wait, in any process.
 *
 * The leader enters itself, samples the end of the log under the write lock,
 * syncs, stores the durable sequence, leaves, and wakes everybody. If it dies
 * meanwhile its sync may have failed with nobody told: the next leader uses a
 * descriptor that was open before that sync began, to which the kernel reports
 * the failure as well; without such a descriptor it does not sync that file but
 * moves the unsynced tail to a new segment and syncs that.
 *
 * Source: the errseq_t rule of Linux >= 4.13: every descriptor open at the time
 * of a write-back error hears of it once. docs/decisions/0005-dead-leader.md
 */
#include <errno.h>
#include <inttypes.h>

#include "store/store.h"
#include "store/store_recover.h"
#include "store/store_write.h"

enum { FOLLOWER_MS = 100 };

/* The kernel compares plain words. */
static uint32_t *futex_of(region_commit *commit)
{
    return (uint32_t *)(uintptr_t)&commit->wake;
}

static uint64_t my_leader_word(const store_handle *store)
{
    return (store->generation << 16) | (store->process_slot + 1);
}

/* Whether the leader in `word` will never finish. */
static bool leader_is_dead(store_handle *store, uint64_t word)
{
    uint32_t slot = (uint32_t)(word & UINT16_MAX) - 1;

    if (slot >= REGION_PROCESSES) {
        return true;
    }
    return atomic_load(&store->region.processes[slot].generation) !=
               word >> 16 ||
           !store_slot_is_alive(store, slot);
}

static uint32_t pid_of_leader(const store_handle *store)
{
    uint64_t word = atomic_load(&store->region.header->commit.leader);
    uint32_t slot = (uint32_t)(word & UINT16_MAX) - 1;

    return slot < REGION_PROCESSES
               ? atomic_load(&store->region.processes[slot].pid)
               : 0;
}

/* Become the leader, unless one lives. */
static bool take_lead(store_handle *store)
{
    region_commit *commit = &store->region.header->commit;
    uint64_t leader = atomic_load(&commit->leader);

    return (leader == 0 || leader_is_dead(store, leader)) &&
           atomic_compare_exchange_strong(&commit->leader, &leader,
                                          my_leader_word(store));
}

void store_lead_end(store_handle *store)
{
    region_commit *commit = &store->region.header->commit;

    atomic_store(&commit->leader, 0);
    atomic_fetch_add(&commit->wake, 1);
    store->os->ops->futex_wake(store->os, futex_of(commit));
}

/* What a sync of `active` will make durable. */
typedef struct sync_target {
    store_active *active;
    uint64_t sequence;
    uint64_t offset;
} sync_target;

bool store_can_vouch_locked(const store_handle *store)
{
    uint64_t running = atomic_load(&store->region.header->commit.sync_running);

    /* Only a leader that died leaves a sync running for the next. */
    return running == 0 || store->active->sync_epoch < running;
}

static cask_status sample(store_handle *store, sync_target *ret_target,
                          bool *ret_vouched, cask_error *err)
{
    region_header *header = store->region.header;
    cask_status status = store_lock(store, err);

    *ret_vouched = true;
    if (status != CASK_OK) {
        return status;
    }
    status = store_open_active_locked(store, err);
    if (status == CASK_OK) {
        *ret_vouched = store_can_vouch_locked(store);
    }
    if (status == CASK_OK && *ret_vouched) {
        ret_target->active = store_active_acquire_locked(store);
        ret_target->sequence = region_newest_sequence(header);
        ret_target->offset =
            region_tail_offset(atomic_load(&header->applied_tail));
        atomic_store(&header->commit.sync_running,
                     atomic_fetch_add(&header->commit.sync_epoch, 1) + 1);
        /* A sync takes write access from each page that is mapped, and
         * interrupts all processors of the process for it. After little was
         * written that costs less than making pages present again. */
        if (ret_target->offset >=
            header->commit.durable_offset + STORE_LET_GO_BYTES) {
            store_let_go_locked(store);
        }
    }
    store_unlock(store);
    return status;
}

/* The next append will name what is durable now. */
static cask_status note_durable(store_handle *store, const sync_target *target,
                                cask_error *err)
{
    region_commit *commit = &store->region.header->commit;
    cask_status status = store_lock(store, err);

    if (status != CASK_OK) {
        return status;
    }
    if (atomic_load(&commit->durable_sequence) < target->sequence) {
        atomic_store(&commit->durable_sequence, target->sequence);
    }
    if (atomic_load(&store->region.header->active_row) == target->active->row &&
        target->offset > commit->durable_offset) {
        commit->durable_offset = target->offset;
        atomic_store(&commit->mark_due, 1);
    }
    atomic_store(&commit->sync_running, 0);
    store_unlock(store);
    return CASK_OK;
}

/* Merges slow down if syncs take long. Only the leader writes more than 0. */
static void note_worst(region_commit *commit, uint64_t took_ns)
{
    if (atomic_load(&commit->sync_worst_ns) < took_ns) {
        atomic_store(&commit->sync_worst_ns, took_ns);
    }
}

static cask_status lead(store_handle *store, bool maintained, cask_error *err)
{
    region_header *header = store->region.header;
    const os_ops *ops = store->os->ops;
    sync_target target = {NULL, 0, 0};
    bool vouched = true;
    cask_status status = sample(store, &target, &vouched, err);
    uint64_t start;
    int os_errno;

    if (!vouched) {
        return store_move_tail(store, maintained, err);
    }

    if (status != CASK_OK) {
        return status;
    }
    start = ops->now_ns(store->os);
    os_errno = ops->sync(target.active->file);
    if (os_errno != 0) {
        store_poison(store, os_errno, "the log");
        status = fail(err, CASK_POISONED, os_errno,
                      "cannot sync %016" PRIx64
                      ".log; what was written last may be lost; reopen the "
                      "store",
                      target.active->file_id);
    } else {
        uint64_t end = ops->now_ns(store->os);

        store_histogram_add(header->sync_ns, end - start);
        note_worst(&header->commit, end - start);
        atomic_fetch_add(&header->syncs, 1);
        atomic_store(&header->commit.last_sync_ns, end);
        status = note_durable(store, &target, err);
    }
    store_active_release(store, target.active);
    return status;
}

static cask_status check_poison(store_handle *store, cask_error *err)
{
    if (atomic_load(&store->region.header->poisoned) == 0) {
        return CASK_OK;
    }
    return fail(err, CASK_POISONED, 0,
                "%s: %s; what was written last is visible but may not be "
                "durable; reopen the store",
                store->path, store_poison_text(store));
}

/* Wait for the leader to finish. A leader that is stopped or dead wakes nobody:
 * not for long. CASK_TIMEOUT after the deadline.
 *
 *   meanwhile  what became of the write that waits, for the message
 */
static cask_status follow(store_handle *store, uint32_t wake, uint64_t deadline,
                          const char *meanwhile, cask_error *err)
{
    region_commit *commit = &store->region.header->commit;

    if (store->os->ops->now_ns(store->os) >= deadline) {
        return fail(err, CASK_TIMEOUT, 0,
                    "%s: waited %" PRIu32 " ms for process %" PRIu32
                    " to sync the log; %s",
                    store->path, store->options.lock_timeout_ms,
                    pid_of_leader(store), meanwhile);
    }
    (void)store->os->ops->futex_wait(store->os, futex_of(commit), wake,
                                     FOLLOWER_MS);
    return CASK_OK;
}

static uint64_t deadline_of(const store_handle *store)
{
    return store->os->ops->now_ns(store->os) +
           store->options.lock_timeout_ms * UINT64_C(1000000);
}

cask_status store_lead_begin(store_handle *store, cask_error *err)
{
    region_commit *commit = &store->region.header->commit;
    uint64_t deadline = deadline_of(store);

    for (;;) {
        uint32_t wake = atomic_load(&commit->wake);
        cask_status status;

        if (take_lead(store)) {
            return CASK_OK;
        }
        status = follow(store, wake, deadline, "nothing was written", err);
        if (status != CASK_OK) {
            return status;
        }
    }
}

cask_status store_sync_leading(store_handle *store, cask_error *err)
{
    cask_status status = check_poison(store, err);

    return status == CASK_OK ? lead(store, true, err) : status;
}

cask_status store_sync_to(store_handle *store, uint64_t sequence,
                          cask_error *err)
{
    region_commit *commit = &store->region.header->commit;
    uint64_t deadline = deadline_of(store);

    while (atomic_load(&commit->durable_sequence) < sequence) {
        uint32_t wake = atomic_load(&commit->wake);
        cask_status status = check_poison(store, err);

        if (status != CASK_OK) {
            return status;
        }
        if (atomic_load(&commit->durable_sequence) >= sequence) {
            break;
        }
        if (take_lead(store)) {
            status = lead(store, false, err);
            store_lead_end(store);
            if (status != CASK_OK) {
                return status;
            }
            continue;
        }
        status =
            follow(store, wake, deadline,
                   "what was written is visible, its durability unknown", err);
        if (status != CASK_OK) {
            return status;
        }
    }
    return CASK_OK;
}

cask_status store_sync_all(store_handle *store, cask_error *err)
{
    return store_sync_to(store, region_newest_sequence(store->region.header),
                         err);
}
