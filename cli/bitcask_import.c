/*
 * From the files of Bitcask into a store, see bitcask_import.h.
 *
 * First the newest version of each key is looked for, in the hints where they
 * are sound; then the data is read, each record proves itself by its checksum,
 * and the newest ones are put. So only what will stay is written, and the
 * values pass through once.
 *
 * Hints may promise what the data does not hold. Such keys are UNKNOWN after
 * the first time; the newest version is then looked for in the data alone, for
 * them only.
 */
#include "bitcask_import.h"

#include <inttypes.h>
#include <stdio.h>

#include "bitcask_index.h"
#include "bitcask_walk.h"
#include "import_sink.h"
#include "key_text.h"
#include "progress.h"
#include "signals.h"
#include "units.h"

enum {
    HINTS_AT_ONCE = 32,
    NOTES_PER_FILE = 20 /* then damage is only counted */
};

typedef struct importer {
    bitcask_source *source;
    import_sink sink;
    bitcask_index index;
    bitcask_import_counts counts;
    exit_status status;

    size_t member;         /* the file that is read */
    bool again;            /* the second time, for keys that are UNKNOWN */
    bool has_unknown;      /* there are some */
    uint64_t file_notes;   /* printed about this file */
    uint64_t bytes_before; /* read of the files before this one */
    progress progress;
} importer;

static bool fail_with(importer *import, exit_status status)
{
    import->status = status;
    return false;
}

static bool fail_memory(importer *import)
{
    progress_wipe(&import->progress);
    return fail_with(import, report_memory());
}

/* Report what the store said, if it is an error. */
static bool check_store(importer *import, cask_status status,
                        const cask_error *err)
{
    if (status == CASK_OK) {
        return true;
    }
    progress_wipe(&import->progress);
    return fail_with(import, report_failure("import", err));
}

/* Say where we are; false if a signal arrived. */
static bool advance(importer *import, uint64_t offset)
{
    progress_update(&import->progress, import->bytes_before + offset,
                    import->counts.records);
    return signals_arrived() == 0;
}

/* ---- Reading a file ---------------------------------------------------- */

typedef bool (*record_fn)(void *context, const bitcask_record *record);
typedef bool (*damage_fn)(void *context, const bitcask_damage *damage);

static void look_ahead(void *context, cask_slice key)
{
    importer *import = context;

    bitcask_index_prefetch(&import->index,
                           bitcask_index_hash(&import->index, key));
}

/* Walk through the data of the current member, guided by its hints if they are
 * used; false to give up. */
static bool walk_member(importer *import, record_fn on_record,
                        damage_fn on_damage, bool wants_values)
{
    bitcask_member *member = &import->source->members[import->member];
    const bitcask_visitor visitor = {wants_values, look_ahead, on_record,
                                     on_damage, import};
    bitcask_walk_result result;
    bitcask_hints hints = {.next = 0};
    bitcask_file data = {0};
    int os_errno = bitcask_file_open(&data, member->data_path);

    if (os_errno != 0) {
        progress_wipe(&import->progress);
        return fail_with(import, report_errno(os_errno, "%s: cannot read it",
                                              member->data_path));
    }
    member->has_hints = member->has_hints &&
                        bitcask_hints_open(&hints, member->hint_path,
                                           data.size) == BITCASK_HINTS_SOUND;
    result = bitcask_walk(&data, member->has_hints ? &hints : NULL, &visitor);
    if (result == BITCASK_WALK_HINTS_WRONG) {
        member->has_hints = false;
        member->hints_wrong = true;
        progress_wipe(&import->progress);
        (void)report(EXIT_DONE,
                     "note: %s: it is of other data, which is read "
                     "without it",
                     member->hint_path);
    }
    import->bytes_before += data.size;
    bitcask_hints_close(&hints);
    bitcask_file_close(&data);
    if (result == BITCASK_WALK_NO_MEMORY) {
        return fail_memory(import);
    }
    return result != BITCASK_WALK_ENDED;
}

/* Call `visit` for each member, in order of age, until it returns false. */
static bool for_each_member(importer *import, bool (*visit)(importer *import))
{
    bool goes_on = true;

    for (import->member = 0; import->member < import->source->count && goes_on;
         import->member++) {
        goes_on = visit(import);
    }
    return goes_on;
}

/* ---- Looking for the newest versions ----------------------------------- */

/* A version of a key is at `offset`: the newest so far. */
static bool note_version(importer *import, key_hash hash, uint64_t offset,
                         bool tombstone)
{
    bitcask_slot *slot = bitcask_index_add(&import->index, hash);

    if (slot == NULL) {
        return fail_memory(import);
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
           advance(import, record->offset);
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
    return walk_member(import, note_record, note_damage, false);
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
    } while (count == HINTS_AT_ONCE && advance(import, 0));
    return signals_arrived() == 0;
}

/* Note the versions that the hints tell of if they are sound, else the data. */
static bool note_member(importer *import)
{
    bitcask_member *member = &import->source->members[import->member];
    bitcask_hints hints;
    bitcask_hints_state state =
        bitcask_hints_open(&hints, member->hint_path, member->data_bytes);
    bool goes_on;

    member->has_hints = state == BITCASK_HINTS_SOUND;
    if (!member->has_hints) {
        if (bitcask_hints_problem(state) != NULL) {
            progress_wipe(&import->progress);
            (void)report(EXIT_DONE,
                         "note: %s: not used: %s; the data is "
                         "searched instead",
                         member->hint_path, bitcask_hints_problem(state));
        }
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
        return fail_memory(import);
    }
    if (bitcask_slot_newest(slot) == BITCASK_SETTLED &&
        !check_store(import, import_sink_take_back(&import->sink, key, &err),
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
        return check_store(import, import_sink_put(&import->sink, record, &err),
                           &err);
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
    return settle_record(import, record) && advance(import, record->offset);
}

/* What was there: ", a value of KEY". */
static void describe(const bitcask_damage *damage, text *out)
{
    if (damage->hint != NULL) {
        text_add_format(out, ", %s ",
                        damage->hint->tombstone ? "the deletion of"
                                                : "a value of");
        key_text_add(out, damage->key);
    }
    text_add_char(out, '\0');
}

static bool import_damage(void *context, const bitcask_damage *damage)
{
    importer *import = context;
    const char *path = import->source->members[import->member].data_path;
    text what = {0};

    if (import->again) {
        return true;
    }
    import->counts.damaged_places++;
    import->counts.damaged_bytes += damage->size;
    import->file_notes++;
    if (import->file_notes > NOTES_PER_FILE) {
        return true;
    }
    describe(damage, &what);
    progress_wipe(&import->progress);
    (void)report(
        EXIT_DONE,
        "note: %s: offset %" PRIu64 ": %" PRIu64 " bytes are damaged%s%s", path,
        damage->offset, damage->size, what.failed ? "" : what.data,
        import->file_notes == NOTES_PER_FILE
            ? "; more damage in this file is only counted"
            : "");
    text_free(&what);
    return true;
}

static bool import_member(importer *import)
{
    import->file_notes = 0;
    return walk_member(import, import_record, import_damage, true);
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
static bool make_room(importer *import)
{
    cask_error err = {0};

    return check_store(
        import, cask_reserve(import->sink.db, import->index.count, &err), &err);
}

static bool import_all(importer *import)
{
    cask_error err = {0};
    bool goes_on = for_each_member(import, note_member) && make_room(import) &&
                   for_each_member(import, import_member);

    if (goes_on) {
        sum_up(import);
    }
    if (goes_on && import->has_unknown) {
        import->again = true;
        import->progress.view.total += import->source->data_bytes;
        goes_on = for_each_member(import, note_data) &&
                  for_each_member(import, import_member);
    }
    return goes_on &&
           check_store(import, import_sink_drain(&import->sink, &err), &err);
}

exit_status bitcask_import(bitcask_source *source, cask_db *db,
                           uint64_t expiry_s, bitcask_import_counts *ret_counts)
{
    importer import = {.source = source};

    if (!bitcask_index_init(&import.index)) {
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
    import.counts.imported = import.sink.imported;
    import.counts.expired = import.sink.expired;
    *ret_counts = import.counts;
    return import.status;
}
