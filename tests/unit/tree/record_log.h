/*
 * A log in memory for tests of memtables: keys with sequences at places of
 * several segments. The memory is shared with children of the process.
 */
#ifndef CASKADE_TESTS_RECORD_LOG_H
#define CASKADE_TESTS_RECORD_LOG_H

#include <stdatomic.h>

#include "tree/memtable.h"

enum { RECORD_LOG_SEGMENT_BITS = 25 };

typedef struct record_log {
    memtable_log log; /* to be given to memtable_open(); its context is this */
    uint8_t *data;
    size_t size;
    _Atomic uint64_t *tail; /* shared */
    uint64_t hidden;        /* a place that cannot be read; 0: none */
} record_log;

void record_log_make(record_log *log, size_t size);
void record_log_free(record_log *log);

/* Append a record: its place. Nothing is ever overwritten. */
uint64_t record_log_append(record_log *log, cask_slice key, uint64_t sequence,
                           bool live);

/* Forget all records. */
void record_log_reset(record_log *log);

/* A hash of a key, as an engine would give it. */
uint64_t record_log_hash(cask_slice key);

/* A region in the memory of this process, with its memtables. */
void record_log_region(region_handle *ret_region);

/* A region in a file in the directory `path`, which children of this process
 * share, and whose heap is small until memory is reserved. */
void record_log_shared_region(region_handle *ret_region, const char *path);
void record_log_close_region(region_handle *region);

/* Append a record and put it into a memtable: its place, or 0 if it is full. */
uint64_t record_log_put(record_log *log, const memtable_view *view,
                        memtable_put put, bool live);

#endif
