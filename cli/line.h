/*
 * Lines of a file, of any length.
 */
#ifndef CASKADE_CLI_LINE_H
#define CASKADE_CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Start with {0}; free `data` with free(). */
typedef struct line {
    char *data;      /* with one writable byte behind */
    size_t size;     /* without the line feed */
    size_t capacity; /* bytes allocated */
} line;

/*
 * Read the next line; the last one may lack its line feed. False at the end,
 * or if reading failed or was interrupted, half a line then being dropped.
 *
 *   ret_errno  set if false: 0 at the end, else why
 */
bool line_read(line *next, FILE *file, int *ret_errno);

#endif
