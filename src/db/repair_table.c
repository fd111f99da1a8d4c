/*
 * A hash table that only grows, with linear probing.
 */
#include "db/repair_table.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

static repair_entry *slot_of(const repair_table *table, siphash_value hash)
{
    size_t mask = table->capacity - 1;
    size_t at = (size_t)hash.word[0] & mask;

    while (table->entries[at].state != REPAIR_FREE &&
           (table->entries[at].hash.word[0] != hash.word[0] ||
            table->entries[at].hash.word[1] != hash.word[1])) {
        at = (at + 1) & mask;
    }
    return &table->entries[at];
}

static cask_status grow(repair_table *table, cask_error *err)
{
    repair_table larger = {
        .count = table->count,
        .capacity = table->capacity == 0 ? FIRST_CAPACITY : table->capacity * 2,
    };

    larger.entries = calloc(larger.capacity, sizeof(repair_entry));
    if (larger.entries == NULL) {
        return fail_memory(err, larger.capacity * sizeof(repair_entry));
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->entries[i].state != REPAIR_FREE) {
            *slot_of(&larger, table->entries[i].hash) = table->entries[i];
        }
    }
    free(table->entries);
    *table = larger;
    return CASK_OK;
}

cask_status repair_table_add(repair_table *table, const repair_entry *entry,
                             cask_error *err)
{
    repair_entry *slot;

    if (table->count >= table->capacity / 2) {
        cask_status status = grow(table, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    slot = slot_of(table, entry->hash);
    if (slot->state == REPAIR_FREE) {
        table->count++;
        *slot = *entry;
    } else if (slot->sequence < entry->sequence) {
        *slot = *entry;
    }
    return CASK_OK;
}

repair_entry *repair_table_find(const repair_table *table, siphash_value hash)
{
    repair_entry *slot;

    if (table->capacity == 0) {
        return NULL;
    }
    slot = slot_of(table, hash);
    return slot->state == REPAIR_FREE ? NULL : slot;
}

void repair_table_free(repair_table *table)
{
    free(table->entries);
    *table = (repair_table){.entries = NULL};
}
