/*
 * Parts of a fold: ranges of sequences, of about as many bytes each.
 */
#ifndef CASKADE_FOLD_RANGE_H
#define CASKADE_FOLD_RANGE_H

#include "store/store_snapshot.h"

typedef struct fold_range {
    uint64_t begin; /* the first sequence of the part */
    uint64_t end;   /* the first of the next one */
} fold_range;

/*
 * The range of one part. All ranges of a snapshot together are all sequences,
 * without overlaps: whoever asks for the same number of parts gets the same.
 *
 *   part  0 .. parts - 1
 *
 * Returns CASK_OK; if a segment cannot be looked into, as store_map_row().
 *
 * Cost: of more than one part, eight records for each are looked for, at most
 * some thousand; none in CASK_IO_PREAD, where parts begin where segments do.
 */
cask_status fold_range_of(const store_snapshot *snapshot, uint32_t part,
                          uint32_t parts, fold_range *ret_range,
                          cask_error *err);

#endif
