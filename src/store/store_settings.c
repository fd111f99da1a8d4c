/*
 * Settings in the region, and how they get there from the file CONFIG: see
 * region/settings_layout.h for how they are read without a lock.
 *
 * The file comes first. While it is being replaced `unread` is set, so that
 * whoever comes after a death in between reads what it says.
 */
#include "store/store_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "log/segment.h"
#include "store/config_file.h"

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

/* ---- From the file ---- */

static void tell_unknown(const store_handle *store, const config_file *file)
{
    config_reader lines = file->lines;
    config_line line;

    while (config_file_next_unknown(&lines, &line)) {
        store_event(store, CASK_EVENT_CONFIG, CASK_UNSUPPORTED,
                    "%s/" CONFIG_NAME ": line %" PRIu32
                    ": no setting of this version is called %s; it is kept, "
                    "for the newer version that wrote it",
                    store->path, line.number, line.key);
    }
}

cask_status store_settings_fail_unreadable(const store_handle *store,
                                           const cask_error *why,
                                           cask_error *err)
{
    return fail(err, why->status, 0,
                "%s: %s; restore the file, or reset all settings (caskade "
                "config --reset-all)",
                store->path, why->message);
}

void store_settings_load(store_handle *store)
{
    region_settings *shared = &store->region.header->settings;
    cask_error err = {CASK_OK, 0, ""};
    config_file file;
    cask_status status;

    atomic_store(&shared->unread, 1);
    status = config_file_read(store->dir, &file, &err);
    if (status != CASK_OK) {
        store_event(store, CASK_EVENT_CONFIG, status,
                    "%s: %s; settings are at their defaults: restore the file, "
                    "or reset them all (caskade config --reset-all)",
                    store->path, err.message);
    }
    if (status == CASK_OK || !error_is_shortage(&err)) {
        store_settings_publish(store, &file.settings);
        atomic_store(&shared->unread, 0);
        tell_unknown(store, &file);
    }
    config_file_free(&file);
}

/* ---- To the file ---- */

/* What would have no effect is refused; CONFIG may have it all the same, of the
 * store that this one was converted from. */
static cask_status check_engine(const store_handle *store, const setting *row,
                                cask_error *err)
{
    if (row->engine == 0 || row->engine == store->identity.engine) {
        return CASK_OK;
    }
    return fail(err, CASK_INVALID, 0,
                "%s is a setting of the engine %s, and has no effect in this "
                "store of the engine %s; leave it out",
                row->name, row->engine == CASK_ENGINE_TREE ? "tree" : "hash",
                row->engine == CASK_ENGINE_TREE ? "hash" : "tree");
}

static cask_status apply(const store_handle *store, store_settings *settings,
                         const cask_config_change *change, cask_error *err)
{
    const setting *row = setting_find(change->name);

    if (row == NULL) {
        return settings_fail_unknown(change->name, err);
    }
    if (change->value == NULL) {
        setting_reset(row, settings);
        return CASK_OK;
    }
    return check_engine(store, row, err) == CASK_OK
               ? setting_parse(row, change->value, settings, err)
               : CASK_INVALID;
}

/* Whether CONFIG is this text now: a rename that took place counts, even if the
 * sync of the directory failed. CASK_OK or why it cannot be told. */
static cask_status compare(store_handle *store, const cask_buffer *text,
                           bool *ret_same)
{
    config_file file;
    cask_status status = config_file_read(store->dir, &file, NULL);

    *ret_same = file.text.size == text->size &&
                memcmp(file.text.data, text->data, text->size) == 0;
    config_file_free(&file);
    return *ret_same ? CASK_OK : status;
}

static cask_status fail_replace(store_handle *store, const cask_buffer *text,
                                const store_settings *settings,
                                const cask_error *why, cask_error *err)
{
    const char *outcome = "no setting was changed";
    bool is_there = false;

    if (compare(store, text, &is_there) != CASK_OK) {
        /* `unread` stays: the next holder of the lock finds out. */
        return fail(err, why->status, 0,
                    "%s: %s; look which settings are in force", store->path,
                    why->message);
    }
    if (is_there) {
        outcome = "the settings are in force, and may be lost if power fails: "
                  "set them again";
        store_settings_publish(store, settings);
    }
    atomic_store(&store->region.header->settings.unread, 0);
    return fail(err, why->status, 0, "%s: %s; %s", store->path, why->message,
                outcome);
}

/* Replace the file, then what is in force. */
static cask_status replace(store_handle *store, const cask_buffer *text,
                           const store_settings *settings, cask_error *err)
{
    region_settings *shared = &store->region.header->settings;
    cask_error why = {CASK_OK, 0, ""};

    atomic_store(&shared->unread, 1);
    if (file_publish(store->dir, CONFIG_NAME, text->data, text->size,
                     store->options.file_mode, &why) != CASK_OK) {
        return fail_replace(store, text, settings, &why, err);
    }
    store_settings_publish(store, settings);
    atomic_store(&shared->unread, 0);
    return CASK_OK;
}

/* `file` is what is there now; maintenance lock held. */
static cask_status write_maintained(store_handle *store,
                                    const config_file *file,
                                    const store_settings *settings,
                                    cask_error *err)
{
    cask_buffer text = {NULL, 0, 0};
    cask_status status = config_file_print(file, settings, &text, err);

    if (status == CASK_OK) {
        status = replace(store, &text, settings, err);
    }
    cask_buffer_free(&text);
    return status;
}

static cask_status change_maintained(store_handle *store,
                                     const cask_config_change *changes,
                                     size_t count, cask_error *err)
{
    cask_error why = {CASK_OK, 0, ""};
    config_file file;
    store_settings settings;
    cask_status status = config_file_read(store->dir, &file, &why);

    if (status != CASK_OK) {
        status = store_settings_fail_unreadable(store, &why, err);
    }
    settings = file.settings;
    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        status = apply(store, &settings, &changes[i], err);
    }
    if (status == CASK_OK) {
        status = write_maintained(store, &file, &settings, err);
    }
    config_file_free(&file);
    return status;
}

cask_status store_settings_change(store_handle *store,
                                  const cask_config_change *changes,
                                  size_t count, cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);

    if (status == CASK_OK) {
        status = change_maintained(store, changes, count, err);
        store_maintain_end(store);
    }
    return status;
}

cask_status store_settings_reset(store_handle *store, cask_error *err)
{
    config_file none = {.unknown = 0};
    store_settings settings;
    cask_status status = store_maintain_begin(store, err);

    settings_default(&settings);
    if (status == CASK_OK) {
        status = write_maintained(store, &none, &settings, err);
        store_maintain_end(store);
    }
    return status;
}

/* ---- Reading by them ---- */

bool store_is_past(uint64_t now_ms, uint64_t seconds, uint32_t time_s,
                   uint64_t expires_at_ms)
{
    return (expires_at_ms != 0 && expires_at_ms <= now_ms) ||
           (seconds != 0 && now_ms / 1000 > time_s &&
            now_ms / 1000 - time_s > seconds);
}

uint64_t store_end_ms(const store_handle *store, uint32_t time_s,
                      uint64_t expires_at_ms)
{
    uint64_t seconds = store_reads_expiry_seconds(store);
    uint64_t own_ms = expires_at_ms != 0 ? expires_at_ms : UINT64_MAX;
    uint64_t age_ms =
        seconds != 0 ? (time_s + seconds + 1) * UINT64_C(1000) : UINT64_MAX;

    return own_ms < age_ms ? own_ms : age_ms;
}
