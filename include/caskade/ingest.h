/*
 * Taking runs that were built offline into a store. A part of caskade.h, which
 * includes it, and whose conventions hold.
 */
#ifndef CASKADE_INGEST_H
#define CASKADE_INGEST_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Start with {0}. */
typedef struct cask_ingest_options {
    bool move; /* remove each file once all are in the store. A copy is made in
                  any case: the file in the store has the store's name in it,
                  and nobody else has it open. Default false */
    /* Called every MiB; false ends it, nothing was changed then. NULL: none. */
    bool (*on_progress)(void *context, uint64_t bytes_done,
                        uint64_t bytes_total);
    void *context;
} cask_ingest_options;

typedef struct cask_ingest_report {
    uint64_t runs;     /* taken in: files that have records */
    uint64_t records;  /* in these */
    uint64_t keys;     /* of each run; some may be in several */
    uint64_t bytes;    /* of the files */
    uint64_t sequence; /* of the newest record; 0: there are none */
    uint64_t unmoved;  /* files that could not be removed (`move`) */
} cask_ingest_report;

/*
 * Take runs that were built by cask_run_writer_create(), or 'caskade run
 * build', into an open store of the tree engine: all of them at once, or none.
 * For all who read and write, in whatever process, it is one write, as if their
 * records had been put when it returns: newer than what was written before, of
 * whatever age, and older than what is written after; tombstones and deleted
 * ranges hide what was there. Snapshots and iterators that were there before do
 * not see them. Times of records and of their expiry stay.
 *
 *   paths       of `count` files, 0 or more. If a key is in several, the one in
 *               the later file is newer. Nobody may write them meanwhile
 *   options     NULL: the defaults
 *   ret_report  NULL allowed; set on CASK_OK
 *
 * Sequences in the files tell the order of records of one file only; they
 * become others. All of the files is read and verified before anything changes.
 * Durable on return, whatever the store's sync policy, with all that was
 * written before. May be killed at any point: all are there, or none, and the
 * next open for writing, or merging process, removes what is left. Killed while
 * writes wait, nobody sees them before the next write or merge of any process,
 * which settles it: who looks at once may find none, and all later.
 *
 * Returns CASK_OK; CASK_UNSUPPORTED (the store is of the hash engine; a run of
 * a newer version); CASK_NOT_FOUND, CASK_INVALID (there is no such file; it is
 * no plain file; a store made it for itself; its values are elsewhere; its
 * sequences take up more than 2^48 numbers); CASK_CORRUPT (it is damaged, or no
 * run; or the store is damaged, so that what was written before cannot become
 * a run); CASK_BUSY (a merge was asked for, and did not end within
 * lock_timeout_ms); CASK_TIMEOUT (on_progress ended it; or a lock);
 * CASK_NO_SPACE; CASK_NO_MEMORY; CASK_READ_ONLY; CASK_FENCED; CASK_IO;
 * CASK_FORKED: nothing was changed. CASK_POISONED: nobody knows, before the
 * store is opened again.
 *
 * Cost: each file is read, written, synced, and read again, while writes go on;
 * then what is in the newest memtable is flushed, and writes wait for about
 * three syncs and what was written during the flush before.
 */
CASK_API CASK_CHECKED cask_status
cask_ingest(cask_db *db, const char *const *paths, size_t count,
            const cask_ingest_options *options, cask_ingest_report *ret_report,
            cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
