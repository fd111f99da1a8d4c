/*
 * The settings of a store: what all of its processes share and may change
 * while it is open. A table of names, ranges, defaults and help, and what turns
 * values into text and back. Pure functions; docs/format/config.md says how the
 * settings are kept.
 */
#ifndef CASKADE_SETTINGS_H
#define CASKADE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "maintain/compaction.h"
#include "maintain/merge_policy.h"
#include "maintain/merge_window.h"

/* All of them, flat and of one size for shared memory. What each means is in
 * the table, in settings.c. */
typedef struct store_settings {
    uint64_t frag_merge_trigger;       /* percent */
    uint64_t dead_bytes_merge_trigger; /* bytes */
    uint64_t age_merge_trigger;        /* seconds; 0: none */
    uint64_t frag_threshold;           /* percent */
    uint64_t dead_bytes_threshold;     /* bytes */
    uint64_t small_file_threshold;     /* bytes */
    uint64_t max_merge_size;           /* bytes of a step; 0: no limit */
    uint64_t max_space_amplification;  /* thousandths; 0: no limit */
    uint64_t max_segments;             /* 0: no limit */
    uint64_t segment_max_bytes;        /* of a full one; 0: the default */
    uint64_t expiry_seconds;           /* 0: never */
    uint64_t expiry_grace_seconds;
    uint64_t merge_rate_bytes;     /* per second, read and written, of all
                                      processes; 0: no limit */
    uint64_t merge_sync_target_ms; /* 0: syncs do not slow merges down */
    merge_window merge_window;
    uint64_t compaction;             /* compaction_strategy */
    uint64_t memtable_bytes;         /* of the log; 0: the default */
    uint64_t filter_prefix_bytes;    /* of keys; 0: runs get no such filter */
    uint64_t value_separation_bytes; /* of a value that is written apart, at
                                        least; 0: none is */
} store_settings;

/* What is shorter would take more space apart than it does in a run. */
enum { SETTINGS_SEPARATION_LEAST = 32 };

/* The default of memtable_bytes. */
#define SETTINGS_MEMTABLE_BYTES (UINT64_C(64) << 20)

/* That of segment_max_bytes. */
#define SETTINGS_SEGMENT_BYTES (UINT64_C(256) << 20)

typedef enum setting_kind {
    SETTING_BYTES,
    SETTING_PERCENT,
    SETTING_COUNT,
    SETTING_SECONDS,
    SETTING_MILLISECONDS,
    SETTING_FACTOR,   /* kept in thousandths */
    SETTING_STRATEGY, /* by its name */
    SETTING_WINDOW    /* the only one that is no uint64_t */
} setting_kind;

/* One row of the table. */
typedef struct setting {
    const char *name;
    cask_engine engine; /* that alone obeys it; 0: both do */
    setting_kind kind;
    size_t offset;    /* in store_settings */
    uint64_t initial; /* the default; of a window: always */
    uint64_t least;   /* 0 is in the range too: it turns the thing off */
    uint64_t most;
    const char *meaning; /* one line of help */
} setting;

/* The longest text of a value, NUL included. */
enum { SETTING_TEXT_SIZE = MERGE_WINDOW_TEXT_SIZE };

/* The row at `index`, from 0; NULL behind the last one. */
const setting *setting_at(size_t index);

/* The row of that name, or of Bitcask's name for it; NULL if there is none. */
const setting *setting_find(const char *name);

/* What Bitcask calls it, if that is something else; NULL: not. */
const char *setting_bitcask_name(const setting *row);

/* fail() for a name that setting_find() does not know; of one of Bitcask it
 * tells what takes its place. */
cask_status settings_fail_unknown(const char *name, cask_error *err);

/* Every setting at its default. */
void settings_default(store_settings *ret_settings);

/*
 * Read a value: a whole number, of bytes also with KiB, MiB, GiB or TiB, of
 * seconds with s, m, h, d or w, or -1, which is 0, of milliseconds with ms or
 * these; a factor has up to three decimals; a window is that of
 * merge_window_parse(), a strategy that of compaction_strategy_name().
 *
 *   text      borrowed; ends with NUL
 *   settings  changed on CASK_OK only
 *
 * Returns CASK_OK or CASK_INVALID, naming the setting, what was given and what
 * may be.
 */
cask_status setting_parse(const setting *row, const char *text,
                          store_settings *settings, cask_error *err);

/* Write the text that setting_parse() reads back as the same value. */
void setting_print(const setting *row, const store_settings *settings,
                   char ret_text[SETTING_TEXT_SIZE]);

/* Set it to its default. */
void setting_reset(const setting *row, store_settings *settings);

/* Whether two stores' values of it are the same. */
bool setting_is_same(const setting *row, const store_settings *one,
                     const store_settings *other);

/* What the merge policy takes from them, for segments of at most
 * `segment_max_bytes` bytes. What a step reads depends on the pace of merges
 * too: step_bytes is 0, no limit, and set by the caller. */
merge_settings settings_for_merge(const store_settings *settings,
                                  uint64_t segment_max_bytes);

#endif
