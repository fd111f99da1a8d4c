/*
 * Writing a directory of Bitcask, see bitcask_output.h.
 */
#include "bitcask_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *bitcask_output_problem(cask_slice key, cask_slice value)
{
    if (bitcask_is_tombstone(value.data, value.size)) {
        return "its value begins with '" BITCASK_MARK "', which Bitcask takes "
               "for a deletion";
    }
    if (value.size >
        BITCASK_RECORD_MAX_BYTES - BITCASK_HEADER_SIZE - key.size) {
        return "its value is too large for Bitcask's hints, whose records end "
               "at 4 GiB";
    }
    return NULL;
}

/* The path of a file; the caller frees it. NULL: no memory. */
static char *make_path(const bitcask_output *output, uint32_t id,
                       const char *kind)
{
    size_t size = strlen(output->directory) + 64;
    char *path = malloc(size);

    if (path != NULL) {
        (void)snprintf(path, size, "%s/%" PRIu32 ".bitcask.%s",
                       output->directory, id, kind);
    }
    return path;
}

static int open_file(file_writer *writer, const bitcask_output *output,
                     const char *kind)
{
    char *path = make_path(output, output->file_count, kind);
    int os_errno = path == NULL ? ENOMEM : file_writer_open(writer, path);

    free(path);
    return os_errno;
}

static bool is_open(const bitcask_output *output)
{
    return output->data.buffer != NULL;
}

static int begin_file(bitcask_output *output)
{
    int os_errno;

    output->file_count++;
    output->offset = 0;
    output->hints_crc = 0;
    os_errno = open_file(&output->data, output, "data");
    return os_errno != 0 ? os_errno : open_file(&output->hints, output, "hint");
}

static int end_file(bitcask_output *output)
{
    uint8_t trailer[BITCASK_HINT_SIZE];
    int os_errno;

    bitcask_encode_trailer(output->hints_crc, trailer);
    os_errno = file_writer_add(&output->hints, trailer, sizeof(trailer));
    if (os_errno == 0) {
        os_errno = file_writer_finish(&output->data);
    }
    return os_errno != 0 ? os_errno : file_writer_finish(&output->hints);
}

static int add_record(bitcask_output *output, uint32_t time_s, cask_slice key,
                      cask_slice value)
{
    uint8_t header[BITCASK_HEADER_SIZE];
    int os_errno;

    bitcask_encode_header(time_s, key, value, header);
    os_errno = file_writer_add(&output->data, header, sizeof(header));
    if (os_errno == 0) {
        os_errno = file_writer_add(&output->data, key.data, key.size);
    }
    return os_errno != 0
               ? os_errno
               : file_writer_add(&output->data, value.data, value.size);
}

static int add_hint(bitcask_output *output, const bitcask_hint *hint,
                    cask_slice key)
{
    uint8_t bytes[BITCASK_HINT_SIZE];
    int os_errno;

    bitcask_encode_hint(hint, bytes);
    output->hints_crc = bitcask_crc(output->hints_crc, bytes, sizeof(bytes));
    output->hints_crc = bitcask_crc(output->hints_crc, key.data, key.size);
    os_errno = file_writer_add(&output->hints, bytes, sizeof(bytes));
    return os_errno != 0 ? os_errno
                         : file_writer_add(&output->hints, key.data, key.size);
}

int bitcask_output_add(bitcask_output *output, uint32_t time_s, cask_slice key,
                       cask_slice value)
{
    bitcask_hint hint = {
        .time_s = time_s,
        .key_size = (uint16_t)key.size,
        .record_size = (uint32_t)(BITCASK_HEADER_SIZE + key.size + value.size)};
    int os_errno = 0;

    if (is_open(output) && output->offset > 0 &&
        (output->offset > output->max_file_bytes ||
         hint.record_size > output->max_file_bytes - output->offset)) {
        os_errno = end_file(output);
    }
    if (os_errno == 0 && !is_open(output)) {
        os_errno = begin_file(output);
    }
    if (os_errno == 0) {
        os_errno = add_record(output, time_s, key, value);
    }
    hint.offset = output->offset;
    output->offset += hint.record_size;
    output->bytes += hint.record_size;
    return os_errno != 0 ? os_errno : add_hint(output, &hint, key);
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int os_errno = 0;

    if (fd < 0 || fsync(fd) != 0) {
        os_errno = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return os_errno;
}

int bitcask_output_finish(bitcask_output *output)
{
    int os_errno = 0;

    if (output->file_count == 0) {
        os_errno = begin_file(output);
    }
    if (os_errno == 0) {
        os_errno = end_file(output);
    }
    return os_errno != 0 ? os_errno : sync_directory(output->directory);
}

void bitcask_output_abandon(bitcask_output *output)
{
    static const char *const kinds[] = {"data", "hint"};

    file_writer_abandon(&output->data);
    file_writer_abandon(&output->hints);
    for (uint32_t id = 1; id <= output->file_count; id++) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            char *path = make_path(output, id, kinds[i]);

            if (path != NULL) {
                (void)unlink(path);
            }
            free(path);
        }
    }
}
