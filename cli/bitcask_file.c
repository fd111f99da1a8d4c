/*
 * Reading one file of a Bitcask directory, see bitcask_file.h.
 *
 * A window moves over the file. Checksums of long ranges come from sums noted
 * at equal distances: crc32(a..c) and crc32(a..b) give crc32(b..c), whatever
 * the distance, so that a search which tries a range at every byte stays
 * linear.
 */
#include "bitcask_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "bitcask_format.h"

enum {
    PAGE_SIZE = 4096,
    SUM_DISTANCE = 512,
    SUMS_AT_ONCE = 128,   /* sums noted by one read */
    GAP_MAX = 1024 * 1024 /* between ranges that are asked for */
};

static bool is_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool bitcask_stamp_is(const bitcask_stamp *a, const bitcask_stamp *b)
{
    return a->device == b->device && a->inode == b->inode &&
           a->size == b->size && is_time(a->modified, b->modified) &&
           is_time(a->changed, b->changed);
}

static int check_file(bitcask_file *file)
{
    struct stat what;

    if (fstat(file->fd, &what) != 0) {
        return errno;
    }
    if (!S_ISREG(what.st_mode)) {
        return EINVAL;
    }
    file->size = (uint64_t)what.st_size;
    file->stamp = (bitcask_stamp){.device = what.st_dev,
                                  .inode = what.st_ino,
                                  .size = file->size,
                                  .modified = what.st_mtim,
                                  .changed = what.st_ctim};
    file->window = malloc(BITCASK_WINDOW_BYTES);
    if (file->window == NULL) {
        return ENOMEM;
    }
    file->window_capacity = BITCASK_WINDOW_BYTES;
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

int bitcask_file_open(bitcask_file *file, const char *path)
{
    int os_errno;

    *file = (bitcask_file){0};
    /* Not to wait for a writer if it is a pipe. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    os_errno = file->fd < 0 ? errno : check_file(file);
    if (os_errno != 0) {
        if (file->fd >= 0) {
            (void)close(file->fd);
        }
        free(file->window);
        *file = (bitcask_file){0};
    }
    return os_errno;
}

void bitcask_file_close(bitcask_file *file)
{
    if (file->window != NULL) {
        (void)close(file->fd);
        free(file->window);
        free(file->sums);
    }
    *file = (bitcask_file){0};
}

/* ---- Bytes ------------------------------------------------------------- */

/* Read until the end of the range, of the file, or of what is readable. */
static size_t read_some(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = pread(fd, to + done, size - done, (off_t)(offset + done));

        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return done;
}

/* Zeros stand for what cannot be read, page by page. */
static void read_range(int fd, uint8_t *to, size_t size, uint64_t offset)
{
    size_t done = read_some(fd, to, size, offset);

    while (done < size) {
        size_t page = PAGE_SIZE - (size_t)((offset + done) % PAGE_SIZE);

        page = page < size - done ? page : size - done;
        memset(to + done, 0, page);
        (void)read_some(fd, to + done, page, offset + done);
        done += page;
    }
}

/* Make the window hold `size` bytes from `offset` on, and more behind them. */
static bool move_window(bitcask_file *file, uint64_t offset, size_t size)
{
    uint64_t rest = file->size - offset;
    size_t kept = 0;
    size_t wanted;

    if (file->window == NULL) {
        return false; /* not open */
    }
    if (size > file->window_capacity) {
        uint8_t *larger = realloc(file->window, size);

        if (larger == NULL) {
            return false;
        }
        file->window = larger;
        file->window_capacity = size;
    }
    if (offset >= file->window_offset &&
        offset < file->window_offset + file->window_size) {
        size_t skipped = (size_t)(offset - file->window_offset);

        kept = file->window_size - skipped;
        memmove(file->window, file->window + skipped, kept);
    }
    wanted =
        file->window_capacity < rest ? file->window_capacity : (size_t)rest;
    read_range(file->fd, file->window + kept, wanted - kept, offset + kept);
    file->window_offset = offset;
    file->window_size = wanted;
    return true;
}

const uint8_t *bitcask_file_load(bitcask_file *file, uint64_t offset,
                                 size_t size)
{
    return move_window(file, offset, size) ? file->window : NULL;
}

/* ---- Checksums --------------------------------------------------------- */

static bool add_room(bitcask_file *file)
{
    size_t capacity = file->sum_capacity * 2 + SUMS_AT_ONCE;
    uint32_t *larger = realloc(file->sums, capacity * sizeof(*larger));

    if (larger == NULL) {
        return false;
    }
    file->sums = larger;
    file->sum_capacity = capacity;
    return true;
}

/* Note sums up to `offset`, from the last one on. */
static bool extend_sums(bitcask_file *file, uint64_t offset)
{
    uint64_t needed = (offset - file->sums_offset) / SUM_DISTANCE;
    uint8_t buffer[SUMS_AT_ONCE * SUM_DISTANCE];

    while (needed >= file->sum_count) {
        size_t count = SUMS_AT_ONCE;
        uint64_t at =
            file->sums_offset + (uint64_t)(file->sum_count - 1) * SUM_DISTANCE;

        if (needed - file->sum_count < count) {
            count = (size_t)(needed - file->sum_count) + 1;
        }
        if (file->sum_count + count > file->sum_capacity && !add_room(file)) {
            return false;
        }
        read_range(file->fd, buffer, count * SUM_DISTANCE, at);
        for (size_t i = 0; i < count; i++) {
            file->sums[file->sum_count] =
                bitcask_crc(file->sums[file->sum_count - 1],
                            buffer + i * SUM_DISTANCE, SUM_DISTANCE);
            file->sum_count++;
        }
    }
    return true;
}

/* The crc32 of the bytes from sums_offset to `offset`. */
static bool sum_until(bitcask_file *file, uint64_t offset, uint32_t *ret_crc)
{
    uint64_t index = (offset - file->sums_offset) / SUM_DISTANCE;
    uint64_t from = file->sums_offset + index * SUM_DISTANCE;
    size_t rest = (size_t)(offset - from);
    const uint8_t *bytes = bitcask_file_peek(file, from, rest);
    uint8_t buffer[SUM_DISTANCE];

    if (!extend_sums(file, offset)) {
        return false;
    }
    if (bytes == NULL) {
        read_range(file->fd, buffer, rest, from);
        bytes = buffer;
    }
    *ret_crc = bitcask_crc(file->sums[index], bytes, rest);
    return true;
}

/* Whether the sums there are help from `offset` on. */
static bool has_sums_for(const bitcask_file *file, uint64_t offset)
{
    return file->sum_count != 0 && offset >= file->sums_offset &&
           (offset - file->sums_offset) / SUM_DISTANCE <
               file->sum_count + GAP_MAX / SUM_DISTANCE;
}

bool bitcask_file_crc(bitcask_file *file, uint64_t offset, uint64_t size,
                      uint32_t *ret_crc)
{
    uint32_t before;
    uint32_t whole;

    if (!has_sums_for(file, offset)) {
        if (file->sum_capacity == 0 && !add_room(file)) {
            return false;
        }
        file->sums_offset = offset;
        file->sums[0] = 0;
        file->sum_count = 1;
    }
    if (!sum_until(file, offset, &before) ||
        !sum_until(file, offset + size, &whole)) {
        return false;
    }
    *ret_crc = whole ^ (uint32_t)crc32_combine(before, 0, (z_off_t)size);
    return true;
}
