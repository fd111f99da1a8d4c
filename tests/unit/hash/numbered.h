/*
 * A store of small segments on a simulated disk, with keys by number: some
 * hundred of their values fill several segments. Nothing merges by itself.
 */
#ifndef CASKADE_TESTS_UNIT_HASH_NUMBERED_H
#define CASKADE_TESTS_UNIT_HASH_NUMBERED_H

#include "unit/db/handle.h"

enum { KEYS = 200, VALUE_BYTES = 2000 };

/* Fixture for cmocka, with handle_teardown(). */
int small_segments(void **state);

/* The value is VALUE_BYTES times `fill`. */
void put_key(cask_db *db, unsigned number, char fill);
void delete_key(handle *h, unsigned number);

#endif
