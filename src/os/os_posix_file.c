/*
 * The real os: regular files. Interrupted calls are repeated, short reads and
 * writes are continued.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PERMISSIONS = 0777,
    OTHER_BITS = 07000,
    FIRST_DESCRIPTOR = 3, /* above standard input, output and error */
    SECTOR_BYTES = 512    /* unit of st_blocks, whatever the device */
};

/* --- open and close ---------------------------------------------------- */

int posix_descriptor(const os_file *file)
{
    return ((const posix_file *)file)->descriptor;
}

int posix_move_above_standard(int *descriptor)
{
    int moved;
    int error;

    if (*descriptor >= FIRST_DESCRIPTOR) {
        return 0;
    }
    do {
        moved = fcntl(*descriptor, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR);
    } while (moved < 0 && errno == EINTR);
    error = moved < 0 ? errno : 0;
    (void)close(*descriptor);
    *descriptor = moved;
    return error;
}

int posix_file_wrap(os *self, int descriptor, os_file **ret_file)
{
    posix_file *file;
    int error = posix_move_above_standard(&descriptor);

    if (error != 0) {
        return error;
    }
    file = malloc(sizeof(*file));
    if (file == NULL) {
        (void)close(descriptor);
        return ENOMEM;
    }
    file->base.os = self;
    file->descriptor = descriptor;
    *ret_file = &file->base;
    return 0;
}

static int open_flags(uint32_t flags)
{
    int result = O_RDONLY;

    if ((flags & OS_WRITE) != 0) {
        result = (flags & OS_READ) != 0 ? O_RDWR : O_WRONLY;
    }
    if ((flags & OS_CREATE) != 0) {
        result |= O_CREAT;
    }
    if ((flags & OS_EXCL) != 0) {
        result |= O_EXCL;
    }
    /* O_NONBLOCK: a fifo must not make us wait for its other end. */
    return result | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

/*
 * The umask is for what a person makes without saying how; here a mode was
 * asked for. Other bits than those of permissions (set-group-id, inherited from
 * the directory) stay.
 */
int posix_set_mode(int descriptor, uint32_t mode)
{
    struct stat entry;

    if (fstat(descriptor, &entry) != 0) {
        return errno;
    }
    if ((entry.st_mode & PERMISSIONS) == mode ||
        fchmod(descriptor, (entry.st_mode & OTHER_BITS) | (mode_t)mode) == 0) {
        return 0;
    }
    /* A file system that has no such bits, like those for memory cards. */
    return errno == EPERM || errno == EOPNOTSUPP ? 0 : errno;
}

/* What the kernel answers for a directory, socket, fifo or device. */
static int refuse_other_kinds(int error)
{
    return error == EISDIR || error == ENXIO || error == ENODEV ? EINVAL
                                                                : error;
}

static int open_at(os_file *dir, const char *name, int flags, uint32_t mode,
                   int *ret_descriptor)
{
    int descriptor;

    do {
        descriptor = openat(posix_descriptor(dir), name, flags, (mode_t)mode);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return errno;
    }
    *ret_descriptor = descriptor;
    return 0;
}

/*
 * Open or create, and know which: never both by one call, so that nobody's
 * file but ours gets our mode. Repeated while others create and remove it.
 */
static int open_or_create(os_file *dir, const char *name, uint32_t flags,
                          uint32_t mode, int *ret_descriptor)
{
    int plain = open_flags(flags & ~(uint32_t)(OS_CREATE | OS_EXCL));
    int error;

    do {
        error = open_at(dir, name, plain, mode, ret_descriptor);
        if (error == ENOENT) {
            error = open_at(dir, name, plain | O_CREAT | O_EXCL, mode,
                            ret_descriptor);
            if (error == 0) {
                return posix_set_mode(*ret_descriptor, mode);
            }
        }
    } while (error == EEXIST);
    return error;
}

static int check_kind(int descriptor)
{
    struct stat entry;

    if (fstat(descriptor, &entry) != 0) {
        return errno;
    }
    return S_ISREG(entry.st_mode) ? 0 : EINVAL;
}

int posix_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
               os_file **ret_file)
{
    int error = posix_check_name(name);
    int descriptor = -1;

    if (error != 0) {
        return error;
    }
    if ((flags & OS_CREATE) != 0 && (flags & OS_EXCL) == 0) {
        error = open_or_create(dir, name, flags, mode, &descriptor);
    } else {
        error = open_at(dir, name, open_flags(flags), mode, &descriptor);
        if (error == 0 && (flags & OS_CREATE) != 0) {
            error = posix_set_mode(descriptor, mode);
        }
    }
    if (error == 0) {
        error = check_kind(descriptor);
    }
    if (error != 0) {
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return refuse_other_kinds(error);
    }
    return posix_file_wrap(dir->os, descriptor, ret_file);
}

void posix_close(os_file *file)
{
    if (file == NULL) {
        return;
    }
    /* Never repeated: the descriptor is gone even after EINTR. */
    (void)close(posix_descriptor(file));
    free(file);
}

/* --- metadata ------------------------------------------------------------- */

static os_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode)) {
        return OS_REGULAR;
    }
    return S_ISDIR(mode) ? OS_DIRECTORY : OS_OTHER;
}

static void copy_stat(const struct stat *entry, os_stat *ret_stat)
{
    ret_stat->device = entry->st_dev;
    ret_stat->inode = entry->st_ino;
    ret_stat->size = (uint64_t)entry->st_size;
    ret_stat->allocated = (uint64_t)entry->st_blocks * SECTOR_BYTES;
    ret_stat->links = (uint32_t)entry->st_nlink;
    ret_stat->owner = entry->st_uid;
    ret_stat->mode = entry->st_mode & 07777;
    ret_stat->kind = kind_of(entry->st_mode);
}

int posix_stat(os_file *file, os_stat *ret_stat)
{
    struct stat entry;

    if (fstat(posix_descriptor(file), &entry) != 0) {
        return errno;
    }
    copy_stat(&entry, ret_stat);
    return 0;
}

int posix_stat_name(os_file *dir, const char *name, os_stat *ret_stat)
{
    int error = posix_check_name(name);
    struct stat entry;

    if (error != 0) {
        return error;
    }
    if (fstatat(posix_descriptor(dir), name, &entry, AT_SYMLINK_NOFOLLOW) !=
        0) {
        return errno;
    }
    copy_stat(&entry, ret_stat);
    return 0;
}

/* --- content -------------------------------------------------------------- */

/* Whether [offset, offset+size) is within what an off_t can name. */
static bool range_fits(uint64_t offset, uint64_t size)
{
    return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

int posix_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                  size_t *ret_read)
{
    unsigned char *to = data;
    size_t done = 0;

    if (!range_fits(offset, size)) {
        return EINVAL;
    }
    while (done < size) {
        ssize_t got = pread(posix_descriptor(file), to + done, size - done,
                            (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_read = done;
    return 0;
}

/* Drop the first `done` bytes of what is left; returns the first span left. */
static size_t skip_written(struct iovec *parts, size_t first, size_t count,
                           size_t done)
{
    while (first < count && done >= parts[first].iov_len) {
        done -= parts[first].iov_len;
        first++;
    }
    if (first < count) {
        parts[first].iov_base = (char *)parts[first].iov_base + done;
        parts[first].iov_len -= done;
    }
    return first;
}

static int write_parts(int descriptor, struct iovec *parts, size_t count,
                       uint64_t offset)
{
    /* Also skips empty spans, so that no write of nothing looks stuck. */
    size_t first = skip_written(parts, 0, count, 0);

    while (first < count) {
        ssize_t put = pwritev(descriptor, parts + first, (int)(count - first),
                              (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : EIO;
        }
        offset += (uint64_t)put;
        first = skip_written(parts, first, count, (size_t)put);
    }
    return 0;
}

int posix_write_at(os_file *file, const os_span *spans, size_t count,
                   uint64_t offset)
{
    struct iovec parts[OS_SPANS];
    size_t size = 0;

    if (count > OS_SPANS) {
        return EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (spans[i].size > SIZE_MAX - size) {
            return EINVAL;
        }
        size += spans[i].size;
        /* An iovec serves reading too, hence it is not const. */
        parts[i].iov_base = (void *)(uintptr_t)spans[i].data;
        parts[i].iov_len = spans[i].size;
    }
    if (!range_fits(offset, size)) {
        return EFBIG;
    }
    return write_parts(posix_descriptor(file), parts, count, offset);
}

int posix_allocate(os_file *file, uint64_t offset, uint64_t size)
{
    int error;

    if (!range_fits(offset, size)) {
        return EFBIG;
    }
    if (size == 0) {
        return 0;
    }
    do {
        error =
            posix_fallocate(posix_descriptor(file), (off_t)offset, (off_t)size);
    } while (error == EINTR);
    return error;
}

int posix_reserve(os_file *file, uint64_t offset, uint64_t size)
{
    int status;

    if (!range_fits(offset, size)) {
        return EFBIG;
    }
    if (size == 0) {
        return 0;
    }
    do {
        status = fallocate(posix_descriptor(file), FALLOC_FL_KEEP_SIZE,
                           (off_t)offset, (off_t)size);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

int posix_truncate(os_file *file, uint64_t size)
{
    int status;

    if (!range_fits(0, size)) {
        return EFBIG;
    }
    do {
        status = ftruncate(posix_descriptor(file), (off_t)size);
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

int posix_sync(os_file *file)
{
    int status;

    do {
        status = fdatasync(posix_descriptor(file));
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

void posix_flush_hint(os_file *file, uint64_t offset, uint64_t size)
{
    if (size == 0 || !range_fits(offset, size)) {
        return; /* 0 would mean: to the end of the file */
    }
    (void)sync_file_range(posix_descriptor(file), (off_t)offset, (off_t)size,
                          SYNC_FILE_RANGE_WRITE);
}
