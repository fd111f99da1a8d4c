/*
 * What making a store's directory needs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_open.h"

/* The longest path that is resolved. */
enum { PATH_BYTES = 4096 };

/* The directory above `path`, in memory to be freed; NULL: none left. */
static char *parent_of(const char *path)
{
    char *parent = malloc(strlen(path) + 2);
    size_t size = strlen(path);

    if (parent == NULL) {
        return NULL;
    }
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    if (size == 0) {
        (void)snprintf(parent, 2, ".");
    } else {
        (void)snprintf(parent, size + 1, "%s", path);
    }
    return parent;
}

int store_sync_parent(os *kernel, const char *path)
{
    const os_ops *ops = kernel->ops;
    char *parent = parent_of(path);
    os_file *dir = NULL;
    int os_errno;

    if (parent == NULL) {
        return ENOMEM;
    }
    os_errno = ops->open_dir(kernel, parent, &dir);
    free(parent);
    if (os_errno == 0) {
        os_errno = ops->sync_dir(dir);
        ops->close(dir);
    }
    return os_errno;
}

/* Step to the directory above `*path`, in memory that is owned; false: there
 * is none, or no memory. */
static bool step_up(char **path)
{
    char *above = parent_of(*path);
    bool is_other = above != NULL && strcmp(above, *path) != 0;

    free(*path);
    *path = above;
    return is_other;
}

/* Open what there is of `*path`: it, or the nearest directory above. NULL:
 * nothing. */
static os_file *open_nearest(os *kernel, char **path)
{
    os_file *dir = NULL;
    bool is_left = *path != NULL;

    while (is_left && kernel->ops->open_dir(kernel, *path, &dir) != 0) {
        dir = NULL;
        is_left = step_up(path);
    }
    return dir;
}

/* Without links, so that what is above by name is above; unless there is no
 * such path. */
static void resolve(os_file *dir, char **path)
{
    char *resolved = malloc(PATH_BYTES);

    if (resolved != NULL) {
        resolved[0] = 0;
        dir->os->ops->dir_path(dir, resolved, PATH_BYTES);
    }
    if (resolved != NULL && resolved[0] != 0) {
        free(*path);
        *path = resolved;
    } else {
        free(resolved);
    }
}

static bool is_same(os_file *a, os_file *b)
{
    os_stat one = {0};
    os_stat other = {0};

    return a->os->ops->stat(a, &one) == 0 && b->os->ops->stat(b, &other) == 0 &&
           one.inode == other.inode && one.device == other.device;
}

bool store_is_above(os *kernel, os_file *dir, const char *path)
{
    char *at = strdup(path);
    os_file *above = open_nearest(kernel, &at);
    bool is_above = false;

    if (above != NULL) {
        resolve(above, &at);
    }
    while (above != NULL && !is_above) {
        is_above = is_same(above, dir);
        kernel->ops->close(above);
        above = NULL;
        if (!is_above && step_up(&at) &&
            kernel->ops->open_dir(kernel, at, &above) != 0) {
            above = NULL;
        }
    }
    free(at);
    return is_above;
}

uint32_t store_directory_mode(uint32_t file_mode)
{
    return file_mode | ((file_mode & 0444) >> 2);
}
