/*
 * Leading the index from the inputs of a merge to its outputs, a few keys at a
 * time under the write lock. It can be begun again at any record: a key whose
 * slot names an input has moved its newest record to the output that is being
 * walked, and any other slot is left alone.
 */
#include <inttypes.h>

#include "hash/hash.h"
#include "hash/hash_merge.h"
#include "hash/hash_note.h"
#include "hash/keydir.h"
#include "region/place.h"
#include "region/undo.h"
#include "store/store_merge.h"
#include "store/store_walk.h"

enum {
    CHUNK = 64, /* keys whose index lines are fetched at once */
    TURN = 4    /* keys moved while the write lock is held once: half a us */
};

typedef struct move {
    siphash_value hash;
    uint64_t to;
    uint64_t size; /* of the record, bytes */
} move;

typedef struct chunk {
    size_t count;
    move item[CHUNK];
} chunk;

/* ---- One key ---- */

static void restore(store_handle *store)
{
    const region_move_intent *intent = &store->region.header->move;
    region_row *to = &store->region.rows[place_row(intent->to)];
    region_row *from = &store->region.rows[intent->from_row];

    to->live_bytes = intent->to_live_bytes;
    to->live_records = intent->to_live_records;
    from->live_bytes = intent->from_live_bytes;
    from->live_records = intent->from_live_records;
    atomic_store(&store->region.header->key_count, intent->key_count);
}

static void save(store_handle *store, siphash_value hash, uint64_t from_place,
                 uint64_t to_place, uint64_t size)
{
    region_move_intent *intent = &store->region.header->move;
    const region_row *to = &store->region.rows[place_row(to_place)];
    const region_row *from = &store->region.rows[place_row(from_place)];

    intent->hash[0] = hash.word[0];
    intent->hash[1] = hash.word[1];
    intent->to = to_place;
    intent->size = size;
    intent->from_row = place_row(from_place);
    intent->to_live_bytes = to->live_bytes;
    intent->to_live_records = to->live_records;
    intent->from_live_bytes = from->live_bytes;
    intent->from_live_records = from->live_records;
    intent->key_count = atomic_load(&store->region.header->key_count);
    atomic_signal_fence(memory_order_seq_cst);
    intent->armed = 1;
    atomic_signal_fence(memory_order_seq_cst);
}

static void disarm(store_handle *store)
{
    atomic_signal_fence(memory_order_seq_cst);
    store->region.header->move.armed = 0;
}

static bool names_input(const store_handle *store, uint64_t place)
{
    return place_is_live(place) &&
           atomic_load(&store->region.rows[place_row(place)].is_input) != 0;
}

static void count_move(store_handle *store, uint32_t to_row, uint32_t from_row,
                       uint64_t size)
{
    region_row *to = &store->region.rows[to_row];
    region_row *from = &store->region.rows[from_row];

    to->live_bytes += size;
    to->live_records++;
    from->live_bytes -= size;
    from->live_records--;
}

static void move_locked(store_handle *store, siphash_value hash, uint64_t to,
                        uint64_t size)
{
    keydir_hash key = keydir_hash_of(hash);
    uint64_t from = 0;
    keydir_slot *slot;

    if (!keydir_find(&store->region, key, &from) || !names_input(store, from)) {
        return; /* written or deleted meanwhile, or moved already */
    }
    slot = keydir_slot_locked(&store->region, key, &from);
    save(store, hash, from, to, size);
    keydir_store_locked(slot, key, to);
    count_move(store, place_row(to), place_row(from), size);
    disarm(store);
}

static void count_end(store_handle *store, uint32_t row, uint64_t size)
{
    store->region.rows[row].live_bytes -= size;
    store->region.rows[row].live_records--;
    atomic_fetch_sub(&store->region.header->key_count, 1);
}

/* Let a key that has expired leave the index: its slot becomes that of a
 * tombstone, which is still the newest of its key. */
static void end_locked(store_handle *store, siphash_value hash, uint64_t place)
{
    keydir_hash key = keydir_hash_of(hash);
    uint64_t found = 0;
    keydir_slot *slot;

    if (!keydir_find(&store->region, key, &found) || found != place) {
        return; /* written meanwhile, or deleted */
    }
    slot = keydir_slot_locked(&store->region, key, &found);
    save(store, hash, found, place_ended(found), place_size(found));
    if (undo_is_needed(&store->region)) {
        undo_save_locked(&store->region, (undo_key){key.tag, key.shard}, found,
                         atomic_load(&store->region.header->next_sequence) - 1);
    }
    keydir_store_locked(slot, key, place_ended(found));
    count_end(store, place_row(found), place_size(found));
    disarm(store);
}

/* Whoever held the lock died within move_locked() or end_locked(): the slot was
 * stored or not, which the walk finds out again, but for the counters. */
void hash_move_finish_locked(store_handle *store)
{
    const region_move_intent *intent = &store->region.header->move;
    siphash_value hash = {{intent->hash[0], intent->hash[1]}};
    uint64_t place = 0;

    if (intent->armed == 0) {
        return;
    }
    restore(store);
    if (keydir_find(&store->region, keydir_hash_of(hash), &place) &&
        place == intent->to) {
        /* Not by a lookup of the size: it is what the walk adds. */
        if (place_is_live(place)) {
            count_move(store, place_row(place), intent->from_row, intent->size);
        } else {
            count_end(store, intent->from_row, intent->size);
        }
    }
    disarm(store);
}

/* ---- All ---- */

/* Without the lock: leave out keys that were written or moved meanwhile;
 * returns how many are left. */
static size_t drop_settled(const store_handle *store, move *some, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t from = 0;

        if (keydir_find(&store->region, keydir_hash_of(some[i].hash), &from) &&
            names_input(store, from)) {
            some[kept++] = some[i];
        }
    }
    return kept;
}

/* A few at a time, so that a writer that waits for the lock can spin. */
static cask_status move_turn(store_handle *store, move *some, size_t count,
                             cask_error *err)
{
    cask_status status;

    count = drop_settled(store, some, count);
    if (count == 0) {
        return CASK_OK;
    }
    status = store_lock_always(store, err);
    if (status == CASK_OK) {
        for (size_t i = 0; i < count; i++) {
            move_locked(store, some[i].hash, some[i].to, some[i].size);
        }
        store_unlock(store);
    }
    return status;
}

static cask_status move_chunk(store_handle *store, chunk *some, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < some->count; i++) {
        keydir_prefetch(&store->region, keydir_hash_of(some->item[i].hash));
    }
    for (size_t i = 0; i < some->count && status == CASK_OK; i += TURN) {
        size_t left = some->count - i;

        status =
            move_turn(store, &some->item[i], left < TURN ? left : TURN, err);
    }
    some->count = 0;
    return status;
}

static cask_status add_outputs(store_handle *store, store_walk *walk,
                               cask_error *err)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < rows && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];
        walk_part part = {.row = i};

        if (atomic_load(&row->state) == ROW_OUTPUT) {
            part.end = row->tail;
            part.first_sequence = row->first_sequence;
            status = store_walk_add(walk, &part, err);
        }
    }
    store_walk_begin(walk, store);
    return status;
}

/* The keys of what is damaged stay where they are, in the inputs. */
static void note_damage(store_handle *store, const walk_part *part,
                        cask_error *err)
{
    region_row *row = &store->region.rows[part->row];

    (void)fail(err, CASK_CORRUPT, 0,
               "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
               " bytes of a merge's output are damaged; its inputs are kept, "
               "to be merged again",
               atomic_load(&row->file_id), part->item.offset, part->item.size);
    atomic_store(&row->damage, ROW_DAMAGED);
}

static cask_status add_item(store_handle *store, const walk_part *part,
                            chunk *some, cask_error *err)
{
    const scan_item *item = &part->item;

    if (record_kind(&item->header) == RECORD_PUT) {
        some->item[some->count].hash =
            siphash(store->identity.hash_key, item->key, item->header.key_size);
        some->item[some->count].size = item->size;
        some->item[some->count].to =
            place_make((uint16_t)part->row, item->offset, item->size, true);
        some->count++;
    }
    return some->count == CHUNK ? move_chunk(store, some, err) : CASK_OK;
}

static cask_status move_walk(store_handle *store, store_walk *walk,
                             cask_error *err)
{
    cask_error damage = {CASK_OK, 0, ""};
    chunk some = {.count = 0};
    const walk_part *part;
    cask_status status = store_walk_next(walk, &part, err);

    while (status == CASK_OK && part != NULL) {
        if (part->result == SCAN_RECORD) {
            status = add_item(store, part, &some, err);
        } else {
            note_damage(store, part, &damage);
        }
        if (status == CASK_OK) {
            status = store_walk_next(walk, &part, err);
        }
    }
    if (status == CASK_OK && some.count > 0) {
        status = move_chunk(store, &some, err);
    }
    if (status == CASK_OK && damage.status != CASK_OK) {
        status = fail_again(err, &damage);
    }
    return status;
}

static bool is_any_damaged(const store_handle *store)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);
    bool found = false;

    for (uint32_t i = 0; i < rows; i++) {
        const region_row *row = &store->region.rows[i];

        found = found || (atomic_load(&row->state) == ROW_OUTPUT &&
                          atomic_load(&row->damage) != ROW_SOUND);
    }
    return found;
}

static void mark_outputs(store_handle *store)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < rows; i++) {
        region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_OUTPUT) {
            atomic_store(&row->damage, ROW_DAMAGED);
        }
    }
}

cask_status hash_move_all(store_handle *store, cask_error *err)
{
    store_walk walk = {.count = 0};
    cask_status status = add_outputs(store, &walk, err);

    if (status == CASK_OK) {
        status = move_walk(store, &walk, err);
    }
    store_walk_free(&walk);
    if (status == CASK_CORRUPT && !is_any_damaged(store)) {
        mark_outputs(store); /* one of them cannot be opened */
    }
    return status;
}

/* ---- What has expired ---- */

typedef struct ending {
    store_handle *store;
    chunk some; /* of each, `to` is its place in the input */
} ending;

/* Take the lock with room for what is saved for snapshots. */
static cask_status lock_with_undo(store_handle *store, uint64_t count,
                                  cask_error *err)
{
    region_handle *region = &store->region;

    for (;;) {
        uint64_t lines = undo_reserve_lines(region, count + 1);
        cask_status status;

        if (lines > 0 && region_reserve(region, lines, NULL) != CASK_OK) {
            undo_note_starved(region);
        }
        status = store_lock_always(store, err);
        if (status != CASK_OK || undo_prepare_locked(region, count + 1, 0)) {
            return status;
        }
        store_unlock(store);
    }
}

static cask_status end_chunk(ending *e, cask_error *err)
{
    cask_status status = lock_with_undo(e->store, e->some.count, err);

    if (status == CASK_OK) {
        if (undo_is_needed(&e->store->region)) {
            /* A sequence of its own: behind all snapshots, and not behind one
             * that is made before anything else is written: the inputs are not
             * pinned for that one. */
            atomic_fetch_add(&e->store->region.header->next_sequence, 1);
        }
        for (size_t i = 0; i < e->some.count; i++) {
            end_locked(e->store, e->some.item[i].hash, e->some.item[i].to);
        }
        store_unlock(e->store);
        e->some.count = 0;
    }
    return status;
}

static cask_status note_ended(void *context, const hash_note *note,
                              cask_error *err)
{
    ending *e = context;
    uint64_t place = 0;

    if (!note->is_put ||
        !keydir_find(&e->store->region, keydir_hash_of(note->hash), &place) ||
        place != note->place) {
        return CASK_OK;
    }
    e->some.item[e->some.count].hash = note->hash;
    e->some.item[e->some.count].to = place;
    e->some.count++;
    return e->some.count == CHUNK ? end_chunk(e, err) : CASK_OK;
}

/* Neither damage nor a wish to cancel ends it: there is no way back. */
static cask_status go_on(void *context, const walk_part *part, cask_error *err)
{
    (void)context;
    (void)part;
    (void)err;
    return CASK_OK;
}

cask_status hash_move_ended(store_handle *store, cask_error *err)
{
    uint32_t rows = atomic_load(&store->region.header->row_count);
    ending e = {.store = store, .some = {.count = 0}};
    const hash_notes notes = {
        .store = store, .note = note_ended, .check = go_on, .context = &e};
    cask_status status = CASK_OK;

    if (atomic_load(&store->region.header->merge.expired) == 0) {
        return CASK_OK;
    }
    for (uint32_t i = 0; i < rows && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];

        /* Of a damaged one nothing expires. */
        if (atomic_load(&row->is_input) != 0 &&
            atomic_load(&row->damage) == ROW_SOUND) {
            status = hash_note_row(&notes, i, err);
        }
    }
    return status == CASK_OK && e.some.count > 0 ? end_chunk(&e, err) : status;
}
