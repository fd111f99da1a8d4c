/*
 * A hash table that only grows, with linear probing.
 */
#include "hash/fold_table.h"

#include <stdlib.h>

static fold_entry *slot_of(const fold_table *table, siphash_value hash)
{
    size_t mask = table->capacity - 1;
    size_t at = (size_t)hash.word[0] & mask;

    while (table->entries[at].used &&
           (table->entries[at].hash.word[0] != hash.word[0] ||
            table->entries[at].hash.word[1] != hash.word[1])) {
        at = (at + 1) & mask;
    }
    return &table->entries[at];
}

static cask_status grow(fold_table *table, cask_error *err)
{
    fold_table larger = {.capacity =
                             table->capacity == 0 ? 64 : table->capacity * 2};

    larger.entries = calloc(larger.capacity, sizeof(fold_entry));
    if (larger.entries == NULL) {
        return fail_memory(err, larger.capacity * sizeof(fold_entry));
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].used) {
            *slot_of(&larger, table->entries[i].hash) = table->entries[i];
            larger.count++;
        }
    }
    free(table->entries);
    *table = larger;
    return CASK_OK;
}

cask_status fold_table_put(fold_table *table, const fold_entry *entry,
                           cask_error *err)
{
    fold_entry *slot;

    if (table->count >= table->capacity / 2) {
        cask_status status = grow(table, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    slot = slot_of(table, entry->hash);
    table->count += slot->used ? 0 : 1;
    *slot = *entry;
    slot->used = true;
    return CASK_OK;
}

void fold_table_drop(fold_table *table, siphash_value hash)
{
    if (table->capacity > 0) {
        fold_entry *slot = slot_of(table, hash);

        if (slot->used) {
            slot->live = false;
        }
    }
}

static int by_place(const void *left, const void *right)
{
    const fold_entry *a = left;
    const fold_entry *b = right;

    if (a->row != b->row) {
        return a->row < b->row ? -1 : 1;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

size_t fold_table_sort(fold_table *table)
{
    size_t live = 0;

    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].used && table->entries[i].live) {
            table->entries[live++] = table->entries[i];
        }
    }
    if (live > 1) {
        qsort(table->entries, live, sizeof(fold_entry), by_place);
    }
    return live;
}

void fold_table_free(fold_table *table)
{
    free(table->entries);
    *table = (fold_table){0};
}
