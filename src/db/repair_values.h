/*
 * Repair of a tree: the values that pointers name.
 */
#ifndef CASKADE_REPAIR_VALUES_H
#define CASKADE_REPAIR_VALUES_H

#include "db/repair.h"
#include "run/run_read.h"

/* The file of values that was read last. Start with {0}. */
typedef struct repair_values {
    const repair_source *source; /* borrowed; NULL: none is open */
    os_file *file;
    uint64_t size;
    cask_buffer record;
} repair_values;

/*
 * Make the put of a pointer that it stands for; its value is valid until the
 * next call. All files of the run are tried, copies too, until one has the
 * record whole. CASK_OK; CASK_CORRUPT, without a message: none has;
 * CASK_NO_MEMORY; CASK_IO: see repair_is_loss().
 */
cask_status repair_values_fetch(repair *r, repair_values *values,
                                cask_run_entry *entry, cask_error *err);

void repair_values_end(repair *r, repair_values *values);

#endif
