/*
 * What somebody sees who looks at the inputs of a merge at one moment: of each
 * key the newest version as of a sequence, in both directions. Keys whose
 * newest version is a tombstone, has expired or is hidden by the deletion of a
 * range are not there.
 *
 * For one thread at a time.
 */
#ifndef CASKADE_ITER_VISIBLE_H
#define CASKADE_ITER_VISIBLE_H

#include "iter/iter_input.h"
#include "iter/iter_ranges.h"

typedef struct iter_visible_options {
    uint64_t sequence;   /* of the moment; UINT64_MAX: the newest */
    iter_bounds bounds;  /* the bytes are borrowed */
    iter_ranges *ranges; /* made for this sequence alone, of all ranges of all
                            inputs; NULL: there are none, and a record that is
                            one is an error */
    iter_expired is_expired; /* NULL: nothing expires */
    void *context;           /* for is_expired */
    size_t shared_bytes;     /* as for iter_merge_create() */
} iter_visible_options;

typedef struct iter_visible iter_visible;

/*
 * Make an iterator, which is nowhere yet.
 *
 *   inputs   the array is copied, what it names is borrowed
 *   options  copied; what it names is borrowed
 *
 * Returns CASK_OK; CASK_NO_MEMORY; CASK_INVALID.
 */
cask_status iter_visible_create(const iter_input *inputs, size_t count,
                                const iter_visible_options *options,
                                iter_visible **ret_iterator, cask_error *err);

/* Accepts NULL; the inputs stay. */
void iter_visible_free(iter_visible *take_iterator);

/*
 * Go to a key; `how` is meant within the bounds.
 *
 *   ret_entry  a put or a pointer; it and its bytes are valid until the
 *              iterator is moved
 *
 * Returns CASK_OK; CASK_NOT_FOUND: there is none; what an input returned;
 * CASK_NO_MEMORY; CASK_INVALID (a range, and none was given). The iterator is
 * nowhere after all but CASK_OK.
 *
 * Cost: as of iter_merge, and all versions on the way. Going back reads the
 * record before the key, too, and copies what is found in inputs that are not
 * stable.
 */
cask_status iter_visible_seek(iter_visible *iterator, cask_run_seek how,
                              cask_slice key, const cask_run_entry **ret_entry,
                              cask_error *err);

/* Go to the key behind, or before. As iter_visible_seek(); CASK_INVALID if the
 * iterator is nowhere. */
cask_status iter_visible_next(iter_visible *iterator,
                              const cask_run_entry **ret_entry,
                              cask_error *err);
cask_status iter_visible_previous(iter_visible *iterator,
                                  const cask_run_entry **ret_entry,
                                  cask_error *err);

#endif
