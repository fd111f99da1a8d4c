/*
 * What the public calls ask of an engine. The file CASKADE of a store says
 * which engine it has; statuses are those of caskade.h.
 */
#ifndef CASKADE_DB_ENGINE_H
#define CASKADE_DB_ENGINE_H

#include "caskade.h"
#include "db/merge.h"
#include "store/store_merger.h"
#include "store/store_snapshot.h"
#include "store/store_write.h"

typedef struct db_engine {
    /* ---- Reading ---- */

    /* Look up a key and copy its value to `value` (NULL: no copy wanted).
     * ret_info: set on CASK_OK only; NULL: not wanted. */
    cask_status (*get)(store_handle *store, cask_slice key, cask_buffer *value,
                       cask_info *ret_info, cask_error *err);
    cask_status (*get_many)(store_handle *store, const cask_slice *keys,
                            size_t count, cask_buffer *values,
                            cask_status *statuses, cask_error *err);
    cask_status (*view)(store_handle *store, cask_slice key,
                        cask_view *ret_view, cask_error *err);

    /* About how many keys there are, at most; see cask_stats. */
    uint64_t (*key_estimate)(store_handle *store);
    /* Runs that are damaged, as far as this handle knows: how many, and their
     * bytes. NULL: there are no runs. */
    void (*damaged_runs)(store_handle *store, uint64_t *ret_count,
                         uint64_t *ret_bytes);
    /* The number of keys; see cask_count(). */
    cask_status (*count)(store_handle *store, uint64_t *ret_count,
                         cask_error *err);

    /* ---- As of a snapshot ---- */

    cask_status (*snapshot_get)(const store_snapshot *snapshot, cask_slice key,
                                cask_buffer *value, cask_info *ret_info,
                                cask_error *err);
    cask_status (*snapshot_get_many)(const store_snapshot *snapshot,
                                     const cask_slice *keys, size_t count,
                                     cask_buffer *values, cask_status *statuses,
                                     cask_error *err);
    cask_status (*snapshot_count)(const store_snapshot *snapshot,
                                  uint64_t *ret_count, cask_error *err);
    /* options: NULL: the defaults */
    cask_status (*snapshot_fold)(store_snapshot *snapshot,
                                 const cask_fold_options *options,
                                 cask_fold_fn visit, void *context,
                                 cask_error *err);

    /* ---- Writing ---- */

    /* Fill a record for a put or a delete; the slices are borrowed. */
    void (*prepare)(const store_handle *store, uint8_t kind, cask_slice key,
                    cask_slice value, uint64_t expires_at_ms,
                    store_record *ret_record);
    /* Complete records that have all but their hash and their sequence. */
    void (*prepare_many)(const store_handle *store, store_record *records,
                         size_t count);
    /* Write records as one operation. ret_sequence: of the last. */
    cask_status (*write)(store_handle *store, store_record *records,
                         size_t count, uint64_t *ret_sequence, cask_error *err);
    /* Write one record if the condition holds. A delete of a key without a live
     * record writes nothing. ret_existed: whether it had a live value. */
    cask_status (*write_if)(store_handle *store, store_record *record,
                            const cask_write_options *options,
                            uint64_t *ret_sequence, bool *ret_existed,
                            cask_error *err);
    /* Make the index ready for about `count` keys. */
    cask_status (*reserve)(store_handle *store, uint64_t count,
                           cask_error *err);

    /* ---- Merging ---- */

    const db_merge_calls *merges;
    const store_merger_work *merger; /* what its thread does */
} db_engine;

/* What the store calls back, for store_open(). */
extern const store_engine *const db_store_engines[STORE_ENGINES];

/* The calls of an engine that a store has. */
const db_engine *db_engine_of(const store_handle *store);

#endif
