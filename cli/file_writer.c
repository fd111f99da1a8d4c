/*
 * Writing a new file, see file_writer.h.
 */
#include "file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 * 1024 };

int file_writer_open(file_writer *writer, const char *path)
{
    *writer = (file_writer){.buffer = malloc(BUFFER_SIZE)};
    if (writer->buffer == NULL) {
        return ENOMEM;
    }
    writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->fd < 0) {
        int os_errno = errno;

        free(writer->buffer);
        *writer = (file_writer){.used = 0};
        return os_errno;
    }
    return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = write(fd, bytes, size);

        if (got < 0 && errno != EINTR) {
            return errno;
        }
        if (got > 0) {
            bytes += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

static int flush(file_writer *writer)
{
    int os_errno = write_all(writer->fd, writer->buffer, writer->used);

    writer->used = 0;
    return os_errno;
}

int file_writer_add(file_writer *writer, const void *bytes, size_t size)
{
    if (size > BUFFER_SIZE - writer->used) {
        int os_errno = flush(writer);

        if (os_errno != 0) {
            return os_errno;
        }
    }
    if (size > BUFFER_SIZE) {
        return write_all(writer->fd, bytes, size);
    }
    if (size > 0) {
        memcpy(writer->buffer + writer->used, bytes, size);
    }
    writer->used += size;
    return 0;
}

int file_writer_finish(file_writer *writer)
{
    int os_errno = flush(writer);

    if (os_errno == 0 && fsync(writer->fd) != 0) {
        os_errno = errno;
    }
    if (close(writer->fd) != 0 && os_errno == 0) {
        os_errno = errno;
    }
    free(writer->buffer);
    *writer = (file_writer){.used = 0};
    return os_errno;
}

void file_writer_abandon(file_writer *writer)
{
    if (writer->buffer != NULL) {
        (void)close(writer->fd);
        free(writer->buffer);
    }
    *writer = (file_writer){.used = 0};
}
