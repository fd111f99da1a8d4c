/*
 * Records of the log where a memtable says that they are, mapped.
 */
#ifndef CASKADE_TREE_RECORD_H
#define CASKADE_TREE_RECORD_H

#include "store/store_read.h"
#include "tree/memtable_input.h"

/* A record in place. What it lends stays mapped until the handle is closed, but
 * may turn into zeros when its segment goes: what counts is verified. */
typedef struct tree_record {
    const uint8_t *at;
    store_map *map;
    record_seed seed;
    record_header header; /* its own check is right */
    uint64_t expires_at_ms;
    cask_slice key;
    cask_slice value;
} tree_record;

/*
 * Find the record at a place; any place, also one that never was.
 *
 * Returns CASK_OK; CASK_CORRUPT: there is none, or its segment cannot be read,
 * or the place is out of date; CASK_IO; CASK_NO_MEMORY.
 */
cask_status tree_record_at(store_handle *store, uint64_t place,
                           tree_record *ret_record, cask_error *err);

/* Whether it is exactly what was written. */
bool tree_record_is_sound(const tree_record *record);

/*
 * Copy its value to `value` (NULL: not wanted) if the record is exactly what
 * was written and of this key. CASK_OK; CASK_CORRUPT; CASK_NO_MEMORY.
 */
cask_status tree_record_take(const tree_record *record, cask_slice key,
                             cask_buffer *value, cask_error *err);

/* What is told of it. */
cask_info tree_record_info(const tree_record *record);

/* The log as memtables read it, for this handle; and whole records of it. */
memtable_log tree_log(store_handle *store);
memtable_records tree_records(store_handle *store);

#endif
