/*
 * Damaging the files of a tree, and what of its keys is still there: those of
 * name_of(), whose values are text_of() of a round. Every helper fails the test
 * if a call fails.
 */
#ifndef CASKADE_TESTS_UNIT_TREE_DAMAGED_H
#define CASKADE_TESTS_UNIT_TREE_DAMAGED_H

#include "unit/db/handle.h"

/* Keys from .. to - 1. */
void put_range(handle *h, unsigned round, unsigned from, unsigned to);
void check_range(handle *h, unsigned round, unsigned from, unsigned to);
void delete_keys(handle *h, unsigned from, unsigned to);

/* Reads of these keys say which file is damaged. */
void check_damaged(handle *h, const char *file, unsigned from, unsigned to);

/* For cask_range(): counts in an unsigned. */
bool count_one(void *context, const cask_entry *entry);

/* What cask_get() returns, and cask_range() over these keys. */
cask_status get_status(handle *h, const char *key, cask_error *err);
cask_status count_from(handle *h, unsigned from, unsigned to);

/* Change a byte of a file, or change it back; counted from the end if `at` is
 * negative. */
void flip(handle *h, const char *name, int64_t at);

#endif
