/*
 * merge_window over a merge: the background thread looks at the clock, so that
 * whoever merges need not, and may as well be waiting for something.
 */
#include "store/store_merge.h"
#include "store/store_settings.h"

static bool contains(const store_handle *store, const merge_window *window,
                     uint64_t wall_ms)
{
    os_local_time local = store->os->ops->local_time(store->os, wall_ms);

    return merge_window_contains(window, local.weekday, local.minute);
}

bool store_window_is_open_for(const store_handle *store, uint32_t jitter_ms)
{
    uint64_t now_ms = store->os->ops->wall_ms(store->os);
    store_settings settings;

    store_settings_get(store, &settings);
    /* It was open a little while ago, too: so it begins later, not ends. */
    return settings.merge_window.is_always ||
           (contains(store, &settings.merge_window, now_ms) &&
            contains(store, &settings.merge_window,
                     now_ms > jitter_ms ? now_ms - jitter_ms : 0));
}

bool store_window_is_open(const store_handle *store)
{
    return store_window_is_open_for(store, store->jitter_ms);
}

void store_window_bind(store_handle *store, bool is_bound)
{
    atomic_store(&store->window, is_bound ? WINDOW_WATCHED : WINDOW_IGNORED);
    store_window_watch(store);
}

void store_window_watch(store_handle *store)
{
    uint32_t watched = WINDOW_WATCHED;

    if (atomic_load(&store->window) == WINDOW_WATCHED &&
        !store_window_is_open(store)) {
        /* Unless the merge has ended meanwhile. */
        (void)atomic_compare_exchange_strong(&store->window, &watched,
                                             WINDOW_CLOSED);
    }
}
