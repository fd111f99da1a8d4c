/*
 * The runs of a tree, as one process has them open, and how they change.
 *
 * MANIFEST says which runs there are; the region has the number of the version
 * that it says it in. A process makes a version of its own of it: an immutable
 * array of open runs. Readers pin it, without a cache line that another thread
 * writes; it is closed when it is not the newest any more and nobody has it.
 * Files of runs are removed as soon as MANIFEST does not name them: a run that
 * is open is read on, and who finds none loads MANIFEST again.
 *
 * Whoever changes the tree holds the merge lock, and goes by these steps. He
 * may die after each of them:
 *
 *   version_settle()   at the begin of each turn: what one who died left is
 *                      brought to its end, or is removed, and the gate of
 *                      writers is opened
 *   version_new_run()  names for files, which are written and made durable
 *   version_apply()    they become part of the tree, durably, and others leave
 *                      it, all at once; then processes are told; then the files
 *                      of those that left are removed
 */
#ifndef CASKADE_VERSION_H
#define CASKADE_VERSION_H

#include "log/segment_format.h"
#include "run/run_read.h"
#include "store/store.h"

/* ---- Reading ---- */

typedef struct version_run {
    uint64_t id;
    uint32_t level;
    uint32_t run;     /* parts of one have the same */
    cask_slice begin; /* records before it do not count; empty: all do */
    const cask_run *file;
} version_run;

/* The parts of one run, which do not overlap, by rising keys. */
typedef struct version_group {
    const version_run *parts;
    size_t count; /* at least 1 */
} version_group;

/*
 * A run that is part of the tree and cannot be read: its file is missing, or
 * what all reads of it need is damaged. Nobody knows what it says of the keys
 * that it may have, nor whether what older runs say of them is still so.
 */
typedef struct version_broken {
    uint64_t id;
    uint32_t level;
    uint32_t run;
    cask_slice begin;       /* as of a version_run */
    const cask_run *bounds; /* its keys are between smallest and largest, or
                               before end; NULL: that is not known */
    const char *damage;     /* what is wrong, with the file's name */
    size_t groups;          /* so many are newer, or its other parts */
} version_broken;

/*
 * A run of values: puts that count where a pointer names them. It is part of
 * the tree as long as a run with such a pointer is.
 */
typedef struct version_values {
    uint64_t id;
    const cask_run *file; /* NULL: it cannot be read, */
    const char *damage;   /* for this reason, with the file's name */
    bool is_held;         /* a record of it is damaged: it stays as it is */
} version_values;

typedef struct version_slot version_slot;

typedef struct version {
    version_slot *slot; /* that counts its pins */
    uint64_t number;
    uint64_t flushed; /* records up to this sequence are in runs */
    /* By rising level, falling run, rising key: of two records of a key the one
     * that comes first is newer. */
    const version_run *runs;
    size_t count;
    const version_group *groups; /* the same, by level and run */
    size_t group_count;
    const version_broken *broken; /* in the same order, and not among them */
    size_t broken_count;
    /* So many of the runs, the last ones, stay as they are: one that is broken,
     * or has a damaged record, is as new as they are, or newer. */
    size_t held;
    uint32_t held_level; /* held > 0 or broken_count > 0: of the newest that is
                            damaged */
    uint32_t next_run;   /* greater than all of them have */
    const version_values *values; /* by rising id */
    size_t values_count;
    /* Records of the log that are in no run since they could not be read. */
    const manifest_lost *losts;
    size_t lost_count;
} version;

typedef struct versions versions; /* of a handle */

/* Make one. Runs are opened at first use. CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status versions_open(store_handle *store, versions **ret_versions,
                          cask_error *err);

/*
 * Of a private index that was just made: open the runs of its version, which
 * stay until it is made anew. CASK_CORRUPT: MANIFEST has another by now;
 * statuses of version_pin().
 */
cask_status versions_open_private(versions *self, cask_error *err);

/* Nothing may be pinned any more; accepts NULL. */
void versions_close(versions *take_versions);

/*
 * Borrow the newest version that was published, or one that has the same
 * records and is about to be, until version_unpin(). Whoever reads memtables,
 * too, loads region_tree.tables before: what has left them is in the version
 * then.
 *
 * Returns CASK_OK; CASK_CORRUPT: MANIFEST is damaged; CASK_IO; CASK_NO_MEMORY;
 * CASK_TIMEOUT; CASK_UNSUPPORTED. The caller does not hold the maintenance
 * lock, nor the write lock.
 *
 * Cost: two atomic operations on this thread's cache line, if no new version
 * was published; else MANIFEST is loaded, and new runs are opened.
 */
cask_status version_pin(versions *self, const version **ret_version,
                        cask_error *err);

/* Whether a run that is broken may have `key`; what version_find() says of its
 * other parts counts. */
bool version_may_break(const version *pinned, const version_broken *broken,
                       cask_slice key);

/* Whether it may have keys from `lower` on (data NULL: from the first) and
 * before `upper` (data NULL: to the last), or may delete some. */
bool version_may_break_within(const version_broken *broken, cask_slice lower,
                              cask_slice upper);

/* CASK_CORRUPT: say what is wrong with it, and what to do. */
cask_status version_fail_broken(const version_broken *broken, cask_error *err);

/*
 * A record of a run is damaged: compactions leave it as it is, as long as this
 * handle is open. True: that is new.
 */
bool versions_hold(versions *self, uint64_t id);

/* Runs that are open, or were to be, and are damaged, and their bytes. */
void versions_count_damaged(versions *self, uint64_t *ret_count,
                            uint64_t *ret_bytes);

/* By any thread. The last one closes a version that is not the newest. */
void version_unpin(versions *self, const version *pinned);

/*
 * Let go of the runs of a version that is not the newest, if nobody reads them:
 * what was removed takes space until then. To be called now and then by a
 * background thread, for handles that do not read; loads nothing.
 */
void versions_let_go(versions *self);

/* For qsort(): the order of version.runs. */
int version_run_compare(const void *left, const void *right);

/* The part of a run in which `key` may be, alone or in a range that is deleted;
 * NULL: none. Cost: O(log parts). */
const version_run *version_find(const version_group *group, cask_slice key);

/* The run of values with this id; NULL: the version has none. */
const version_values *version_find_values(const version *pinned, uint64_t id);

/*
 * Read the value that a pointer of one of the runs names, and verify that it is
 * the one that was written with its key and its sequence.
 *
 *   ret_value  borrowed as long as the version is pinned
 *
 * Returns CASK_OK; CASK_CORRUPT.
 */
cask_status version_read_value(const version *pinned,
                               const cask_run_entry *pointer,
                               cask_slice *ret_value, cask_error *err);

/* Verify header and footer of a run; cheap. As of store_engine. */
cask_status version_check_run(store_handle *store, const manifest_run *listed,
                              cask_error *err);

/* ---- Changing: the merge lock is held ---- */

/* Bring what is in MANIFEST and what was published together; remove files of
 * runs that MANIFEST does not name. CASK_OK; statuses as of version_apply().
 * Cost: nothing if all is settled; else loads MANIFEST, lists the directory. */
cask_status version_settle(store_handle *store, cask_error *err);

/* An id for a new run, never used before, and the name of its file. Takes the
 * maintenance lock. CASK_OK; CASK_NO_SPACE; CASK_IO; CASK_POISONED;
 * CASK_TIMEOUT. */
cask_status version_new_run(store_handle *store, uint64_t *ret_id,
                            char ret_name[SEGMENT_NAME_SIZE], cask_error *err);

/* A run whose file is there, whole and durable, with this store's uuid and its
 * id in its header; or one that is dropped by the same edit and comes again at
 * another place. */
typedef struct version_add {
    uint64_t id;
    uint32_t level;   /* MANIFEST_VALUES: it is a run of values */
    uint32_t run;     /* of values: 0 */
    cask_slice begin; /* borrowed; empty: all its records count */
    int64_t added;    /* to the sequences in the file; 0: it was made here */
} version_add;

/* What is left of a run that stays. */
typedef struct version_begin {
    uint64_t id;
    cask_slice key; /* borrowed; greater than the one before; never empty */
} version_begin;

typedef struct version_edit {
    const version_add *adds;
    size_t add_count;
    const uint64_t *drops; /* ids; their files are removed */
    size_t drop_count;
    const version_begin *begins;
    size_t begin_count;
    const manifest_lost *losts; /* that come besides those that there are */
    size_t lost_count;
    uint64_t flushed; /* 0: as before */
    bool takes_in;    /* the new runs have what is in no other file */
} version_edit;

/*
 * Make the edit durable, all of it or nothing whatever happens, publish it, and
 * remove the files that left. Takes the maintenance lock. The tree was settled
 * in this turn. Runs of values that nothing names any more leave by themselves.
 *
 *   ret_values_bytes  of those that left; NULL: not wanted
 *
 * Returns CASK_OK: it is in force; CASK_CORRUPT, CASK_NOT_FOUND (a new run is
 * not as it should be); CASK_INVALID (it contradicts the tree, or that is not
 * settled); CASK_NO_SPACE, CASK_IO, CASK_NO_MEMORY, CASK_TIMEOUT, CASK_FENCED:
 * nothing has changed; CASK_POISONED: nobody knows, before it is opened again.
 *
 * Cost: opens each new run, loads MANIFEST; a write and a sync, or it anew.
 */
cask_status version_apply(versions *self, const version_edit *edit,
                          uint64_t *ret_values_bytes, cask_error *err);

#endif
