/*
 * The settings of an open store. They are in the region, where every process
 * sees a change at once.
 */
#ifndef CASKADE_STORE_SETTINGS_H
#define CASKADE_STORE_SETTINGS_H

#include "maintain/settings.h"
#include "store/store.h"

/*
 * The settings in force, all of one moment. Never waits; costs some dozen loads
 * of memory that hardly ever changes, so that it may be called for each segment
 * or block, but not for each record: see store_expiry_seconds().
 */
void store_settings_get(const store_handle *store,
                        store_settings *ret_settings);

/* `expiry_seconds` alone, for the way of a read: three loads. */
static inline uint64_t store_expiry_seconds(const store_handle *store)
{
    const region_settings *shared = &store->region.header->settings;
    uint64_t number;
    uint64_t value;

    do {
        number = atomic_load_explicit(&shared->number, memory_order_acquire);
        value = atomic_load_explicit(
            &shared
                 ->copies[number % 2][offsetof(store_settings, expiry_seconds) /
                                      sizeof(uint64_t)],
            memory_order_acquire);
    } while (atomic_load_explicit(&shared->number, memory_order_relaxed) !=
             number);
    /* Before the first change the copies are zeros, which is the default. */
    return value;
}

/* Put settings into force, for all processes. Maintenance lock, or nobody uses
 * the region yet. */
void store_settings_publish(store_handle *store,
                            const store_settings *settings);

#endif
