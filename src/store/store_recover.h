/*
 * What happens after a death, of one process or of all, and in the background.
 */
#ifndef CASKADE_STORE_RECOVER_H
#define CASKADE_STORE_RECOVER_H

#include "base/distinct.h"
#include "log/hint_format.h"
#include "store/store.h"
#include "store/store_read.h"

/* ---- Recovery (store_recover.c, store_load.c, store_tail.c) ---- */

/* Redo what the dead owner of the write lock had appended; the lock is held. */
cask_status store_redo_locked(store_handle *store, cask_error *err);

/*
 * Move the unsynced tail of the active segment to the next one and let that
 * take over, because nobody can tell whether a sync of the old one succeeded.
 * Syncs under the write lock: rare, and short of an alternative.
 *
 *   maintained  the maintenance lock is held already
 */
cask_status store_move_tail(store_handle *store, bool maintained,
                            cask_error *err);

/* What becomes of one copied record; see store_copy_records(). False: the index
 * cannot take it. */
typedef bool (*store_copied_fn)(store_handle *store, const scan_item *item,
                                uint64_t from_place, uint64_t to_place,
                                uint64_t to_tail);

typedef struct store_copy {
    segment_scan scan;      /* of the records to be copied */
    uint32_t from;          /* row that they are in */
    uint32_t to;            /* row that takes them */
    os_file *file;          /* of `to`, open for writing; borrowed */
    store_copied_fn copied; /* called for each, once all are synced */
} store_copy;

/* Copy the records that the scan finds, marks left out, to the row `to`, from
 * its header on; sync it; then call `copied` for each. ret_end: the end of the
 * copies. CASK_OK; CASK_NO_MEMORY; CASK_POISONED; CASK_NO_SPACE; CASK_IO. */
cask_status store_copy_records(store_handle *store, const store_copy *copy,
                               uint64_t *ret_end, cask_error *err);

/* The part of recovery that loads segments (store_load.c). */
typedef struct store_tail {
    manifest_segment segment; /* as the MANIFEST lists it */
    os_file *file;            /* of the segment; NULL: none */
    store_bytes bytes;
    uint64_t trusted_end;                   /* synced up to here */
    uint64_t end;                           /* of the last verified operation */
    uint64_t first_sequence, last_sequence; /* 0: no records verify */
    uint64_t unsynced;                      /* records behind trusted_end */
    uint64_t lost; /* bytes behind `end`, if whole records are in them */
    bool used;     /* it holds records, or did */
    bool clean;    /* ends with a mark of everything before it */
    bool is_blank; /* only zeros behind `end` */
    bool is_sound; /* nothing before `end` is damaged */
} store_tail;

/* Look at an unsealed segment and keep it open. */
cask_status store_tail_examine(store_handle *store,
                               const manifest_segment *segment,
                               store_tail *ret_tail, cask_error *err);
void store_tail_free(store_handle *store, store_tail *tail);

/* The rows of a sealed segment's hint, behind its header; free the bytes.
 * CASK_OK; CASK_NOT_FOUND: there is no usable hint; CASK_IO. */
cask_status store_hint_load(store_handle *store,
                            const manifest_segment *segment,
                            store_bytes *ret_bytes, hint_header *ret_header,
                            cask_error *err);

/* Count the keys that a segment's hint names. */
void store_count_keys(store_handle *store, const manifest_segment *segment,
                      distinct_counter *counter);

/* A segment whose records are being applied. */
typedef struct load_source {
    uint32_t row;
    uint64_t sequence;      /* of the next record; UINT64_MAX: no more */
    uint64_t last_sequence; /* by hint: of the segment; else so far */
    bool by_hint;
    bool is_quarantined;
    uint64_t sealed_last; /* of a sealed segment: its last sequence; else 0 */
    store_bytes hint;
    hint_header header;
    uint64_t next_row; /* of the hint */
    store_bytes data;
    segment_scan scan;
    scan_item item; /* the next record */
} load_source;

/* Set up row `row` for a segment and find its first record below `length`.
 * Close the source in any case. */
cask_status load_source_open(store_handle *store, load_source *source,
                             uint32_t row, const manifest_segment *segment,
                             cask_error *err);

/* Apply its records with sequences below `limit`. */
cask_status load_source_run(store_handle *store, load_source *source,
                            uint64_t limit, cask_error *err);
void load_source_close(store_handle *store, load_source *source);

/*
 * Remove what processes that died have left; with a private index only judge
 * it (store_leftovers.c). CASK_CORRUPT: a file holds more than the MANIFEST
 * knows of.
 */
cask_status store_sweep_leftovers(store_handle *store,
                                  const manifest_state *manifest,
                                  cask_error *err);

/*
 * The same in a store that is open, best effort: segments and hints of which
 * neither MANIFEST nor a row of the region knows, because who made them died
 * before it could say so; hints that nobody writes any more; `*.new`.
 * Maintenance lock held, so that nobody makes any; nothing is done if LOCK was
 * replaced, so that it does not mean that.
 */
void store_sweep_unknown(store_handle *store, const manifest_state *manifest);

/*
 * That, if a process has died that wrote, and unless files are to be kept: then
 * another time. Takes the maintenance lock. Cost: nothing if nobody has died;
 * else a listing of the directory.
 */
void store_sweep(store_handle *store);

/* False: somebody has removed or replaced LOCK. Those who have the old file
 * open and those who have the new one keep each other from nothing then, and
 * seem dead to each other: what is being made looks like a leftover. */
bool store_lock_is_for_all(store_handle *store);

/*
 * (store_runs.c) Remove files of runs that MANIFEST does not name, whole ones
 * and such as were being written: left by a process that died, or kept for a
 * reader. Nobody writes runs: the merge lock is held, or nobody else uses the
 * store. Nothing of a store without runs, and nothing that is not this store's.
 *
 *   is_open  by others too; nothing is done if LOCK was replaced
 *   ret_all  none is left
 *
 * Returns CASK_OK; CASK_CORRUPT: there is a run that this MANIFEST cannot have
 * given an id to; CASK_IO.
 */
cask_status store_sweep_runs(store_handle *store,
                             const manifest_state *manifest, bool is_open,
                             bool *ret_all, cask_error *err);

/* Whether the file of each run is there and has its length. CASK_OK;
 * CASK_CORRUPT; CASK_IO. Cost: a system call for each. */
cask_status store_check_runs(store_handle *store,
                             const manifest_state *manifest, cask_error *err);

/* Give up the slots of handles that died, with what these had claimed; raise
 * `sweep` if one of them wrote (store_process.c). Cost: a system call for each
 * open handle. */
void store_bury_dead(store_handle *store);

/* Fill a new region from the files. */
cask_status store_recover(store_handle *store, cask_error *err);

/* ---- Hints (store_hint.c) ---- */

/* Become the only one who writes the hint of a sealed row that has none. False:
 * it has one, gets none, another writes it, or the disk has no room.
 *
 *   ret_id  of the segment: the row may be another's soon
 */
bool store_claim_hint(store_handle *store, uint32_t row, uint64_t *ret_id);

/* Remove what is left of a hint of the row, the file `name`, which was aside.
 * False: somebody writes it, or it is not there. */
bool store_remove_aside(store_handle *store, uint32_t row, const char *name);

/* Write the hint of a row that was claimed for segment `id`, or of an output of
 * this handle's merge, which others cannot claim. The claim ends; if it fails
 * the row gets no hint until the next recovery. CASK_OK also if the row is not
 * that segment's any more. */
cask_status store_write_hint(store_handle *store, uint32_t row, uint64_t id,
                             cask_error *err);

/* ---- Worker (store_worker.c) ---- */

cask_status store_worker_start(store_handle *store, cask_error *err);
void store_worker_stop(store_handle *store);
void store_worker_wake(store_handle *store);

#endif
