/*
 * Caskade: an embedded, log-structured key-value store that every process on a
 * machine can open at once.
 *
 * A store is a directory. Open it with cask_open() from any number of threads
 * and processes; a write is visible to all of them at once. Every call returns
 * a cask_status; the last parameter, `err`, may be NULL, and otherwise receives
 * a message that names file, offset, expected and found. That a key is not
 * there is an answer: such a CASK_NOT_FOUND leaves `err` as it was.
 *
 * Conventions: a cask_slice is borrowed for the duration of the call; a
 * cask_buffer owns its memory; parameters named ret_x are written on success
 * only. Unless a comment says otherwise a call may be made by any number of
 * threads on one handle, except cask_close(), which must be the handle's last.
 */
#ifndef CASKADE_H
#define CASKADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CASK_API __attribute__((visibility("default")))
#define CASK_CHECKED __attribute__((warn_unused_result))
#else
#define CASK_API
#define CASK_CHECKED
#endif

#define CASK_VERSION_MAJOR 0
#define CASK_VERSION_MINOR 1
#define CASK_VERSION_PATCH 0
#define CASK_VERSION_STRING "0.1.0"

/* ---- Status, errors ---------------------------------------------------- */

/*
 * X(name, number, text). One code for each distinct reaction of the caller;
 * numbers never change.
 */
#define CASK_STATUS_LIST(X)                                                    \
    X(OK, 0, "done")                                                           \
    X(NOT_FOUND, 1, "no such key")                                             \
    X(CONDITION, 2, "the condition of a conditional write was not met")        \
    X(INVALID, 3, "an argument, option or path is wrong")                      \
    X(CORRUPT, 4, "stored data is damaged")                                    \
    X(BUSY, 5, "somebody else holds what this call needs")                     \
    X(FENCED, 6, "this handle lost its place in the store; reopen it")         \
    X(TIMEOUT, 7, "waited too long")                                           \
    X(NO_SPACE, 8, "no space left")                                            \
    X(NO_MEMORY, 9, "no memory left")                                          \
    X(IO, 10, "a system call failed")                                          \
    X(READ_ONLY, 11, "the store or the handle is read-only")                   \
    X(POISONED, 12, "an earlier sync failed; reopen the store")                \
    X(NAMESPACE, 13, "the store is in use from another container or host")     \
    X(FORKED, 14, "the handle belongs to the parent process")                  \
    X(UNSUPPORTED, 15, "not supported by this version, format or engine")      \
    X(SNAPSHOT_LOST, 16, "the snapshot was given up; make a new one")

typedef enum cask_status {
#define CASK_STATUS_ENUM(name, number, text) CASK_##name = number,
    CASK_STATUS_LIST(CASK_STATUS_ENUM)
#undef CASK_STATUS_ENUM
} cask_status;

typedef struct cask_error {
    cask_status status;
    int os_errno;      /* errno of the system call that failed, or 0 */
    char message[256]; /* one line, ends with NUL, no newline */
} cask_error;

/* The name of a status, like "CASK_BUSY". Never NULL. */
CASK_API const char *cask_status_name(cask_status status);

/* What a status means, in English. Never NULL. */
CASK_API const char *cask_status_text(cask_status status);

/* The version of the library in use, like "0.1.0". */
CASK_API const char *cask_version(void);

/* ---- Bytes ------------------------------------------------------------- */

/* Borrowed bytes, which nobody may change during a call that writes them: the
 * record would read as damaged. `data` may be NULL if `size` is 0. */
typedef struct cask_slice {
    const void *data;
    size_t size; /* bytes */
} cask_slice;

/* Owned bytes. Start with {0}; the library grows it; free it when done. */
typedef struct cask_buffer {
    void *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
} cask_buffer;

/* Release the memory of `buffer` and make it empty; accepts an empty one. */
CASK_API void cask_buffer_free(cask_buffer *buffer);

/* Bytes of a C string, without its NUL. */
CASK_API cask_slice cask_slice_of(const char *text);

#define CASK_KEY_MAX_BYTES 65535u
#define CASK_VALUE_MAX_BYTES 4294967295u

/* ---- Options ----------------------------------------------------------- */

typedef enum cask_engine {
    CASK_ENGINE_HASH = 1, /* keydir over a log: point lookups and updates */
    CASK_ENGINE_TREE = 2  /* memtables and sorted runs over a log: see
                             docs/ENGINES.md */
} cask_engine;

/* When a write reaches the device. Killing a process loses nothing in any. */
typedef enum cask_sync_policy {
    CASK_SYNC_NONE = 0,     /* when the kernel likes, and on cask_sync() */
    CASK_SYNC_INTERVAL = 1, /* at least every sync_interval_ms */
    CASK_SYNC_COMMIT = 2    /* before the call returns (group commit) */
} cask_sync_policy;

/* How records are added to the log. */
typedef enum cask_append {
    CASK_APPEND_AUTO = 0, /* pwrite for CASK_SYNC_COMMIT, else mapped */
    CASK_APPEND_MAP = 1,
    CASK_APPEND_PWRITE = 2
} cask_append;

/* How records are read. */
typedef enum cask_io {
    CASK_IO_MAP = 0,  /* through a mapping: fastest; failing media: SIGBUS */
    CASK_IO_PREAD = 1 /* by system call: failing media: CASK_IO; not with the
                         engine tree: CASK_UNSUPPORTED */
} cask_io;

/* What cask_open() does about damage that no hint file covers. */
typedef enum cask_damage {
    CASK_DAMAGE_FAIL = 0, /* CASK_CORRUPT */
    CASK_DAMAGE_SERVE = 1 /* serve what is undamaged, report the rest */
} cask_damage;

typedef enum cask_event_kind {
    CASK_EVENT_RECOVERED = 1,  /* an open rebuilt the index */
    CASK_EVENT_DAMAGE = 2,     /* damaged bytes were met; with CASK_OK: a file
                                  that was damaged has been restored */
    CASK_EVENT_ROTATED = 3,    /* a segment is full, the next one is in use */
    CASK_EVENT_TAKEOVER = 4,   /* a process died while it wrote; redone */
    CASK_EVENT_POISONED = 5,   /* a sync failed: read-only until reopened */
    CASK_EVENT_HINT = 6,       /* a hint file was ignored or not written */
    CASK_EVENT_LEFTOVER = 7,   /* a file that a crash left was removed, or a
                                  segment that was closed unused */
    CASK_EVENT_REGION = 8,     /* shared memory: fallback, orphan removed */
    CASK_EVENT_BACKGROUND = 9, /* work of a background thread failed; it, or
                                  a write, tries again */
    CASK_EVENT_MERGED = 10,    /* a merge gave space back */
    CASK_EVENT_CONFIG = 11,    /* CONFIG could not be read, or not all of it */
    CASK_EVENT_CLOCK = 12,     /* the wall clock was set: nothing expires */
    CASK_EVENT_INGESTED = 13   /* cask_ingest() took runs in */
} cask_event_kind;

typedef struct cask_event {
    cask_event_kind kind;
    cask_status status;  /* CASK_OK for information */
    const char *message; /* valid during the callback only */
} cask_event;

/* Called from any thread of the process, never with a lock held that a
 * cask_get() needs; it must not call cask_* functions on the same handle. An
 * event goes to the handle that met its cause, not to the others. */
typedef void (*cask_event_fn)(void *context, const cask_event *event);

/* Where regions are unless `region_dir` says otherwise. */
#define CASK_REGION_DIR "/dev/shm"

/*
 * Options of cask_open(). Always start with cask_options_init(). A value
 * outside its range gives CASK_INVALID with the option's name.
 */
typedef struct cask_options {
    size_t struct_size; /* set by cask_options_init() */

    /* Identity. `engine` and `file_mode` count when the store is created. */
    cask_engine engine;     /* default CASK_ENGINE_HASH */
    bool create_if_missing; /* default false */
    bool error_if_exists;   /* default false; CASK_INVALID if it exists */
    uint32_t file_mode;     /* default 0600; up to 0777, 0600 always set; what
                               is made gets exactly these bits, whatever the
                               umask; directories get x where r is */

    /* Access. */
    bool read_only;    /* default false; nothing in the directory changes */
    bool exclusive;    /* default false; hold the only write role; not with
                          read_only */
    bool allow_remote; /* default false; write on NFS and the like */
    uint32_t lock_timeout_ms; /* default 10000; 1 .. 3600000 */

    /* Durability. */
    cask_sync_policy sync;     /* default CASK_SYNC_INTERVAL */
    uint32_t sync_interval_ms; /* default 1000; 1 .. 3600000 */
    cask_append append;        /* default CASK_APPEND_AUTO */

    /* Reading. */
    cask_io io;               /* default CASK_IO_MAP */
    uint32_t max_descriptors; /* default 256; 8 .. 65536; CASK_IO_PREAD */
    cask_damage damage;       /* default CASK_DAMAGE_FAIL */

    /* Files. */
    uint64_t segment_max_bytes;          /* default 0 = as the store's setting
                                            says, 256 MiB; 64 KiB .. 1 GiB; of
                                            a file, and of a batch; where
                                            merges are due files are smaller: a
                                            32nd of the live bytes, at least
                                            8 MiB */
    uint64_t small_file_threshold_bytes; /* default 10 MiB; 0 .. 1 GiB; a
                                            segment at most this large is not
                                            sealed by close */

    /* Index. */
    const char *region_dir;  /* default NULL: /dev/shm, or the store directory
                                if that is too small; else this directory */
    uint64_t memtable_bytes; /* default 0 = as the store's setting says; 64 KiB
                                .. 256 MiB; of the log, after which what was
                                written becomes a run; of handles that are open
                                at once that of the first counts; tree engine */
    bool linger;             /* default false; keep the region after the last
                                close, for instant reopening */
    bool huge_pages;         /* default true; ask for them, best effort */
    bool verify_overwrite;   /* default false; compare whole keys on overwrite,
                                see docs/GUARANTEES.md; the tree engine
                                compares them in any case */

    /* Expiry. */
    uint64_t expiry_seconds; /* default 0 = as the store's setting says; 0 ..
                                4294967295; from this handle hides records
                                older than this by the time of their write,
                                and those that the setting hides */

    /* Merging; see cask_merge(). */
    bool auto_merge; /* default true; a thread of this handle merges when the
                        store has enough dead bytes */

    /* Events. */
    cask_event_fn on_event; /* default NULL */
    void *event_context;
} cask_options;

/* Fill `options` with the defaults. */
CASK_API void cask_options_init(cask_options *options);

/* ---- Open, close ------------------------------------------------------- */

typedef struct cask_db cask_db;

/*
 * Open the store in directory `path`.
 *
 *   options  NULL: defaults
 *   ret_db   set on CASK_OK only; close it with cask_close()
 *
 * Returns CASK_OK; CASK_NOT_FOUND if there is no store and create_if_missing
 * is false; CASK_INVALID (options; a path that is not a directory; a directory
 * that holds something else); CASK_UNSUPPORTED (a newer format: nothing is
 * touched); CASK_CORRUPT (see cask_damage); CASK_BUSY (an exclusive writer, or
 * 512 handles are open); CASK_TIMEOUT; CASK_NAMESPACE; CASK_READ_ONLY (media
 * that can be opened read_only); CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO.
 *
 * Cost: microseconds if another process has the store open; else hints are
 * read at millions of keys per second, and segments without one are scanned.
 * Starts a background thread unless read_only, and another for auto_merge.
 */
CASK_API CASK_CHECKED cask_status cask_open(const char *path,
                                            const cask_options *options,
                                            cask_db **ret_db, cask_error *err);

/*
 * Close the handle and free it. Accepts NULL. The last handle of all processes
 * that may write syncs the log; the last of all removes the shared region,
 * unless `linger` keeps it.
 *
 * Returns CASK_OK; CASK_BUSY if views or snapshots are still held (the handle
 * stays open);
 * CASK_FORKED (a child's copy is freed, the store is not touched); else what
 * failed during the final sync (the handle is closed all the same).
 */
CASK_API cask_status cask_close(cask_db *db, cask_error *err);

/*
 * See what has been written since a handle with a private index was opened
 * (read_only on a store that nobody else has open for writing, or without
 * access to its region). Does nothing on any other handle. No other call may be
 * under way on the handle, and no view be held.
 *
 * Returns CASK_OK; CASK_BUSY if snapshots are held; CASK_CORRUPT,
 * CASK_UNSUPPORTED, CASK_NO_MEMORY, CASK_IO: the handle goes on with what it
 * had; CASK_FORKED.
 *
 * Cost: that of an open without a region.
 */
CASK_API CASK_CHECKED cask_status cask_refresh(cask_db *db, cask_error *err);

/* ---- Write ------------------------------------------------------------- */

typedef enum cask_condition {
    CASK_ALWAYS = 0,
    CASK_IF_ABSENT = 1,  /* the key has no live value */
    CASK_IF_PRESENT = 2, /* the key has a live value */
    CASK_IF_SEQUENCE = 3 /* its newest record bears expected_sequence */
} cask_condition;

typedef struct cask_write_options {
    cask_condition condition;   /* else CASK_CONDITION, nothing written */
    uint64_t expected_sequence; /* for CASK_IF_SEQUENCE */
    uint64_t expires_at_ms;     /* milliseconds since 1970, 0 = never */
    uint64_t ttl_ms;            /* from now; not with expires_at_ms */
    uint32_t time_s;            /* of the record, seconds since 1970, which
                                   cask_info tells and expiry_seconds counts
                                   from; 0 = now. For copies of other stores */
} cask_write_options;

/*
 * Store `value` under `key`, replacing what was there.
 *
 *   key, value  0 .. CASK_KEY_MAX_BYTES, 0 .. CASK_VALUE_MAX_BYTES
 *
 * Returns CASK_OK; CASK_INVALID (sizes, before any I/O); CASK_NO_SPACE
 * (nothing written; the store works on when there is space); CASK_READ_ONLY;
 * CASK_POISONED; CASK_FENCED (see docs/GUARANTEES.md); CASK_FORKED; CASK_IO;
 * CASK_TIMEOUT: if the message says "nothing was written", so it is; after a
 * timeout of the sync the value is visible and its durability unknown.
 *
 * Cost: one copy of key and value. No system call unless the policy syncs, the
 * log grows, or the record goes by pwrite: it has 256 KiB or more, or a sync is
 * under way. For each MiB some, for its pages; and for each 256 KiB, if a merge
 * is outrun, a sleep of up to 25 ms. Who fills a segment, of 8 MiB or more, has
 * it synced, whatever the policy; of that the last part holds up other writers.
 */
CASK_API CASK_CHECKED cask_status cask_put(cask_db *db, cask_slice key,
                                           cask_slice value, cask_error *err);

/* cask_put() with a condition and an expiry time. options: NULL: none;
 * ret_sequence: NULL allowed; the sequence of the new record. As cask_put();
 * also CASK_CONDITION (nothing written). */
CASK_API CASK_CHECKED cask_status cask_put_with(
    cask_db *db, cask_slice key, cask_slice value,
    const cask_write_options *options, uint64_t *ret_sequence, cask_error *err);

/* Delete `key`. Writes nothing if it does not exist. ret_existed: NULL allowed;
 * whether the key had a live value. As cask_put(). */
CASK_API CASK_CHECKED cask_status cask_delete(cask_db *db, cask_slice key,
                                              bool *ret_existed,
                                              cask_error *err);

/* cask_delete() with a condition (options: NULL: none; expiry fields and time_s
 * must be 0). As cask_put_with(). */
CASK_API CASK_CHECKED cask_status
cask_delete_with(cask_db *db, cask_slice key, const cask_write_options *options,
                 bool *ret_existed, cask_error *err);

/* Return when all that was written before the call, by any process, is durable.
 * Returns CASK_OK; CASK_POISONED; CASK_TIMEOUT; CASK_IO; CASK_READ_ONLY on a
 * read-only handle. */
CASK_API CASK_CHECKED cask_status cask_sync(cask_db *db, cask_error *err);

/* ---- Batches ----------------------------------------------------------- */

/* Writes collected in memory; not for use by two threads at once. */
typedef struct cask_batch cask_batch;

/* Create an empty batch. Returns CASK_OK or CASK_NO_MEMORY. */
CASK_API CASK_CHECKED cask_status cask_batch_create(cask_batch **ret_batch,
                                                    cask_error *err);
/* Free it; accepts NULL. */
CASK_API void cask_batch_free(cask_batch *batch);
/* Make it empty and keep its memory. */
CASK_API void cask_batch_clear(cask_batch *batch);
/* Number of operations, and bytes they take in the log. */
CASK_API size_t cask_batch_count(const cask_batch *batch);
CASK_API uint64_t cask_batch_bytes(const cask_batch *batch);

/* Add a put (expires_at_ms 0: never) or a delete; bytes are copied.
 * Returns CASK_OK, CASK_INVALID (sizes) or CASK_NO_MEMORY. */
CASK_API CASK_CHECKED cask_status cask_batch_put(cask_batch *batch,
                                                 cask_slice key,
                                                 cask_slice value,
                                                 uint64_t expires_at_ms,
                                                 cask_error *err);
/* Add a put with `expires_at_ms` and `time_s` of `options` (NULL: none); its
 * condition must be CASK_ALWAYS and ttl_ms 0. As cask_batch_put(). */
CASK_API CASK_CHECKED cask_status
cask_batch_put_with(cask_batch *batch, cask_slice key, cask_slice value,
                    const cask_write_options *options, cask_error *err);
CASK_API CASK_CHECKED cask_status cask_batch_delete(cask_batch *batch,
                                                    cask_slice key,
                                                    cask_error *err);

/*
 * Apply the batch: all of it or nothing, after any crash; later operations on
 * a key win. Readers may see a part of it while the call runs. The batch stays
 * as it is and may be written again.
 *
 * As cask_put(); CASK_INVALID if it has several operations and does not fit
 * into one segment.
 */
CASK_API CASK_CHECKED cask_status cask_write(cask_db *db,
                                             const cask_batch *batch,
                                             cask_error *err);

/*
 * Say that about `count` keys are going to be put into this store, which is
 * new: room for them is made in the index now, which need not grow step by step
 * then: puts in batches take half the processor time. A hint: with fewer keys
 * memory is wasted, about 20 bytes each until all handles are closed, with more
 * it grows as usual, and a store that had a key since it was opened, or was
 * reserved for before, or is one of the tree engine, is left as it is.
 *
 * Returns CASK_OK; CASK_NO_SPACE if the memory is not there: nothing has
 * changed; else as cask_put().
 */
CASK_API CASK_CHECKED cask_status cask_reserve(cask_db *db, uint64_t count,
                                               cask_error *err);

#include "caskade/expiry.h" /* cask_ttl(), cask_expire(), cask_persist() */

/* ---- Read -------------------------------------------------------------- */

/* What is stored with a value. */
typedef struct cask_info {
    uint64_t sequence;      /* of the record; grows with every write */
    uint64_t expires_at_ms; /* milliseconds since 1970, 0 = never */
    uint32_t time_s;        /* when it was written, seconds since 1970 */
    uint32_t value_bytes;
} cask_info;

/*
 * Look up `key` and copy its newest value.
 *
 *   key        0 .. 65535 bytes; borrowed for the duration of the call
 *   ret_value  set on CASK_OK only; reused if it already holds memory; the
 *              caller frees it with cask_buffer_free()
 *
 * Returns CASK_OK; CASK_NOT_FOUND if the key was never written, was deleted or
 * has expired; CASK_CORRUPT if its record fails the checksum (the value is
 * never returned in that case); CASK_IO; CASK_NO_MEMORY; CASK_FORKED.
 *
 * Cost: at most one disk read. Never waits for a writer.
 * Source: Sheehy & Smith, Bitcask (2010), p. 3.
 */
CASK_API CASK_CHECKED cask_status cask_get(cask_db *db, cask_slice key,
                                           cask_buffer *ret_value,
                                           cask_error *err);

/* cask_get() that also tells sequence, time and expiry; ret_info: NULL allowed.
 * As cask_get(). */
CASK_API CASK_CHECKED cask_status cask_get_with(cask_db *db, cask_slice key,
                                                cask_buffer *ret_value,
                                                cask_info *ret_info,
                                                cask_error *err);

/* Whether `key` has a live value. The record's checksum is verified. As
 * cask_get(), but CASK_OK, with false, in place of CASK_NOT_FOUND. */
CASK_API CASK_CHECKED cask_status cask_exists(cask_db *db, cask_slice key,
                                              bool *ret_exists,
                                              cask_error *err);

/*
 * Look up `count` keys at once; faster than one by one because cache misses
 * overlap.
 *
 *   values    `count` buffers, as for cask_get()
 *   statuses  `count` results, as of cask_get(); always all set on CASK_OK
 *
 * Returns CASK_OK if every key was looked up (found or not); else the first
 * other status.
 */
CASK_API CASK_CHECKED cask_status
cask_get_many(cask_db *db, const cask_slice *keys, size_t count,
              cask_buffer *values, cask_status *statuses, cask_error *err);

/* A value in place, without a copy. */
typedef struct cask_view {
    cask_slice value; /* valid until cask_view_release() */
    cask_info info;
    void *pin;   /* private */
    void *owned; /* private */
} cask_view;

/*
 * Look up `key` and lend its value. The checksum is verified. As cask_get().
 * Release every view before cask_close().
 */
CASK_API CASK_CHECKED cask_status cask_view_acquire(cask_db *db, cask_slice key,
                                                    cask_view *ret_view,
                                                    cask_error *err);
/* Give it back; accepts a view that is {0}. */
CASK_API void cask_view_release(cask_db *db, cask_view *view);

/*
 * Number of keys in the index. O(1). A key that has expired counts until it is
 * deleted, overwritten or merged: to leave it out all records would have to be
 * read, as cask_fold() does, which visits those that have not expired. Returns
 * CASK_OK; CASK_INVALID; CASK_FORKED.
 *
 * Tree engine: keys are counted one by one, without those that have expired, as
 * cask_count_range() does; statuses are those of cask_range().
 */
CASK_API CASK_CHECKED cask_status cask_count(cask_db *db, uint64_t *ret_count,
                                             cask_error *err);

/* ---- Snapshots, folds: cask_snapshot_create() and more ----------------- */

#include "caskade/snapshot.h"

/* ---- Ordered access: cask_iterator_create(), cask_range() and more ----- */

#include "caskade/iterator.h"

/* ---- Statistics -------------------------------------------------------- */

/* Counts by powers of two: bucket[i] counts waits of 2^i .. 2^(i+1)-1 ns. */
#define CASK_HISTOGRAM_BUCKETS 40
typedef struct cask_histogram {
    uint64_t bucket[CASK_HISTOGRAM_BUCKETS];
} cask_histogram;

typedef struct cask_stats {
    cask_engine engine;
    char uuid[37];      /* of the store, text with NUL */
    uint64_t key_count; /* as cask_count(); of the tree engine an estimate:
                           keys of each memtable and each run, deleted
                           ones too */
    bool may_expire;    /* key_count may count keys that have expired */
    uint64_t sequence;  /* newest written */
    uint64_t durable_sequence; /* everything up to it is on the device */
    uint64_t segment_count;
    uint64_t data_bytes;    /* records of all segments */
    uint64_t live_bytes;    /* of these, still pointed to; of the tree engine
                               see cask_tree_stat() */
    uint64_t dead_bytes;    /* data_bytes - live_bytes */
    uint64_t expired_bytes; /* of live_bytes, those with a time that is over:
                               at least so many; merges give them back */
    uint64_t log_bytes;     /* of records ever written, in the store's life */
    uint64_t merge_bytes;   /* that merges ever wrote in place of others; of the
                               tree engine that flushes and compactions wrote */
    uint64_t disk_bytes;    /* allocated to all files of the store */
    uint64_t damaged_bytes; /* that an open found; see quarantined_count */
    /* Segments in which a merge found damage: what can be read of them is
     * elsewhere, too; keys in the rest answer CASK_CORRUPT. cask_verify() tells
     * where. They go when these keys are overwritten or deleted, or their files
     * restored and all is merged. Tree engine: runs, too, that this handle
     * found damaged since it was opened; they stay as they are. */
    uint64_t quarantined_count;
    uint64_t quarantined_bytes;         /* records in them, damaged or not */
    uint64_t index_bytes, region_bytes; /* memory in use; allocated */
    uint64_t undo_bytes;                /* of these, saved for snapshots */
    uint64_t pinned_bytes;              /* files that are kept for snapshots */
    uint32_t snapshot_count; /* open, of all processes, folds included */
    uint32_t handle_count;   /* open handles of all processes */
    bool poisoned;
    bool private_index;    /* this handle has an index of its own */
    char region_path[256]; /* where the region is; empty if private */

    /* Since the region was created, over all processes; read operations of
     * other processes arrive here once a second. */
    uint64_t puts, deletes, batches, gets, get_misses, syncs, bytes_written;
    uint64_t takeovers;          /* writers that died holding the lock */
    uint64_t snapshots_lost;     /* given up for want of memory */
    cask_histogram sync_ns;      /* time of one sync of the log */
    cask_histogram lock_wait_ns; /* contended waits for the write lock */
} cask_stats;

/* Fill `ret_stats`. Returns CASK_OK; CASK_INVALID; CASK_TIMEOUT (of the write
 * lock); CASK_FENCED; CASK_IO; CASK_FORKED. Cost: microseconds, and a stat()
 * for each file; waits for the write lock. */
CASK_API CASK_CHECKED cask_status cask_stat(cask_db *db, cask_stats *ret_stats,
                                            cask_error *err);

typedef struct cask_segment_stats {
    uint64_t id;
    uint64_t total_bytes; /* records in it */
    uint64_t live_bytes, dead_bytes, damaged_bytes;
    uint64_t expired_bytes; /* of live_bytes, as in cask_stats */
    uint64_t live_records, tombstones;
    uint64_t first_sequence, last_sequence;
    bool sealed, has_hint;
    bool quarantined; /* a merge found damage in it and moved what could be
                         read; it goes when nothing else is needed of it */
} cask_segment_stats;

/* List the segments in order of age; of the tree engine these are its log, and
 * its runs are in cask_tree_stat(). Free `*ret_segments` with cask_free(). As
 * cask_stat(); also CASK_NO_MEMORY. */
CASK_API CASK_CHECKED cask_status
cask_segments(cask_db *db, cask_segment_stats **ret_segments, size_t *ret_count,
              cask_error *err);

/* Free memory that the library returned; accepts NULL. */
CASK_API void cask_free(void *memory);

/* ---- Merging: cask_merge() and more ------------------------------------ */

#include "caskade/merge.h"

/* ---- Statistics of a tree: cask_tree_stat() ---------------------------- */

#include "caskade/tree.h"

/* ---- Settings of a store: cask_config_set() and more ----------------- */

#include "caskade/config.h"

/* ---- Verify, backup, repair ------------------------------------------ */

#include "caskade/verify.h" /* cask_verify() */

#include "caskade/backup.h" /* cask_backup(), cask_repair() */

/* ---- Runs: cask_run_open(), cask_run_writer_create() and more ---------- */

#include "caskade/run.h"

#include "caskade/ingest.h" /* cask_ingest(): into an open store */

/* ---- Another engine ---------------------------------------------------- */

#include "caskade/convert.h" /* cask_convert() */

/* ---- Regions ----------------------------------------------------------- */

typedef struct cask_region_info {
    const char *path;       /* of the region file */
    const char *store_uuid; /* text */
    const char *directory;  /* where the store was; information only; "" if
                               that is unknown */
    uint64_t size_bytes;
    bool in_use; /* some process holds it */
    bool orphan; /* nobody holds it, and it was not left clean or its store is
                    not in `directory` any more */
    bool clean;  /* left by `linger` */
} cask_region_info;

/* Visit the regions of this user in `region_dir` (NULL: /dev/shm). Return false
 * from `visit` to stop. Returns CASK_OK; CASK_INVALID; CASK_IO. */
CASK_API CASK_CHECKED cask_status
cask_region_list(const char *region_dir,
                 bool (*visit)(void *context, const cask_region_info *info),
                 void *context, cask_error *err);

/* Remove the region file `path`, which cask_region_list() named. Nothing is
 * lost: the next open rebuilds it. Returns CASK_OK; CASK_BUSY if a process
 * holds it; CASK_INVALID if it is not a region; CASK_NOT_FOUND; CASK_IO. */
CASK_API CASK_CHECKED cask_status cask_region_drop(const char *path,
                                                   cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
