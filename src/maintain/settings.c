/*
 * The table of settings. Each row says where in store_settings the value is, so
 * that reading, writing and comparing need no code of their own per setting.
 */
#include "maintain/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    THOUSAND = 1000,
    DECIMALS = 3,      /* of a factor */
    TEXT_SHOWN = 40,   /* bytes of a value that a message repeats */
    TRIGGER_SHARE = 4, /* of a full segment, see dead_limit() */
    THRESHOLD_SHARE = 16
};

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)

/* Who obeys a setting. */
enum {
    ENGINE_BOTH = 0,
    ENGINE_HASH = CASK_ENGINE_HASH,
    ENGINE_TREE = CASK_ENGINE_TREE
};

#define ROW(field, its_engine, its_kind, default_, from, to, text)             \
    {                                                                          \
        .name = #field, .engine = (cask_engine)ENGINE_##its_engine,            \
        .kind = SETTING_##its_kind, .offset = offsetof(store_settings, field), \
        .initial = (default_), .least = (from), .most = (to),                  \
        .meaning = (text)                                                      \
    }

static const setting table[] = {
    ROW(frag_merge_trigger, HASH, PERCENT, 60, 0, 100,
        "merge when so much of one segment is dead; 0: not for that"),
    ROW(dead_bytes_merge_trigger, HASH, BYTES, 512 * MIB, 0, 1024 * TIB,
        "merge when one segment has so many dead bytes; 0: not for that; with "
        "max_space_amplification 0 a quarter of a full segment stands for what "
        "none can have"),
    ROW(age_merge_trigger, HASH, SECONDS, 0, 1, UINT32_MAX,
        "merge what is worth it of a segment when nothing younger is in it; 0: "
        "not for that"),
    ROW(frag_threshold, HASH, PERCENT, 40, 0, 100,
        "with max_space_amplification 0 a merge also takes segments of which "
        "so much is dead; 0: not for that"),
    ROW(dead_bytes_threshold, HASH, BYTES, 128 * MIB, 0, 1024 * TIB,
        "with max_space_amplification 0 a merge also takes segments with so "
        "many dead bytes, or a 16th of a full one if none can have them; 0: "
        "not for that"),
    ROW(small_file_threshold, HASH, BYTES, 10 * MIB, 0, GIB,
        "segments below it, or below a quarter of a full segment if that is "
        "less, are small, and put together; a store that is not larger than "
        "that is not kept within max_space_amplification while it is written "
        "to"),
    ROW(max_merge_size, HASH, BYTES, 100 * GIB, MIB, 1024 * TIB,
        "what one step of a merge reads at most, if that is less than 1 GiB; "
        "0: no limit but that"),
    ROW(max_space_amplification, BOTH, FACTOR, 1500, 1050, 1000 * THOUSAND,
        "merge when the store takes so many times its live bytes; 0, and in a "
        "tree the default: no limit"),
    ROW(max_segments, HASH, COUNT, 8192, 2, 60000,
        "merge when there are more segments; 0: no limit"),
    ROW(segment_max_bytes, BOTH, BYTES, SETTINGS_SEGMENT_BYTES, 64 * KIB, GIB,
        "a segment is full at so many bytes at the latest; 0: the default"),
    ROW(expiry_seconds, BOTH, SECONDS, 0, 1, UINT32_MAX,
        "records older than this have expired; 0: never"),
    ROW(expiry_grace_seconds, BOTH, SECONDS, 0, 0, UINT32_MAX,
        "expired segments may stay so much longer"),
    ROW(merge_window, BOTH, WINDOW, 0, 0, 0,
        "local times when merges run, like mon-fri 22:00-06:00; always; never"),
    ROW(merge_rate_bytes, BOTH, BYTES, 0, 64 * KIB, 1024 * TIB,
        "what merges read and write per second, over all processes; 0: no "
        "limit"),
    ROW(merge_sync_target_ms, BOTH, MILLISECONDS, 50, 1, 3600000,
        "merges slow down while syncs of writers take longer; 0: they do not"),
    ROW(compaction, TREE, STRATEGY, COMPACTION_LAZY, 0, COMPACTION_TIERED,
        "how runs of the tree engine are merged: lazy, leveled or tiered"),
    ROW(memtable_bytes, TREE, BYTES, SETTINGS_MEMTABLE_BYTES, 64 * KIB,
        256 * MIB,
        "of the log, after which the tree engine writes what is new as a run; "
        "up to four times that is in no run; 0: the default"),
    ROW(filter_prefix_bytes, TREE, COUNT, 0, 1, CASK_KEY_MAX_BYTES,
        "runs of the tree engine get a filter of so many first bytes of keys, "
        "by which walks over a prefix leave runs out; 0: none"),
    ROW(value_separation_bytes, TREE, BYTES, KIB, SETTINGS_SEPARATION_LEAST,
        CASK_VALUE_MAX_BYTES,
        "values of the tree engine from this size on are written apart from "
        "its runs, and compactions leave them where they are; 0: none"),
};

enum { COUNT = sizeof(table) / sizeof(table[0]) };

/* What Bitcask calls by names of its own: settings, or what takes their place.
 */
typedef struct foreign_name {
    const char *name;
    const char *own;     /* the setting that it is here; NULL: none */
    const char *instead; /* if none */
} foreign_name;

static const foreign_name foreign[] = {
    {"expiry_secs", "expiry_seconds", NULL},
    {"expiry_grace_time", "expiry_grace_seconds", NULL},
    {"max_file_size", "segment_max_bytes", NULL},
    {"max_fold_age", NULL, "a fold sees the store as it is when it begins"},
    {"max_fold_puts", NULL, "a fold sees the store as it is when it begins"},
    {"sync_strategy", NULL, "each handle has its own, see the option sync"},
    {"open_timeout", NULL, "see the option lock_timeout_ms of a handle"},
    {"require_hint_crc", NULL, "hints are always verified"},
};

enum { FOREIGN = sizeof(foreign) / sizeof(foreign[0]) };

static const foreign_name *find_foreign(const char *name)
{
    for (size_t i = 0; i < FOREIGN; i++) {
        if (strcmp(foreign[i].name, name) == 0) {
            return &foreign[i];
        }
    }
    return NULL;
}

const char *setting_bitcask_name(const setting *row)
{
    for (size_t i = 0; i < FOREIGN; i++) {
        if (foreign[i].own != NULL && strcmp(foreign[i].own, row->name) == 0) {
            return foreign[i].name;
        }
    }
    return NULL;
}

const setting *setting_at(size_t index)
{
    return index < COUNT ? &table[index] : NULL;
}

const setting *setting_find(const char *name)
{
    const foreign_name *other = find_foreign(name);

    if (other != NULL && other->own != NULL) {
        name = other->own;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* A message is one line of text whatever was given. */
static const char *shown(char to[TEXT_SHOWN + 1], const char *text)
{
    size_t size = 0;

    for (; size < TEXT_SHOWN && text[size] != '\0'; size++) {
        to[size] =
            (char)(text[size] >= ' ' && text[size] <= '~' ? text[size] : '?');
    }
    to[size] = '\0';
    return to;
}

cask_status settings_fail_unknown(const char *name, cask_error *err)
{
    const foreign_name *other = find_foreign(name);
    char text[TEXT_SHOWN + 1];

    if (other != NULL && other->instead != NULL) {
        return fail(err, CASK_INVALID, 0,
                    "%s of Bitcask is no setting here: %s", other->name,
                    other->instead);
    }
    return fail(err, CASK_INVALID, 0,
                "no setting is called \"%s\"; caskade config lists them",
                shown(text, name));
}

static uint64_t *number_of(const setting *row, store_settings *settings)
{
    return (void *)((unsigned char *)settings + row->offset);
}

static uint64_t number_in(const setting *row, const store_settings *settings)
{
    uint64_t number;

    memcpy(&number, (const unsigned char *)settings + row->offset,
           sizeof(number));
    return number;
}

void setting_reset(const setting *row, store_settings *settings)
{
    if (row->kind == SETTING_WINDOW) {
        settings->merge_window = (merge_window){.is_always = true};
    } else {
        *number_of(row, settings) = row->initial;
    }
}

void settings_default(store_settings *ret_settings)
{
    /* Padding, too: settings are copied and compared as bytes. */
    memset(ret_settings, 0, sizeof(*ret_settings));
    for (size_t i = 0; i < COUNT; i++) {
        setting_reset(&table[i], ret_settings);
    }
}

/* ---- Units ---- */

typedef struct unit {
    setting_kind kind;
    const char *name;
    uint64_t factor;
} unit;

/* The largest of each kind last. */
static const unit units[] = {
    {SETTING_BYTES, "KiB", KIB},
    {SETTING_BYTES, "K", KIB},
    {SETTING_BYTES, "MiB", MIB},
    {SETTING_BYTES, "M", MIB},
    {SETTING_BYTES, "GiB", GIB},
    {SETTING_BYTES, "G", GIB},
    {SETTING_BYTES, "TiB", TIB},
    {SETTING_BYTES, "T", TIB},
    {SETTING_PERCENT, "%", 1},
    {SETTING_SECONDS, "s", 1},
    {SETTING_SECONDS, "m", 60},
    {SETTING_SECONDS, "h", 3600},
    {SETTING_SECONDS, "d", 86400},
    {SETTING_SECONDS, "w", UINT64_C(604800)},
    {SETTING_MILLISECONDS, "ms", 1},
    {SETTING_MILLISECONDS, "s", 1000},
    {SETTING_MILLISECONDS, "m", 60000},
};

enum { UNITS = sizeof(units) / sizeof(units[0]) };

static bool take_unit(setting_kind kind, const char *text, uint64_t *number)
{
    if (*text == '\0') {
        return true;
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (units[i].kind == kind && strcmp(units[i].name, text) == 0 &&
            *number <= UINT64_MAX / units[i].factor) {
            *number *= units[i].factor;
            return true;
        }
    }
    return false;
}

/* Bytes in the largest unit that shows them exactly. */
static void print_bytes(uint64_t bytes, char ret_text[SETTING_TEXT_SIZE])
{
    const unit *best = NULL;

    for (size_t i = 0; i < UNITS; i++) {
        if (units[i].kind == SETTING_BYTES && bytes > 0 &&
            bytes % units[i].factor == 0 && strlen(units[i].name) > 1) {
            best = &units[i];
        }
    }
    (void)snprintf(ret_text, SETTING_TEXT_SIZE, "%" PRIu64 "%s",
                   best == NULL ? bytes : bytes / best->factor,
                   best == NULL ? "" : best->name);
}

static void print_factor(uint64_t thousandths, char ret_text[SETTING_TEXT_SIZE])
{
    size_t size =
        (size_t)snprintf(ret_text, SETTING_TEXT_SIZE, "%" PRIu64 ".%03" PRIu64,
                         thousandths / THOUSAND, thousandths % THOUSAND);

    while (ret_text[size - 1] == '0') {
        ret_text[--size] = '\0';
    }
    if (ret_text[size - 1] == '.') {
        ret_text[size - 1] = '\0';
    }
}

static void print_number(const setting *row, uint64_t number,
                         char ret_text[SETTING_TEXT_SIZE])
{
    if (row->kind == SETTING_BYTES) {
        print_bytes(number, ret_text);
    } else if (row->kind == SETTING_STRATEGY) {
        (void)snprintf(ret_text, SETTING_TEXT_SIZE, "%s",
                       compaction_strategy_name((compaction_strategy)number));
    } else if (row->kind == SETTING_FACTOR) {
        print_factor(number, ret_text);
    } else {
        (void)snprintf(ret_text, SETTING_TEXT_SIZE, "%" PRIu64, number);
    }
}

void setting_print(const setting *row, const store_settings *settings,
                   char ret_text[SETTING_TEXT_SIZE])
{
    if (row->kind == SETTING_WINDOW) {
        merge_window_print(&settings->merge_window, ret_text);
    } else {
        print_number(row, number_in(row, settings), ret_text);
    }
}

/* ---- Reading ---- */

/* Digits at `*text`, which is moved behind them. False: none, or too large. */
static bool take_digits(const char **text, uint64_t *number)
{
    const char *start = *text;

    for (; **text >= '0' && **text <= '9'; (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');

        if (*number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return *text > start;
}

/* "1.5" in thousandths. */
static bool parse_factor(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    uint64_t decimals = 0;
    uint64_t weight = THOUSAND;

    if (!take_digits(&text, &number) || number > UINT32_MAX) {
        return false;
    }
    if (*text == '.') {
        const char *start = ++text;

        if (!take_digits(&text, &decimals) || text - start > DECIMALS) {
            return false;
        }
        for (; start < text; start++) {
            weight /= 10;
        }
        decimals *= weight;
    }
    *ret_number = number * THOUSAND + decimals;
    return *text == '\0';
}

static bool parse_strategy(const setting *row, const char *text,
                           uint64_t *ret_number)
{
    for (uint64_t i = row->least; i <= row->most; i++) {
        if (strcmp(compaction_strategy_name((compaction_strategy)i), text) ==
            0) {
            *ret_number = i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const setting *row, const char *text,
                         uint64_t *ret_number)
{
    *ret_number = 0;
    if (row->kind == SETTING_STRATEGY) {
        return parse_strategy(row, text, ret_number);
    }
    if (row->kind == SETTING_FACTOR) {
        return parse_factor(text, ret_number);
    }
    if (row->kind == SETTING_SECONDS && strcmp(text, "-1") == 0) {
        return true; /* so Bitcask says never */
    }
    return take_digits(&text, ret_number) &&
           take_unit(row->kind, text, ret_number);
}

static const char *kind_text(setting_kind kind)
{
    switch (kind) {
    case SETTING_BYTES:
        return "a size like 512MiB";
    case SETTING_PERCENT:
        return "percent";
    case SETTING_SECONDS:
        return "seconds, or like 7d";
    case SETTING_MILLISECONDS:
        return "milliseconds";
    case SETTING_FACTOR:
        return "a factor like 1.5";
    case SETTING_COUNT:
    case SETTING_STRATEGY:
    case SETTING_WINDOW:
    default:
        return "a whole number";
    }
}

static cask_status fail_value(const setting *row, const char *text,
                              cask_error *err)
{
    char given[TEXT_SHOWN + 1];
    char least[SETTING_TEXT_SIZE];
    char most[SETTING_TEXT_SIZE];

    if (row->kind == SETTING_STRATEGY) {
        return fail(err, CASK_INVALID, 0,
                    "%s: \"%s\" is not lazy, leveled or tiered", row->name,
                    shown(given, text));
    }
    print_number(row, row->least, least);
    print_number(row, row->most, most);
    return fail(err, CASK_INVALID, 0, "%s: \"%s\" is not %s, %s%s .. %s",
                row->name, shown(given, text), kind_text(row->kind),
                row->least > 0 ? "0 or " : "", least, most);
}

cask_status setting_parse(const setting *row, const char *text,
                          store_settings *settings, cask_error *err)
{
    uint64_t number;

    if (row->kind == SETTING_WINDOW) {
        return merge_window_parse(text, &settings->merge_window, err);
    }
    if (!parse_number(row, text, &number) || number > row->most ||
        (number != 0 && number < row->least)) {
        return fail_value(row, text, err);
    }
    *number_of(row, settings) = number;
    return CASK_OK;
}

/* ---- Using ---- */

bool setting_is_same(const setting *row, const store_settings *one,
                     const store_settings *other)
{
    char texts[2][SETTING_TEXT_SIZE];

    setting_print(row, one, texts[0]);
    setting_print(row, other, texts[1]);
    return strcmp(texts[0], texts[1]) == 0;
}

/*
 * Bitcask's defaults are a quarter and a sixteenth of its files of 2 GiB. Where
 * no bound on space comes before them, what no segment can reach means that
 * share of smaller ones.
 */
static uint64_t dead_limit(const store_settings *settings, uint64_t bytes,
                           uint64_t segment_max_bytes, uint64_t share)
{
    return settings->max_space_amplification != 0 || bytes < segment_max_bytes
               ? bytes
               : segment_max_bytes / share;
}

merge_settings settings_for_merge(const store_settings *settings,
                                  uint64_t segment_max_bytes)
{
    return (merge_settings){
        .frag_merge_trigger = (uint32_t)settings->frag_merge_trigger,
        .dead_bytes_merge_trigger =
            dead_limit(settings, settings->dead_bytes_merge_trigger,
                       segment_max_bytes, TRIGGER_SHARE),
        .age_trigger_ms = settings->age_merge_trigger * THOUSAND,
        .frag_threshold = (uint32_t)settings->frag_threshold,
        .dead_bytes_threshold =
            dead_limit(settings, settings->dead_bytes_threshold,
                       segment_max_bytes, THRESHOLD_SHARE),
        .small_file_threshold = settings->small_file_threshold,
        .max_merge_size = settings->max_merge_size,
        .expiry_ms = settings->expiry_seconds * THOUSAND,
        .expiry_grace_ms = settings->expiry_grace_seconds * THOUSAND,
        .max_space_amplification =
            (double)settings->max_space_amplification / THOUSAND,
        .small_file_count = 4,
        .max_segments = (uint32_t)settings->max_segments,
        .min_gain_percent = 5,
        .segment_max_bytes = segment_max_bytes,
        .segment_bytes = segment_max_bytes,
    };
}

merge_settings merge_settings_default(uint64_t segment_max_bytes)
{
    store_settings settings;

    settings_default(&settings);
    return settings_for_merge(&settings, segment_max_bytes);
}
