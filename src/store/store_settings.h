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
 * or block, but not for each record: see store_setting_at().
 */
void store_settings_get(const store_handle *store,
                        store_settings *ret_settings);

/* The setting at an offset in store_settings alone, for the way of a read or a
 * write: three loads. Before the first change it is 0. */
static inline uint64_t store_setting_at(const store_handle *store,
                                        size_t offset)
{
    const region_settings *shared = &store->region.header->settings;
    uint64_t number;
    uint64_t value;

    do {
        number = atomic_load_explicit(&shared->number, memory_order_acquire);
        value = atomic_load_explicit(
            &shared->copies[number % 2][offset / sizeof(uint64_t)],
            memory_order_acquire);
    } while (atomic_load_explicit(&shared->number, memory_order_relaxed) !=
             number);
    return value;
}

static inline uint64_t store_expiry_seconds(const store_handle *store)
{
    return store_setting_at(store, offsetof(store_settings, expiry_seconds));
}

/* Of a full segment: the option of this handle, or the setting, of which the
 * value in force is given. */
static inline uint64_t store_segment_max_of(const store_handle *store,
                                            uint64_t in_force)
{
    uint64_t own = store->options.segment_max_bytes;
    uint64_t bytes = own != 0 ? own : in_force;

    return bytes != 0 ? bytes : SETTINGS_SEGMENT_BYTES;
}

/* The same now. What decides by more than one look at it, or by a look at other
 * settings too, asks once: it may change between two. */
static inline uint64_t store_segment_max_bytes(const store_handle *store)
{
    return store_segment_max_of(
        store,
        store_setting_at(store, offsetof(store_settings, segment_max_bytes)));
}

/* Of the log, for each memtable: the option of the handle that made the region,
 * since all have the same memtables, or the setting. */
static inline uint64_t store_memtable_bytes(const store_handle *store)
{
    uint64_t own = store->region.header->tree.memtable_bytes;
    uint64_t bytes =
        own != 0
            ? own
            : store_setting_at(store, offsetof(store_settings, memtable_bytes));

    return bytes != 0 ? bytes : SETTINGS_MEMTABLE_BYTES;
}

static inline uint32_t store_filter_prefix_bytes(const store_handle *store)
{
    return (uint32_t)store_setting_at(
        store, offsetof(store_settings, filter_prefix_bytes));
}

static inline uint64_t store_value_separation_bytes(const store_handle *store)
{
    return store_setting_at(store,
                            offsetof(store_settings, value_separation_bytes));
}

/* What reads of this handle go by: the setting, or its own option if that is
 * shorter; 0: records do not age. */
static inline uint64_t store_reads_expiry_seconds(const store_handle *store)
{
    uint64_t seconds = store_expiry_seconds(store);
    uint64_t own = store->options.expiry_seconds;

    return own != 0 && (seconds == 0 || own < seconds) ? own : seconds;
}

/* Whether a record with these times is past its time as of `now_ms`, where
 * records live so many seconds; 0: for ever. */
bool store_is_past(uint64_t now_ms, uint64_t seconds, uint32_t time_s,
                   uint64_t expires_at_ms);

/* The same for a read of this handle now. */
static inline bool store_is_expired(const store_handle *store, uint32_t time_s,
                                    uint64_t expires_at_ms)
{
    uint64_t seconds = store_reads_expiry_seconds(store);

    return (expires_at_ms != 0 || seconds != 0) &&
           store_is_past(store->os->ops->wall_ms(store->os), seconds, time_s,
                         expires_at_ms);
}

/* When it will be: milliseconds since 1970; UINT64_MAX: never. */
uint64_t store_end_ms(const store_handle *store, uint32_t time_s,
                      uint64_t expires_at_ms);

/* Put settings into force, for all processes. Maintenance lock, or nobody uses
 * the region yet. */
void store_settings_publish(store_handle *store,
                            const store_settings *settings);

/*
 * Put into force what the file CONFIG says; an event tells if it cannot be
 * read, and then the defaults hold. For want of descriptors or memory nothing
 * changes, and the next holder of the maintenance lock tries again. Maintenance
 * lock, or nobody uses the region yet.
 */
void store_settings_load(store_handle *store);

/* Whether somebody was about to change CONFIG and died, or could not read it:
 * the next holder of the maintenance lock reads it. */
static inline bool store_settings_are_unread(const store_handle *store)
{
    return atomic_load(&store->region.header->settings.unread) != 0;
}

/* fail() for a CONFIG that could not be read: `why`, and what to do. */
cask_status store_settings_fail_unreadable(const store_handle *store,
                                           const cask_error *why,
                                           cask_error *err);

/*
 * Change settings in the file and in force: all of the changes or none.
 *
 *   changes  value NULL: the default
 *
 * Returns CASK_OK; CASK_INVALID: no such setting, or not such a value;
 * CASK_CORRUPT, CASK_UNSUPPORTED: CONFIG cannot be read, and is left alone;
 * CASK_TIMEOUT; CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO (the message says
 * whether they are in force).
 *
 * Cost: two syncs.
 */
cask_status store_settings_change(store_handle *store,
                                  const cask_config_change *changes,
                                  size_t count, cask_error *err);

/* All settings at their defaults, whatever CONFIG is. As
 * store_settings_change(). */
cask_status store_settings_reset(store_handle *store, cask_error *err);

#endif
