/*
 * A disk that is full: what the store can do without, so that it can be opened
 * to write, keys be deleted, and segments be merged, which gives space back.
 */
#ifndef CASKADE_STORE_SHORTAGE_H
#define CASKADE_STORE_SHORTAGE_H

#include "store/store.h"

/* Whether something failed because the disk, or a quota, is full: not for
 * memory, nor for the size of a file. */
bool store_is_disk_full(const cask_error *err);

/* Bytes of the disk that this user may still take; if nobody can tell, there is
 * room: UINT64_MAX. */
uint64_t store_free_bytes(store_handle *store);

/* Whether so little is free that nothing is taken that can wait: what has been
 * allocated is kept at a close, and no hint is written. */
bool store_is_disk_low(store_handle *store);

/*
 * Bytes of the disk that may be taken for puts: the rest, 4 MiB or a 16th of
 * the disk, whichever is less, is for deletes, merges and the MANIFEST, without
 * which no space would ever come back. UINT64_MAX: nobody can tell.
 */
uint64_t store_spare_bytes(store_handle *store);

/* The error for what would take `bytes` of that and is not there. */
cask_status store_fail_low(const store_handle *store, uint64_t bytes,
                           cask_error *err);

/* Files were removed on a disk that is low: their space is free for sure when
 * that is durable. False: it could not be synced, and the store is poisoned. */
bool store_release_space(store_handle *store);

/* Whether every byte of a sealed row verifies; how many puts and deletes that
 * are, if it does. Cost: reads it. */
bool store_row_is_whole(store_handle *store, uint32_t row,
                        uint64_t *ret_records);

/* Whether a hint of this row may be written: there is room besides. */
bool store_has_room_for_hint(store_handle *store, uint32_t row);

/*
 * Remove the largest hint that says nothing but what its segment does; it is
 * written again when there is room. Of a damaged segment it says more, so the
 * segment is read first, all of it. Maintenance lock held, or nobody else uses
 * the region. False: there is none left.
 */
bool store_give_up_hint(store_handle *store);

/* Whether what failed so may be tried again: the disk was full, and a hint was
 * given up for it. */
bool store_makes_room(store_handle *store, cask_status status,
                      const cask_error *err);

/* About how many bytes that gives back in all. */
uint64_t store_hint_bytes(const store_handle *store);

/* Let go of the room that is kept behind MANIFEST, for a merge, which gives
 * more back: false if there is none. And take it again, on a disk that is low;
 * else the next edit does. */
bool store_give_up_spare(store_handle *store);
void store_keep_spare(store_handle *store);

#endif
