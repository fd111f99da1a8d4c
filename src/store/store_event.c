/*
 * What the store tells about itself: events, histograms, counters.
 */
#include <stdarg.h>
#include <stdio.h>

#include "store/store.h"

void store_event(const store_handle *store, cask_event_kind kind,
                 cask_status status, const char *format, ...)
{
    char message[256];
    cask_event event = {kind, status, message};
    va_list arguments;

    if (store->options.on_event == NULL) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    store->options.on_event(store->options.event_context, &event);
}

void store_histogram_add(_Atomic uint64_t *buckets, uint64_t ns)
{
    unsigned bucket = ns == 0 ? 0 : 63u - (unsigned)__builtin_clzll(ns);

    if (bucket >= REGION_HISTOGRAM) {
        bucket = REGION_HISTOGRAM - 1;
    }
    atomic_fetch_add_explicit(&buckets[bucket], 1, memory_order_relaxed);
}

store_stripe *store_stripe_of(store_handle *store)
{
    /* One number per thread for all stores: stripes are only for spreading. */
    static _Atomic uint32_t threads;
    static _Thread_local uint32_t mine;

    if (mine == 0) {
        mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) %
                   STORE_STRIPES +
               1;
    }
    return &store->stripes[mine - 1];
}

void store_publish_counters(store_handle *store)
{
    region_process *process;
    uint64_t gets = 0;
    uint64_t misses = 0;

    if (!store->has_slot) {
        return;
    }
    for (int i = 0; i < STORE_STRIPES; i++) {
        gets +=
            atomic_load_explicit(&store->stripes[i].gets, memory_order_relaxed);
        misses += atomic_load_explicit(&store->stripes[i].get_misses,
                                       memory_order_relaxed);
    }
    process = &store->region.processes[store->process_slot];
    atomic_store_explicit(&process->gets, gets, memory_order_relaxed);
    atomic_store_explicit(&process->get_misses, misses, memory_order_relaxed);
}
