/*
 * Folds of a snapshot, which are walks over all keys.
 */
#include "tree/tree_snapshot.h"

#include "tree/tree_cuts.h"
#include "tree/tree_iterator.h"

static bool count_one(void *context, const cask_entry *entry)
{
    uint64_t *count = context;

    (void)entry;
    (*count)++;
    return true;
}

static cask_status walk(const store_snapshot *snapshot,
                        const tree_iterator_options *options,
                        cask_fold_fn visit, void *context, cask_error *err)
{
    const tree_walk all = {.visit = visit, .context = context};
    tree_iterator *it = NULL;
    cask_status status = tree_iterator_create(snapshot, options, &it, err);

    if (status == CASK_OK) {
        status = tree_iterator_walk(it, &all, err);
    }
    tree_iterator_free(it);
    return status;
}

cask_status tree_snapshot_count(const store_snapshot *snapshot,
                                uint64_t *ret_count, cask_error *err)
{
    const tree_iterator_options options = {.keys_only = true};
    uint64_t count = 0;
    cask_status status = walk(snapshot, &options, count_one, &count, err);

    if (status == CASK_OK) {
        *ret_count = count;
    }
    return status;
}

cask_status tree_count(store_handle *store, uint64_t *ret_count,
                       cask_error *err)
{
    store_snapshot now = {.store = NULL};
    cask_status status = store_snapshot_take(store, true, &now, err);

    if (status == CASK_OK) {
        status = tree_snapshot_count(&now, ret_count, err);
    }
    store_snapshot_drop(&now);
    return status;
}

cask_status tree_snapshot_fold(store_snapshot *snapshot,
                               const cask_fold_options *options,
                               cask_fold_fn visit, void *context,
                               cask_error *err)
{
    tree_iterator_options walked = {.keys_only =
                                        options != NULL && options->keys_only};
    cask_status status = CASK_OK;
    bool is_empty = false;

    if (options != NULL && options->parts > 1) {
        status = tree_cuts_of(snapshot, options->part, options->parts,
                              &walked.bounds, &is_empty, err);
    }
    return status == CASK_OK && !is_empty
               ? walk(snapshot, &walked, visit, context, err)
               : status;
}
