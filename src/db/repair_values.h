/*
 * Repair of a tree: the values that pointers name.
 */
#ifndef CASKADE_REPAIR_VALUES_H
#define CASKADE_REPAIR_VALUES_H

#include "db/repair.h"
#include "run/run_read.h"

/* The run of values that was read last. Start with {0}. */
typedef struct repair_values {
    uint64_t id;
    os_file *file; /* NULL: none, or it cannot be opened */
    uint64_t nonce;
    uint64_t size;
    cask_buffer record;
} repair_values;

/*
 * Make the put of a pointer that it stands for; its value is valid until the
 * next call. CASK_OK; CASK_CORRUPT, without a message: it cannot be read;
 * CASK_NO_MEMORY; CASK_IO: see repair_is_loss().
 */
cask_status repair_values_fetch(repair *r, repair_values *values,
                                cask_run_entry *entry, cask_error *err);

void repair_values_end(repair *r, repair_values *values);

#endif
