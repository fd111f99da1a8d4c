/*
 * The tree engine: memtables over the log, and sorted runs that they are
 * written to. Functions take an open store and checked arguments; statuses are
 * those of caskade.h.
 */
#ifndef CASKADE_TREE_H
#define CASKADE_TREE_H

#include "run/run_hash.h"
#include "store/store_merger.h"
#include "store/store_write.h"
#include "tree/memtable.h"
#include "tree/tree_ranges.h"
#include "tree/version.h"

/* What the store calls back, and what its merging thread does: it flushes, and
 * compacts runs as the policy, or somebody who asked, wants it. */
extern const store_engine tree_engine;
extern const store_merger_work tree_merger_work;

/* Records of one batch, at most: a memtable must be able to take them. And how
 * many of them may delete ranges. */
enum {
    TREE_BATCH_RECORDS = 1 << 21,
    TREE_BATCH_RANGES = MEMTABLE_RANGES_USUAL
};

/* What a handle has besides the store's: store->engine_state. */
typedef struct tree_state {
    memtable_log log;         /* this handle's maps */
    run_hash_key hash_key;    /* of the store's runs, and of memtables */
    versions *versions;       /* the runs, as this handle has them open */
    tree_ranges *ranges;      /* deleted in memtables, as it has read them */
    _Atomic bool has_begun;   /* a memtable, and the merging thread is not awake
                                 yet */
    _Atomic bool wants_table; /* a writer, and none is free */
} tree_state;

/* The hash key of a store's runs; its own key is that of the file CASKADE. */
static inline run_hash_key tree_hash_key(siphash_key key)
{
    siphash_value value = siphash(key, "run", 3);

    return (run_hash_key){{value.word[0], value.word[1]}};
}

static inline tree_state *tree_state_of(const store_handle *store)
{
    return store->engine_state;
}

/* As runs know the key, so that a look-up has one hash for all. Memtables know
 * the first word. */
static inline siphash_value tree_hash(const store_handle *store, cask_slice key)
{
    run_hash_key by = tree_state_of(store)->hash_key;

    return (siphash_value){{run_hash(by, key.data, key.size), 0}};
}

/* ---- Reading (tree_read.c) ---- */

/* Look up a key and copy its value to `value` (NULL: no copy wanted).
 * ret_info: NULL: not wanted. */
cask_status tree_get(store_handle *store, cask_slice key, cask_buffer *value,
                     cask_info *ret_info, cask_error *err);

/* The newest record of a key, dead or alive: CASK_OK with all that is known of
 * it; CASK_NOT_FOUND: there is none. */
typedef struct tree_found {
    cask_info info;
    bool is_put; /* else it was deleted */
} tree_found;

cask_status tree_find(store_handle *store, cask_slice key, siphash_value hash,
                      cask_buffer *value, tree_found *ret_found,
                      cask_error *err);

/* Whether such a record has a value that is shown. */
bool tree_is_live(const store_handle *store, const tree_found *found);

cask_status tree_get_many(store_handle *store, const cask_slice *keys,
                          size_t count, cask_buffer *values,
                          cask_status *statuses, cask_error *err);

/* Keys of all memtables and runs: each counts in all that it is in, and deleted
 * ones count. */
uint64_t tree_key_estimate(store_handle *store);

/* Runs that this handle found damaged, and their bytes. */
void tree_damaged_runs(store_handle *store, uint64_t *ret_count,
                       uint64_t *ret_bytes);

/* Lend a value, in place if it is in the log. */
cask_status tree_view(store_handle *store, cask_slice key, cask_view *ret_view,
                      cask_error *err);

/* ---- Writing (tree_write.c) ---- */

/* Whether a memtable can take these, before they are appended; the write lock
 * is held, with room for them (tree_apply.c). CASK_OK; CASK_CORRUPT. */
cask_status tree_check_locked(store_handle *store, const store_record *records,
                              size_t count, cask_error *err);

/* Write records as one operation. ret_sequence: of the last. */
cask_status tree_write(store_handle *store, store_record *records, size_t count,
                       uint64_t *ret_sequence, cask_error *err);

/* Write one record if the condition holds; CASK_CONDITION if not. For a delete
 * of a key without a live record nothing is written.
 * ret_existed: whether it had a live, unexpired value. */
cask_status tree_write_if(store_handle *store, store_record *record,
                          const cask_write_options *options,
                          uint64_t *ret_sequence, bool *ret_existed,
                          cask_error *err);

/* Memtables grow as they are filled: nothing is made ready. CASK_OK. */
cask_status tree_reserve(store_handle *store, uint64_t count, cask_error *err);

#endif
