/*
 * A run that was built for no store, as it comes into a store: a copy of the
 * file, with the store's name and an id of its own in the header, of which
 * every byte is verified. The rest of it stays as it is.
 */
#ifndef CASKADE_INGEST_FILE_H
#define CASKADE_INGEST_FILE_H

#include "run/run_check.h"
#include "store/store.h"

/* Where it is; borrowed. */
typedef struct ingest_source {
    os_file *dir;
    const char *name; /* in it */
    const char *path; /* as the caller gave it, for messages */
} ingest_source;

/* The copy. Start with {0}. */
typedef struct ingest_copy {
    uint64_t id;
    char name[SEGMENT_NAME_SIZE];
    bool is_there; /* a file of that name, which is to be removed if it does not
                      become part of the tree */
    cask_run *run; /* NULL: not open */
} ingest_copy;

/*
 * Whether the file seems to be such a run: by its header.
 *
 *   ret_bytes  of the file
 *
 * Returns CASK_OK; CASK_NOT_FOUND; CASK_INVALID (no plain file; made by a store
 * for itself); CASK_CORRUPT; CASK_UNSUPPORTED (a newer version); CASK_IO.
 */
cask_status ingest_look(const ingest_source *source, uint64_t *ret_bytes,
                        cask_error *err);

/*
 * Copy it, durably, and verify the copy. Merge lock held.
 *
 *   progress  called now and then with the bytes copied, and then again with
 *             those verified; another status than CASK_OK ends it
 *   copy      to be ended in any case
 *
 * Statuses as of ingest_look(); of version_new_run(); CASK_BUSY: somebody
 * writes the file at the moment; CASK_INVALID also: its values are in
 * runs of values of a store.
 */
cask_status ingest_take_copy(store_handle *store, const ingest_source *source,
                             run_progress_fn progress, void *context,
                             ingest_copy *copy, cask_error *err);

/* Close it. keep: it is part of the tree, or nobody knows; else it is removed,
 * if that can be: whoever has the merge lock next does so, too. */
void ingest_end_copy(store_handle *store, ingest_copy *copy, bool keep);

#endif
