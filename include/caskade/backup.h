/*
 * A new store of what is in another: of one in use as of one moment, of a
 * damaged one as much as can be read. A part of caskade.h, which includes it,
 * and whose conventions hold.
 */
#ifndef CASKADE_BACKUP_H
#define CASKADE_BACKUP_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* How far it is, in bytes. Return false to stop. */
typedef bool (*cask_progress_fn)(void *context, uint64_t done, uint64_t total);

typedef struct cask_backup_options {
    const char *earlier; /* directory of an earlier backup of the same store:
                            what it has is linked, not copied; NULL: none */
    bool skip_verify;    /* default false: what was linked and copied is read
                            again, and every checksum checked */
    cask_progress_fn on_progress; /* default NULL */
    void *context;
} cask_backup_options;

typedef struct cask_backup_report {
    uint64_t sequence; /* newest in the backup */
    uint64_t segments, linked_segments;
    uint64_t runs, linked_runs; /* of the tree engine */
    uint64_t linked_bytes, copied_bytes;
    bool without_config; /* CONFIG is damaged, or no plain file: the backup has
                            none, and the default settings */
} cask_backup_report;

/*
 * Copy the open store to the directory `out_dir`, which is empty or does not
 * exist, as of one moment during the call. Reads, writes and merges of all
 * processes go on, and nothing in the store's directory changes; any handle may
 * do it. The copy is a store of its own, with the same uuid, and needs no other
 * backup. It shares files that never change any more, by hard links if it can.
 * A failure leaves nothing, or the empty directory that was there; a kill one
 * that is no store, which the next backup refuses: remove it. On success it is
 * durable. A CONFIG that is damaged stops no backup of the data: see
 * without_config; with skip_verify it is copied as it is. NULL is allowed for
 * options and ret_report.
 *
 * Returns CASK_OK; CASK_INVALID (out_dir is not empty, or is in the store's
 * directory; `earlier` is not of this store); CASK_BUSY (out_dir is being
 * made); CASK_CORRUPT (the store is damaged, unless skip_verify; a run of a
 * tree cannot be opened); CASK_TIMEOUT
 * (stopped, or a lock timed out); CASK_FENCED; CASK_NO_SPACE; CASK_NO_MEMORY;
 * CASK_IO; CASK_FORKED.
 */
CASK_API CASK_CHECKED cask_status cask_backup(
    cask_db *db, const char *out_dir, const cask_backup_options *options,
    cask_backup_report *ret_report, cask_error *err);

typedef struct cask_lost { /* what cannot be read; valid during the call only */
    cask_problem at;
    cask_slice key; /* data NULL: not known */
    bool harmless;  /* by it alone no key is lost */
} cask_lost;

typedef struct cask_repair_options { /* all NULL by default */
    void (*on_lost)(void *context, const cask_lost *lost);
    cask_progress_fn on_progress;
    void *context;
} cask_repair_options;

typedef struct cask_repair_report {
    uint64_t files, records; /* that could be read */
    uint64_t keys, bytes_written;
    uint64_t lost, harmless; /* calls of on_lost, and how many are harmless */
    uint64_t lost_keys;      /* whose newest value is known to be lost */
    uint64_t lost_bytes;     /* that do not verify */
} cask_repair_report;

/*
 * Write to `out_dir`, as of cask_backup(), a new store with the newest record
 * that can be read of each key in the damaged one in `path`, which is not
 * changed; any of its files may be damaged or missing. Settings stay, and the
 * new files are as they say; sequences and uuid are new. Where a damaged
 * segment has no hint nobody knows which keys were lost: older values of them
 * come back, deleted ones too, and on_lost says so. What media do not give
 * (EIO) is lost, and told with file, offset and errno; what the system refuses
 * is not: a file that may not be read, too few descriptors or too little memory
 * end the repair. Memory: 80 to 160 bytes for each key, and 4 MiB, or the
 * largest record. Of a tree sequences stay; where a run is damaged, only its
 * index tells the key of a value; memory: 512 MiB at most and three times the
 * largest record; out_dir needs room for all records twice.
 *
 * Returns CASK_OK: nothing is lost; CASK_CORRUPT: something is, and the new
 * store is there (ret_report is set in both cases); CASK_NOT_FOUND: nothing of
 * a store in `path`; CASK_INVALID; CASK_BUSY (it is open); CASK_TIMEOUT
 * (stopped); CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO (names the file). But for
 * the first two nothing is left, as of cask_backup().
 */
CASK_API CASK_CHECKED cask_status cask_repair(
    const char *path, const char *out_dir, const cask_repair_options *options,
    cask_repair_report *ret_report, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
