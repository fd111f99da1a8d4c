/*
 * The text of the file CONFIG: lines `key=value` between a line that says what
 * it is and a line with a checksum. What keys mean is not known here.
 * docs/format/config.md
 */
#ifndef CASKADE_CONFIG_FORMAT_H
#define CASKADE_CONFIG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define CONFIG_NAME "CONFIG"
#define CONFIG_FIRST_LINE "CASKADE CONFIG 1\n"

enum {
    CONFIG_SIZE_MOST = 64 << 10, /* bytes of the file */
    CONFIG_KEY_MOST = 63,        /* bytes: a-z, 0-9 and _ */
    CONFIG_VALUE_MOST = 1023     /* bytes: printable ASCII */
};

/* One line; text ends with NUL. */
typedef struct config_line {
    uint32_t number; /* 1-based, the first line counted */
    uint64_t offset; /* of the line in the file */
    char key[CONFIG_KEY_MOST + 1];
    char value[CONFIG_VALUE_MOST + 1];
} config_line;

/* The lines of a text that config_check() found good. */
typedef struct config_reader {
    const char *text;
    size_t end; /* of the last line `key=value` */
    size_t at;
    uint32_t number; /* lines read */
} config_reader;

/*
 * Check a whole file: first line, checksum, and that each line is one that this
 * version would write.
 *
 *   ret_reader  for config_next(), set on CASK_OK only; `text` must outlive it
 *
 * Returns CASK_OK; CASK_UNSUPPORTED: of a newer version; CASK_CORRUPT, naming
 * line, offset, what was expected and found.
 */
cask_status config_check(const char *text, size_t size,
                         config_reader *ret_reader, cask_error *err);

/* The next line; false: there is none. */
bool config_next(config_reader *reader, config_line *ret_line);

/* Begin a text in an empty buffer; add lines to it; add the checksum. CASK_OK
 * or CASK_NO_MEMORY. */
cask_status config_begin(cask_buffer *text, cask_error *err);
cask_status config_add(cask_buffer *text, const char *key, const char *value,
                       cask_error *err);
cask_status config_finish(cask_buffer *text, cask_error *err);

#endif
