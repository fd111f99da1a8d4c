/*
 * The counters of a segment's row, as an engine keeps them when it applies a
 * record, so that dying at any instruction and doing it again gives the same:
 * they are saved in region_apply_intent first, and the next owner starts from
 * what was saved. Write lock held.
 *
 * Inline: each call costs a put 1 %.
 */
#ifndef CASKADE_STORE_COUNT_H
#define CASKADE_STORE_COUNT_H

#include "region/place.h"
#include "store/store.h"

/* Whether the writer died between the first and the last store of applying the
 * record at applied_tail. */
static inline bool store_count_is_half_done(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint64_t tail = atomic_load(&header->applied_tail);
    uint64_t place = header->apply.new_place;

    return place != 0 && place_row(place) == region_tail_row(tail) &&
           place_offset(place) == region_tail_offset(tail);
}

/* Save the counters of the row of `place`. What else the engine saves, it
 * stores between this and store_count_saved(). */
static inline void store_count_save(store_handle *store, uint64_t place)
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
}

/* All is saved: from now on it counts. */
static inline void store_count_saved(store_handle *store, uint64_t place)
{
    atomic_signal_fence(memory_order_seq_cst);
    store->region.header->apply.new_place = place;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Give the row what was saved of it. */
static inline void store_count_restore(store_handle *store)
{
    const region_apply_intent *intent = &store->region.header->apply;
    region_row *row = &store->region.rows[place_row(intent->new_place)];

    row->live_bytes = intent->new_live_bytes;
    row->live_records = intent->new_live_records;
    row->tombstones = intent->new_tombstones;
    row->records = intent->new_records;
    row->first_sequence = intent->new_first_sequence;
    row->last_sequence = intent->new_last_sequence;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Count the record at `place`; `bytes` of it are live if it is. */
static inline void store_count_add(store_handle *store, uint64_t place,
                                   uint64_t bytes, uint64_t sequence)
{
    region_row *row = &store->region.rows[place_row(place)];

    row->records++;
    row->last_sequence = sequence;
    if (row->first_sequence == 0) {
        row->first_sequence = sequence;
    }
    if (place_is_live(place)) {
        row->live_bytes += bytes;
        row->live_records++;
    } else {
        row->tombstones++;
    }
}

#endif
