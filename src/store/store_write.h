/*
 * Writing to an open store: appending, making room, syncing.
 */
#ifndef CASKADE_STORE_WRITE_H
#define CASKADE_STORE_WRITE_H

#include "store/store_settings.h"

/* ---- Appending (store_append.c) ---- */

/* Open the active row for appending if this handle has not yet; the write lock
 * is held, and the call may use the kernel. */
cask_status store_open_active_locked(store_handle *store, cask_error *err);

/* A reference to the active segment, or release of one; accepts NULL. */
store_active *store_active_acquire_locked(store_handle *store);
void store_active_release(store_handle *store, store_active *active);

/* One record to append: header fields without sequence and crc. */
typedef struct store_record {
    record_header header;
    uint32_t body_crc;
    uint64_t expires_at_ms; /* if header.type says so */
    cask_slice key;
    cask_slice value;
    siphash_value hash; /* of the key */
} store_record;

/* Bytes that the records take, and the mark before them. */
uint64_t store_records_size(const store_record *records, size_t count);

/*
 * Append records as one operation and apply them to the index. The write lock
 * is held, the active segment open and fitting, the engine has room.
 *
 *   ret_sequence  of the last record
 *
 * Returns CASK_OK; CASK_NO_SPACE or CASK_IO: nothing was applied and the tail
 * is as before.
 */
cask_status store_append_locked(store_handle *store, store_record *records,
                                size_t count, uint64_t *ret_sequence,
                                cask_error *err);

/* A record is in the log and the index cannot take it: nobody may write behind
 * it, until the index is made anew. CASK_POISONED, with what to do. */
cask_status store_fail_unapplied(store_handle *store, cask_error *err);

/* What is to be written back early; nothing if `active` is NULL. */
typedef struct store_writeback {
    store_active *active; /* a reference */
    uint64_t offset;
    uint64_t size; /* bytes */
} store_writeback;

/*
 * What this handle wrote is to reach the device while more is written: else all
 * of a segment is left for the sync before the next one, which writers wait
 * for. Rarely more than nothing.
 *
 * take: with the write lock held, after an append. begin: without it, since the
 * call may wait for a device that is behind.
 */
store_writeback store_writeback_take_locked(store_handle *store);
void store_writeback_begin(store_handle *store, store_writeback writeback);

/* Zero a range of the active segment; an errno value. */
int store_zero_active(store_handle *store, uint64_t offset, uint64_t size);

/* When less was written since the last sync, the next one costs less than
 * making pages present again. */
enum { STORE_LET_GO_BYTES = 16 << 10 };

/*
 * Take the pages that were made present out of this handle's mapping: a sync
 * that finds them there takes write access from one at a time, and interrupts
 * all processors that run this process for each. The next write brings back
 * what is ahead. The write lock is held, the active segment open.
 */
void store_let_go_locked(store_handle *store);

/*
 * Bytes of the active segment that puts leave free, for deletes: they go on for
 * a while when the disk is full, some thousands in a segment of 256 MiB.
 */
static inline uint64_t store_delete_reserve(const store_handle *store)
{
    uint64_t bytes = store_segment_max_bytes(store) / 64;
    const uint64_t most = 256 << 10;

    return bytes < most ? bytes : most;
}

/* Whether `bytes` fit into what is allocated of the active segment. */
bool store_fits_locked(const store_handle *store, uint64_t bytes);

/* ---- Room: growth, rotation (store_room.c) ---- */

/*
 * Make `bytes` fit: grow the active segment, or rotate to the next. No lock is
 * held. Returns CASK_OK (look again: others may have used it up); CASK_NO_SPACE
 * (nothing written); CASK_IO; CASK_POISONED.
 *
 *   must  on a full disk hints are given up for it: it gives space back
 */
cask_status store_make_room(store_handle *store, uint64_t bytes, bool must,
                            cask_error *err);

/* Seal the active segment, if it holds a record, and go on in the next.
 * CASK_OK; CASK_NO_SPACE; CASK_IO; CASK_POISONED; CASK_TIMEOUT. */
cask_status store_rotate(store_handle *store, cask_error *err);

/* Whether a next segment should be prepared, and do it (worker). */
bool store_wants_next(const store_handle *store);
cask_status store_prepare_next(store_handle *store, cask_error *err);

/* Append one edit to the MANIFEST; maintenance lock held. A failed sync poisons
 * the store. */
cask_status store_edit(store_handle *store, manifest_edit *edit,
                       cask_error *err);

/*
 * Append a version of the tree to the MANIFEST; maintenance lock held. On
 * failure nothing has changed, but after CASK_POISONED.
 */
cask_status store_edit_runs(store_handle *store, const manifest_change *change,
                            cask_error *err);

/* Tell all processes the version that MANIFEST has, durably. Merge and
 * maintenance lock held, or nobody uses the region yet. */
void store_publish_runs(store_handle *store, const manifest_state *manifest);

/*
 * Write the MANIFEST anew as `manifest`, which was loaded from it and changed;
 * maintenance lock held. Fails without a change, or with CASK_POISONED.
 */
cask_status store_rewrite_manifest(store_handle *store,
                                   manifest_state *manifest, cask_error *err);

/* Whether so many edits for so many segments and runs are many more than the
 * two for each that are needed: more than twice that and `spare`. On a disk
 * that is low `spare` does not count: more than two for each and some. */
bool store_manifest_is_long(store_handle *store, uint64_t edits,
                            uint64_t segments, uint64_t spare);

/* Write it anew if it has become long; maintenance lock held. */
cask_status store_shorten_manifest(store_handle *store, cask_error *err);

/* An id for a file, which no other ever gets; maintenance lock held. */
cask_status store_take_id(store_handle *store, uint64_t *ret_id,
                          cask_error *err);

/* What a new segment is to be. */
typedef struct row_plan {
    segment_kind kind;
    region_row_state state;
    uint64_t born;     /* see segment_header */
    uint64_t capacity; /* bytes to allocate */
} row_plan;

/* Create a segment in a free row. Maintenance lock held. */
cask_status store_create_row(store_handle *store, const row_plan *plan,
                             uint32_t *ret_row, cask_error *err);

/* The row that is to follow the active one, in the MANIFEST or not yet;
 * UINT32_MAX: there is none. Maintenance lock held. */
uint32_t store_prepared_row(const store_handle *store);

/* Make sure that there is a next row, with room for `bytes`; maintenance lock
 * held.
 *
 *   must  it may take what puts leave of the disk, for deletes and merges; if
 *         `bytes` wait for it, on a full disk a small one will do */
cask_status store_ensure_next(store_handle *store, uint64_t bytes, bool must,
                              cask_error *err);

/* Let the next row take over from the active one, which ends at `tail` and is
 * synced up to there; write lock held. Returns the old row. */
uint32_t store_switch_locked(store_handle *store, uint64_t tail,
                             uint64_t next_tail);

/* Write the SEAL edit and the footer of row `index`, which was synced. */
cask_status store_seal_row(store_handle *store, uint32_t index,
                           cask_error *err);

/* ---- Sync (store_sync.c) ---- */

/* Return when everything up to `sequence` is durable. CASK_OK; CASK_POISONED;
 * CASK_TIMEOUT; CASK_IO. */
cask_status store_sync_to(store_handle *store, uint64_t sequence,
                          cask_error *err);

/* Sync everything written so far. */
cask_status store_sync_all(store_handle *store, cask_error *err);

/*
 * Be the one that syncs, until store_lead_end(): waits for whoever leads, and
 * takes over from the dead. Comes before the maintenance lock.
 */
cask_status store_lead_begin(store_handle *store, cask_error *err);
void store_lead_end(store_handle *store);

/* Sync what was written so far; the caller leads and holds the maintenance
 * lock. */
cask_status store_sync_leading(store_handle *store, cask_error *err);

/* Whether this handle's descriptor of the active segment hears of every failure
 * there was to sync it; else its tail must be moved. Write lock held, active
 * segment open. */
bool store_can_vouch_locked(const store_handle *store);

#endif
