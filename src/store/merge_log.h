/*
 * The last merges, and flushes, which the region remembers for every process to
 * see.
 */
#ifndef CASKADE_MERGE_LOG_H
#define CASKADE_MERGE_LOG_H

#include "maintain/merge_policy.h"
#include "store/store.h"

/* A merge that ended. */
typedef struct merge_record {
    uint64_t number;   /* of all that ended: 1, 2, ... */
    uint64_t began_ms; /* wall clock */
    uint64_t took_ms;
    uint64_t bytes_read, bytes_written;
    uint64_t bytes_freed; /* of the inputs' files */
    uint64_t records;     /* copied */
    uint64_t tombstones_dropped;
    uint32_t inputs, outputs;
    uint32_t pid;
    merge_reason reason; /* NONE: of a process that died, completed by pid */
    cask_status result;
} merge_record;

/* Say who merges from now on, or completes what another began; merge lock held.
 */
void merge_log_begin(store_handle *store);
void merge_log_take_over(store_handle *store);

/* Remember one; `number`, `pid` are set here. Any lock or none. */
void merge_log_add(store_handle *store, const merge_record *record);

/* The newest first; returns how many there are. Needs no lock. */
size_t merge_log_read(const store_handle *store,
                      merge_record ret_records[REGION_MERGES]);

/* The same of a tree's flushes, which are counted, too; merge lock held. Their
 * `reason` says nothing. */
void merge_log_add_flush(store_handle *store, const merge_record *record);
size_t merge_log_read_flushes(const store_handle *store,
                              merge_record ret_records[REGION_MERGES]);

/* The process that merges, or merged last: its id; 0 if it is dead. */
uint32_t merge_log_worker(store_handle *store);

#endif
