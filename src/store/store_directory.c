/*
 * What making a store's directory needs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_open.h"

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

bool store_is_above(os *kernel, os_file *dir, const char *path)
{
    const os_ops *ops = kernel->ops;
    char *parent = parent_of(path);
    os_file *above = NULL;
    os_stat one = {0};
    os_stat other = {0};
    bool is_above = false;

    if (parent != NULL && ops->open_dir(kernel, parent, &above) == 0) {
        is_above = ops->stat(above, &one) == 0 && ops->stat(dir, &other) == 0 &&
                   one.inode == other.inode && one.device == other.device;
        ops->close(above);
    }
    free(parent);
    return is_above;
}

uint32_t store_directory_mode(uint32_t file_mode)
{
    return file_mode | ((file_mode & 0444) >> 2);
}
