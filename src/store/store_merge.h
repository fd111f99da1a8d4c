/*
 * What a merge does to segments, whatever the engine: outputs come, take the
 * place of inputs in the MANIFEST at once, and inputs go when nobody can read
 * them any more.
 *
 *   copying   outputs are filled and synced; they do not count
 *   moving    the MANIFEST lists the outputs and not the inputs; the index is
 *             led from these to those
 *
 * The merger may die at any instruction. Who comes next drops the outputs in
 * the first phase and goes on in the second: see store_merge_inherit().
 */
#ifndef CASKADE_STORE_MERGE_H
#define CASKADE_STORE_MERGE_H

#include "store/store.h"

/* Whether the records of a row count: those of all such rows are the log. Two
 * rows agree only while the write lock is held. */
bool store_row_counts(const store_handle *store, uint32_t row);

/* ---- Pins ---- */

/*
 * Keep every segment that counts now until store_unpin(), in every process; it
 * may be replaced meanwhile. Write lock held. Dropped by the death of the
 * process.
 */
void store_pin_locked(store_handle *store);
void store_unpin(store_handle *store);

/* ---- Merging. All but the first need the merge lock. ---- */

/* Become the only merger of all processes. CASK_BUSY: somebody is. */
cask_status store_merge_lock(store_handle *store, cask_error *err);
void store_merge_unlock(store_handle *store);

/*
 * What a merger that died left: its outputs are dropped, unless the MANIFEST
 * lists them; then the phase is MERGE_MOVING afterwards, to be gone on with.
 */
cask_status store_merge_inherit(store_handle *store, cask_error *err);

/* Begin to copy `count` rows, which count and are sealed. */
cask_status store_merge_begin(store_handle *store, const uint32_t *rows,
                              size_t count, cask_error *err);

/* Create an output with room for `capacity` bytes. */
cask_status store_merge_output(store_handle *store, uint64_t capacity,
                               uint32_t *ret_row, cask_error *err);

/* Enter the outputs, which are whole and synced, into the MANIFEST in place of
 * the inputs. From then on the merge is to be completed. */
cask_status store_merge_replace(store_handle *store, cask_error *err);

/* Nothing leads to the inputs any more. */
cask_status store_merge_finish(store_handle *store, cask_error *err);

/* Give up while copying. */
void store_merge_abandon(store_handle *store);

/* Remove the files of inputs that nobody has pinned. */
void store_merge_clean(store_handle *store);

/* Whether to stop: this handle closes, or somebody asks. */
bool store_merge_is_cancelled(const store_handle *store);

#endif
