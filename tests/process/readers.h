/*
 * What each kind of reader of a handle sees of one key.
 */
#ifndef CASKADE_TESTS_READERS_H
#define CASKADE_TESTS_READERS_H

#include "caskade.h"

/*
 * The number that is the value of `key`, 8 bytes; 0: there is none. Fails the
 * test unless cask_get(), get_many, exists, view, a snapshot, an iterator and
 * cask_range() say the same, one after another.
 */
uint64_t readers_see(cask_db *db, cask_slice key);

#endif
