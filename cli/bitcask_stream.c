/*
 * Importing in order, see bitcask_importer.h.
 *
 * Every record is written; the store keeps the newest. A damaged value changes
 * nothing, so that an older one stays. A damaged tombstone of which a hint
 * tells deletes its key, but for what follows it: that is done at the end of
 * its file, when the hints have proved to be of this data.
 *
 * The index has only keys of which a damaged version was met:
 *   VALUE    the newest version is a damaged value
 *   DELETED  a damaged tombstone, at the slot's place
 *   UNKNOWN  a damaged value, but a damaged tombstone, at the slot's place, is
 *            newer than any undamaged version
 *   SETTLED  none of them: an undamaged one has followed
 */
#include "bitcask_importer.h"

/* A whole version follows the damaged ones of this key. */
static void settle(importer *import, cask_slice key)
{
    bitcask_slot *slot;

    if (import->index.count == 0) {
        return;
    }
    slot = bitcask_index_find(&import->index,
                              bitcask_index_hash(&import->index, key));
    if (slot != NULL) {
        bitcask_slot_set(slot, 0, BITCASK_SETTLED);
    }
}

static bool take_record(void *context, const bitcask_record *record)
{
    importer *import = context;
    cask_error err = {0};
    cask_status status;

    import->counts.records++;
    import->counts.tombstones += record->tombstone ? 1 : 0;
    settle(import, record->key);
    status = record->tombstone
                 ? import_sink_delete(&import->sink, record->key, &err)
                 : import_sink_put(&import->sink, record, &err);
    return importer_check(import, status, &err) &&
           importer_advance(import, record->offset);
}

/* Whether a damaged tombstone in this member is still to delete its key. */
static bool is_pending(const importer *import, const bitcask_slot *slot)
{
    return slot != NULL &&
           (bitcask_slot_newest(slot) == BITCASK_DELETED ||
            bitcask_slot_newest(slot) == BITCASK_UNKNOWN) &&
           bitcask_place_file(bitcask_slot_place(slot)) == import->member;
}

static bool take_damage(void *context, const bitcask_damage *damage)
{
    importer *import = context;
    uint64_t place = bitcask_place(import->member, damage->offset);
    bitcask_slot *slot;
    key_hash hash;

    importer_note_damage(import, damage);
    if (damage->hint == NULL) {
        return true;
    }
    hash = bitcask_index_hash(&import->index, damage->key);
    slot = bitcask_index_find(&import->index, hash);
    if (is_pending(import, slot) && !damage->hint->tombstone) {
        bitcask_slot_set(slot, bitcask_slot_place(slot), BITCASK_UNKNOWN);
        return true;
    }
    slot = bitcask_index_add(&import->index, hash);
    if (slot == NULL) {
        return importer_fail_memory(import);
    }
    bitcask_slot_set(slot, place,
                     damage->hint->tombstone ? BITCASK_DELETED : BITCASK_VALUE);
    return true;
}

/* Delete the key if the newest version is this tombstone, which is damaged. */
static bool delete_damaged(importer *import, const bitcask_hint *hint,
                           cask_slice key)
{
    const bitcask_slot *slot = bitcask_index_find(
        &import->index, bitcask_index_hash(&import->index, key));
    cask_error err = {0};

    if (!is_pending(import, slot) ||
        bitcask_slot_place(slot) !=
            bitcask_place(import->member, hint->offset)) {
        return true;
    }
    return importer_check(import, import_sink_delete(&import->sink, key, &err),
                          &err);
}

/* Delete what the damaged tombstones of this member have deleted. */
static bool delete_all_damaged(importer *import)
{
    const bitcask_member *member = importer_member(import);
    bitcask_hints hints;
    bitcask_hint hint;
    cask_slice key;
    bool goes_on = true;

    if (bitcask_hints_open(&hints, member->hint_path, member->data_bytes,
                           &member->hint_stamp) != BITCASK_HINTS_SOUND) {
        return true; /* somebody is writing to the source */
    }
    while (goes_on && bitcask_hints_next(&hints, &hint, &key)) {
        goes_on = !hint.tombstone || delete_damaged(import, &hint, key);
    }
    bitcask_hints_close(&hints);
    return goes_on;
}

static bool take_member(importer *import)
{
    import->file_notes = 0;
    if (!importer_walk(import, take_record, take_damage, true)) {
        return false;
    }
    return import->file_notes == 0 || !importer_member(import)->has_hints ||
           delete_all_damaged(import);
}

/* Keys whose newest version is a damaged value, as far as hints tell. */
static uint64_t count_stale(const importer *import)
{
    const bitcask_index *index = &import->index;
    uint64_t count = 0;

    for (size_t i = 0; i < index->capacity; i++) {
        const bitcask_slot *slot = &index->slots[i];

        bitcask_newest newest = bitcask_slot_newest(slot);

        if (bitcask_index_is_used(index, i) &&
            (newest == BITCASK_VALUE || newest == BITCASK_UNKNOWN)) {
            size_t file = bitcask_place_file(bitcask_slot_place(slot));

            count += import->source->members[file].hints_wrong ? 0 : 1;
        }
    }
    return count;
}

bool bitcask_stream(importer *import)
{
    cask_error err = {0};
    bool goes_on =
        importer_each_member(import, take_member) &&
        importer_check(import, import_sink_drain(&import->sink, &err), &err);

    import->counts.stale = count_stale(import);
    return goes_on;
}
