/*
 * What the demo stores: file paths and the packages that own them, read from
 * the same text that `caskade load` reads, but by other code, so that one can
 * be checked against the other.
 */
#ifndef CASKADE_DEMO_RECORDS_H
#define CASKADE_DEMO_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caskade.h"

typedef struct record {
    cask_slice path;
    cask_slice package; /* the last one that lists the path */
    size_t line;        /* in the file, for "the last" */
} record;

typedef struct records {
    record *rows; /* sorted by path, each path once */
    size_t count;
    size_t line_count;
    char *text; /* what the rows point into */
} records;

/* Read lines of path TAB package; exits with a message if that fails. */
records records_read(const char *file);
void records_free(records *all);

/* An edit of a record by a writer; number 0: none, as it was loaded. */
typedef struct edit {
    uint32_t number; /* 1, 2, ... of this writer */
    bool is_delete;
} edit;

/* The writer (0 or 1) that may edit a record: so both need no agreement. */
unsigned records_writer_of(size_t index);

/* The value of a record after an edit that is no delete, "PACKAGE" or
 * "PACKAGE, edit 7 of writer 1"; returns its size. */
size_t records_value(const record *row, unsigned writer, edit last, char *value,
                     size_t capacity);

/* The edit that led to `value`; false if no edit can have. */
bool records_edit_of(const record *row, unsigned writer, cask_slice value,
                     edit *ret_edit);

#endif
