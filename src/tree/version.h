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
 *                      brought to its end, or is removed
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
    uint32_t next_run; /* greater than all of them have */
} version;

typedef struct versions versions; /* of a handle */

/* Make one. Runs are opened at first use. CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status versions_open(store_handle *store, versions **ret_versions,
                          cask_error *err);

/* Nothing may be pinned any more; accepts NULL. */
void versions_close(versions *take_versions);

/*
 * Borrow the newest version that was published, or a newer one that is about to
 * be, until version_unpin(). Whoever reads memtables, too, loads
 * region_tree.tables before: what has left them is in the version then.
 *
 * Returns CASK_OK; CASK_CORRUPT: MANIFEST or a run is damaged or missing;
 * CASK_IO; CASK_NO_MEMORY; CASK_TIMEOUT; CASK_UNSUPPORTED. The caller does not
 * hold the maintenance lock, nor the write lock.
 *
 * Cost: two atomic operations on this thread's cache line, if no new version
 * was published; else MANIFEST is loaded, and new runs are opened.
 */
cask_status version_pin(versions *self, const version **ret_version,
                        cask_error *err);

/* By any thread. The last one closes a version that is not the newest. */
void version_unpin(versions *self, const version *pinned);

/*
 * Let go of the runs of a version that is not the newest, if nobody reads them:
 * what was removed takes space until then. To be called now and then by a
 * background thread, for handles that do not read; loads nothing.
 */
void versions_let_go(versions *self);

/* The part of a run in which `key` may be, alone or in a range that is deleted;
 * NULL: none. Cost: O(log parts). */
const version_run *version_find(const version_group *group, cask_slice key);

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
    uint32_t level;
    uint32_t run;
    cask_slice begin; /* borrowed; empty: all its records count */
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
    uint64_t flushed; /* 0: as before */
} version_edit;

/*
 * Make the edit durable, all of it or nothing whatever happens, publish it, and
 * remove the files that left. Takes the maintenance lock. The tree was settled
 * in this turn.
 *
 * Returns CASK_OK: it is in force; CASK_CORRUPT, CASK_NOT_FOUND (the file of a
 * new run is not what it should be); CASK_INVALID (the edit contradicts the
 * tree, or that is not settled); CASK_NO_SPACE, CASK_IO, CASK_NO_MEMORY,
 * CASK_TIMEOUT, CASK_FENCED: nothing has changed, and it may be tried again;
 * CASK_POISONED: nobody knows, before the store is opened again.
 *
 * Cost: opens each new run, loads MANIFEST; one write and one sync.
 */
cask_status version_apply(store_handle *store, const version_edit *edit,
                          cask_error *err);

#endif
