/*
 * A directory that appears whole or not at all, see aside.h.
 */
#define _GNU_SOURCE /* realpath() */
#include "aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_BITS = 07777, MODE_NEW = 0777 };

/* Whether the directory holds nothing; errno is set if that is unknown. */
static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    bool empty = true;

    if (directory == NULL) {
        return false;
    }
    errno = 0;
    while (empty && (entry = readdir(directory)) != NULL) {
        empty =
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    empty = empty && errno == 0;
    (void)closedir(directory);
    return empty;
}

static exit_status check_target(aside *made, const char *target)
{
    struct stat what;
    mode_t mask;

    if (stat(target, &what) != 0) {
        if (errno != ENOENT) {
            return report_errno(errno, "%s: cannot look at it", target);
        }
        mask = umask(0);
        (void)umask(mask);
        made->mode = MODE_NEW & ~(unsigned)mask;
        made->target = strdup(target);
        return EXIT_DONE;
    }
    if (!S_ISDIR(what.st_mode)) {
        return report(EXIT_USAGE,
                      "%s: is no directory; give one that is empty or does "
                      "not exist",
                      target);
    }
    errno = 0;
    if (!is_empty(target)) {
        return errno != 0
                   ? report_errno(errno, "%s: cannot list it", target)
                   : report(EXIT_USAGE,
                            "%s: is not empty; give a directory that is, or "
                            "that does not exist",
                            target);
    }
    made->mode = what.st_mode & MODE_BITS;
    /* What a link points to is replaced, not the link. */
    made->target = realpath(target, NULL);
    return EXIT_DONE;
}

static void cut_slashes(char *path)
{
    size_t size = strlen(path);

    while (size > 1 && path[size - 1] == '/') {
        path[--size] = '\0';
    }
}

exit_status aside_create(aside *made, const char *target)
{
    static const char suffix[] = ".caskade-XXXXXX";
    exit_status status;
    size_t size;

    *made = (aside){.path = NULL};
    if (target[0] == '\0') {
        return report(EXIT_USAGE, "DST is empty; name a directory");
    }
    status = check_target(made, target);
    if (status != EXIT_DONE) {
        return status;
    }
    if (made->target == NULL) {
        return report_memory();
    }
    cut_slashes(made->target);
    size = strlen(made->target) + sizeof(suffix);
    made->path = malloc(size);
    if (made->path == NULL) {
        return report_memory();
    }
    (void)snprintf(made->path, size, "%s%s", made->target, suffix);
    if (mkdtemp(made->path) == NULL) {
        status = report_errno(errno, "%s: cannot make a directory beside it",
                              target);
        free(made->path);
        made->path = NULL;
    }
    return status;
}

static int sync_parent(const char *path)
{
    char *copy = strdup(path);
    int os_errno = 0;
    int fd;

    if (copy == NULL) {
        return ENOMEM;
    }
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        os_errno = errno;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(copy);
    return os_errno;
}

exit_status aside_publish(aside *made)
{
    int os_errno;

    if (chmod(made->path, (mode_t)made->mode) != 0 ||
        rename(made->path, made->target) != 0) {
        return report_errno(errno, "%s: cannot put the new directory there",
                            made->target);
    }
    free(made->path);
    made->path = NULL;
    os_errno = sync_parent(made->target);
    return os_errno == 0
               ? EXIT_DONE
               : report_errno(os_errno, "%s: cannot sync the directory above",
                              made->target);
}

void aside_free(aside *made)
{
    if (made->path != NULL) {
        (void)rmdir(made->path);
    }
    free(made->path);
    free(made->target);
    *made = (aside){.path = NULL};
}
