/*
 * Media that fail: a byte of a record that is wrong, in a segment of an open
 * store. For tests of what merges and opens make of damage.
 */
#ifndef CASKADE_TESTS_FLIP_H
#define CASKADE_TESTS_FLIP_H

#include "caskade.h"
#include "log/segment_format.h"
#include "os/os.h"

typedef struct flip {
    char name[SEGMENT_NAME_SIZE];
    uint64_t offset;
    uint32_t row; /* when it was chosen */
} flip;

/*
 * Choose a byte of a record of a sealed segment that has a hint, so that an
 * open does without the record; a delete each other time, if there is one.
 * False: there is no such segment.
 */
bool flip_choose(cask_db *db, uint64_t choice, flip *ret_flip);

/* Whether the byte is of the record at this place, which the index names. */
bool flip_hits(const flip *f, uint64_t place);

/* Change the byte of the file in the directory `path`, durably; the second time
 * it is as before. Ends the program if it cannot. */
void flip_byte(os *kernel, const char *path, const flip *f);

#endif
