/*
 * CONFIG read and put into words. Only what differs from the defaults is in it,
 * so that a store follows them if they ever change.
 */
#include "store/config_file.h"

#include <errno.h>
#include <inttypes.h>

#include "log/segment.h"

static cask_status read_text(os_file *dir, cask_buffer *text, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    cask_status status;
    int os_errno = ops->open(dir, CONFIG_NAME, OS_READ, 0, &file);

    if (os_errno == ENOENT) {
        return CASK_NOT_FOUND;
    }
    if (os_errno != 0) {
        return file_fail_open(err, os_errno, NULL, CONFIG_NAME);
    }
    os_errno = ops->stat(file, &stat);
    status = os_errno != 0 ? fail_os(err, os_errno, "cannot examine CONFIG")
                           : CASK_OK;
    if (status == CASK_OK && stat.size > CONFIG_SIZE_MOST) {
        status = fail(err, CASK_CORRUPT, 0,
                      CONFIG_NAME ": offset 0: %" PRIu64
                                  " bytes, at most %d expected",
                      stat.size, CONFIG_SIZE_MOST);
    }
    if (status == CASK_OK) {
        /* One more: an empty file is not taken for none. */
        status = buffer_reserve(text, stat.size + 1, err);
    }
    if (status == CASK_OK) {
        os_errno = ops->read_at(file, text->data, stat.size, 0, &got);
        text->size = got;
        status = os_errno != 0 ? fail_os(err, os_errno, "cannot read CONFIG")
                               : CASK_OK;
    }
    ops->close(file);
    return status;
}

/* Values of a newer version may be what this one refuses. */
static cask_status take_line(config_file *file, const config_line *line,
                             cask_error *err)
{
    const setting *row = setting_find(line->key);
    cask_error why;

    if (row == NULL) {
        file->unknown++;
        return CASK_OK;
    }
    if (setting_parse(row, line->value, &file->settings, &why) != CASK_OK) {
        return fail(err, CASK_CORRUPT, 0,
                    CONFIG_NAME ": offset %" PRIu64 ": line %" PRIu32 ": %s",
                    line->offset, line->number, why.message);
    }
    return CASK_OK;
}

cask_status config_file_read(os_file *dir, config_file *ret_file,
                             cask_error *err)
{
    config_reader lines;
    config_line line;
    cask_status status;

    *ret_file = (config_file){.unknown = 0};
    settings_default(&ret_file->settings);
    status = read_text(dir, &ret_file->text, err);
    if (status == CASK_NOT_FOUND) {
        return CASK_OK;
    }
    if (status == CASK_OK) {
        status = config_check(ret_file->text.data, ret_file->text.size,
                              &ret_file->lines, err);
    }
    lines = ret_file->lines;
    while (status == CASK_OK && config_next(&lines, &line)) {
        status = take_line(ret_file, &line, err);
    }
    if (status != CASK_OK) {
        settings_default(&ret_file->settings);
    }
    return status;
}

void config_file_free(config_file *file)
{
    cask_buffer_free(&file->text);
}

bool config_file_next_unknown(config_reader *lines, config_line *ret_line)
{
    while (config_next(lines, ret_line)) {
        if (setting_find(ret_line->key) == NULL) {
            return true;
        }
    }
    return false;
}

static cask_status add_known(const store_settings *settings, cask_buffer *text,
                             cask_error *err)
{
    store_settings initial;
    cask_status status = CASK_OK;
    const setting *row;

    settings_default(&initial);
    for (size_t i = 0; status == CASK_OK && (row = setting_at(i)) != NULL;
         i++) {
        char value[SETTING_TEXT_SIZE];

        if (!setting_is_same(row, settings, &initial)) {
            setting_print(row, settings, value);
            status = config_add(text, row->name, value, err);
        }
    }
    return status;
}

cask_status config_file_print(const config_file *file,
                              const store_settings *settings,
                              cask_buffer *ret_text, cask_error *err)
{
    config_reader lines = file->lines;
    cask_status status = config_begin(ret_text, err);
    config_line line;

    if (status == CASK_OK) {
        status = add_known(settings, ret_text, err);
    }
    while (status == CASK_OK && config_file_next_unknown(&lines, &line)) {
        status = config_add(ret_text, line.key, line.value, err);
    }
    if (status == CASK_OK) {
        status = config_finish(ret_text, err);
    }
    if (status == CASK_OK && ret_text->size > CONFIG_SIZE_MOST) {
        status = fail(err, CASK_INVALID, 0,
                      CONFIG_NAME ": %zu bytes would be too long, at most %d; "
                                  "reset all settings",
                      ret_text->size, CONFIG_SIZE_MOST);
    }
    return status;
}
