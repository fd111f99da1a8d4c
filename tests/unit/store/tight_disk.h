/*
 * A store on a disk whose last blocks can be taken away, and keys by number in
 * it.
 */
#ifndef CASKADE_TESTS_UNIT_STORE_TIGHT_DISK_H
#define CASKADE_TESTS_UNIT_STORE_TIGHT_DISK_H

#include "unit/db/handle.h"

enum { VALUE_BYTES = 1000 };

/* Fixture for cmocka, not open yet; with handle_teardown(). Files are read and
 * written by calls: the simulator keeps the blocks of what is mapped. */
int tight_disk_prepare(void **state);

cask_slice key_of(unsigned number, char text[32]);

/* The value is VALUE_BYTES times a letter, 'a' + number % 26. */
cask_status put_key(handle *h, unsigned number);

/* From `from` to `to` - 1; all must succeed. */
void put_keys(handle *h, unsigned from, unsigned to);

/* Of the disk; what was removed is free. */
uint64_t used_bytes(handle *h);

/* From now on others have all that is free, but for this. */
void leave_free(handle *h, uint64_t bytes);

/* As much as anybody wants. */
void empty_disk(handle *h);

#endif
