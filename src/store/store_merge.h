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

#include "store/store_expiry.h"

/* Whether the records of a row count: those of all such rows are the log. Two
 * rows agree only while the write lock is held. */
bool store_row_counts(const store_handle *store, uint32_t row);

/*
 * Damage. What can be read of a damaged input is moved as ever, but the segment
 * stays in MANIFEST, marked there, and counts: its hint is what makes the keys
 * of the rest answer CASK_CORRUPT, and never NOT_FOUND or an older value, after
 * the next open too. It is taken as an input again, and goes, when
 *
 *   - no slot of the index points into it, and
 *   - every tombstone of it that is still needed could be read, which only its
 *     hint can tell. A needed one that cannot be read keeps it: without it an
 *     older put of its key, elsewhere, would come back.
 *
 * Without a hint it stays. If its file is restored it is a segment like any
 * other: see store_merge_lift().
 */

/* Whether an input stays after the merge under way; any other row: whether it
 * is damaged. */
bool store_row_is_kept(const store_handle *store, uint32_t row);

/* Whether a merge would find nothing to do in a damaged segment. Write lock
 * held. */
bool store_row_is_quarantined_locked(const store_handle *store, uint32_t row);

/* Whether it can be released, as far as is known. Write lock held. */
bool store_row_may_go_locked(const store_handle *store, uint32_t row);

/* An input cannot be released; abandon the merge, and begin it without it. */
void store_row_hold(store_handle *store, uint32_t index);

/* ---- Pins ---- */

/*
 * Keep every segment that counts now until store_unpin(), in every process; it
 * may be replaced meanwhile. Write lock held. Dropped by the death of the
 * process.
 */
void store_pin_locked(store_handle *store);
void store_unpin(store_handle *store);

/* Whether store_merge_clean() would remove something. Any handle. */
bool store_merge_has_rubbish(store_handle *store);

/*
 * Remove the files of inputs that no snapshot needs. Called by anybody when
 * something may need them no more; takes the merge lock, so nobody who has it
 * may call it. If somebody merges it is left to him: whoever has given the lock
 * back calls this. A handle that only reads leaves it to those that write.
 *
 * Cost: nothing if there are none; else O(segments), and the removals.
 */
void store_merge_tidy(store_handle *store);

/* ---- Merging. All but the first need the merge lock. ---- */

/* Become the only merger of all processes. CASK_BUSY: somebody is. */
cask_status store_merge_lock(store_handle *store, cask_error *err);
void store_merge_unlock(store_handle *store);

/* The pid of the process that had it last, or has it; 0: none did. */
uint32_t store_merge_holder(const store_handle *store);

/*
 * What a merger that died left: its outputs are dropped, unless the MANIFEST
 * lists them; then the phase is MERGE_MOVING afterwards, to be gone on with.
 * Also removes files that a process made and died before it could say so.
 */
cask_status store_merge_inherit(store_handle *store, cask_error *err);

/*
 * Begin to copy `count` rows, which count and are sealed; quarantined ones in
 * which there is nothing to do are left out. CASK_BUSY: one is not sealed, for
 * somebody else has merged it since it was chosen.
 *
 *   ret_inputs  how many are not left out
 */
cask_status store_merge_begin(store_handle *store, const uint32_t *rows,
                              size_t count, uint64_t *ret_inputs,
                              cask_error *err);

/* Create an output with room for `capacity` bytes. */
cask_status store_merge_output(store_handle *store, uint64_t capacity,
                               uint32_t *ret_row, cask_error *err);

/*
 * End the quarantine of segments of which every byte verifies: the operator has
 * restored the file. Only if the index was made with all of its records, from
 * the hint or from the restored file: others would be lost. MANIFEST says so
 * when it is written anew. Nothing if a merge that died is to be completed.
 *
 * Cost: reads all quarantined segments.
 */
void store_merge_lift(store_handle *store);

/* Enter the outputs, which are whole and synced, into the MANIFEST in place of
 * the inputs. From then on the merge is to be completed. */
cask_status store_merge_replace(store_handle *store, cask_error *err);

/* Nothing leads to the inputs any more. */
cask_status store_merge_finish(store_handle *store, cask_error *err);

/*
 * An output turned out to be damaged while the index was led to it: the inputs
 * go back into MANIFEST beside the outputs, and all of them count. Records that
 * are in both are the same; the damaged output's count less at the next open.
 */
cask_status store_merge_keep_inputs(store_handle *store, cask_error *err);

/* What store_merge_tidy() does, for who has the merge lock. */
void store_merge_clean(store_handle *store);

/*
 * Remove what MANIFEST does not list of a merge or a flush that died, and all
 * that merges have replaced. For the last handle, when nobody will look at
 * the region again; open lock and maintenance lock held.
 */
cask_status store_merge_leave(store_handle *store, cask_error *err);

/* ---- Windows (store_window.c) ---- */

/* Whether merge_window is open for this handle: it opens a little later for
 * each, by its jitter. */
bool store_window_is_open(const store_handle *store);

/* The same for a handle of that jitter. */
bool store_window_is_open_for(const store_handle *store, uint32_t jitter_ms);

/* From now on, or no more, the merge of this handle is to stop when the window
 * closes. */
void store_window_bind(store_handle *store, bool is_bound);

/* Called now and then: stop a merge that is bound if the window is closed. */
void store_window_watch(store_handle *store);

/* Whether a merge goes on, by a process that lives. Needs no lock; a system
 * call if one seems to. */
bool store_merge_is_under_way(store_handle *store);

/* Whether to stop: this handle closes, its window has closed, or somebody asks
 * since the begin. */
bool store_merge_is_cancelled(const store_handle *store);

/*
 * Note, as MANIFEST has them, the bytes of segments that have left the store.
 * Write lock held, or nobody uses the region yet.
 */
void store_note_past_locked(store_handle *store, const manifest_header *header);

/* Where the records of a row end, a moment ago. */
uint64_t store_row_end(const store_handle *store, uint32_t index);

/* Of the segments that count: bytes of their files up to the end of records,
 * of those records that live, and of these that have expired by `expiry`,
 * believed or not, at least; NULL: not wanted. Write lock held, or the index is
 * the handle's own. */
typedef struct store_space {
    uint64_t total_bytes;
    uint64_t live_bytes;
    uint64_t expired_bytes;
} store_space;
store_space store_space_locked(const store_handle *store,
                               const store_expiry *expiry);

/* Bytes that operations have written to the log, and that merges have written
 * to segments in place of others, or flushes and compactions to runs, since the
 * store was made. Write lock held, or
 * the index is the handle's own. */
typedef struct store_totals {
    uint64_t log_bytes;
    uint64_t merge_bytes;
} store_totals;
store_totals store_totals_locked(const store_handle *store);

/* Wake the merging threads of all processes, and a merge that waits; no lock.
 */
void store_merge_wake(store_handle *store);

#endif
