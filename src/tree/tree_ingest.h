/*
 * Taking runs into an open store that were built for none: all or none.
 *
 *   copy     each, with the store's name in it, durably; every byte is verified
 *   flush    memtables, the newest, too, until little is left
 *   close    the gate of writers, who wait; flush what is left
 *   take     sequences that follow all that was written
 *   apply    one version of the tree has all the runs: durable, published
 *   open     the gate
 *
 * They are of level 0, newer than all runs there; all that is written later is
 * newer than they are. Who does this may die at any instruction: whoever has
 * the merge lock next removes the copies, or publishes the version, and opens
 * the gate.
 */
#ifndef CASKADE_TREE_INGEST_H
#define CASKADE_TREE_INGEST_H

#include "tree/ingest_file.h"

typedef struct tree_ingest_job {
    const ingest_source *sources; /* of two records of a key that in the later
                                     one is newer */
    size_t count;
    bool (*on_progress)(void *context, uint64_t done, uint64_t total);
    void *context; /* on_progress: NULL: none; false ends it */
} tree_ingest_job;

/* What was taken in. */
typedef struct tree_ingested {
    uint64_t runs; /* that have records */
    uint64_t bytes;
    uint64_t records;
    uint64_t keys;     /* of each run; some may be in several */
    uint64_t sequence; /* of the last record; 0: there are none */
} tree_ingested;

/*
 * Returns CASK_OK: they are part of the store, durably; else nothing of it is:
 * CASK_BUSY (another one merges, and did not end within lock_timeout_ms);
 * CASK_TIMEOUT (on_progress ended it; or a lock); CASK_INVALID (sequences would
 * become too large); statuses of ingest_take_copy(), tree_flush() and
 * version_apply(). CASK_POISONED: nobody knows.
 */
cask_status tree_ingest(store_handle *store, const tree_ingest_job *job,
                        tree_ingested *ret_ingested, cask_error *err);

#endif
