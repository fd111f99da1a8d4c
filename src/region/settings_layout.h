/*
 * The settings of a store, for all of its processes. docs/format/region.md
 */
#ifndef CASKADE_SETTINGS_LAYOUT_H
#define CASKADE_SETTINGS_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

enum { REGION_SETTINGS_WORDS = 32 };

/*
 * Two copies of the settings, one of them in force. A change is written to the
 * other one and then takes force by one store, so that a reader never waits and
 * whoever dies while writing leaves nothing to repair. What the words mean is
 * in maintain/settings.h.
 */
typedef struct region_settings {
    /* Changes so far; copies[number % 2] is in force. 0: the defaults are. */
    alignas(64) _Atomic uint64_t number;
    /* 1: the file CONFIG may have changed and not yet been read. */
    _Atomic uint64_t unread;
    uint64_t unused[6];
    _Atomic uint64_t copies[2][REGION_SETTINGS_WORDS];
} region_settings;

#endif
