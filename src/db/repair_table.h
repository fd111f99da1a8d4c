/*
 * The newest record of each key, while a damaged store is read.
 */
#ifndef CASKADE_REPAIR_TABLE_H
#define CASKADE_REPAIR_TABLE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/siphash.h"

typedef enum repair_state {
    REPAIR_FREE = 0, /* no entry */
    REPAIR_LIVE,     /* a value, not copied yet */
    REPAIR_DELETED,
    REPAIR_COPIED,
    REPAIR_LOST /* could be read once, and not again */
} repair_state;

typedef struct repair_entry {
    siphash_value hash; /* of the key */
    uint64_t sequence;
    uint64_t offset; /* of the record in its source */
    uint32_t source;
    repair_state state;
} repair_entry;

/* Open addressing; a power of two of entries. Begins as {0}. */
typedef struct repair_table {
    repair_entry *entries; /* owned */
    size_t count;
    size_t capacity;
} repair_table;

/* Note a record; of one key's the newest stays, of two of the same sequence
 * the first. CASK_OK or CASK_NO_MEMORY. */
cask_status repair_table_add(repair_table *table, const repair_entry *entry,
                             cask_error *err);

/* NULL: none. */
repair_entry *repair_table_find(const repair_table *table, siphash_value hash);

void repair_table_free(repair_table *table);

#endif
