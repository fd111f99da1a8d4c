/*
 * An open store, as one handle sees it: the directory, its locks, the region,
 * and its segments. What both engines need and neither owns. An engine adds an
 * index and is called back to apply records to it.
 *
 * Lock order: open lock (byte of LOCK) > leadership of syncs (word in the
 * region) > maintenance lock (handle's mutex, then byte of LOCK) > write lock
 * (mutex in the region) > map lock (handle's mutex).
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

/* Bytes of the file LOCK, each a lock of its own. */
enum {
    LOCK_OPEN = 0,        /* exclusive while opening, creating, closing */
    LOCK_MAINTENANCE = 1, /* exclusive while files come and go */
    LOCK_WRITE_ROLE = 2,  /* shared by writers; exclusive by `exclusive` */
    LOCK_PROCESSES = 64   /* + process slot: exclusive while it lives */
};

/* Values that need this many bytes go by pwrite, whatever the back end. */
enum { STORE_LARGE_RECORD = 256 << 10 };

/* Counters of one handle, one stripe per thread (64 threads; then shared and
 * slightly inexact): readers write no memory that others write. */
enum { STORE_STRIPES = 64 };

typedef struct store_stripe {
    alignas(64) _Atomic uint64_t gets;
    _Atomic uint64_t get_misses;
} store_stripe;

/* A segment mapped for reading. Lives until the handle is closed. */
typedef struct store_map {
    uint64_t file_id;
    uint64_t nonce;
    const uint8_t *data;
    size_t size;             /* of the mapping */
    _Atomic uint32_t pins;   /* views lent out */
    struct store_map *older; /* that it replaced */
} store_map;

/* The active segment, open for appending. Counted references. */
typedef struct store_active {
    _Atomic uint32_t references;
    uint32_t row;
    uint64_t file_id;
    uint64_t nonce;
    os_file *file;
    uint8_t *data;        /* writable mapping; NULL if by pwrite only */
    size_t size;          /* of the mapping */
    uint64_t sync_epoch;  /* of the region before `file` was opened */
    uint64_t prefaulted;  /* bytes */
} store_active;

typedef struct store_handle store_handle;

/* What an engine does for the store. */
typedef struct store_engine {
    /* Set up an empty index in a new region. */
    cask_status (*create_index)(store_handle *store, cask_error *err);
    /* Bring what apply_locked() will need into the cache. */
    void (*prefetch)(const store_handle *store, siphash_value hash);
    /* Finish index changes that a dead writer began; write lock held. */
    void (*finish_locked)(store_handle *store);
    /* Memory that `count` apply calls may need; no lock held. */
    cask_status (*reserve)(store_handle *store, uint64_t count, cask_error *err);
    /* Whether that memory is there; write lock held. */
    bool (*has_room_locked)(store_handle *store, uint64_t count);
    /* Apply the put or delete at `place` to index and counters, then advance
     * applied_tail to `tail`; write lock held. */
    void (*apply_locked)(store_handle *store, siphash_value hash,
                         const record_header *header, uint64_t place,
                         uint64_t tail);
    /* The place that the index names for a key, 0 if none; write lock held. */
    uint64_t (*place_locked)(store_handle *store, siphash_value hash);
    /* Let it name another, of the same record; counters stay. */
    void (*move_locked)(store_handle *store, siphash_value hash, uint64_t to);
} store_engine;

struct store_handle {
    os *os;
    const store_engine *engine;
    cask_options options; /* region_dir, on_event as given */
    char *path;           /* owned; as given, for messages */
    os_file *dir;
    os_file *lock_file;
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
    uint32_t worker_wake; /* futex */
    os_thread *worker;

    os_mutex maintenance_mutex;
    os_mutex map_mutex;
    _Atomic(store_map *) *maps; /* REGION_SEGMENTS */
    store_active *active;       /* write lock */
    struct store_files *files;  /* map_mutex; CASK_IO_PREAD only */

    _Atomic uint32_t next_stripe;
    store_stripe stripes[STORE_STRIPES];
};

/* ---- Open, close (store_open.c) ------------------------------------------ */

/*
 * Open the store in `path`; see cask_open() for options and statuses.
 *
 *   kernel  the os to use; must outlive the handle
 */
cask_status store_open(os *kernel, const char *path,
                       const cask_options *options, const store_engine *engine,
                       store_handle **ret_store, cask_error *err);

/* Close it and free it; see cask_close(). */
cask_status store_close(store_handle *store, cask_error *err);

/* Rebuild a private index. */
cask_status store_refresh(store_handle *store, cask_error *err);

/* True in a child of fork(): nothing of the handle may be used. */
static inline bool store_is_forked(const store_handle *store)
{
    return *store->fork_word == 0;
}

/* ---- Events and statistics (store_event.c) -------------------------------- */

/* Tell the application; formats like fail(). */
void store_event(const store_handle *store, cask_event_kind kind, cask_status status,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Add a duration to a histogram of the region. */
void store_histogram_add(_Atomic uint64_t *buckets, uint64_t ns);

/* This thread's counters. */
store_stripe *store_stripe_of(store_handle *store);

/* Move the handle's counters to its process slot. */
void store_publish_counters(store_handle *store);

/* ---- Write lock (store_lock.c) --------------------------------------------- */

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

/* ---- Process slots, byte locks (store_process.c) ---------------------------- */

/* Lock a byte of LOCK exclusively, waiting lock_timeout_ms. CASK_OK,
 * CASK_TIMEOUT, CASK_IO. */
cask_status store_lock_byte(store_handle *store, uint64_t byte, cask_error *err);
void store_unlock_byte(store_handle *store, uint64_t byte);

/* Claim a process slot: CASK_OK; CASK_BUSY if all are taken. The open lock is
 * held. */
cask_status store_claim_slot(store_handle *store, cask_error *err);
void store_release_slot(store_handle *store);

/* Whether the process in this slot lives; its own slot does. */
bool store_slot_is_alive(store_handle *store, uint32_t slot);

/* Whether another handle that may write is open. */
bool store_has_other_writer(store_handle *store);

/* Serialise work on files, over threads and processes. */
cask_status store_maintain_begin(store_handle *store, cask_error *err);
void store_maintain_end(store_handle *store);

/* ---- Reading maps (store_map.c) ---------------------------------------------- */

/* The mapping of a row, made if necessary, that covers its reserved_tail.
 * CASK_OK; CASK_CORRUPT; CASK_IO; CASK_NO_MEMORY. */
cask_status store_map_row(store_handle *store, uint32_t row, store_map **ret_map,
                          cask_error *err);

/* The mapping of a row if it is there and current, else NULL. */
static inline store_map *store_map_peek(const store_handle *store, uint32_t row)
{
    store_map *map =
        atomic_load_explicit(&store->maps[row], memory_order_acquire);

    if (map == NULL ||
        map->file_id != atomic_load_explicit(&store->region.rows[row].file_id,
                                             memory_order_acquire)) {
        return NULL;
    }
    return map;
}

void store_unmap_all(store_handle *store);

/* Views lent out by this handle. */
uint32_t store_pins(const store_handle *store);

/* ---- Reading by system call (store_pread.c), CASK_IO_PREAD ---------------------- */

/* Copy `size` bytes at `offset` of a row. CASK_OK; CASK_IO; CASK_CORRUPT if
 * the file is shorter. */
cask_status store_pread(store_handle *store, uint32_t row, void *data,
                        size_t size, uint64_t offset, cask_error *err);
void store_pread_close_all(store_handle *store);

/*
 * Bytes of a sealed or foreign segment for a scan: mapped, or read into memory
 * in CASK_IO_PREAD, where failing media must give an error and not a signal.
 */
typedef struct store_bytes {
    const uint8_t *data;
    size_t size;      /* of the file */
    size_t map_size;
} store_bytes;

cask_status store_bytes_load(store_handle *store, os_file *file,
                             uint64_t size, const char *name,
                             store_bytes *ret_bytes, cask_error *err);
void store_bytes_free(store_handle *store, store_bytes *bytes);

/* ---- Appending (store_append.c) ------------------------------------------------ */

/* Open the active row for appending if this handle has not yet; the write lock
 * is held, and the call may use the kernel. */
cask_status store_open_active_locked(store_handle *store, cask_error *err);

/* A reference to the active segment, or release of one; accepts NULL. */
store_active *store_active_acquire_locked(store_handle *store);
void store_active_release(store_handle *store, store_active *active);

/* One record to append: header fields without sequence and crc. */
typedef struct store_record {
    record_header header;
    uint32_t body_crc;
    uint64_t expires_at_ms; /* if header.type says so */
    cask_slice key;
    cask_slice value;
    siphash_value hash; /* of the key */
} store_record;

/* Bytes that the records take, and the mark before them. */
uint64_t store_records_size(const store_record *records, size_t count);

/*
 * Append records as one operation and apply them to the index. The write lock
 * is held, the active segment open and fitting, the engine has room.
 *
 *   ret_sequence  of the last record
 *
 * Returns CASK_OK; CASK_NO_SPACE or CASK_IO: nothing was applied and the tail
 * is as before.
 */
cask_status store_append_locked(store_handle *store, store_record *records,
                                size_t count, uint64_t *ret_sequence,
                                cask_error *err);

/* Zero a range of the active segment; an errno value. */
int store_zero_active(store_handle *store, uint64_t offset, uint64_t size);

/* Whether `bytes` fit into what is allocated of the active segment. */
bool store_fits_locked(const store_handle *store, uint64_t bytes);

/* ---- Room: growth, rotation (store_room.c) ------------------------------------- */

/*
 * Make `bytes` fit: grow the active segment, or rotate to the next. No lock is
 * held. Returns CASK_OK (look again: others may have used it up); CASK_NO_SPACE
 * (nothing written); CASK_IO; CASK_POISONED.
 */
cask_status store_make_room(store_handle *store, uint64_t bytes, cask_error *err);

/* Whether a next segment should be prepared, and do it (worker). */
bool store_wants_next(const store_handle *store);
cask_status store_prepare_next(store_handle *store, cask_error *err);

/* Append one edit to the MANIFEST; maintenance lock held. A failed sync poisons
 * the store. */
cask_status store_edit(store_handle *store, manifest_edit *edit,
                       cask_error *err);

/* Take an id for a new segment file; maintenance lock held. */
cask_status store_take_id(store_handle *store, uint64_t *ret_id, cask_error *err);

/* Create a segment in a new row. State ROW_PREPARED. Maintenance lock held. */
cask_status store_create_row(store_handle *store, uint64_t capacity,
                             uint32_t *ret_row, cask_error *err);

/* Make sure that there is a next row, with room for `bytes`; maintenance lock
 * held. */
cask_status store_ensure_next(store_handle *store, uint64_t bytes,
                              cask_error *err);

/* Let the next row take over from the active one, which ends at `tail` and is
 * synced up to there; write lock held. Returns the old row. */
uint32_t store_switch_locked(store_handle *store, uint64_t tail,
                             uint64_t next_tail);

/* Write the SEAL edit and the footer of a row that was synced. */
cask_status store_seal_row(store_handle *store, uint32_t row, cask_error *err);

/* ---- Sync (store_sync.c) ---------------------------------------------------------- */

/* Return when everything up to `sequence` is durable. CASK_OK; CASK_POISONED;
 * CASK_TIMEOUT; CASK_IO. */
cask_status store_sync_to(store_handle *store, uint64_t sequence, cask_error *err);

/* Sync everything written so far. */
cask_status store_sync_all(store_handle *store, cask_error *err);

/*
 * Be the one that syncs, until store_lead_end(): waits for whoever leads, and
 * takes over from the dead. Comes before the maintenance lock.
 */
cask_status store_lead_begin(store_handle *store, cask_error *err);
void store_lead_end(store_handle *store);

/* Sync what was written so far; the caller leads and holds the maintenance
 * lock. */
cask_status store_sync_leading(store_handle *store, cask_error *err);

/* Whether this handle's descriptor of the active segment hears of every failure
 * there was to sync it; else its tail must be moved. Write lock held, active
 * segment open. */
bool store_can_vouch_locked(const store_handle *store);

/* ---- Recovery (store_recover.c, store_load.c, store_tail.c) ------------------------ */

/* Redo what the dead owner of the write lock had appended; the lock is held. */
cask_status store_redo_locked(store_handle *store, cask_error *err);

/*
 * Move the unsynced tail of the active segment to the next one and let that
 * take over, because nobody can tell whether a sync of the old one succeeded.
 * Syncs under the write lock: rare, and short of an alternative.
 *
 *   maintained  the maintenance lock is held already
 */
cask_status store_move_tail(store_handle *store, bool maintained,
                            cask_error *err);

/* What becomes of one copied record; see store_copy_records(). */
typedef void (*store_copied_fn)(store_handle *store, const scan_item *item,
                                uint64_t from_place, uint64_t to_place,
                                uint64_t to_tail);

/* Copy the records that `scan` finds, marks left out, to row `to`, whose file
 * is open as `file`, from its header on; sync it; then call `copied` for each.
 * ret_end: the end of the copies. */
typedef struct store_copy {
    segment_scan scan;
    uint32_t from;
    uint32_t to;
    os_file *file;
    store_copied_fn copied;
} store_copy;

cask_status store_copy_records(store_handle *store, const store_copy *copy,
                               uint64_t *ret_end, cask_error *err);

/* The part of recovery that loads segments (store_load.c). */
typedef struct store_tail {
    os_file *file;        /* of the segment; NULL: none */
    store_bytes bytes;
    uint64_t trusted_end; /* synced up to here */
    uint64_t end;         /* of the last verified operation */
    uint64_t first_sequence, last_sequence; /* 0: no records verify */
    bool used;  /* it holds records, or did */
    bool clean; /* ends with a mark of everything before it */
} store_tail;

/* Look at an unsealed segment and keep it open. */
cask_status store_tail_examine(store_handle *store,
                               const manifest_segment *segment,
                               store_tail *ret_tail, cask_error *err);
void store_tail_free(store_handle *store, store_tail *tail);

/* Set up row `index` for a segment and apply all its records below `length`,
 * by its hint if it has one. ret_last_sequence: highest seen. */
cask_status store_load_segment(store_handle *store, uint32_t index,
                               const manifest_segment *segment,
                               uint64_t *ret_last_sequence, cask_error *err);

/* Fill a new region from the files. */
cask_status store_recover(store_handle *store, cask_error *err);

/* ---- Hints (store_hint.c) ------------------------------------------------------------ */

/* Write the hint of a sealed row. */
cask_status store_write_hint(store_handle *store, uint32_t row, cask_error *err);

/* ---- Worker (store_worker.c) ---------------------------------------------------------- */

cask_status store_worker_start(store_handle *store, cask_error *err);
void store_worker_stop(store_handle *store);
void store_worker_wake(store_handle *store);

#endif
