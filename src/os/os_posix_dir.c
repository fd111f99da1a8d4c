/*
 * The real os: directories, and the names in them.
 *
 * A name is one path component, so that no symbolic link in the middle of a
 * path can lead out of the directory.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int open_dir_at(int at, const char *path, int *ret_descriptor)
{
    int descriptor;

    do {
        descriptor =
            openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return errno;
    }
    *ret_descriptor = descriptor;
    return 0;
}

int posix_open_dir(os *self, const char *path, os_file **ret_dir)
{
    int descriptor = -1;
    int error = open_dir_at(AT_FDCWD, path, &descriptor);

    return error != 0 ? error : posix_file_wrap(self, descriptor, ret_dir);
}

static int set_dir_mode(const char *path, uint32_t mode)
{
    int descriptor;
    int error;

    do { /* not through a link that somebody put there meanwhile */
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                                    O_CLOEXEC | O_NOCTTY);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return errno;
    }
    error = posix_set_mode(descriptor, mode);
    (void)close(descriptor);
    return error;
}

int posix_make_dir(os *self, const char *path, uint32_t mode)
{
    int error;

    (void)self;
    if (mkdir(path, (mode_t)mode) != 0) {
        return errno;
    }
    error = set_dir_mode(path, mode);
    if (error != 0) {
        /* What was there already would keep its mode at the next attempt. */
        (void)unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    }
    return error;
}

int posix_remove_dir(os *self, const char *path)
{
    (void)self;
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR) == 0 ? 0 : errno;
}

static int visit_entries(DIR *stream, os_list_fn visit, void *context)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL && errno == EINTR) {
            continue;
        }
        if (entry == NULL) {
            return errno;
        }
        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (!visit(context, entry->d_name)) {
            return 0;
        }
    }
}

int posix_list(os_file *dir, os_list_fn visit, void *context)
{
    int descriptor = -1;
    DIR *stream;
    int error;

    /* A description of its own: the position in `dir` is shared by threads. */
    error = open_dir_at(posix_descriptor(dir), ".", &descriptor);
    if (error == 0) {
        error = posix_move_above_standard(&descriptor);
    }
    if (error != 0) {
        return error;
    }
    stream = fdopendir(descriptor);
    if (stream == NULL) {
        error = errno;
        (void)close(descriptor);
        return error;
    }
    error = visit_entries(stream, visit, context);
    (void)closedir(stream);
    return error;
}

/*
 * FUSE is not in this list on purpose: most of what it serves is local, and
 * nothing tells the rest apart.
 */
static bool is_remote(uint32_t type)
{
    switch (type) {
    case 0x00006969: /* NFS */
    case 0x0000517b: /* SMB */
    case 0xff534d42: /* CIFS */
    case 0xfe534d42: /* SMB 2 and 3 */
    case 0x01021997: /* 9P */
    case 0x5346414f: /* AFS */
    case 0x6b414653: /* kAFS */
    case 0x73757245: /* Coda */
    case 0x00c36400: /* Ceph */
        return true;
    default:
        return false;
    }
}

int posix_space(os_file *dir, os_space *ret_space)
{
    struct statfs system;
    uint64_t unit;
    int status;

    do {
        status = fstatfs(posix_descriptor(dir), &system);
    } while (status != 0 && errno == EINTR);
    if (status != 0) {
        return errno;
    }
    unit = (uint64_t)(system.f_frsize != 0 ? system.f_frsize : system.f_bsize);
    ret_space->free = (uint64_t)system.f_bavail * unit;
    ret_space->total = (uint64_t)system.f_blocks * unit;
    ret_space->remote = is_remote((uint32_t)system.f_type);
    return 0;
}

void posix_dir_path(os_file *dir, char *ret_path, size_t size)
{
    char link[64];
    ssize_t used;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d",
                   posix_descriptor(dir));
    used = readlink(link, ret_path, size);
    /* What lies outside of this process's root begins with "(unreachable)". */
    if (used <= 0 || (size_t)used >= size || ret_path[0] != '/') {
        used = 0;
    }
    ret_path[used] = '\0';
}

int posix_sync_dir(os_file *dir)
{
    int status;

    do {
        status = fsync(posix_descriptor(dir));
    } while (status != 0 && errno == EINTR);
    return status == 0 ? 0 : errno;
}

/* --- names ------------------------------------------------------------- */

int posix_check_name(const char *name)
{
    return name[0] == '\0' || strchr(name, '/') != NULL ? EINVAL : 0;
}

int posix_remove(os_file *dir, const char *name)
{
    int error = posix_check_name(name);

    if (error != 0) {
        return error;
    }
    return unlinkat(posix_descriptor(dir), name, 0) == 0 ? 0 : errno;
}

int posix_rename(os_file *dir, const char *from, const char *to)
{
    int at = posix_descriptor(dir);

    if (posix_check_name(from) != 0 || posix_check_name(to) != 0) {
        return EINVAL;
    }
    return renameat(at, from, at, to) == 0 ? 0 : errno;
}

int posix_link(os_file *dir, const char *name, os_file *to_dir,
               const char *to_name)
{
    if (posix_check_name(name) != 0 || posix_check_name(to_name) != 0) {
        return EINVAL;
    }
    return linkat(posix_descriptor(dir), name, posix_descriptor(to_dir),
                  to_name, 0) == 0
               ? 0
               : errno;
}
