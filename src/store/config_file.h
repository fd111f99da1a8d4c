/*
 * The file CONFIG: the settings of a store over all of its opens.
 */
#ifndef CASKADE_CONFIG_FILE_H
#define CASKADE_CONFIG_FILE_H

#include "log/config_format.h"
#include "maintain/settings.h"
#include "os/os.h"

/* A file that was read. Start with {0}. */
typedef struct config_file {
    cask_buffer text;        /* owned; empty: there is no file */
    store_settings settings; /* the defaults but for what the file says */
    config_reader lines;     /* of `text` */
    uint32_t unknown;        /* lines with keys that this version has not */
} config_file;

/*
 * Read CONFIG; that there is none is no error.
 *
 *   ret_file  free with config_file_free() in any case; if it could not be
 *             read the settings are the defaults
 *
 * Returns CASK_OK; CASK_CORRUPT (a value that this version refuses, too),
 * CASK_UNSUPPORTED; CASK_NO_MEMORY; CASK_IO.
 */
cask_status config_file_read(os_file *dir, config_file *ret_file,
                             cask_error *err);
void config_file_free(config_file *file);

/* The next line whose key this version has not; false: there is none. Start
 * with a copy of file->lines. */
bool config_file_next_unknown(config_reader *lines, config_line *ret_line);

/* The text of a file with these settings and the unknown lines of `file`.
 * CASK_OK; CASK_NO_MEMORY; CASK_INVALID: it would be too long. */
cask_status config_file_print(const config_file *file,
                              const store_settings *settings,
                              cask_buffer *ret_text, cask_error *err);

#endif
