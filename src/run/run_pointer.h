/*
 * Pointers: a run may name values that are in another file, a run of values,
 * whose puts count only where a pointer names them.
 */
#ifndef CASKADE_RUN_POINTER_H
#define CASKADE_RUN_POINTER_H

#include "run/run_read.h"

/*
 * Read the value that a pointer names, and verify that its record is the one
 * that was written with the pointer: by its checksum, key, sequence and size.
 *
 *   values     the file with the pointer's segment_id
 *   ret_value  borrowed from the file
 *
 * Returns CASK_OK; CASK_CORRUPT.
 */
cask_status run_read_value(const cask_run *values,
                           const cask_run_entry *pointer, cask_slice *ret_value,
                           cask_error *err);

/* Bytes in front of the value of a record. */
static inline uint64_t run_bytes_before_value(const cask_run_entry *entry)
{
    return RECORD_HEADER_SIZE +
           (entry->info.expires_at_ms != 0 ? (uint64_t)RECORD_EXPIRY_SIZE : 0) +
           entry->key.size;
}

/* Of a pointer: bytes of the value that it names; 0 if it names nothing that
 * could be the record. */
static inline uint32_t run_pointer_value_bytes(const cask_run_entry *entry)
{
    uint64_t before = run_bytes_before_value(entry);
    uint64_t size = entry->pointer.size_bytes;

    return size > before && size - before <= UINT32_MAX
               ? (uint32_t)(size - before)
               : 0;
}

/* A row of a run's section of segments: what it names. */
typedef struct run_named {
    uint64_t id;    /* of a run of values */
    uint64_t bytes; /* of the records in it */
} run_named;

/* As it was when the run was opened as a whole; `index`: less than
 * footer.segments. */
static inline run_named run_named_at(const cask_run *run, uint32_t index)
{
    const uint8_t *row = run->segments + (uint64_t)index * RUN_SEGMENT_SIZE;

    return (run_named){load_u64(row), load_u64(row + 8)};
}

/* Of all records that a run names. */
uint64_t run_named_bytes(const cask_run *run);

#endif
