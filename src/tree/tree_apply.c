/*
 * The tree as the store sees it: records of the log go into the newest
 * memtable, so that dying at any instruction and doing it again gives the same.
 * A record up to region_tree.flushed is in a run and goes nowhere.
 */
#include <stdlib.h>

#include "region/heap.h"
#include "region/place.h"
#include "region/undo.h"
#include "store/store_count.h"
#include "store/store_read.h"
#include "tree/memtable_append.h"
#include "tree/memtable_layout.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_gate.h"
#include "tree/tree_record.h"
#include "tree/tree_tables.h"

static region_tree *tree_of(const store_handle *store)
{
    return &store->region.header->tree;
}

/* ---- State of a handle ---- */

static cask_status attach(store_handle *store, cask_error *err)
{
    tree_state *state = calloc(1, sizeof(*state));
    cask_status status;

    if (state == NULL) {
        return fail_memory(err, sizeof(*state));
    }
    state->log = tree_log(store);
    state->hash_key = tree_hash_key(store->identity.hash_key);
    store->engine_state = state;
    status = versions_open(store, &state->versions, err);
    return status == CASK_OK ? tree_ranges_open(store, &state->ranges, err)
                             : status;
}

static void detach(store_handle *store)
{
    tree_state *state = store->engine_state;

    if (state != NULL) {
        tree_ranges_close(state->ranges);
        versions_close(state->versions);
        free(state);
        store->engine_state = NULL;
    }
}

/* ---- Applying ---- */

/* Aim in the newest memtable. If a record there that has to be compared with
 * cannot be read, another one takes its place. */
static memtable_result aim_at(store_handle *store, const memtable_put *record,
                              memtable_view *view, memtable_aim *aim)
{
    tree_state *state = tree_state_of(store);
    memtable_result result;

    tree_tables_newest_locked(store, &state->log, view);
    result = memtable_aim_locked(view, record, aim);
    if (result == MEMTABLE_UNREADABLE && tree_tables_begin_locked(store)) {
        atomic_store(&state->has_begun, true);
        tree_tables_newest_locked(store, &state->log, view);
        result = memtable_aim_locked(view, record, aim);
    }
    return result;
}

static bool put_entry(store_handle *store, const memtable_put *record)
{
    memtable_view view;
    memtable_aim aim;
    memtable_result result = aim_at(store, record, &view, &aim);

    if (result != MEMTABLE_FOUND && result != MEMTABLE_NONE) {
        return false;
    }
    memtable_store_locked(&view, &aim);
    return true;
}

static bool put_range(store_handle *store, const memtable_put *record)
{
    const memtable_range range = {.sequence = record->sequence,
                                  .place = record->place};
    memtable_view view;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    return memtable_put_range_locked(&view, range) == MEMTABLE_FOUND;
}

/* What memtables have taken ends with this record; the tail comes last. */
static void end_taking(store_handle *store, uint64_t sequence, uint64_t bytes)
{
    region_tree *tree = tree_of(store);

    atomic_signal_fence(memory_order_seq_cst);
    tree->applied_sequence = sequence;
    atomic_store_explicit(
        &tree->taken_bytes,
        atomic_load_explicit(&tree->taken_bytes, memory_order_relaxed) + bytes,
        memory_order_relaxed);
}

static bool put(store_handle *store, const record_header *header,
                const memtable_put *record)
{
    if (!(record_kind(header) == RECORD_RANGE_DELETE
              ? put_range(store, record)
              : put_entry(store, record))) {
        return false;
    }
    end_taking(store, record->sequence, record_size(header));
    return true;
}

static uint64_t newest_snapshot(const store_handle *store)
{
    return atomic_load_explicit(&store->region.snapshots->undo.newest,
                                memory_order_relaxed);
}

/* Save the counters for what is at `place`, or restore them if they were saved
 * and it was not applied wholly. */
static void begin_counting(store_handle *store, uint64_t place)
{
    if (store->region.header->apply.new_place == place &&
        store_count_is_half_done(store)) {
        store_count_restore(store);
    } else {
        store_count_save(store, place);
        store_count_saved(store, place);
    }
}

static void move_tail(store_handle *store, uint64_t tail)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&store->region.header->applied_tail, tail,
                          memory_order_release);
}

static bool apply(store_handle *store, siphash_value hash,
                  const record_header *record, const uint8_t *key,
                  uint64_t place, uint64_t tail)
{
    const region_tree *tree = tree_of(store);
    const memtable_put entry = {.key = {key, record->key_size},
                                .hash = hash.word[0],
                                .sequence = record->sequence,
                                .place = place,
                                .snapshot = newest_snapshot(store)};

    begin_counting(store, place);
    store_count_add(store, place, record_size(record), record->sequence);
    if (record->sequence >
            atomic_load_explicit(&tree->flushed, memory_order_relaxed) &&
        !put(store, record, &entry)) {
        return false;
    }
    move_tail(store, tail);
    return true;
}

/* What memtable_append_locked() may take of these records, the first of which
 * is at `place`. */
static size_t collect(const memtable_view *view, const store_record *records,
                      size_t count, uint64_t place,
                      memtable_put puts[MEMTABLE_LEAF_SLOTS])
{
    size_t most = memtable_append_room_locked(view, records->key);
    uint64_t offset = place_offset(place);
    size_t i;

    for (i = 0; i < most && i < count; i++) {
        const store_record *record = &records[i];
        uint8_t kind = record_kind(&record->header);
        uint64_t size = record_size(&record->header);

        if (kind != RECORD_PUT && kind != RECORD_DELETE) {
            break;
        }
        memtable_filter_prefetch(view, record->hash.word[0]);
        puts[i] = (memtable_put){.key = record->key,
                                 .hash = record->hash.word[0],
                                 .sequence = record->header.sequence,
                                 .place = place_make(place_row(place), offset,
                                                     size, kind == RECORD_PUT)};
        offset += size;
    }
    return i;
}

/* Records whose keys rise, by leaves. */
static size_t apply_many(store_handle *store, const store_record *records,
                         size_t count, uint64_t place)
{
    memtable_put puts[MEMTABLE_LEAF_SLOTS];
    memtable_view view;
    uint64_t bytes = 0;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    count = collect(&view, records, count, place, puts);
    if (count == 0) {
        return 0;
    }
    begin_counting(store, place);
    count = memtable_append_locked(&view, puts, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t size = record_size(&records[i].header);

        store_count_add(store, puts[i].place, size, puts[i].sequence);
        bytes += size;
    }
    if (count > 0) {
        end_taking(store, puts[count - 1].sequence, bytes);
        move_tail(store, region_tail_make(place_row(place),
                                          place_offset(place) + bytes));
    }
    return count;
}

static void finish(store_handle *store)
{
    tree_tables_finish_locked(store);
    snapshots_recount_locked(&store->region);
    if (store_count_is_half_done(store)) {
        /* Redo looks for sequences above the last applied. */
        store_count_restore(store);
    }
}

/* ---- Room ---- */

/* Whether the next record goes to another memtable. */
static bool is_due(const store_handle *store, const memtable_view *view,
                   uint64_t records)
{
    return !memtable_has_room_locked(view, records) ||
           memtable_range_count(view) >= MEMTABLE_RANGES_USUAL ||
           (tree_tables_is_full(store) && !memtable_is_empty(view));
}

/* While a region is made nobody else writes, and no writer asks for room. */
static bool is_made(const store_handle *store)
{
    return atomic_load(&store->region.header->state) == REGION_CREATING;
}

static cask_status reserve(store_handle *store, uint64_t records,
                           cask_error *err)
{
    memtable_view view;
    uint64_t lines;
    cask_status status;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    /* Another memtable may have to take over, see aim_at(). */
    lines = memtable_begin_lines(tree_tables_expected(store)) +
            2 * memtable_reserve_lines(&view, records);
    status = region_reserve(&store->region, lines, err);
    if (status == CASK_OK && is_made(store) && is_due(store, &view, records) &&
        !tree_tables_begin_locked(store) &&
        !memtable_has_room_locked(&view, records)) {
        status = fail(err, CASK_NO_SPACE, 0,
                      "%s: the log has more than all memtables can take; open "
                      "it with a larger memtable_bytes",
                      store->path);
    }
    return status;
}

static bool has_room(store_handle *store, uint64_t records)
{
    tree_state *state = tree_state_of(store);
    memtable_view view;

    if (tree_gate_is_closed(store)) {
        return false;
    }
    tree_tables_newest_locked(store, &state->log, &view);
    if (is_due(store, &view, records)) {
        if (!tree_tables_begin_locked(store)) {
            atomic_store(&state->wants_table, !tree_tables_has_free(store));
            return false;
        }
        atomic_store(&state->has_begun, true);
        tree_tables_newest_locked(store, &state->log, &view);
    }
    return memtable_has_room_locked(&view, records) &&
           heap_available(&store->region) >=
               memtable_reserve_lines(&view, records);
}

/* Whether a memtable can take over that has nothing which cannot be read. */
static bool has_spare(store_handle *store, const memtable_view *view,
                      uint64_t records)
{
    return tree_tables_has_free(store) &&
           heap_available(&store->region) >=
               memtable_begin_lines(tree_tables_expected(store)) +
                   2 * memtable_reserve_lines(view, records);
}

cask_status tree_check_locked(store_handle *store, const store_record *records,
                              size_t count, cask_error *err)
{
    const region_header *header = store->region.header;
    uint64_t tail = atomic_load(&header->applied_tail);
    uint64_t place = place_make((uint16_t)region_tail_row(tail),
                                region_tail_offset(tail), 0, true);
    memtable_view view;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    for (size_t i = 0; i < count && !has_spare(store, &view, count); i++) {
        const memtable_put record = {
            .key = records[i].key,
            .hash = records[i].hash.word[0],
            .sequence = atomic_load(&header->next_sequence) + i,
            .place = place,
            .snapshot = newest_snapshot(store)};
        memtable_aim aim;

        if (record_kind(&records[i].header) != RECORD_RANGE_DELETE &&
            memtable_aim_locked(&view, &record, &aim) == MEMTABLE_UNREADABLE) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: a record that the key has to be compared with "
                        "cannot be read, and all memtables are in use; nothing "
                        "was written; it goes on when one was flushed; "
                        "'caskade verify' lists the damage",
                        store->path);
        }
    }
    return CASK_OK;
}

static cask_status wait_for_room(store_handle *store, cask_error *err)
{
    return atomic_exchange(&tree_state_of(store)->wants_table, false) ||
                   tree_gate_is_closed(store)
               ? tree_flush_wait(store, err)
               : CASK_OK;
}

/* ---- The end of the log is moved ---- */

static bool find_exactly(const memtable_view *view, const store_indexed *record,
                         memtable_entry *entry)
{
    uint64_t hash = record->hash.word[0];

    return (memtable_find(view, record->key, hash, UINT64_MAX, entry) ==
                MEMTABLE_FOUND &&
            entry->sequence == record->sequence) ||
           (memtable_find(view, record->key, hash, record->sequence, entry) ==
                MEMTABLE_FOUND &&
            entry->sequence == record->sequence);
}

static uint64_t place_of(store_handle *store, const store_indexed *record)
{
    tree_tables tables;

    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count; i++) {
        memtable_entry entry;
        tree_record found = {.at = NULL};
        uint64_t place;

        if (memtable_find_range_locked(&tables.view[i], record->sequence,
                                       &place)) {
            return place;
        }
        if (find_exactly(&tables.view[i], record, &entry)) {
            return tree_record_at(store, entry.place, &found, NULL) == CASK_OK
                       ? place_make(place_row(entry.place),
                                    place_offset(entry.place),
                                    record_size(&found.header),
                                    place_is_live(entry.place))
                       : 0;
        }
    }
    return 0;
}

/*
 * Fences of memtables go on leading to where the record was: that stays
 * readable until what was moved is flushed.
 */
static bool move(store_handle *store, const store_indexed *record, uint64_t to)
{
    const memtable_put again = {.key = record->key,
                                .hash = record->hash.word[0],
                                .sequence = record->sequence,
                                .place = to,
                                .snapshot = newest_snapshot(store)};
    const memtable_range range = {.sequence = record->sequence, .place = to};
    region_tree *tree = tree_of(store);
    tree_tables tables;

    if (tree->moved_sequence < record->sequence) {
        tree->moved_sequence = record->sequence;
    }
    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count; i++) {
        memtable_entry entry;
        memtable_aim aim;

        if (memtable_move_range_locked(&tables.view[i], range) ||
            !find_exactly(&tables.view[i], record, &entry)) {
            continue;
        }
        if (memtable_aim_locked(&tables.view[i], &again, &aim) !=
            MEMTABLE_FOUND) {
            return false;
        }
        memtable_store_locked(&tables.view[i], &aim);
    }
    return true;
}

static cask_status open_private(store_handle *store, cask_error *err)
{
    return versions_open_private(tree_state_of(store)->versions, err);
}

/* ---- The table ---- */

static cask_status presize(store_handle *store, uint64_t keys, cask_error *err)
{
    (void)store;
    (void)keys;
    (void)err;
    return CASK_OK;
}

static siphash_value hash(const store_handle *store, cask_slice key)
{
    return tree_hash(store, key);
}

/* The filter; the way to an entry is known only when it is gone. */
static void prefetch(store_handle *store, siphash_value hash)
{
    tree_tables_prefetch(store, hash.word[0]);
}

const store_engine tree_engine = {
    .has_ranges = true,
    .maps_only = true,
    .segment_bytes = UINT64_C(64) << 20,
    .attach = attach,
    .detach = detach,
    .create_index = tree_tables_create,
    .check_run = version_check_run,
    .open_private = open_private,
    .presize = presize,
    .hash = hash,
    .prefetch = prefetch,
    .finish_locked = finish,
    .reserve = reserve,
    .has_room_locked = has_room,
    .wait_for_room = wait_for_room,
    .apply_locked = apply,
    .apply_many_locked = apply_many,
    .place_locked = place_of,
    .move_locked = move,
};
