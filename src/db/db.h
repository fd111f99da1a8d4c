/*
 * The handle behind the public API, and what its files share.
 */
#ifndef CASKADE_DB_H
#define CASKADE_DB_H

#include "base/key_order.h"
#include "caskade.h"
#include "db/engine.h"
#include "store/merge_log.h"
#include "store/store_snapshot.h"
#include "store/store_write.h"

struct cask_db {
    store_handle *store;
    const db_engine *engine;
    store_merger *merger;       /* NULL: none */
    _Atomic uint32_t snapshots; /* not yet freed */
    _Atomic uint32_t iterators; /* not yet freed */
    const void *self; /* this: a handle that was closed or is none is refused
                         while its memory has not been reused */
};

/* The text of a uuid, with its NUL. */
enum { DB_UUID_SIZE = 37 };
void db_format_uuid(const uint8_t uuid[16], char ret_text[DB_UUID_SIZE]);

/* cask_open() on a given os: for simulators and fault injection. */
cask_status db_open_on(os *kernel, const char *path,
                       const cask_options *options, cask_db **ret_db,
                       cask_error *err);

/* cask_verify() on a given os. */
cask_status db_verify_on(os *kernel, const char *path,
                         const cask_verify_options *options,
                         cask_verify_report *ret_report, cask_error *err);

/* cask_repair() on a given os. */
cask_status db_repair_on(os *kernel, const char *path, const char *out_dir,
                         const cask_repair_options *options,
                         cask_repair_report *ret_report, cask_error *err);

/* Check what the caller gave; CASK_INVALID names the option. */
cask_status options_check(const cask_options *options, cask_error *err);

/* CASK_OK if the handle may be used for reading, or for writing. */
cask_status db_check(const cask_db *db, cask_error *err);
cask_status db_check_writable(const cask_db *db, cask_error *err);

/* CASK_INVALID if the key is larger than allowed, or the output missing. */
cask_status db_check_key(cask_slice key, cask_error *err);
cask_status db_check_output(const void *output, const char *name,
                            cask_error *err);

/* Whether no key can be from `from` to before `to`; data NULL: no bound. */
static inline bool db_is_no_range(cask_slice from, cask_slice to)
{
    return to.data != NULL && key_compare(from, to) >= 0;
}

/* CASK_UNSUPPORTED, and what to do, if its engine is not the tree. `lacks`:
 * what its own one does not have. */
cask_status db_check_tree(const cask_db *db, const char *lacks,
                          cask_error *err);

/* The same of an order of keys; what db_check() gives. (iterator.c) */
cask_status db_check_order(const cask_db *db, cask_error *err);

/* CASK_INVALID if an array is missing, or a key of it larger than allowed. */
cask_status db_check_many(const cask_slice *keys, size_t count,
                          const cask_buffer *values,
                          const cask_status *statuses, cask_error *err);

/* The same for reading a key into `output`, which must not be NULL. */
cask_status db_check_read(const cask_db *db, cask_slice key, const void *output,
                          cask_error *err);

/* The moment of a snapshot of this handle, borrowed. CASK_OK; CASK_INVALID;
 * CASK_FORKED. */
cask_status db_check_snapshot(const cask_db *db, const cask_snapshot *snapshot,
                              const store_snapshot **ret_at, cask_error *err);

/* Give a prepared record the time that the caller asked for; 0: now. */
static inline void db_set_time(store_record *record, uint32_t time_s)
{
    if (time_s != 0) {
        record->header.time_s = time_s;
    }
}

/* What is told of a merge, or a flush, that ended. */
cask_past_merge db_past_merge(const cask_db *db, const merge_record *record);

/* CASK_INVALID if key or value is larger than allowed, before any I/O. */
cask_status db_check_sizes(cask_slice key, cask_slice value, cask_error *err);

#endif
