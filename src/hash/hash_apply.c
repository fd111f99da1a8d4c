/*
 * Applying a record to the keydir and its counters, so that dying at any
 * instruction and doing it again gives the same result: the old values are
 * saved first, and the next owner starts from them.
 */
#include "hash/hash.h"
#include "hash/hash_merge.h"
#include "hash/keydir.h"
#include "region/heap.h"
#include "region/place.h"
#include "region/undo.h"
#include "store/store_count.h"
#include "store/store_read.h"

/* The record at a place too large to tell its size itself. */
static uint64_t large_size(store_handle *store, uint64_t place)
{
    store_map *map = store_map_peek(store, place_row(place));
    record_header header;

    if (map == NULL &&
        store_map_row(store, place_row(place), &map, NULL) != CASK_OK) {
        return PLACE_SIZE_MAX * 8;
    }
    if (map->data == NULL ||
        place_offset(place) + RECORD_HEADER_SIZE > map->size ||
        !record_decode_header(map->data + place_offset(place),
                              (record_seed){map->nonce, place_offset(place)},
                              &header)) {
        return PLACE_SIZE_MAX * 8;
    }
    return record_size(&header);
}

static uint64_t size_at(store_handle *store, uint64_t place)
{
    uint64_t size = place_size(place);

    return size != 0 ? size : large_size(store, place);
}

static void save(store_handle *store, uint64_t place, uint64_t old_place)
{
    region_header *header = store->region.header;
    region_apply_intent *intent = &header->apply;
    const region_row *old = &store->region.rows[place_row(old_place)];

    store_count_save(store, place);
    intent->old_place = old_place;
    intent->key_count =
        atomic_load_explicit(&header->key_count, memory_order_relaxed);
    /* A tombstone's row may be free, and be getting another segment now. */
    if (place_is_live(old_place)) {
        intent->old_live_bytes = old->live_bytes;
        intent->old_live_records = old->live_records;
    }
    store_count_saved(store, place);
}

/* The writer before died with this record half applied. */
static void restore(store_handle *store)
{
    region_header *header = store->region.header;
    const region_apply_intent *intent = &header->apply;
    region_row *old = &store->region.rows[place_row(intent->old_place)];

    atomic_store_explicit(&header->key_count, intent->key_count,
                          memory_order_relaxed);
    if (place_is_live(intent->old_place)) {
        old->live_bytes = intent->old_live_bytes;
        old->live_records = intent->old_live_records;
    }
    store_count_restore(store);
}

static void count_old(store_handle *store, uint64_t old_place)
{
    region_row *row = &store->region.rows[place_row(old_place)];

    row->live_bytes -= size_at(store, old_place);
    row->live_records--;
}

/* Apart, so that its registers are not saved by each put without snapshots. */
__attribute__((noinline, cold)) static void
save_undo(store_handle *store, keydir_hash key, uint64_t old, uint64_t sequence)
{
    undo_save_locked(&store->region, (undo_key){key.tag, key.shard}, old,
                     sequence);
}

static bool apply(store_handle *store, siphash_value hash,
                  const record_header *record, const uint8_t *name,
                  uint64_t place, uint64_t tail)
{
    region_header *header = store->region.header;
    keydir_hash key = keydir_hash_of(hash);
    uint64_t old = 0;
    keydir_slot *slot = keydir_slot_locked(&store->region, key, &old);
    uint64_t keys;

    (void)name; /* the hash stands for it */
    if (header->apply.new_place == place && store_count_is_half_done(store)) {
        old = header->apply.old_place;
        restore(store);
    } else {
        save(store, place, old);
    }
    if (undo_is_needed(&store->region)) {
        save_undo(store, key, old, record->sequence);
    }
    keydir_store_locked(slot, key, place);
    keys = atomic_load_explicit(&header->key_count, memory_order_relaxed);
    store_count_add(store, place,
                    place_is_live(place) ? size_at(store, place) : 0,
                    record->sequence);
    if (place_is_live(old)) {
        count_old(store, old);
        keys--;
    }
    if (place_is_live(place)) {
        keys++;
    }
    atomic_store_explicit(&header->key_count, keys, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&header->applied_tail, tail, memory_order_release);
    return true;
}

static uint64_t place_of(store_handle *store, const store_indexed *record)
{
    uint64_t found = 0;

    (void)keydir_find(&store->region, keydir_hash_of(record->hash), &found);
    return found;
}

static bool move(store_handle *store, const store_indexed *record, uint64_t to)
{
    keydir_hash key = keydir_hash_of(record->hash);
    uint64_t old;

    keydir_store_locked(keydir_slot_locked(&store->region, key, &old), key, to);
    return true;
}

static cask_status create_index(store_handle *store, cask_error *err)
{
    return keydir_create(&store->region, err);
}

static cask_status presize(store_handle *store, uint64_t count, cask_error *err)
{
    return keydir_presize(&store->region, count, err);
}

static void prefetch(store_handle *store, siphash_value hash)
{
    keydir_prefetch(&store->region, keydir_hash_of(hash));
}

static void finish(store_handle *store)
{
    keydir_finish_locked(&store->region);
    hash_move_finish_locked(store);
    snapshots_recount_locked(&store->region);
    if (store_count_is_half_done(store)) {
        restore(store); /* redo looks for sequences above the last applied */
    }
}

static void reserve_undo(store_handle *store, uint64_t lines, uint64_t count)
{
    uint64_t more = undo_reserve_lines(&store->region, count);

    if (more > 0 &&
        region_reserve(&store->region, lines + more, NULL) != CASK_OK) {
        undo_note_starved(&store->region);
    }
}

/* One entry more than records: a writer that died may have used one in vain. */
static cask_status reserve(store_handle *store, uint64_t count, cask_error *err)
{
    uint64_t lines = keydir_reserve_lines(&store->region, count);

    if (undo_is_needed(&store->region)) {
        reserve_undo(store, lines, count + 1);
    }
    return region_reserve(&store->region, lines, err);
}

static bool has_room(store_handle *store, uint64_t count)
{
    uint64_t lines = keydir_reserve_lines(&store->region, count);

    return heap_available(&store->region) >= lines &&
           (!undo_is_needed(&store->region) ||
            undo_prepare_locked(&store->region, count + 1, lines));
}

const store_engine hash_engine = {
    .has_hints = true,
    .create_index = create_index,
    .presize = presize,
    .prefetch = prefetch,
    .finish_locked = finish,
    .reserve = reserve,
    .has_room_locked = has_room,
    .apply_locked = apply,
    .place_locked = place_of,
    .move_locked = move,
};
