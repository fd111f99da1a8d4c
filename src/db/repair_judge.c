/*
 * Repair: what became of the records that only hints tell of. A newer record of
 * the key makes them unimportant; a delete is respected, whether its bytes are
 * there or not; a value is lost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "db/repair.h"
#include "log/segment.h"

/* By key, the newest first. */
static int by_key(const void *left, const void *right)
{
    const repair_gap *a = left;
    const repair_gap *b = right;

    for (int i = 0; i < 2; i++) {
        if (a->hash.word[i] != b->hash.word[i]) {
            return a->hash.word[i] < b->hash.word[i] ? -1 : 1;
        }
    }
    if (a->sequence != b->sequence) {
        return a->sequence > b->sequence ? -1 : 1;
    }
    return 0;
}

static bool same_key(const repair_gap *a, const repair_gap *b)
{
    return a->hash.word[0] == b->hash.word[0] &&
           a->hash.word[1] == b->hash.word[1];
}

/* The key of a good record, by a read of its own; false: it fails. */
static bool read_key(const repair *r, const repair_entry *entry,
                     cask_buffer *key)
{
    enum { MOST = RECORD_HEADER_SIZE + RECORD_EXPIRY_SIZE + UINT16_MAX };
    const repair_source *source = &r->sources[entry->source];
    record_seed seed = {source->nonce, entry->offset};
    record_header header;
    os_file *file = NULL;
    uint64_t skip = 0;
    bool found = false;
    os_stat stat;

    if (buffer_reserve(key, MOST, NULL) == CASK_OK &&
        file_open(r->dir, source->name, OS_READ, &file, &stat, NULL) ==
            CASK_OK &&
        r->kernel->ops->read_at(file, key->data, MOST, entry->offset,
                                &key->size) == 0 &&
        key->size >= RECORD_HEADER_SIZE &&
        record_decode_header(key->data, seed, &header)) {
        skip = RECORD_HEADER_SIZE + record_expiry_size(&header);
        found = key->size >= skip + header.key_size;
    }
    if (found) {
        key->size = header.key_size;
        memmove(key->data, (uint8_t *)key->data + skip, key->size);
    }
    r->kernel->ops->close(file);
    return found;
}

static void tell_gap(repair *r, const repair_gap *gap,
                     const repair_entry *entry, const char *reason)
{
    cask_lost lost = {.at = {.file = r->sources[gap->source].name,
                             .offset = gap->offset,
                             .size_bytes = gap->size,
                             .reason = reason},
                      .harmless = gap->is_delete};
    cask_buffer key = {NULL, 0, 0};

    if (gap->key != NULL) {
        lost.key = (cask_slice){gap->key, gap->key_size};
    } else if (entry != NULL && read_key(r, entry, &key)) {
        lost.key = (cask_slice){key.data, key.size};
    }
    repair_tell(r, &lost);
    cask_buffer_free(&key);
}

static void respect_delete(repair *r, const repair_gap *gap)
{
    repair_entry *entry = repair_table_find(&r->table, gap->hash);

    if (entry == NULL || entry->sequence >= gap->sequence) {
        return;
    }
    if (entry->state == REPAIR_LIVE) {
        tell_gap(r, gap, entry,
                 "the delete of this key cannot be read, but its hint tells "
                 "of it: the key stays deleted");
    }
    entry->state = REPAIR_DELETED;
    entry->sequence = gap->sequence;
}

static void tell_value(repair *r, const repair_gap *gap)
{
    const repair_entry *entry = repair_table_find(&r->table, gap->hash);
    bool has_older = entry != NULL && entry->state == REPAIR_COPIED;

    if (gap->is_delete || (entry != NULL && entry->sequence >= gap->sequence)) {
        return;
    }
    /* Of one that is lost it was counted with the older value. */
    r->report.lost_keys += entry == NULL || entry->state != REPAIR_LOST;
    tell_gap(r, gap, entry,
             has_older ? "the value of this key cannot be read; an older one "
                         "was kept"
                       : "the value of this key cannot be read");
}

void repair_judge(repair *r)
{
    if (r->gap_count > 1) {
        qsort(r->gaps, r->gap_count, sizeof(*r->gaps), by_key);
    }
    for (size_t i = 0; i < r->gap_count; i++) {
        if (r->gaps[i].is_delete) {
            respect_delete(r, &r->gaps[i]);
        }
    }
}

/* What was read once and not a second time. */
static void tell_uncopied(repair *r)
{
    for (size_t i = 0; i < r->table.capacity; i++) {
        repair_entry *entry = &r->table.entries[i];

        if (entry->state == REPAIR_LIVE) {
            entry->state = REPAIR_LOST;
            r->report.lost_keys++;
            repair_tell(
                r, &(cask_lost){.at = {.file = r->sources[entry->source].name,
                                       .offset = entry->offset,
                                       .reason = "a record could be read once "
                                                 "and not again"}});
        }
    }
}

void repair_tell_keys(repair *r)
{
    tell_uncopied(r);
    for (size_t i = 0; i < r->gap_count; i++) {
        if (i == 0 || !same_key(&r->gaps[i - 1], &r->gaps[i])) {
            tell_value(r, &r->gaps[i]);
        }
    }
}
