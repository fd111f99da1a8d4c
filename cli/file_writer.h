/*
 * Writing a new file from its first byte to its last, and making it durable.
 */
#ifndef CASKADE_CLI_FILE_WRITER_H
#define CASKADE_CLI_FILE_WRITER_H

#include <stddef.h>
#include <stdint.h>

/* Start with {0}. */
typedef struct file_writer {
    int fd;
    uint8_t *buffer; /* NULL: not open */
    size_t used;     /* bytes in the buffer */
} file_writer;

/* Each returns 0 or an errno value. */

/* Create `path`, which must not exist, for its owner alone. */
int file_writer_open(file_writer *writer, const char *path);

int file_writer_add(file_writer *writer, const void *bytes, size_t size);

/* Write what waits, sync, close. The file is closed in any case. */
int file_writer_finish(file_writer *writer);

/* Close it as it is; accepts {0}. */
void file_writer_abandon(file_writer *writer);

#endif
