/*
 * What a writer says about its work, outside the store: "I am about to" before
 * an operation, "it was acknowledged" after it. A journal is a plain file; the
 * kernel keeps what was written when its writer is killed.
 */
#ifndef CASKADE_DEMO_JOURNAL_H
#define CASKADE_DEMO_JOURNAL_H

#include "records.h"

typedef struct journal_entry {
    uint32_t index;        /* of the record */
    uint32_t number;       /* of the edit */
    uint32_t is_delete;    /* 0 or 1 */
    uint32_t acknowledged; /* 0: about to, 1: done */
} journal_entry;

/* Append an entry to the file; exits with a message if that fails. */
void journal_add(int fd, const journal_entry *entry);

/* What journals say about a record. */
typedef struct expectation {
    edit last;    /* acknowledged; number 0: as loaded */
    edit perhaps; /* begun and not acknowledged; number 0: none */
} expectation;

/*
 * Read a journal into `expected`, one for each of `count` records. Returns the
 * number of acknowledged edits; exits with a message if it makes no sense.
 */
uint64_t journal_read(const char *file, expectation *expected, size_t count);

#endif
