/*
 * Waiting, for the sake of others. The bucket, and what syncs allow, are words
 * of the region: who merges next goes on with them, in whichever process.
 */
#include "store/store_pace.h"

#include "maintain/merge_pace.h"
#include "maintain/merge_yield.h"
#include "store/store_merge.h"

/* Bytes that are paid for at once; so many are taken without a pause. */
enum { BITE_BYTES = 64 << 10 };

static const uint64_t NS_PER_MS = 1000000;
static const uint64_t STEP_NS = 100000000;

static region_merger *merger_of(const store_pace *pace)
{
    return &pace->store->region.header->merger;
}

static uint64_t now_of(const store_pace *pace)
{
    return pace->store->os->ops->now_ns(pace->store->os);
}

/* Bytes per second; 0: any number. */
static uint64_t limit_of(const store_pace *pace)
{
    return merge_pace_least(pace->settings.merge_rate_bytes,
                            atomic_load(&merger_of(pace)->allowed_bytes));
}

void store_pace_begin(store_pace *pace, store_handle *store)
{
    *pace = (store_pace){.store = store};
    pace->step_ns = now_of(pace);
    store_settings_get(store, &pace->settings);
    /* Syncs of before say nothing about this merge. */
    atomic_store(&store->region.header->commit.sync_worst_ns, 0);
}

void store_pace_resume(store_pace *pace)
{
    pace->step_ns = now_of(pace);
    pace->step_bytes = 0;
}

void store_pace_end(store_pace *pace)
{
    atomic_store(&merger_of(pace)->rate_bytes, 0);
}

uint64_t store_pace_yield_ms(store_handle *store,
                             const store_settings *settings)
{
    store_expiry expiry;
    store_space space;

    if (settings->max_space_amplification == 0 ||
        store_lock(store, NULL) != CASK_OK) {
        return 0;
    }
    store_expiry_now(store, false, &expiry);
    space = store_space_locked(store, &expiry);
    store_unlock(store);
    if (!expiry.disagrees) {
        space.live_bytes -= space.expired_bytes;
    }
    return merge_yield_ms(space.total_bytes, space.live_bytes,
                          settings->max_space_amplification);
}

static bool is_behind(const store_pace *pace)
{
    return pace->store->identity.engine == CASK_ENGINE_HASH &&
           store_pace_yield_ms(pace->store, &pace->settings) ==
               MERGE_YIELD_MAX_MS;
}

/* Look how the last step was, and begin another. */
static void take_step(store_pace *pace, uint64_t now)
{
    region_merger *merger = merger_of(pace);
    region_commit *commit = &pace->store->region.header->commit;
    uint64_t took_ms = (now - pace->step_ns) / NS_PER_MS;
    uint64_t synced = atomic_load(&commit->last_sync_ns);
    merge_step step = {.bytes_per_s = pace->step_bytes * 1000 / took_ms,
                       .worst_sync_ns =
                           atomic_exchange(&commit->sync_worst_ns, 0),
                       .quiet_ns = now > synced ? now - synced : 0};

    store_settings_get(pace->store, &pace->settings);
    step.target_ns = pace->settings.merge_sync_target_ms * NS_PER_MS;
    step.is_behind = is_behind(pace);
    atomic_store(&merger->rate_bytes, step.bytes_per_s);
    atomic_store(&merger->allowed_bytes,
                 merge_pace_adapt(atomic_load(&merger->allowed_bytes), &step));
    pace->step_ns = now;
    pace->step_bytes = 0;
}

/* Take the bytes out of the bucket; until when to wait for that. */
static uint64_t pay(store_pace *pace, uint64_t limit, uint64_t now)
{
    _Atomic uint64_t *bucket = &merger_of(pace)->paid_until_ns;
    uint64_t before = atomic_load(bucket);
    uint64_t after;

    do {
        after = merge_pace_pay(before, now, pace->unpaid, limit);
    } while (!atomic_compare_exchange_weak(bucket, &before, after));
    return after;
}

/* Until then; but a setting that is changed meanwhile counts at once. What
 * syncs allow changes all the time: it counts for what is paid next. */
static void wait_until(store_pace *pace, uint64_t until)
{
    uint64_t rate = pace->settings.merge_rate_bytes;
    const os_ops *ops = pace->store->os->ops;
    region_merger *merger = merger_of(pace);
    /* The kernel compares plain words. */
    uint32_t *futex = (uint32_t *)(uintptr_t)&merger->wake;
    uint64_t now = now_of(pace);

    while (now < until && !store_merge_is_cancelled(pace->store)) {
        uint32_t wake = atomic_load(&merger->wake);
        uint64_t left = until - now < STEP_NS ? until - now : STEP_NS;

        (void)ops->futex_wait(pace->store->os, futex, wake,
                              (left + NS_PER_MS - 1) / NS_PER_MS);
        now = now_of(pace);
        if (now - pace->step_ns >= STEP_NS) {
            take_step(pace, now);
        }
        if (pace->settings.merge_rate_bytes != rate) {
            atomic_store(&merger->paid_until_ns, now);
            return;
        }
    }
}

void store_pace_add(store_pace *pace, uint64_t bytes)
{
    uint64_t limit;
    uint64_t now;

    pace->unpaid += bytes;
    if (pace->unpaid < BITE_BYTES) {
        return;
    }
    now = now_of(pace);
    pace->step_bytes += pace->unpaid;
    if (now - pace->step_ns >= STEP_NS) {
        take_step(pace, now);
    }
    limit = limit_of(pace);
    if (limit != 0) {
        wait_until(pace, pay(pace, limit, now));
    }
    pace->unpaid = 0;
}
