/*
 * The tree as the store sees it: records of the log go into the newest
 * memtable, so that dying at any instruction and doing it again gives the same.
 * A record up to region_tree.flushed is in a run and goes nowhere.
 */
#include <stdlib.h>

#include "region/heap.h"
#include "region/place.h"
#include "region/undo.h"
#include "store/store_read.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_record.h"
#include "tree/tree_tables.h"

static region_tree *tree_of(const store_handle *store)
{
    return &store->region.header->tree;
}

/* ---- State of a handle ---- */

static cask_status attach(store_handle *store, cask_error *err)
{
    siphash_value value;
    tree_state *state;

    if (store->options.io != CASK_IO_MAP) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: the tree engine reads by maps only; open it with io = "
                    "CASK_IO_MAP (--io map)",
                    store->path);
    }
    state = calloc(1, sizeof(*state));
    if (state == NULL) {
        return fail_memory(err, sizeof(*state));
    }
    state->log = tree_log(store);
    value = siphash(store->identity.hash_key, "run", 3);
    state->hash_key = (run_hash_key){{value.word[0], value.word[1]}};
    store->engine_state = state;
    return versions_open(store, &state->versions, err);
}

static void detach(store_handle *store)
{
    tree_state *state = store->engine_state;

    if (state != NULL) {
        versions_close(state->versions);
        free(state);
        store->engine_state = NULL;
    }
}

/* ---- Counters of a row ---- */

/* The writer before died with this record half applied: the row's counters are
 * what they were before it. */
static bool is_half_applied(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint64_t tail = atomic_load(&header->applied_tail);
    uint64_t place = header->apply.new_place;

    return place != 0 && place_row(place) == region_tail_row(tail) &&
           place_offset(place) == region_tail_offset(tail);
}

static void save(store_handle *store, uint64_t place)
{
    region_apply_intent *intent = &store->region.header->apply;
    const region_row *row = &store->region.rows[place_row(place)];

    intent->new_place = 0;
    atomic_signal_fence(memory_order_seq_cst);
    intent->new_live_bytes = row->live_bytes;
    intent->new_live_records = row->live_records;
    intent->new_tombstones = row->tombstones;
    intent->new_records = row->records;
    intent->new_first_sequence = row->first_sequence;
    intent->new_last_sequence = row->last_sequence;
    atomic_signal_fence(memory_order_seq_cst);
    intent->new_place = place;
    atomic_signal_fence(memory_order_seq_cst);
}

static void restore(store_handle *store)
{
    const region_apply_intent *intent = &store->region.header->apply;
    region_row *row = &store->region.rows[place_row(intent->new_place)];

    row->live_bytes = intent->new_live_bytes;
    row->live_records = intent->new_live_records;
    row->tombstones = intent->new_tombstones;
    row->records = intent->new_records;
    row->first_sequence = intent->new_first_sequence;
    row->last_sequence = intent->new_last_sequence;
}

static void count(store_handle *store, uint64_t place,
                  const record_header *record)
{
    region_row *row = &store->region.rows[place_row(place)];

    row->records++;
    row->last_sequence = record->sequence;
    if (row->first_sequence == 0) {
        row->first_sequence = record->sequence;
    }
    if (place_is_live(place)) {
        row->live_bytes += record_size(record);
        row->live_records++;
    } else {
        row->tombstones++;
    }
}

/* ---- Applying ---- */

static bool put(store_handle *store, const memtable_put *record, uint64_t bytes)
{
    region_tree *tree = tree_of(store);
    memtable_view view;
    memtable_aim aim;
    memtable_result result;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    result = memtable_aim_locked(&view, record, &aim);
    if (result != MEMTABLE_FOUND && result != MEMTABLE_NONE) {
        return false;
    }
    memtable_store_locked(&view, &aim);
    atomic_signal_fence(memory_order_seq_cst);
    tree->applied_sequence = record->sequence;
    atomic_store_explicit(
        &tree->taken_bytes,
        atomic_load_explicit(&tree->taken_bytes, memory_order_relaxed) + bytes,
        memory_order_relaxed);
    return true;
}

static uint64_t newest_snapshot(const store_handle *store)
{
    return atomic_load_explicit(&store->region.snapshots->undo.newest,
                                memory_order_relaxed);
}

static bool apply(store_handle *store, siphash_value hash,
                  const record_header *record, const uint8_t *key,
                  uint64_t place, uint64_t tail)
{
    region_header *header = store->region.header;
    const memtable_put entry = {.key = {key, record->key_size},
                                .hash = hash.word[0],
                                .sequence = record->sequence,
                                .place = place,
                                .snapshot = newest_snapshot(store)};

    if (header->apply.new_place == place && is_half_applied(store)) {
        restore(store);
    } else {
        save(store, place);
    }
    count(store, place, record);
    if (record->sequence >
            atomic_load_explicit(&header->tree.flushed, memory_order_relaxed) &&
        !put(store, &entry, record_size(record))) {
        return false;
    }
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&header->applied_tail, tail, memory_order_release);
    return true;
}

static void finish(store_handle *store)
{
    tree_tables_finish_locked(store);
    snapshots_recount_locked(&store->region);
    if (is_half_applied(store)) {
        restore(store); /* redo looks for sequences above the last applied */
    }
}

/* ---- Room ---- */

/* Whether the next record goes to another memtable. */
static bool is_due(const store_handle *store, const memtable_view *view,
                   uint64_t records)
{
    return !memtable_has_room_locked(view, records) ||
           (tree_tables_is_full(store) && memtable_count(view) > 0);
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
    lines = memtable_reserve_lines(&view, records) +
            (is_due(store, &view, records)
                 ? memtable_begin_lines(tree_tables_expected(store)) +
                       memtable_reserve_lines(&view, records)
                 : 0);
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

static cask_status wait_for_room(store_handle *store, cask_error *err)
{
    return atomic_exchange(&tree_state_of(store)->wants_table, false)
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
    region_tree *tree = tree_of(store);
    tree_tables tables;

    if (tree->moved_sequence < record->sequence) {
        tree->moved_sequence = record->sequence;
    }
    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count; i++) {
        memtable_entry entry;
        memtable_aim aim;

        if (!find_exactly(&tables.view[i], record, &entry)) {
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

/* ---- The table ---- */

static cask_status presize(store_handle *store, uint64_t keys, cask_error *err)
{
    (void)store;
    (void)keys;
    (void)err;
    return CASK_OK;
}

/* The way to an entry is known only when it is gone. */
static void prefetch(const store_handle *store, siphash_value hash)
{
    (void)store;
    (void)hash;
}

const store_engine tree_engine = {
    .segment_bytes = UINT64_C(64) << 20,
    .attach = attach,
    .detach = detach,
    .create_index = tree_tables_create,
    .presize = presize,
    .prefetch = prefetch,
    .finish_locked = finish,
    .reserve = reserve,
    .has_room_locked = has_room,
    .wait_for_room = wait_for_room,
    .apply_locked = apply,
    .place_locked = place_of,
    .move_locked = move,
};
