/*
 * Lines of a file, of any length.
 */
#include "line.h"

#include <errno.h>
#include <sys/types.h>

bool line_read(line *next, FILE *file, int *ret_errno)
{
    ssize_t got;

    errno = 0;
    got = getline(&next->data, &next->capacity, file);
    /* getline() gives what it has before it fails: not a whole line. */
    if (got <= 0 || (ferror(file) != 0 && next->data[got - 1] != '\n')) {
        *ret_errno = feof(file) != 0 && ferror(file) == 0 ? 0
                     : errno != 0                         ? errno
                                                          : EIO;
        return false;
    }
    next->size = (size_t)got;
    if (next->data[got - 1] == '\n') {
        next->size--;
    }
    return true;
}
