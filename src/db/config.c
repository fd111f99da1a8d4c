/*
 * Settings of a store as text: what the application and the command line see.
 */
#include <string.h>

#include "base/buffer.h"
#include "db/db.h"
#include "store/config_file.h"
#include "store/store_settings.h"

cask_status cask_config_get(cask_db *db, const char *name,
                            cask_buffer *ret_value, cask_error *err)
{
    cask_status status = db_check(db, err);
    char text[SETTING_TEXT_SIZE];
    store_settings settings;
    const setting *row;

    if (status != CASK_OK || name == NULL || ret_value == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "name or ret_value is NULL");
    }
    row = setting_find(name);
    if (row == NULL) {
        return settings_fail_unknown(name, err);
    }
    store_settings_get(db->store, &settings);
    setting_print(row, &settings, text);
    status = buffer_reserve(ret_value, strlen(text), err);
    if (status == CASK_OK) {
        memcpy(ret_value->data, text, strlen(text));
        ret_value->size = strlen(text);
    }
    return status;
}

cask_status cask_config_set(cask_db *db, const cask_config_change *changes,
                            size_t count, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        if (changes == NULL || changes[i].name == NULL) {
            status = fail(err, CASK_INVALID, 0,
                          "changes, or the name of one, is NULL");
        }
    }
    return status == CASK_OK
               ? store_settings_change(db->store, changes, count, err)
               : status;
}

cask_status cask_config_reset(cask_db *db, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    return status == CASK_OK ? store_settings_reset(db->store, err) : status;
}

/* ---- Listing ---- */

typedef struct listing {
    bool (*visit)(void *context, const cask_config_item *item);
    void *context;
    bool is_stopped;
} listing;

static void tell(listing *list, const cask_config_item *item)
{
    list->is_stopped = list->is_stopped || !list->visit(list->context, item);
}

static void list_known(const store_handle *store, listing *list)
{
    store_settings settings;
    store_settings initial;
    const setting *row;

    store_settings_get(store, &settings);
    settings_default(&initial);
    for (size_t i = 0; (row = setting_at(i)) != NULL; i++) {
        char texts[2][SETTING_TEXT_SIZE];
        cask_config_item item = {.name = row->name,
                                 .value = texts[0],
                                 .initial = texts[1],
                                 .meaning = row->meaning,
                                 .engine = row->engine,
                                 .bitcask_name = setting_bitcask_name(row)};

        setting_print(row, &settings, texts[0]);
        setting_print(row, &initial, texts[1]);
        item.is_initial = strcmp(texts[0], texts[1]) == 0;
        tell(list, &item);
    }
}

static void list_unknown(const config_file *file, listing *list)
{
    config_reader lines = file->lines;
    config_line line;

    while (config_file_next_unknown(&lines, &line)) {
        cask_config_item item = {.name = line.key, .value = line.value};

        tell(list, &item);
    }
}

cask_status cask_config_list(cask_db *db,
                             bool (*visit)(void *context,
                                           const cask_config_item *item),
                             void *context, cask_error *err)
{
    listing list = {.visit = visit, .context = context};
    cask_error why = {CASK_OK, 0, ""};
    cask_status status = db_check(db, err);
    config_file file;

    if (status != CASK_OK || visit == NULL) {
        return status != CASK_OK ? status
                                 : fail(err, CASK_INVALID, 0, "visit is NULL");
    }
    status = config_file_read(db->store->dir, &file, &why);
    list_known(db->store, &list);
    list_unknown(&file, &list);
    config_file_free(&file);
    if (status != CASK_OK) {
        status = store_settings_fail_unreadable(db->store, &why, err);
    }
    return status;
}
