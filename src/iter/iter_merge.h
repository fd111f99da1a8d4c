/*
 * All records of any number of sorted inputs, in order, in both directions: by
 * key, of one key by falling sequence, of the same sequence by the inputs'
 * order. Nothing is left out, see iter_visible.h and iter_survivors.h for that.
 *
 * For one thread at a time.
 *
 * Source: Knuth, The Art of Computer Programming 3, 5.4.1 (tree of losers).
 */
#ifndef CASKADE_ITER_MERGE_H
#define CASKADE_ITER_MERGE_H

#include "iter/iter_input.h"

typedef struct iter_merge iter_merge;

/*
 * Make a merge, which is nowhere yet.
 *
 *   inputs        0 or more; the array is copied, what it names is borrowed
 *   shared_bytes  all keys of all inputs begin with the same so many bytes:
 *                 comparing goes by the 8 bytes behind them; 0 is always right
 *
 * Returns CASK_OK; CASK_NO_MEMORY; CASK_INVALID (2^31 inputs or more).
 */
cask_status iter_merge_create(const iter_input *inputs, size_t count,
                              size_t shared_bytes, iter_merge **ret_merge,
                              cask_error *err);

/* Accepts NULL; the inputs stay. */
void iter_merge_free(iter_merge *take_merge);

/*
 * Go to a record: of CASK_RUN_AT_LEAST the first version of the key or of a
 * later one, of CASK_RUN_AT_MOST the last.
 *
 * Returns CASK_OK; CASK_NOT_FOUND: there is none; what an input returned.
 * The merge is nowhere after all but CASK_OK.
 *
 * Cost: a seek of each input, and a comparison.
 */
cask_status iter_merge_seek(iter_merge *merge, cask_run_seek how,
                            cask_slice key, cask_error *err);

/*
 * Go to the record behind, or before. As iter_merge_seek(); CASK_INVALID if
 * the merge is nowhere.
 *
 * Cost: a step of one input and log2(count) comparisons; a change of direction
 * moves all inputs.
 */
cask_status iter_merge_next(iter_merge *merge, cask_error *err);
cask_status iter_merge_previous(iter_merge *merge, cask_error *err);

/*
 * Leave out what nobody wants: inputs that have nothing as new as `sequence` go
 * on to `key`, in the direction in which the merge goes, if they are not there
 * yet: to the first record at it or behind, or, going back, to the last one at
 * it or before. As iter_merge_seek(). If the merge turns afterwards, it may
 * meet what was left out.
 *
 * Cost: a seek of each of these inputs, and a comparison of all.
 */
cask_status iter_merge_skip(iter_merge *merge, cask_slice key,
                            uint64_t sequence, cask_error *err);

/* The record where the merge is; valid until it is moved. */
const cask_run_entry *iter_merge_entry(const iter_merge *merge);

/* The input that it is of, and whether its bytes outlast the next move. */
size_t iter_merge_input(const iter_merge *merge);
bool iter_merge_is_stable(const iter_merge *merge);

#endif
