/*
 * The background thread of a handle that writes: syncs by interval, prepares
 * the next segment, writes hints, publishes counters. Everything it does can
 * also happen later, or in another process; it owns nothing.
 */
#include "store/store.h"
#include "store/store_read.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "store/store_snapshot.h"
#include "store/store_write.h"

enum { TICK_MS = 1000 };

void store_worker_wake(store_handle *store)
{
    __atomic_fetch_add(&store->worker_wake, 1, __ATOMIC_SEQ_CST);
    store->os->ops->futex_wake(store->os, &store->worker_wake);
}

static void report(store_handle *store, cask_event_kind kind,
                   cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        store_event(store, kind, status, "%s", err->message);
    }
}

/* Whether any process has synced within the interval. */
static bool sync_is_due(store_handle *store)
{
    const region_commit *commit = &store->region.header->commit;
    uint64_t now = store->os->ops->now_ns(store->os);
    uint64_t interval = store->options.sync_interval_ms * UINT64_C(1000000);

    return store->options.sync != CASK_SYNC_NONE &&
           atomic_load(&commit->durable_sequence) <
               region_newest_sequence(store->region.header) &&
           now - atomic_load(&commit->last_sync_ns) >= interval / 2;
}

/* Others wait for the space, so it goes before all that takes long. */
static void release_removed(store_handle *store)
{
    if (store_has_removed(store)) {
        store_release_removed(store, true);
    }
}

/* Hints for segments that have none; nothing waits for it. */
static void write_hints(store_handle *store, cask_error *err)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count && !atomic_load(&store->worker_stop); i++) {
        uint64_t id = 0;

        release_removed(store);
        if (store_claim_hint(store, i, &id)) {
            report(store, CASK_EVENT_HINT, store_write_hint(store, i, id, err),
                   err);
        }
    }
}

/* Processes that died, files that they left, and those that somebody still read
 * when their segments were merged; one handle of all looks, once a second. */
static void clean(store_handle *store)
{
    region_merger *merger = &store->region.header->merger;
    uint64_t cleaned = atomic_load(&merger->cleaned_ns);
    uint64_t now = store->os->ops->now_ns(store->os);

    /* Seconds of those that wait do not tick together: a little less. */
    if (now - cleaned >= (TICK_MS - TICK_MS / 10) * UINT64_C(1000000) &&
        atomic_compare_exchange_strong(&merger->cleaned_ns, &cleaned, now)) {
        store_bury_dead(store);
        store_sweep(store);
        if (atomic_load(&merger->retired) != 0) {
            store_merge_tidy(store);
        }
    }
}

static void tick(store_handle *store)
{
    cask_error err = {CASK_OK, 0, ""};

    release_removed(store);
    store_publish_counters(store);
    store_window_watch(store);
    if (atomic_load(&store->region.header->poisoned) == 0 &&
        sync_is_due(store)) {
        report(store, CASK_EVENT_BACKGROUND, store_sync_all(store, &err), &err);
    }
    /* Behind the sync: it may have to wait. */
    if (store_settings_are_unread(store) &&
        store_maintain_begin(store, &err) == CASK_OK) {
        store_maintain_end(store); /* has read them */
    }
    if (atomic_load(&store->region.header->poisoned) != 0) {
        return;
    }
    if (store_wants_next(store)) {
        report(store, CASK_EVENT_BACKGROUND, store_prepare_next(store, &err),
               &err);
    }
    write_hints(store, &err);
    store_snapshot_reap(store);
    clean(store);
}

static void run(void *argument)
{
    store_handle *store = argument;
    /* Half the interval: what was written just after a sync waits for the
     * next tick but one at most. */
    uint64_t pause_ms = store->options.sync_interval_ms / 2 + 1;

    pause_ms = pause_ms < TICK_MS ? pause_ms : TICK_MS;
    while (!atomic_load(&store->worker_stop)) {
        uint32_t wake = __atomic_load_n(&store->worker_wake, __ATOMIC_SEQ_CST);

        tick(store);
        if (!atomic_load(&store->worker_stop)) {
            (void)store->os->ops->futex_wait(store->os, &store->worker_wake,
                                             wake, pause_ms);
        }
    }
}

cask_status store_worker_start(store_handle *store, cask_error *err)
{
    int os_errno =
        store->os->ops->thread_start(store->os, run, store, &store->worker);

    if (os_errno != 0) {
        store->worker = NULL;
        return fail_os(err, os_errno, "cannot start the background thread");
    }
    return CASK_OK;
}

void store_worker_stop(store_handle *store)
{
    if (store->worker == NULL) {
        return;
    }
    atomic_store(&store->worker_stop, true);
    store_worker_wake(store);
    store->os->ops->thread_join(store->os, store->worker);
    store->worker = NULL;
}
