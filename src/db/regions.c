/*
 * Region files seen from outside: list them, drop one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "log/identity_format.h"
#include "store/store_open.h"

/* A region file, its constant part mapped. */
typedef struct region_look {
    os *kernel;
    os_file *file;
    region_header *header;
    os_stat stat;
    bool in_use;
} region_look;

static void close_look(region_look *look)
{
    look->kernel->ops->unmap(look->kernel, look->header, sizeof(region_header));
    look->kernel->ops->close(look->file);
}

/* 0, or an errno value; EINVAL if it is not a region. */
static int open_look(os_file *dir, const char *name, region_look *ret_look)
{
    const os_ops *ops = dir->os->ops;
    void *memory = NULL;
    int os_errno;

    *ret_look = (region_look){.kernel = dir->os};
    os_errno = ops->open(dir, name, OS_READ | OS_WRITE, 0, &ret_look->file);
    if (os_errno != 0) {
        ret_look->file = NULL;
        return os_errno;
    }
    os_errno = ops->stat(ret_look->file, &ret_look->stat);
    if (os_errno == 0 && ret_look->stat.size < REGION_HEAP_OFFSET) {
        os_errno = EINVAL;
    }
    if (os_errno == 0) {
        os_errno =
            ops->map(ret_look->file, 0, sizeof(region_header), false, &memory);
    }
    if (os_errno == 0) {
        ret_look->header = memory;
        if (memcmp(ret_look->header->magic, REGION_MAGIC, 8) != 0) {
            os_errno = EINVAL;
        } else {
            os_errno = ops->is_locked(ret_look->file, 0, 1, &ret_look->in_use);
        }
    }
    if (os_errno != 0) {
        close_look(ret_look);
    }
    return os_errno;
}

/*
 * Whether the store of a region is not where it was: its directory is gone, is
 * another, or holds another store. What this process may not see, or sees with
 * other eyes (another container), is taken for there.
 */
static bool store_is_gone(const region_look *look, const char *directory)
{
    const region_header *header = look->header;
    const os_ops *ops = look->kernel->ops;
    store_identity identity;
    cask_status status;
    os_file *dir;
    os_stat stat;
    int os_errno;

    if (directory[0] != '/' ||
        header->pid_namespace != ops->pid_namespace(look->kernel)) {
        return false;
    }
    os_errno = ops->open_dir(look->kernel, directory, &dir);
    if (os_errno != 0) {
        return os_errno == ENOENT || os_errno == ENOTDIR;
    }
    os_errno = ops->stat(dir, &stat);
    status = store_read_identity(dir, directory, &identity, NULL);
    ops->close(dir);
    return os_errno == 0 &&
           (stat.device != header->directory_device ||
            stat.inode != header->directory_inode || status == CASK_NOT_FOUND ||
            (status == CASK_OK &&
             memcmp(identity.uuid, header->uuid, 16) != 0));
}

/* The directory that a region names, "" if it names none. Copied: the region is
 * memory that others may write. */
static void copy_directory(const region_header *header,
                           char ret_directory[REGION_DIRECTORY])
{
    memcpy(ret_directory, header->directory, REGION_DIRECTORY);
    if (header->layout_version != REGION_LAYOUT_VERSION ||
        ret_directory[REGION_DIRECTORY - 1] != '\0') {
        ret_directory[0] = '\0';
    }
}

typedef struct listing {
    os_file *dir;
    const char *path;
    bool (*visit)(void *context, const cask_region_info *info);
    void *context;
} listing;

static bool visit_region(void *context, const char *name)
{
    listing *list = context;
    os *kernel = list->dir->os;
    cask_region_info info = {0};
    region_look look;
    char directory[REGION_DIRECTORY];
    char path[REGION_DIRECTORY + REGION_NAME_SIZE];
    char uuid[DB_UUID_SIZE];
    bool go_on = true;

    if (strncmp(name, REGION_PREFIX, strlen(REGION_PREFIX)) != 0 ||
        open_look(list->dir, name, &look) != 0) {
        return true;
    }
    if (look.stat.owner == kernel->ops->user(kernel)) {
        (void)snprintf(path, sizeof(path), "%s/%s", list->path, name);
        db_format_uuid(look.header->uuid, uuid);
        copy_directory(look.header, directory);
        info.path = path;
        info.store_uuid = uuid;
        info.directory = directory;
        info.size_bytes = look.stat.allocated;
        info.in_use = look.in_use;
        info.clean = atomic_load(&look.header->state) == REGION_CLEAN;
        info.orphan =
            !look.in_use && (!info.clean || store_is_gone(&look, directory));
        go_on = list->visit(list->context, &info);
    }
    close_look(&look);
    return go_on;
}

cask_status cask_region_list(const char *region_dir,
                             bool (*visit)(void *context,
                                           const cask_region_info *info),
                             void *context, cask_error *err)
{
    os *kernel = os_posix();
    listing list = {.path = region_dir != NULL ? region_dir : CASK_REGION_DIR,
                    .visit = visit,
                    .context = context};
    int os_errno;

    if (visit == NULL) {
        return fail(err, CASK_INVALID, 0, "visit is NULL");
    }
    os_errno = kernel->ops->open_dir(kernel, list.path, &list.dir);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", list.path);
    }
    os_errno = kernel->ops->list(list.dir, visit_region, &list);
    kernel->ops->close(list.dir);
    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno, "cannot list %s", list.path);
}

static cask_status drop(os_file *dir, const char *name, const char *path,
                        cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    region_look look;
    int os_errno = open_look(dir, name, &look);

    if (os_errno == ENOENT) {
        return fail(err, CASK_NOT_FOUND, 0,
                    "%s: no such region; caskade region list shows them", path);
    }
    if (os_errno == EINVAL || os_errno == ELOOP) {
        return fail(err, CASK_INVALID, 0, "%s: is not a region; not removed",
                    path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", path);
    }
    /* Exclusively, so that nobody attaches while it goes. */
    os_errno = ops->lock(look.file, 0, 1, OS_EXCLUSIVE);
    if (os_errno == 0) {
        os_errno = ops->remove(dir, name);
    }
    close_look(&look);
    if (os_errno == EAGAIN) {
        return fail(err, CASK_BUSY, 0,
                    "%s: a process has this store open; close it first", path);
    }
    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno, "cannot remove %s", path);
}

cask_status cask_region_drop(const char *path, cask_error *err)
{
    os *kernel = os_posix();
    char parent[512];
    const char *slash;
    cask_status status;
    os_file *dir;
    int os_errno;

    slash = path == NULL ? NULL : strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) >= sizeof(parent) - 1) {
        return fail(err, CASK_INVALID, 0,
                    "give the region's whole path, as caskade region list "
                    "shows it");
    }
    (void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path) + 1,
                   path);
    os_errno = kernel->ops->open_dir(kernel, parent, &dir);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", parent);
    }
    status = drop(dir, slash + 1, path, err);
    kernel->ops->close(dir);
    return status;
}
