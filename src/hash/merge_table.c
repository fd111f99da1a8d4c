/*
 * A hash table that only grows, with linear probing.
 */
#include "hash/merge_table.h"

#include <stdlib.h>

static merge_tombstone *slot_of(const merge_table *table, siphash_value hash)
{
    size_t mask = table->capacity - 1;
    size_t at = (size_t)hash.word[0] & mask;

    while (table->slots[at].sequence != 0 &&
           (table->slots[at].hash.word[0] != hash.word[0] ||
            table->slots[at].hash.word[1] != hash.word[1])) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

static cask_status grow(merge_table *table, cask_error *err)
{
    merge_table larger = {.capacity =
                              table->capacity == 0 ? 64 : table->capacity * 2,
                          .count = table->count,
                          .newest = table->newest};

    larger.slots = calloc(larger.capacity, sizeof(merge_tombstone));
    if (larger.slots == NULL) {
        return fail_memory(err, larger.capacity * sizeof(merge_tombstone));
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].sequence != 0) {
            *slot_of(&larger, table->slots[i].hash) = table->slots[i];
        }
    }
    free(table->slots);
    *table = larger;
    return CASK_OK;
}

cask_status merge_table_add(merge_table *table, siphash_value hash,
                            uint64_t sequence, cask_error *err)
{
    merge_tombstone *slot;

    if (table->count >= table->capacity / 2) {
        cask_status status = grow(table, err);

        if (status != CASK_OK) {
            return status;
        }
    }
    slot = slot_of(table, hash);
    table->count += slot->sequence == 0 ? 1 : 0;
    slot->hash = hash;
    if (slot->sequence < sequence) {
        slot->sequence = sequence;
    }
    if (table->newest < sequence) {
        table->newest = sequence;
    }
    return CASK_OK;
}

merge_tombstone *merge_table_find(const merge_table *table, siphash_value hash)
{
    merge_tombstone *slot;

    if (table->capacity == 0) {
        return NULL;
    }
    slot = slot_of(table, hash);
    return slot->sequence == 0 ? NULL : slot;
}

bool merge_table_lacks(const merge_table *table, bool all)
{
    for (size_t i = 0; i < table->capacity; i++) {
        const merge_tombstone *slot = &table->slots[i];

        if (slot->sequence != 0 && (slot->is_needed || all) &&
            !slot->is_copied) {
            return true;
        }
    }
    return false;
}

void merge_table_free(merge_table *table)
{
    free(table->slots);
    *table = (merge_table){.slots = NULL};
}
