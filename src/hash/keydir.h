/*
 * The keydir: every key's newest place, in shared memory.
 *
 * A slot is 16 bytes, {tag, place}; the key itself stays in the log. Slots live
 * in groups, found through a directory by extendible hashing. Slots never move
 * inside a group; a group that is too full is copied into larger memory or into
 * two, and the copy is published by its directory words.
 *
 * Any number of readers, in any process, take no lock and write nothing. All
 * writers hold the region's write lock.
 *
 * Source: Fagin et al., Extendible Hashing (1979); the skewed choice of shards
 * is Martin's Spiral Storage (1979). See docs/decisions/0003-keydir.md.
 */
#ifndef CASKADE_KEYDIR_H
#define CASKADE_KEYDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "region/region.h"

/* Where a key may be. */
typedef struct keydir_hash {
    uint64_t tag;   /* never 0 */
    uint32_t shard; /* 0 .. KEYDIR_SHARDS-1 */
} keydir_hash;

enum { KEYDIR_SHARD_BITS = 8, KEYDIR_SHARDS = 1 << KEYDIR_SHARD_BITS };

/* Set up an empty keydir in a new region. Its heap has room for it. */
cask_status keydir_create(region_handle *region, cask_error *err);

/* The keydir's use of the hash of a key. */
keydir_hash keydir_hash_of(siphash_value value);

/*
 * Find the place of the key with this hash.
 *
 * Returns false if there is none, or if it is where this process has not mapped
 * the index: without the write lock, who takes "none" for a fact looks at
 * region_is_covered() afterwards. Else the place, of a live record or, after a
 * delete, of a tombstone. A place is a hint: the record it names must be
 * verified and its key compared.
 */
bool keydir_find(const region_handle *region, keydir_hash hash,
                 uint64_t *ret_place);

/* Bring what keydir_find() will need into the cache. */
void keydir_prefetch(const region_handle *region, keydir_hash hash);

/* Lines that `count` calls of keydir_slot_locked() may take at the very most;
 * pass it to region_reserve() before taking the lock. */
uint64_t keydir_reserve_lines(const region_handle *region, uint64_t count);

/* A slot of the keydir that a writer may store to. */
typedef struct keydir_slot keydir_slot;

/*
 * Find the slot of a key, or one where it may be entered; the lock is held and
 * heap_available() was at least keydir_reserve_lines().
 *
 *   ret_place  what the slot holds for this key, 0 if it is not entered
 */
keydir_slot *keydir_slot_locked(region_handle *region, keydir_hash hash,
                                uint64_t *ret_place);

/* Publish `place` in the slot of keydir_slot_locked(). Idempotent. */
void keydir_store_locked(keydir_slot *slot, keydir_hash hash, uint64_t place);

/* Finish what a dead writer began. The lock is held. */
void keydir_finish_locked(region_handle *region);

/* For fewer keys growth is as good. */
enum { KEYDIR_PRESIZE_LEAST = 32768 };

/* Lines that a keydir made ready for `count` keys takes; pass it to
 * region_reserve(). 0: it is better left as it is, since something was entered,
 * or the keys are few. */
uint64_t keydir_presize_lines(const region_handle *region, uint64_t count);

/*
 * Make a keydir in which nothing was entered ready for about `count` keys, so
 * that entering them causes few copies; the lock is held. Does nothing if
 * keydir_presize_lines() is 0 by now, or that memory is not there.
 */
void keydir_presize_locked(region_handle *region, uint64_t count);

/* Both, in a region that nobody else uses yet. Statuses of region_reserve(). */
cask_status keydir_presize(region_handle *region, uint64_t count,
                           cask_error *err);

#endif
