/*
 * The tombstones of a merge's inputs, by the hash of their keys: which of them
 * still hide something, and must be kept.
 */
#ifndef CASKADE_MERGE_TABLE_H
#define CASKADE_MERGE_TABLE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/siphash.h"

typedef struct merge_tombstone {
    siphash_value hash;
    uint64_t sequence; /* of the newest; 0: the slot is free */
    bool is_needed;    /* an older put of the key exists outside the inputs */
    bool is_copied;
} merge_tombstone;

/* Open addressing; a power of two of slots. Begins as {0}. */
typedef struct merge_table {
    merge_tombstone *slots; /* owned */
    size_t count;
    size_t capacity;
    uint64_t newest; /* sequence of all */
} merge_table;

/* Note a tombstone; of one key's the newest stays. CASK_OK or CASK_NO_MEMORY.
 */
cask_status merge_table_add(merge_table *table, siphash_value hash,
                            uint64_t sequence, cask_error *err);

/* Whether a tombstone that is needed, or any if `all` are, was not copied. */
bool merge_table_lacks(const merge_table *table, bool all);

/* NULL: none. */
merge_tombstone *merge_table_find(const merge_table *table, siphash_value hash);

void merge_table_free(merge_table *table);

#endif
