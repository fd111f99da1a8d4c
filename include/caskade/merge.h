/*
 * Merging: what it would do, does and did. A part of caskade.h, which includes
 * it, and whose conventions hold.
 */
#ifndef CASKADE_MERGE_H
#define CASKADE_MERGE_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cask_merge_options {
    bool all;   /* default false: merge what is worth it, as auto_merge does.
                   true: every segment that holds a record that is dead, the
                   active one too, which is sealed first. If nobody
                   writes meanwhile, none is left but in damaged segments, and
                   asking again finds nothing to do */
    bool start; /* default false: done on return. true: only asked for; a
                   thread of a handle with auto_merge, in any process, does it,
                   and if that dies, another one goes on */
} cask_merge_options;

typedef struct cask_merge_report {
    uint64_t inputs, outputs; /* segments read and replaced; written. Tree
                                 engine: files that went, and that came; a
                                 run has one or more */
    uint64_t bytes_read, bytes_written;
    uint64_t bytes_freed; /* of the files that were replaced: they go now, or
                             when nobody reads them any more; what was written
                             instead is not subtracted */
    uint64_t records;     /* copied */
    uint64_t tombstones_dropped; /* deletes that hid nothing any more */
} cask_merge_report;

/*
 * In a store of the tree engine a merge is a compaction of its runs: where
 * segments are spoken of, read runs. What was written so far becomes a run
 * first; then runs are compacted by the strategy that the setting `compaction`
 * names, or, with `all`, to one run, in steps of some parts of the last level;
 * what is one run already is left, but for parts that would become smaller, or
 * whose values would be moved. A compaction, or a step, is
 * done for good as a whole; one that is cancelled or killed changes nothing,
 * and takes as much room as it has. A run that is damaged
 * stays as it is, and so do those that are as old or older: the others are
 * compacted above it, and CASK_CORRUPT is returned at the end.
 */

/*
 * Give space back: copy the live records of some segments to new ones, and
 * remove the old ones. Reads and writes of all processes go on meanwhile, and
 * what is written is left to the next merge. Each step of about 1 GiB of input
 * is done for good: a merge that is cancelled or killed loses the one that it
 * has in hand. Of a damaged segment what can be read is moved; it stays,
 * quarantined, as long as anything else in it is needed. With `all` one whose
 * file has been restored is merged like any other; that costs a reading of it.
 *
 *   options     NULL: the defaults
 *   ret_report  NULL allowed; also filled if the merge failed; zeros for
 *               `start`
 *
 * What was started goes on without this handle; see cask_merge_status(). It is
 * dropped if it fails, is cancelled, or all processes close the store.
 *
 * May be killed at any point: nothing is lost, and the next merge of any
 * process completes or forgets what was begun. Needs as much free space as it
 * writes. Files that a snapshot or a fold needs are removed after that; the
 * space of one of which a process holds a view comes back after that.
 *
 * Returns CASK_OK (also if there was nothing to merge); CASK_BUSY (another
 * merge was under way, and did not end within lock_timeout_ms); CASK_TIMEOUT
 * (cancelled, or a lock timed out); CASK_CORRUPT (a segment was found to be
 * damaged, all else was merged; or what was written cannot be read, and nothing
 * is lost); CASK_INVALID (`start`, and nobody has auto_merge); CASK_NO_SPACE
 * (what was done before stays; also if nothing was merged, for no copy fits
 * into half of what the disk has free); CASK_NO_MEMORY; CASK_READ_ONLY;
 * CASK_POISONED; CASK_IO; CASK_FORKED.
 */
CASK_API CASK_CHECKED cask_status cask_merge(cask_db *db,
                                             const cask_merge_options *options,
                                             cask_merge_report *ret_report,
                                             cask_error *err);

typedef enum cask_merge_phase {
    CASK_MERGE_NONE = 0,
    CASK_MERGE_COPYING = 1,
    CASK_MERGE_MOVING = 2 /* the index is led to the copies */
} cask_merge_phase;

#define CASK_PAST_MERGES 16
typedef struct cask_past_merge {
    uint64_t number, began_ms, took_ms; /* from 1; since 1970 */
    uint32_t pid;                       /* that did it, or completed it */
    cask_status result;                 /* unless CASK_OK nothing was changed;
                                           CASK_TIMEOUT: it was cancelled, or
                                           merge_window closed, or a lock timed
                                           out */
    const char *reason;                 /* valid for ever */
    cask_merge_report did;
} cask_past_merge;

typedef struct cask_merge_state {
    cask_merge_phase phase; /* of the merge under way, in any process */
    uint32_t pid;           /* that does it; 0: has died, another will go on */
    uint64_t began_ms;      /* since 1970 */
    uint64_t bytes_done, bytes_total; /* of its input */
    uint64_t rate_bytes; /* read and written per second, while it copies */
    bool due;            /* some handle, in whichever process, will begin a
                            merge by policy, see due_in_ms: its first minute
                            is over, and merge_window is open; or do one that
                            is `asked` for. With `threads` 0 it is what a handle
                            would say that has long been open */
    uint64_t due_in_ms;  /* if it is due: when the handles look again, which
                            found nothing to do a moment ago, and to which
                            nobody has written since; 0: within a second */
    char reason[64]; /* why; or, if none will, what keeps the handle that could
                        begin first from it. If it is `asked` and `threads` is
                        0: that nobody will do it, and why */
    uint64_t paused_ms;  /* none begins by itself, see `reason`: one failed, or
                            was cancelled */
    uint32_t threads;    /* handles that merge by themselves */
    bool asked;          /* one that was started is not done yet. If `threads`
                            is 0 it is left over: it waits for a handle with
                            auto_merge, and is done by cask_merge() too */
    cask_status started; /* result of the last that was started and is done,
                            CASK_TIMEOUT if it was cancelled; CASK_OK if there
                            was none */

    /* Since the region was created, over all processes; the newest first. */
    uint64_t merges, bytes_read, bytes_written, bytes_freed;
    size_t past_count;
    cask_past_merge past[CASK_PAST_MERGES];
} cask_merge_state;

/* What merges do and did, in all processes. Of the tree engine a phase is NONE
 * or COPYING, and bytes_done is an estimate. Returns CASK_OK; CASK_TIMEOUT;
 * CASK_INVALID; CASK_NO_MEMORY; CASK_FORKED. Cost: that of cask_merge_plan().
 */
CASK_API CASK_CHECKED cask_status cask_merge_status(cask_db *db,
                                                    cask_merge_state *ret_state,
                                                    cask_error *err);

/*
 * Ask the merge under way, in any process, to stop; returns at once. A step
 * that copies is given up, one that moves is completed, and steps that were
 * completed before stay. What was asked for with `start` is dropped; for a
 * minute none begins by itself, unless the disk has little free space, the dead
 * bytes are twice what max_space_amplification allows, or, of the tree engine,
 * compactions are so far behind that writers have to wait (flushes go on in any
 * case); then the policy chooses anew. Returns CASK_OK, also if none is;
 * CASK_INVALID; CASK_READ_ONLY; CASK_FORKED.
 */
CASK_API CASK_CHECKED cask_status cask_merge_cancel(cask_db *db,
                                                    cask_error *err);

typedef struct cask_merge_item {
    uint64_t id;          /* of a segment */
    uint64_t total_bytes; /* of its file */
    uint64_t live_bytes;  /* of the records that are still looked up */
    uint64_t gain_bytes;  /* that merging it is expected to free */
    const char *reason;   /* why it is merged; valid for ever */
} cask_merge_item;

typedef struct cask_merge_summary {
    const char *reason; /* of the first step, or why none is; valid for ever */
    uint64_t left;      /* segments that are left to later steps */
    uint64_t read_bytes, write_bytes; /* expected, of this step */
    uint64_t freed_bytes;             /* the same, less what is written */
} cask_merge_summary;

/*
 * Tell what cask_merge() with the same options would do first, and why. A
 * merge is done in steps, each with a plan of its own. Changes nothing, and
 * may be asked of any handle. Reads no segment: one that is quarantined is not
 * chosen, though `all` would take it if its file has been restored.
 *
 *   options      NULL: the defaults
 *   ret_items    best first; free with cask_free()
 *   ret_count    0: nothing would be merged, ret_summary->reason says why
 *   ret_summary  NULL allowed
 *
 * Returns CASK_OK; CASK_INVALID; CASK_TIMEOUT; CASK_NO_MEMORY; CASK_FORKED.
 * Cost: O(n log n) for n segments.
 */
CASK_API CASK_CHECKED cask_status cask_merge_plan(
    cask_db *db, const cask_merge_options *options, cask_merge_item **ret_items,
    size_t *ret_count, cask_merge_summary *ret_summary, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
