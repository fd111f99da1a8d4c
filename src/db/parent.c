/*
 * The directory of a path, see parent.h.
 */
#include "db/parent.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

enum { PARENT_SIZE = 4096 };

/* The path may be wrong, or all is well with it and it cannot be followed. */
static cask_status fail_parent(const char *parent, int os_errno,
                               cask_error *err)
{
    bool is_wrong =
        os_errno == ENOENT || os_errno == ENOTDIR || os_errno == ENAMETOOLONG;

    return is_wrong
               ? fail(err, CASK_INVALID, os_errno,
                      "cannot open the directory %s", parent)
               : fail_os(err, os_errno, "cannot open the directory %s", parent);
}

cask_status db_open_parent(const char *path, os_file **ret_dir,
                           const char **ret_name, cask_error *err)
{
    return db_open_parent_on(os_posix(), path, ret_dir, ret_name, err);
}

cask_status db_open_parent_on(os *kernel, const char *path, os_file **ret_dir,
                              const char **ret_name, cask_error *err)
{
    char parent[PARENT_SIZE] = ".";
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : path;
    int os_errno;

    if (name == NULL || name[0] == '\0' || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        (void)fail(err, CASK_INVALID, 0, "%s: give the path of a file",
                   path != NULL ? path : "NULL");
        return CASK_INVALID;
    }
    if (slash != NULL) {
        size_t size = (size_t)(slash - path) + 1;

        if (size >= sizeof(parent)) {
            (void)fail(err, CASK_INVALID, 0,
                       "the path has %zu bytes; give a shorter one",
                       strlen(path));
            return CASK_INVALID;
        }
        memcpy(parent, path, size);
        parent[size] = '\0';
    }
    os_errno = kernel->ops->open_dir(kernel, parent, ret_dir);
    if (os_errno != 0) {
        return fail_parent(parent, os_errno, err);
    }
    *ret_name = name;
    return CASK_OK;
}
