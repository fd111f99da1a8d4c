/*
 * Settings in the region: see region/settings_layout.h for how they are read
 * without a lock.
 */
#include "store/store_settings.h"

#include <string.h>

_Static_assert(sizeof(store_settings) <=
                   REGION_SETTINGS_WORDS * sizeof(uint64_t),
               "the settings fit their place in the region");

void store_settings_get(const store_handle *store, store_settings *ret_settings)
{
    const region_settings *shared = &store->region.header->settings;
    uint64_t words[REGION_SETTINGS_WORDS];
    uint64_t number;

    do {
        number = atomic_load_explicit(&shared->number, memory_order_acquire);
        if (number == 0) {
            settings_default(ret_settings);
            return;
        }
        for (size_t i = 0; i < REGION_SETTINGS_WORDS; i++) {
            /* Acquire: whoever sees a word of the change after the next one
             * sees below that this one is out of force. */
            words[i] = atomic_load_explicit(&shared->copies[number % 2][i],
                                            memory_order_acquire);
        }
    } while (atomic_load_explicit(&shared->number, memory_order_relaxed) !=
             number);
    memcpy(ret_settings, words, sizeof(*ret_settings));
}

void store_settings_publish(store_handle *store, const store_settings *settings)
{
    region_settings *shared = &store->region.header->settings;
    uint64_t number = atomic_load(&shared->number) + 1;
    uint64_t words[REGION_SETTINGS_WORDS] = {0};

    memcpy(words, settings, sizeof(*settings));
    for (size_t i = 0; i < REGION_SETTINGS_WORDS; i++) {
        atomic_store_explicit(&shared->copies[number % 2][i], words[i],
                              memory_order_release);
    }
    atomic_store_explicit(&shared->number, number, memory_order_release);
}
