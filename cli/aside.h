/*
 * A directory that appears whole or not at all: it is filled under another name
 * beside its place, and then renamed.
 */
#ifndef CASKADE_CLI_ASIDE_H
#define CASKADE_CLI_ASIDE_H

#include "report.h"

/* Start with {0}. */
typedef struct aside {
    char *path;   /* where it is filled; NULL: nothing is made yet */
    char *target; /* its place */
    unsigned mode;
} aside;

/*
 * Make a directory for what shall be `target`, which must not exist or be an
 * empty directory. Reports. Free it with aside_free() in any case.
 */
exit_status aside_create(aside *made, const char *target);

/* Rename it and make that durable. Reports; then it is still aside. */
exit_status aside_publish(aside *made);

/* Remove it, if it was not published and is empty; accepts {0}. */
void aside_free(aside *made);

#endif
