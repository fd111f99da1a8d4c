/*
 * A store of another engine with the same content. A part of caskade.h, which
 * includes it, and whose conventions hold.
 */
#ifndef CASKADE_CONVERT_H
#define CASKADE_CONVERT_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Start with {0}. */
typedef struct cask_convert_options {
    cask_engine engine; /* of the new store; 0: the other one than the old
                           store's */
    cask_progress_fn on_progress; /* in keys, of about so many: each is written,
                                     and then read; default NULL */
    void *context;
} cask_convert_options;

typedef struct cask_convert_report {
    cask_engine engine;   /* of the new store */
    uint64_t sequence;    /* of the old store, as of which the new one is */
    uint64_t keys;        /* written, and compared when read back */
    uint64_t bytes;       /* of keys and values */
    uint64_t expiring;    /* of these keys, with a time of expiry */
    uint64_t checksum[2]; /* over all of them in both stores, whatever the
                             order: keys, values, times of records and expiry */
} cask_convert_report;

/*
 * Make a new store `out_dir` of another engine, with all keys that live in the
 * open store as of one moment during the call, their values, times of expiry
 * and of the records, and the store's settings, by which its files are made.
 * Reads and writes of all processes go on, and nothing in the store's directory
 * changes; any handle may do it. The new store has a uuid of its own.
 *
 * It is made in the directory `out_dir`.new, closed, opened again and read:
 * number and content of its keys are those of the old store's. Then the
 * directory gets its name, durably: whatever happens, `out_dir` is complete, or
 * is not there. A failure leaves nothing; a kill a directory `out_dir`.new with
 * a part of a store: remove it.
 *
 *   out_dir  does not exist
 *   options  NULL: the defaults
 *   ret_report  NULL allowed; set on CASK_OK
 *
 * Returns CASK_OK; CASK_INVALID (out_dir exists, or is in the store's
 * directory; `out_dir`.new exists and is not empty; engine); CASK_CORRUPT (the
 * store is damaged: cask_repair() saves what can be read; or what was written
 * reads otherwise); CASK_SNAPSHOT_LOST; CASK_BUSY (there are too many
 * snapshots); CASK_TIMEOUT (stopped, or a lock timed out); CASK_FENCED;
 * CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO; CASK_FORKED.
 *
 * Cost: each key is read, written and read again. Memory: 1 MiB, the largest
 * value, and the new store's index.
 */
CASK_API CASK_CHECKED cask_status cask_convert(
    cask_db *db, const char *out_dir, const cask_convert_options *options,
    cask_convert_report *ret_report, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
