/*
 * An open store, as one handle sees it: the directory, its locks, the region,
 * and its segments. What every engine needs and none owns. An engine adds an
 * index and is called back to apply records to it.
 *
 * Lock order: open lock (byte of LOCK) > merge lock (handle's mutex, then byte
 * of LOCK) > leadership of syncs (word in the region) > maintenance lock
 * (handle's mutex, then byte of LOCK) > write lock (mutex in the region) > map
 * lock (handle's mutex).
 */
#ifndef CASKADE_STORE_H
#define CASKADE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "log/identity_format.h"
#include "log/manifest.h"
#include "log/scan.h"
#include "os/os.h"
#include "region/region.h"
#include "store/store_engine.h"

/* Bytes of the file LOCK, each a lock of its own. */
enum {
    LOCK_OPEN = 0,        /* exclusive while opening, creating, closing */
    LOCK_MAINTENANCE = 1, /* exclusive while files come and go */
    LOCK_WRITE_ROLE = 2,  /* shared by writers; exclusive by `exclusive` */
    LOCK_MERGE = 3,       /* exclusive while merging */
    LOCK_KEEP = 4,        /* shared: no merge may take files away */
    LOCK_PROCESSES = 64   /* + process slot: exclusive while it lives */
};

/* So much later than others a handle merges, at most; random. */
enum { STORE_JITTER_MS = 30000 };

/* Records of this many bytes go by pwrite, whatever `append` says. */
enum { STORE_LARGE_RECORD = 256 << 10 };

/* Counters of one handle, one stripe per thread (64 threads; then shared and
 * slightly inexact): readers write no memory that others write. */
enum { STORE_STRIPES = 64 };

typedef struct store_stripe {
    alignas(64) _Atomic uint64_t gets;
    _Atomic uint64_t get_misses;
} store_stripe;

/* A segment mapped for reading until the handle is closed. Its file may go. */
typedef struct store_map {
    uint64_t file_id;
    uint64_t nonce;
    const uint8_t *data;
    size_t size;             /* of the mapping */
    _Atomic uint32_t pins;   /* views lent out */
    _Atomic bool is_blank;   /* the file is let go; no new pins */
    struct store_map *older; /* that it replaced */
} store_map;

/* The active segment, open for appending. Counted references. */
typedef struct store_active {
    _Atomic uint32_t references;
    uint32_t row;
    uint64_t file_id;
    uint64_t nonce;
    os_file *file;
    uint8_t *data;         /* writable mapping; NULL if by pwrite only */
    size_t size;           /* of the mapping */
    uint64_t sync_epoch;   /* of the region before `file` was opened */
    uint64_t prefaulted;   /* up to here pages are present */
    uint64_t zeroed;       /* up to here zeros were written ahead */
    uint64_t window;       /* bytes: how many pages are made present at once */
    uint64_t gathered;     /* bytes of batches since the last store_writeback */
    uint64_t behind;       /* up to here what maps wrote is to be */
    uint64_t written_back; /* offset of the next; write lock for all six */
} store_active;

/* What merge_window is to a merge of this handle; see store_window.c. */
typedef enum store_window {
    WINDOW_IGNORED = 0,
    WINDOW_WATCHED = 1,
    WINDOW_CLOSED = 2 /* the merge is to stop */
} store_window;

struct store_handle {
    os *os;
    const store_engine *const *engines; /* by cask_engine */
    const store_engine *engine;         /* set with `identity` */
    void *engine_state;                 /* see store_engine.attach */
    cask_options options;               /* region_dir, on_event as given */
    char *path;                         /* owned; as given, for messages */
    os_file *dir;
    os_file *lock_file;
    os_file *keep_file; /* holds LOCK_KEEP; NULL: nobody is to keep files */
    store_identity identity;
    region_handle region;
    os_file *region_dir; /* owned; NULL if the region is in `dir` or private */
    uint32_t *fork_word;
    uint32_t process_slot; /* valid if has_slot */
    uint64_t generation;   /* of the slot */
    bool has_slot;
    bool writer;        /* may write, holds the write role */
    bool private_index; /* the region is this handle's own memory */
    _Atomic bool worker_stop;
    _Atomic bool is_merging;  /* it holds the merge lock */
    _Atomic uint64_t yielded; /* bytes written by all, when it last made way */
    _Atomic bool merger_stop; /* whoever merges in this handle gives up */
    _Atomic bool told_jump;   /* of the wall clock, by an event */
    _Atomic uint32_t window;  /* store_window, of who merges here */
    uint32_t cancel_seen;     /* merge lock: region_merge.cancel at its begin */
    uint64_t opened_ns;       /* monotonic */
    uint32_t jitter_ms;       /* random: stores must not begin together */
    uint32_t worker_wake;     /* futex */
    os_thread *worker;

    os_mutex maintenance_mutex;
    os_mutex map_mutex;
    os_mutex merge_mutex;       /* of threads of this handle that would merge */
    uint32_t pins;              /* map_mutex; see store_pin_locked() */
    _Atomic uint64_t removed;   /* of the region's, when maps were let go */
    _Atomic(store_map *) *maps; /* REGION_SEGMENTS */
    store_active *active;       /* write lock */
    uint8_t *gathered; /* write lock; see store_append.c; NULL until needed */
    struct store_files *files; /* map_mutex; CASK_IO_PREAD only */

    _Atomic uint32_t next_stripe;
    store_stripe stripes[STORE_STRIPES];
};

/* ---- Open, close (store_open.c) ---- */

/*
 * Open the store in `path`; see cask_open() for options and statuses.
 *
 *   kernel   the os to use; must outlive the handle
 *   engines  STORE_ENGINES, by cask_engine; NULL: none; the store says which
 *            it has; borrowed
 */
cask_status store_open(os *kernel, const char *path,
                       const cask_options *options,
                       const store_engine *const *engines,
                       store_handle **ret_store, cask_error *err);

/* Close it and free it; see cask_close(). */
cask_status store_close(store_handle *store, cask_error *err);

/* Rebuild a private index. */
cask_status store_refresh(store_handle *store, cask_error *err);

/* The hash by which the engine's index knows a key. */
static inline siphash_value store_hash(const store_handle *store,
                                       cask_slice key)
{
    return store->engine->hash != NULL
               ? store->engine->hash(store, key)
               : siphash(store->identity.hash_key, key.data, key.size);
}

/* The same of a record's key. */
static inline siphash_value store_hash_of(const store_handle *store,
                                          const scan_item *item)
{
    return store_hash(store, (cask_slice){item->key, item->header.key_size});
}

/* A record that a scan has found. */
static inline store_indexed store_indexed_of(const store_handle *store,
                                             const scan_item *item)
{
    return (store_indexed){.hash = store_hash_of(store, item),
                           .key = {item->key, item->header.key_size},
                           .sequence = item->header.sequence};
}

/* True in a child of fork(): nothing of the handle may be used. */
static inline bool store_is_forked(const store_handle *store)
{
    return *store->fork_word == 0;
}

/* ---- Events and statistics (store_event.c) ---- */

/* Tell the application; formats like fail(). */
void store_event(const store_handle *store, cask_event_kind kind,
                 cask_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Add a duration to a histogram of the region. */
void store_histogram_add(_Atomic uint64_t *buckets, uint64_t ns);

/* This thread's counters. */
store_stripe *store_stripe_of(store_handle *store);

/* Copy the handle's counters to its process slot. */
void store_publish_counters(store_handle *store);

/* ---- Write lock (store_lock.c) ---- */

/*
 * Take the write lock; redo first what a dead owner left, check that this
 * handle may still write.
 *
 * Returns CASK_OK with the lock held; else without it: CASK_TIMEOUT (names the
 * holder; nothing was written), CASK_FENCED, CASK_POISONED, CASK_IO.
 */
cask_status store_lock(store_handle *store, cask_error *err);

/* As store_lock(), also when the store is poisoned. */
cask_status store_lock_always(store_handle *store, cask_error *err);

void store_unlock(store_handle *store);

/* Make the store read-only for every process, after a failed sync. */
void store_poison(store_handle *store, int os_errno, const char *what);

/* Why it is, for messages. */
const char *store_poison_text(const store_handle *store);

/* ---- Process slots, byte locks (store_process.c) ---- */

/* Lock a byte of LOCK exclusively, waiting lock_timeout_ms. CASK_OK,
 * CASK_TIMEOUT, CASK_IO. */
cask_status store_lock_byte(store_handle *store, uint64_t byte,
                            cask_error *err);
void store_unlock_byte(store_handle *store, uint64_t byte);

/* Claim a process slot: CASK_OK; CASK_BUSY if all are taken. The open lock is
 * held. */
cask_status store_claim_slot(store_handle *store, cask_error *err);
void store_release_slot(store_handle *store);

/* Whether the process in this slot lives; its own slot does. */
bool store_slot_is_alive(store_handle *store, uint32_t slot);

/* Whether somebody reads by an index of his own, without maps: no file may be
 * taken away. */
bool store_files_are_kept(store_handle *store);

/* Whether another handle that may write is open. */
bool store_has_other_writer(store_handle *store);

/* CASK_BUSY, with a message that names who holds the write role. */
cask_status store_fail_busy(store_handle *store, cask_error *err);

/* Serialise work on files, over threads and processes. */
cask_status store_maintain_begin(store_handle *store, cask_error *err);
void store_maintain_end(store_handle *store);

#endif
