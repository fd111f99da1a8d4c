/*
 * What flushes and compactions have in common: which moments of the store are
 * looked at, and the files that they write.
 */
#ifndef CASKADE_TREE_OUTPUT_H
#define CASKADE_TREE_OUTPUT_H

#include "run/run_writer.h"
#include "store/store.h"
#include "tree/values_output.h"

/* As iter_moments wants them: the sequences of all snapshots, and the
 * present. */
typedef struct tree_moments {
    uint64_t at[REGION_SNAPSHOTS + 1];
    size_t count;
} tree_moments;

/* Find them. A snapshot that is taken later sees all that is in runs, and in
 * memtables that take nothing more, as the present does. */
void tree_moments_find(const store_handle *store, tree_moments *ret_moments);

/*
 * Begin the file of a new run, or of a run of values. Merge lock held.
 *
 *   born  the last sequence that may be in it
 *
 * Statuses of version_new_run() and run_writer_create().
 */
cask_status tree_run_create(store_handle *store, uint64_t born,
                            uint64_t *ret_id, cask_run_writer **ret_writer,
                            cask_error *err);
cask_status tree_values_create(store_handle *store, uint64_t born,
                               uint64_t *ret_id, cask_run_writer **ret_writer,
                               cask_error *err);

/* Remove a file that nothing has come of. Best effort: the next turn removes
 * what MANIFEST does not name. */
void tree_run_discard(store_handle *store, uint64_t id);

/* Values apart, by the settings in force. */
values_output tree_values_output(const store_handle *store, values_files files);

#endif
