/*
 * Damage in one segment of a store of numbered keys, and what merges make of
 * it.
 */
#ifndef CASKADE_TESTS_UNIT_HASH_DAMAGED_H
#define CASKADE_TESTS_UNIT_HASH_DAMAGED_H

#include "unit/hash/numbered.h"

enum { DAMAGED = '!', DAMAGED_OFFSET = 200 };

void put_all(handle *h, char fill);

/* What a key's value is filled with; 0: absent; DAMAGED. */
char fill_of(handle *h, unsigned number);

/* All keys have this value, but for one. */
void expect_all(handle *h, char fill, unsigned other, char other_fill);

cask_status try_merge_all(handle *h, cask_merge_report *ret_report);

/* How many segments are quarantined; the row of the last. */
unsigned quarantined(handle *h, cask_segment_stats *ret_segment);

/* Flip a bit of a segment; a second time: it is right again. */
void damage(handle *h, uint64_t id, uint64_t offset);

/* Whether the segment's file is there. */
bool is_there(handle *h, uint64_t id);

/* Damage the first record of the segment that `key` is in, and is first in, at
 * DAMAGED_OFFSET; returns its id. */
uint64_t damage_first_of(handle *h, char fill, unsigned *ret_key);

/* A store of two values of each key, one of the newer damaged, with hints. */
uint64_t begin_damaged(handle *h, unsigned *ret_key);

#endif
