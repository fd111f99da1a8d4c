/*
 * From the files of Bitcask into a store, see bitcask_import.h.
 *
 * If the hints tell that few versions are old, all of them are put, in order;
 * see bitcask_stream.c. Else the newest version of each key is looked for
 * first, in the hints where they are sound; then the data is read, each record
 * proves itself by its checksum, and the newest ones are put. So only what will
 * stay is written, and the values pass through once.
 *
 * Hints may promise what the data does not hold. Such keys are UNKNOWN after
 * the first time; the newest version is then looked for in the data alone, for
 * them only.
 */
#include "bitcask_import.h"

#include <stdio.h>

#include "bitcask_importer.h"
#include "bitcask_survey.h"
#include "signals.h"

enum {
    HINTS_AT_ONCE = 32,
    ROWS_UNASKED = 1024,     /* between two looks for signals */
    UNHINTED_TENTHS_MOST = 1 /* of the data, to be put in order */
};

/* ---- Looking at the hints --------------------------------------------- */

static bool survey_row(void *context, const bitcask_hint *hint, cask_slice key)
{
    importer *import = context;

    if (!bitcask_survey_add(&import->survey, hint, key)) {
        return importer_fail_memory(import);
    }
    return import->survey.rows % ROWS_UNASKED != 0 ||
           importer_advance(import, 0);
}

static bool survey_member(importer *import)
{
    bitcask_member *member = importer_member(import);
    bitcask_hints_state state =
        bitcask_hints_check(member->hint_path, member->data_bytes, survey_row,
                            import, &member->hint_stamp);

    if (import->status != EXIT_DONE || signals_arrived() != 0) {
        return false;
    }
    member->has_hints = state == BITCASK_HINTS_SOUND;
    if (!member->has_hints) {
        import->unhinted_bytes += member->data_bytes;
    }
    if (!member->has_hints && bitcask_hints_problem(state) != NULL) {
        progress_wipe(&import->progress);
        (void)report(EXIT_DONE,
                     "note: %s: not used: %s; the data is "
                     "searched instead",
                     member->hint_path, bitcask_hints_problem(state));
    }
    return true;
}

/* ---- Looking for the newest versions ----------------------------------- */

/* A version of a key is at `offset`: the newest so far. */
static bool note_version(importer *import, key_hash hash, uint64_t offset,
                         bool tombstone)
{
    bitcask_slot *slot = bitcask_index_add(&import->index, hash);

    if (slot == NULL) {
        return importer_fail_memory(import);
    }
    if (bitcask_slot_newest(slot) != BITCASK_SETTLED) {
        bitcask_slot_set(slot, bitcask_place(import->member, offset),
                         tombstone ? BITCASK_DELETED : BITCASK_VALUE);
    }
    return true;
}

static bool note_record(void *context, const bitcask_record *record)
{
    importer *import = context;

    return note_version(import, bitcask_index_hash(&import->index, record->key),
                        record->offset, record->tombstone) &&
           importer_advance(import, record->offset);
}

/* A tombstone that only a hint tells of still deletes what is older. */
static bool note_damage(void *context, const bitcask_damage *damage)
{
    importer *import = context;

    return damage->hint == NULL || !damage->hint->tombstone ||
           note_version(import, bitcask_index_hash(&import->index, damage->key),
                        damage->offset, true);
}

/* Note the versions that the data tells of. */
static bool note_data(importer *import)
{
    const bitcask_member *member = &import->source->members[import->member];

    import->progress.view.total += member->data_bytes;
    return importer_walk(import, note_record, note_damage, false);
}

/* Read up to HINTS_AT_ONCE hints; returns how many there were. */
static size_t read_hints(importer *import, bitcask_hints *hints,
                         bitcask_hint read[HINTS_AT_ONCE],
                         key_hash hashes[HINTS_AT_ONCE])
{
    size_t count = 0;
    cask_slice key;

    while (count < HINTS_AT_ONCE &&
           bitcask_hints_next(hints, &read[count], &key)) {
        hashes[count] = bitcask_index_hash(&import->index, key);
        bitcask_index_prefetch(&import->index, hashes[count]);
        count++;
    }
    return count;
}

static bool note_hints(importer *import, bitcask_hints *hints)
{
    bitcask_hint read[HINTS_AT_ONCE];
    key_hash hashes[HINTS_AT_ONCE];
    size_t count;

    do {
        count = read_hints(import, hints, read, hashes);
        for (size_t i = 0; i < count; i++) {
            if (!note_version(import, hashes[i], read[i].offset,
                              read[i].tombstone)) {
                return false;
            }
        }
    } while (count == HINTS_AT_ONCE && importer_advance(import, 0));
    return signals_arrived() == 0;
}

/* Note the versions that the hints tell of if they are sound, else the data. */
static bool note_member(importer *import)
{
    bitcask_member *member = importer_member(import);
    bitcask_hints hints;
    bool goes_on;

    member->has_hints =
        member->has_hints &&
        bitcask_hints_open(&hints, member->hint_path, member->data_bytes,
                           &member->hint_stamp) == BITCASK_HINTS_SOUND;
    if (!member->has_hints) {
        return note_data(import);
    }
    goes_on = note_hints(import, &hints);
    bitcask_hints_close(&hints);
    return goes_on;
}

/* ---- Importing them ---------------------------------------------------- */

static bool make_unknown(importer *import, bitcask_slot *slot)
{
    bitcask_slot_set(slot, 0, BITCASK_UNKNOWN);
    import->has_unknown = true;
    return true;
}

/* A record that the hints do not know, since they are wrong. */
static bool meet_unnoted(importer *import, bitcask_slot *slot, key_hash hash,
                         cask_slice key)
{
    cask_error err = {0};

    if (import->again) {
        return true; /* somebody is writing to the source */
    }
    if (slot == NULL) {
        slot = bitcask_index_add(&import->index, hash);
    }
    if (slot == NULL) {
        return importer_fail_memory(import);
    }
    if (bitcask_slot_newest(slot) == BITCASK_SETTLED &&
        !importer_check(import, import_sink_take_back(&import->sink, key, &err),
                        &err)) {
        return false;
    }
    return make_unknown(import, slot);
}

/* Import the record if it is the newest version of its key. */
static bool settle_record(importer *import, const bitcask_record *record)
{
    cask_error err = {0};
    key_hash hash = bitcask_index_hash(&import->index, record->key);
    bitcask_slot *slot = bitcask_index_find(&import->index, hash);
    uint64_t place = bitcask_place(import->member, record->offset);
    bitcask_newest newest =
        slot == NULL ? BITCASK_UNKNOWN : bitcask_slot_newest(slot);

    if (newest == BITCASK_UNKNOWN || place > bitcask_slot_place(slot)) {
        return meet_unnoted(import, slot, hash, record->key);
    }
    if (place < bitcask_slot_place(slot) || newest == BITCASK_SETTLED) {
        return true;
    }
    if (record->tombstone != (newest == BITCASK_DELETED)) {
        return make_unknown(import, slot);
    }
    if (newest == BITCASK_VALUE) {
        bitcask_slot_set(slot, place, BITCASK_SETTLED);
        return importer_check(
            import, import_sink_put(&import->sink, record, &err), &err);
    }
    return true;
}

static bool import_record(void *context, const bitcask_record *record)
{
    importer *import = context;

    if (!import->again) {
        import->counts.records++;
        import->counts.tombstones += record->tombstone ? 1 : 0;
    }
    return settle_record(import, record) &&
           importer_advance(import, record->offset);
}

static bool import_damage(void *context, const bitcask_damage *damage)
{
    importer *import = context;

    if (!import->again) {
        importer_note_damage(import, damage);
    }
    return true;
}

static bool import_member(importer *import)
{
    import->file_notes = 0;
    return importer_walk(import, import_record, import_damage, true);
}

/* ---- All --------------------------------------------------------------- */

/*
 * After the first time: a key with nothing left to do is SETTLED, the others
 * are UNKNOWN. What a hint said of a deletion holds even if the tombstone is
 * damaged, unless the hints are wrong.
 */
static void sum_up(importer *import)
{
    for (size_t i = 0; i < import->index.capacity; i++) {
        bitcask_slot *slot = &import->index.slots[i];
        const bitcask_member *member;
        uint64_t place = bitcask_slot_place(slot);
        bitcask_newest newest = bitcask_slot_newest(slot);

        if (!bitcask_index_is_used(&import->index, i) ||
            newest == BITCASK_UNKNOWN || newest == BITCASK_SETTLED) {
            continue;
        }
        member = &import->source->members[bitcask_place_file(place)];
        if (newest == BITCASK_DELETED && !member->hints_wrong) {
            bitcask_slot_set(slot, place, BITCASK_SETTLED);
            continue;
        }
        import->counts.stale += member->hints_wrong ? 0 : 1;
        (void)make_unknown(import, slot);
    }
}

/* Let the store be ready for what is coming. */
static bool make_room(importer *import, uint64_t keys)
{
    cask_error err = {0};

    return importer_check(import, cask_reserve(import->sink.db, keys, &err),
                          &err);
}

static bool import_newest(importer *import)
{
    cask_error err = {0};
    bool goes_on = importer_each_member(import, note_member) &&
                   make_room(import, import->index.count) &&
                   importer_each_member(import, import_member);

    if (goes_on) {
        sum_up(import);
    }
    if (goes_on && import->has_unknown) {
        import->again = true;
        import->progress.view.total += import->source->data_bytes;
        goes_on = importer_each_member(import, note_data) &&
                  importer_each_member(import, import_member);
    }
    import->counts.imported = import->sink.imported;
    import->counts.expired = import->sink.expired;
    return goes_on &&
           importer_check(import, import_sink_drain(&import->sink, &err), &err);
}

/*
 * Whether to put all versions in order: few of them are old. Not into a store
 * that has keys, which a tombstone of the source does not delete, nor if some
 * may have expired, since only the newest of a key is counted as expired.
 */
static bool suits_stream(const importer *import, uint64_t keys_before)
{
    return keys_before == 0 && import->sink.expiry_s == 0 &&
           import->unhinted_bytes <=
               import->source->data_bytes / 10 * UNHINTED_TENTHS_MOST &&
           bitcask_survey_is_lean(&import->survey);
}

static bool import_all(importer *import)
{
    cask_error err = {0};
    uint64_t keys = 0;

    if (!importer_check(import, cask_count(import->sink.db, &keys, &err),
                        &err) ||
        !importer_each_member(import, survey_member)) {
        return false;
    }
    if (!suits_stream(import, keys)) {
        return import_newest(import);
    }
    return make_room(import, bitcask_survey_keys(&import->survey)) &&
           bitcask_stream(import) &&
           importer_check(
               import,
               cask_count(import->sink.db, &import->counts.imported, &err),
               &err);
}

exit_status bitcask_import(bitcask_source *source, cask_db *db,
                           uint64_t expiry_s, bitcask_import_counts *ret_counts)
{
    importer import = {.source = source};

    if (!bitcask_index_init(&import.index) ||
        !bitcask_survey_init(&import.survey)) {
        return report(EXIT_SYSTEM, "import: the system gives no random bytes");
    }
    if (import_sink_open(&import.sink, db, expiry_s)) {
        progress_start(&import.progress, "importing", "records",
                       source->data_bytes);
        (void)import_all(&import);
        progress_stop(&import.progress);
    } else {
        import.status = report_memory();
    }
    import_sink_close(&import.sink);
    bitcask_index_free(&import.index);
    bitcask_survey_free(&import.survey);
    *ret_counts = import.counts;
    return import.status;
}
