/*
 * Golden edits of a MANIFEST, and what all of them must stand.
 */
#ifndef CASKADE_TEST_GOLDEN_EDITS_H
#define CASKADE_TEST_GOLDEN_EDITS_H

#include "log/manifest_format.h"

typedef struct golden_edits {
    const uint8_t *bytes;       /* of all, one behind the other */
    uint64_t at;                /* where they are in the golden MANIFEST */
    const manifest_edit *edits; /* what they say; the crc32c of a MANIFEST_RUNS
                                   may be left out */
    size_t count;
} golden_edits;

manifest_seed golden_edits_seed(const golden_edits *golden, size_t index);

/* They are written and read as they are. */
void golden_edits_are_read(const golden_edits *golden);

/* Each of them is refused with any byte flipped, and cut anywhere. */
void golden_edits_are_swept(const golden_edits *golden);

/* Edit `index` with another operand, 0 .. 3, and the checksum made right is
 * refused with `status`; `part` occurs in the message. */
void golden_edits_refuse(const golden_edits *golden, size_t index, int operand,
                         uint64_t value, cask_status status, const char *part);

/* Numbers and bytes that a type does not use are the same in both. */
void assert_edit_equal(const manifest_edit *a, const manifest_edit *b);

#endif
