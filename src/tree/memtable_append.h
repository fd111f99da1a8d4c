/*
 * Putting entries behind all others of a memtable, several at once.
 */
#ifndef CASKADE_MEMTABLE_APPEND_H
#define CASKADE_MEMTABLE_APPEND_H

#include "tree/memtable.h"

/*
 * Put entries whose keys rise, behind all others, with one store that publishes
 * them all; as memtable_aim_locked() and memtable_store_locked() for each,
 * under the same lock.
 *
 *   puts  sequences that follow each other; `snapshot` is not looked at, as
 *         their keys have no other entries
 *
 * Returns how many of them, from the first on: as many as fit into the last
 * leaf and are told by their heads. 0: aim for the first one.
 */
size_t memtable_append_locked(const memtable_view *view,
                              const memtable_put *puts, size_t count);

/* How many it may take if the first is of `key`; 0 for most keys that do not
 * rise. */
size_t memtable_append_room_locked(const memtable_view *view, cask_slice key);

#endif
