/*
 * What import and export check alike, see foreign.h.
 */
#define _GNU_SOURCE /* realpath() */
#include "foreign.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

exit_status foreign_check_format(const char *command, const char *format)
{
    if (strcmp(format, "bitcask") == 0) {
        return EXIT_DONE;
    }
    return report(EXIT_USAGE, "%s: format '%s' is not known; give bitcask",
                  command, format);
}

/* The real path of `path`, or of the nearest directory above it that exists.
 * NULL if there is none or no memory. The caller frees it. */
static char *real_directory(const char *path)
{
    char *shorter = strdup(path);
    char *real = NULL;
    bool is_top = false;

    while (shorter != NULL && real == NULL && !is_top) {
        real = realpath(shorter, NULL);
        if (real == NULL && errno != ENOENT && errno != ENOTDIR) {
            break;
        }
        is_top = strcmp(shorter, "/") == 0 || strcmp(shorter, ".") == 0;
        if (real == NULL && !is_top) {
            /* dirname() may give text of its own. */
            char *above = strdup(dirname(shorter));

            free(shorter);
            shorter = above;
        }
    }
    free(shorter);
    return real;
}

/* From a real path, which has no links, to the directory above it. */
static void cut_last_name(char *real)
{
    char *slash = strrchr(real, '/');

    slash[slash == real ? 1 : 0] = '\0';
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

exit_status foreign_check_apart(const char *from_name, const char *from,
                                const char *to_name, const char *to)
{
    struct stat above = {0};
    struct stat at = {0};
    bool is_inside = false;
    char *real;

    if (to[0] == '\0' || stat(from, &above) != 0) {
        return EXIT_DONE; /* opening it will say what is wrong */
    }
    real = real_directory(to);
    while (real != NULL && !is_inside && stat(real, &at) == 0) {
        is_inside = is_same(&above, &at);
        if (strcmp(real, "/") == 0) {
            break;
        }
        cut_last_name(real);
    }
    free(real);
    if (is_inside) {
        return report(EXIT_USAGE,
                      "%s: is %s or inside it; give another directory as %s",
                      to, from_name, to_name);
    }
    return EXIT_DONE;
}
