/*
 * Merging segments of the hash engine: what is live is copied to new segments,
 * the index is led there, the old ones go.
 */
#ifndef CASKADE_HASH_MERGE_H
#define CASKADE_HASH_MERGE_H

#include "store/store_expiry.h"
#include "maintain/merge_policy.h"
#include "store/store_write.h"

/* Damage that a merge met. */
typedef struct merge_damage {
    uint64_t id; /* of the segment; 0: none */
    uint64_t offset;
    uint64_t bytes;
    bool is_restored; /* nothing there is damaged any more, but the index was
                         made without it */
} merge_damage;

/* What a merge did. */
typedef struct merge_report {
    uint64_t inputs; /* that were replaced */
    uint64_t outputs;
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t bytes_freed;        /* of the inputs' files, which go now or when
                                    nobody reads them any more */
    uint64_t records;            /* copied */
    uint64_t tombstones_dropped; /* they hid nothing any more */
    uint64_t expired;            /* values given up: their time was over */
    uint64_t quarantined;        /* inputs that were found to be damaged */
    merge_damage damage;         /* of the first of those */
    merge_wait wait;             /* why there is nothing more to merge */
} merge_report;

/*
 * Merge `count` rows, sealed ones that count. First completes what a merger
 * that died had begun. Reads, writes and other processes go on meanwhile.
 *
 *   expiry  what counts as expired; borrowed
 *
 * Returns CASK_OK; CASK_BUSY (a merge is under way); CASK_CORRUPT (an input is
 * damaged: all else is merged, and what can be read of it is moved, if
 * ret_report->quarantined is not 0; or what was written cannot be read: the
 * inputs stay); CASK_NO_SPACE, CASK_IO,
 * CASK_NO_MEMORY, CASK_TIMEOUT (cancelled too): nothing was changed, or the
 * rest of it comes with the next merge.
 */
cask_status hash_merge(store_handle *store, const uint32_t *rows, size_t count,
                       const store_expiry *expiry, merge_report *ret_report,
                       cask_error *err);

/* hash_merge(), but it stops with CASK_TIMEOUT if merge_window closes while it
 * copies: nothing was changed then. */
cask_status hash_merge_in_window(store_handle *store, const uint32_t *rows,
                                 size_t count, const store_expiry *expiry,
                                 merge_report *ret_report, cask_error *err);

/*
 * Fail with CASK_CORRUPT, and tell what has become of the damaged segment by
 * now: it stays, or nothing of what could not be read in it was needed, and it
 * is gone.
 */
cask_status hash_merge_damaged(store_handle *store, const merge_damage *damage,
                               cask_error *err);

/* Only complete what a merger that died had begun, and remove the files of
 * inputs that nobody needs any more. */
cask_status hash_merge_complete(store_handle *store, cask_error *err);

/* Lead every key from the inputs to the outputs (hash_move.c); the phase is
 * MERGE_MOVING. May be begun again after a death. */
cask_status hash_move_all(store_handle *store, cask_error *err);

/* Take the keys out of the index whose slots still name an input when all has
 * been led: they have expired. May be begun again after a death. */
cask_status hash_move_ended(store_handle *store, cask_error *err);

/* Finish a move that a dead writer began; write lock held. */
void hash_move_finish_locked(store_handle *store);

#endif
