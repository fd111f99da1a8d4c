/*
 * Keys whose value as of a fold's beginning is not settled yet: they were
 * written since, or deleted before it by a tombstone that is still to come. The
 * newest record seen so far of each.
 */
#ifndef CASKADE_FOLD_TABLE_H
#define CASKADE_FOLD_TABLE_H

#include "base/error.h"
#include "base/siphash.h"

typedef struct fold_entry {
    siphash_value hash;
    uint64_t offset; /* of the record in its segment */
    uint32_t row;
    bool used;
    bool live; /* false: its newest record is a tombstone */
} fold_entry;

/* Open addressing; a power of two of slots. Begins as {0}. */
typedef struct fold_table {
    fold_entry *entries;
    size_t count;
    size_t capacity;
} fold_table;

/* Remember a record as the newest of its key. CASK_OK or CASK_NO_MEMORY. */
cask_status fold_table_put(fold_table *table, const fold_entry *entry,
                           cask_error *err);

/* The key turned out to be deleted, if it was remembered. */
void fold_table_drop(fold_table *table, siphash_value hash);

/* Move the live entries to the front, in log order; returns their number. The
 * table is good for nothing else then. */
size_t fold_table_sort(fold_table *table);

void fold_table_free(fold_table *table);

#endif
