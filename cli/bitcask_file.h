/*
 * Reading one file of a Bitcask directory, which is never changed: any range
 * of its bytes, and the checksum of ranges too long to hold in memory.
 *
 * What the device cannot read is zeros, which no checksum accepts, so that
 * failing media are damage like any other.
 */
#ifndef CASKADE_CLI_BITCASK_FILE_H
#define CASKADE_CLI_BITCASK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A range of this size is always given: there is memory for it. */
#define BITCASK_WINDOW_BYTES (256u * 1024)

/* Which file it is, and in which state; two of the same are of the same bytes
 * (as exactly as the file system takes the time). */
typedef struct bitcask_stamp {
    uint64_t device;
    uint64_t inode;
    uint64_t size; /* bytes */
    struct timespec modified;
    struct timespec changed;
} bitcask_stamp;

bool bitcask_stamp_is(const bitcask_stamp *a, const bitcask_stamp *b);

/* Start with {0}. */
typedef struct bitcask_file {
    int fd;
    uint64_t size; /* bytes, when it was opened */
    bitcask_stamp stamp;

    /* The bytes that were read last. */
    uint8_t *window;
    size_t window_capacity;
    uint64_t window_offset;
    size_t window_size;

    /* sums[i]: crc32 of the bytes from sums_offset on, up to i times
     * SUM_DISTANCE (see bitcask_file.c); NULL until one is needed. */
    uint32_t *sums;
    size_t sum_count;
    size_t sum_capacity;
    uint64_t sums_offset;
} bitcask_file;

/* Open it for reading. Returns 0, or an errno value; EINVAL if it is no regular
 * file. Close it with bitcask_file_close() in any case. */
int bitcask_file_open(bitcask_file *file, const char *path);

/* Release everything and make it {0}. */
void bitcask_file_close(bitcask_file *file);

/* The bytes of a range inside the file if they are at hand; NULL if they would
 * have to be read. */
static inline const uint8_t *bitcask_file_peek(const bitcask_file *file,
                                               uint64_t offset, size_t size)
{
    uint64_t skipped = offset - file->window_offset;

    if (offset < file->window_offset || skipped > file->window_size ||
        size > file->window_size - (size_t)skipped) {
        return NULL;
    }
    return file->window + skipped;
}

/* The same, but they are read if they are not. */
const uint8_t *bitcask_file_load(bitcask_file *file, uint64_t offset,
                                 size_t size);

/*
 * The bytes of a range inside the file, valid until the next call. NULL if
 * there is no memory for them. In line, since it is asked for several times in
 * each record.
 */
static inline const uint8_t *bitcask_file_at(bitcask_file *file,
                                             uint64_t offset, size_t size)
{
    const uint8_t *bytes = bitcask_file_peek(file, offset, size);

    return bytes != NULL ? bytes : bitcask_file_load(file, offset, size);
}

/*
 * The crc32 of a range inside the file, without holding it in memory; false if
 * there is no memory at all.
 *
 * Cost: reads what no earlier call has covered, and at most a kilobyte besides:
 * many ranges that overlap cost little more than one. Offsets should grow.
 */
bool bitcask_file_crc(bitcask_file *file, uint64_t offset, uint64_t size,
                      uint32_t *ret_crc);

#endif
