/*
 * Snapshots: their table, and the undo table in which writers keep what keys
 * were before, for as long as a snapshot needs it. Functions named _locked are
 * called under the write lock; one that dies inside leaves a state that
 * snapshots_recount_locked() sets right.
 *
 * For each key and each snapshot S: if the key was changed behind S, the entry
 * with the smallest sequence behind S says what it was at S.
 */
#ifndef CASKADE_UNDO_H
#define CASKADE_UNDO_H

#include <stdbool.h>

#include "region/region.h"

/* Which key, as the index knows it. */
typedef struct undo_key {
    uint64_t tag;
    uint32_t shard; /* below 256 */
} undo_key;

/* Whether writers must save what they change; one load. */
static inline bool undo_is_needed(const region_handle *region)
{
    return atomic_load_explicit(&region->header->snapshots,
                                memory_order_relaxed) != 0;
}

/* ---- Snapshots ---- */

/* A free entry of the table; NULL if there is none. Fill it, then store its
 * ticket, then call snapshots_recount_locked(). */
region_snapshot *snapshots_free_entry_locked(const region_handle *region);

/*
 * Bring what is derived from the table up to date: the number of snapshots, the
 * newest; and give back the undo memory that none of them needs.
 */
void snapshots_recount_locked(region_handle *region);

/* ---- Undo ---- */

/* Lines of the heap that saving `count` changes may take; 0 without
 * snapshots. To be reserved before the lock is taken. */
uint64_t undo_reserve_lines(const region_handle *region, uint64_t count);

/* They could not be reserved: snapshots must go. No lock needed. */
void undo_note_starved(const region_handle *region);

/*
 * Have memory for `count` more entries, beside `spare_lines` of the heap that
 * others will take. If the limit is reached or the heap cannot grow, the oldest
 * snapshots are expelled. False: reserve again.
 */
bool undo_prepare_locked(region_handle *region, uint64_t count,
                         uint64_t spare_lines);

/*
 * Save what a key names, `place`, before the record with `sequence` replaces
 * it, if a snapshot can still need it. Memory was prepared; if not, all
 * snapshots are expelled.
 */
void undo_save_locked(region_handle *region, undo_key key, uint64_t place,
                      uint64_t sequence);

/*
 * What a key named when `sequence` was the last: true if it was changed since,
 * and then *ret_place. Without a lock, after the slot has been read. Only for a
 * snapshot that is, after the call, still there.
 */
bool undo_find(const region_handle *region, undo_key key, uint64_t sequence,
               uint64_t *ret_place);

/* Bytes of entries in use, and what they may come to. */
uint64_t undo_bytes(const region_handle *region);
uint64_t undo_limit_bytes(const region_handle *region);

#endif
