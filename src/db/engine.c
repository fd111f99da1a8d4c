/*
 * The table of engines.
 */
#include "db/engine.h"

#include "hash/hash.h"
#include "hash/hash_merger.h"
#include "hash/hash_snapshot.h"
#include "store/store_operation.h"
#include "tree/tree.h"
#include "tree/tree_snapshot.h"

/* ---- Hash ---- */

static cask_status hash_engine_get(store_handle *store, cask_slice key,
                                   cask_buffer *value, cask_info *ret_info,
                                   cask_error *err)
{
    hash_found found = {.place = 0};
    cask_status status = hash_get(store, key, value, &found, err);

    if (status == CASK_OK && ret_info != NULL) {
        *ret_info = found.info;
    }
    return status;
}

static cask_status hash_count(store_handle *store, uint64_t *ret_count,
                              cask_error *err)
{
    (void)err;
    *ret_count = atomic_load(&store->region.header->key_count);
    return CASK_OK;
}

static cask_status hash_snapshot_count(const store_snapshot *snapshot,
                                       uint64_t *ret_count, cask_error *err)
{
    (void)err;
    *ret_count = snapshot->key_count;
    return CASK_OK;
}

static cask_status hash_engine_fold(store_snapshot *snapshot,
                                    const cask_fold_options *options,
                                    cask_fold_fn visit, void *context,
                                    cask_error *err)
{
    hash_fold_wish wish = {.parts = 1};

    if (options != NULL) {
        wish.keys_only = options->keys_only;
        wish.part = options->part;
        wish.parts = options->parts == 0 ? 1 : options->parts;
    }
    return hash_snapshot_fold(snapshot, wish, visit, context, err);
}

static uint64_t hash_key_estimate(store_handle *store)
{
    return atomic_load(&store->region.header->key_count);
}

static const db_engine hash_calls = {
    .get = hash_engine_get,
    .get_many = hash_get_many,
    .view = hash_view,
    .key_estimate = hash_key_estimate,
    .count = hash_count,
    .snapshot_get = hash_snapshot_get,
    .snapshot_get_many = hash_snapshot_get_many,
    .snapshot_count = hash_snapshot_count,
    .snapshot_fold = hash_engine_fold,
    .prepare = hash_prepare,
    .prepare_many = hash_prepare_many,
    .write = hash_write,
    .write_if = hash_write_if,
    .reserve = hash_reserve,
    .merges = &db_hash_merges,
    .merger = &hash_merger_work,
};

/* ---- Tree ---- */

static const db_engine tree_calls = {
    .get = tree_get,
    .get_many = tree_get_many,
    .view = tree_view,
    .count = tree_count,
    .snapshot_get = tree_snapshot_get,
    .snapshot_get_many = tree_snapshot_get_many,
    .snapshot_count = tree_snapshot_count,
    .snapshot_fold = tree_snapshot_fold,
    .key_estimate = tree_key_estimate,
    .damaged_runs = tree_damaged_runs,
    .prepare = store_prepare,
    .prepare_many = store_hash_records,
    .write = tree_write,
    .write_if = tree_write_if,
    .reserve = tree_reserve,
    .merges = &db_tree_merges,
    .merger = &tree_merger_work,
};

/* ---- All ---- */

const store_engine *const db_store_engines[STORE_ENGINES] = {
    [CASK_ENGINE_HASH] = &hash_engine,
    [CASK_ENGINE_TREE] = &tree_engine,
};

static const db_engine *const calls[STORE_ENGINES] = {
    [CASK_ENGINE_HASH] = &hash_calls,
    [CASK_ENGINE_TREE] = &tree_calls,
};

const db_engine *db_engine_of(const store_handle *store)
{
    return calls[store->identity.engine];
}
