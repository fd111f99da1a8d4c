/*
 * The MANIFEST: which segments and runs are the store. Loaded by every open
 * that finds no living process, appended to when a segment is opened or sealed,
 * or when a tree gets a new version.
 */
#ifndef CASKADE_MANIFEST_H
#define CASKADE_MANIFEST_H

#include "log/manifest_format.h"
#include "os/os.h"

typedef struct manifest_segment {
    uint64_t id;
    uint64_t nonce;
    segment_kind kind;
    bool sealed;
    uint64_t length;        /* of a sealed one, footer not included */
    uint64_t last_sequence; /* of a sealed one */
    uint64_t damaged_bytes; /* known when it was sealed */
    uint64_t synced;        /* of one not sealed: bytes known to be synced */
    bool quarantined;       /* damaged; what could be read was moved */
} manifest_segment;

/* A run of a tree. */
typedef struct manifest_run {
    uint64_t id;
    uint64_t nonce; /* of the file */
    uint64_t bytes; /* of the file */
    uint32_t level;
    uint32_t run;     /* parts of one have the same */
    int64_t added;    /* to the sequences in the file, for all that reads it */
    cask_slice begin; /* records before this key do not count; empty: all do */
    uint8_t *owned;   /* memory of `begin`; NULL: borrowed, or none */
} manifest_run;

/*
 * A record of the log that could not be read when all up to it became a run:
 * of keys that it may be of, nothing that is older counts. Its segment stays.
 */
typedef struct manifest_lost {
    uint64_t segment_id;
    uint64_t offset;
    uint64_t sequence;    /* of it, or, if key_size is 0, at least that */
    uint32_t key_size;    /* and 1; 0: not known */
    uint32_t known_bytes; /* that the key begins with, zeros behind its end */
    uint8_t known[MANIFEST_KNOWN];
} manifest_lost;

typedef struct manifest_state {
    manifest_header header;
    manifest_segment *segments; /* in the order of the log; owned */
    size_t count;
    size_t capacity;
    uint64_t next_id;       /* ids at or above it were never used */
    uint64_t next_sequence; /* at least this, when last written */
    uint64_t tail;          /* bytes of valid edits */
    uint64_t number;        /* of the last edit */
    bool torn;              /* bytes that are no edit follow the last one */

    manifest_run *runs; /* in the order they were added; owned */
    size_t run_count;
    size_t run_capacity;
    uint64_t highest_run; /* id that a run ever had */
    manifest_lost *losts; /* in the order they were added; owned */
    size_t lost_count;
    size_t lost_capacity;
    uint64_t version; /* of the tree: 1, 2, 3, ...; 0: there was none */
    uint64_t flushed; /* records up to this sequence are in runs */
} manifest_state;

/*
 * Read MANIFEST. An edit that does not verify ends it, for it was being written
 * when its writer died; unless another follows: then it is damaged.
 *
 * Returns CASK_OK; CASK_NOT_FOUND if there is no such file; CASK_CORRUPT;
 * CASK_UNSUPPORTED; CASK_NO_MEMORY; CASK_IO. Free with manifest_free() in any
 * case.
 */
cask_status manifest_load(os_file *dir, const uint8_t uuid[16],
                          manifest_state *ret_manifest, cask_error *err);

void manifest_free(manifest_state *manifest);

/* The segment with this id, until one is added or dropped; NULL: it is not
 * listed. Cost: O(segments). */
manifest_segment *manifest_find(const manifest_state *manifest, uint64_t id);

/* Add a segment at the end. CASK_OK or CASK_NO_MEMORY. */
cask_status manifest_add(manifest_state *manifest,
                         const manifest_segment *segment, cask_error *err);

/* Take a sealed segment out, and count its bytes as past ones; or bring one
 * back that was. */
void manifest_drop(manifest_state *manifest, uint64_t id);
cask_status manifest_bring_back(manifest_state *manifest,
                                const manifest_segment *segment,
                                cask_error *err);

/*
 * Write the whole state anew, in a file that replaces the old one at once:
 * also sets header.nonce, tail and number. Durable on return. On a full disk
 * the room kept behind the old one is used for it.
 */
cask_status manifest_rewrite(os_file *dir, manifest_state *manifest,
                             uint32_t mode, cask_error *err);

/*
 * Append an edit at `*tail` and sync. The caller holds the maintenance lock.
 * CASK_POISONED: the sync failed, and must not be tried again.
 *
 *   tail, number  in and out: of the file; unchanged on failure
 *   edit          its number is set here
 */
cask_status manifest_append(os_file *dir, uint64_t *tail, uint64_t *number,
                            manifest_edit *edit, cask_error *err);

/* The run with this id, until one is added or dropped; NULL: it is not listed.
 * Cost: O(runs). */
manifest_run *manifest_find_run(const manifest_state *manifest, uint64_t id);

/* What is left of a run. */
typedef struct manifest_begin {
    uint64_t id;
    cask_slice key; /* borrowed; not empty */
} manifest_begin;

/* From one version of a tree to the next; all borrowed. */
typedef struct manifest_change {
    const uint64_t *drops; /* ids. They go before others come, so that one may
                              come back in another level */
    size_t drop_count;
    const manifest_run *adds;
    size_t add_count;
    const manifest_begin *begins;
    size_t begin_count;
    const manifest_lost *losts; /* that come besides those that there are */
    size_t lost_count;
    uint64_t version; /* the new one */
    uint64_t flushed;
} manifest_change;

/* What a change makes of a state, and whether it may be made: CASK_OK;
 * CASK_CORRUPT: it contradicts it; CASK_NO_MEMORY. After a failure the state is
 * of no use. */
cask_status manifest_change_runs(manifest_state *manifest,
                                 const manifest_change *change,
                                 cask_error *err);

/* Append a new version of the tree: its edits in one write and with one sync,
 * so that after any death or power loss all of them count or none. Otherwise
 * as manifest_append(). */
cask_status manifest_append_runs(os_file *dir, uint64_t *tail, uint64_t *number,
                                 const manifest_change *change,
                                 cask_error *err);

/*
 * Behind its end MANIFEST has room of its own, so that on a full disk it takes
 * edits, and gives up what an open needs, a small segment and MANIFEST anew, or
 * a merge for its first copies. Best effort; made again by every append and
 * rewrite.
 *
 * manifest_keep_spare() takes as much of it as the disk has, and
 * manifest_lent_bytes() tells how much of that MANIFEST itself would not need;
 * manifest_give_up_spare() lets go of all, while nobody appends: false if there
 * is none.
 */
void manifest_keep_spare(os_file *dir);
uint64_t manifest_lent_bytes(os_file *dir);
bool manifest_give_up_spare(os_file *dir);

/* Take back the edits from `tail` on, which nothing has come of. Nobody else
 * uses the store; best effort. */
void manifest_take_back(os_file *dir, uint64_t tail);

#endif
