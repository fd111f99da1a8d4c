/*
 * Ordered access: the functions of caskade/iterator.h. Arguments are checked
 * here, the rest is in src/tree.
 */
#include <stdlib.h>

#include "db/db.h"
#include "tree/tree_iterator.h"
#include "tree/tree_size.h"

struct cask_iterator {
    cask_db *db;         /* borrowed */
    const void *self;    /* this, until it is freed */
    store_snapshot own;  /* {0}: it is a snapshot of the caller's */
    tree_iterator *walk; /* as of one of them */
};

/* ---- Checks ------------------------------------------------------------- */

cask_status db_check_order(const cask_db *db, cask_error *err)
{
    cask_status status = db_check(db, err);

    return status == CASK_OK ? db_check_tree(db, "order of keys", err) : status;
}

static cask_status check_options(const cask_iterator_options *options,
                                 cask_error *err)
{
    cask_status status = db_check_key(options->lower, err);

    if (status == CASK_OK) {
        status = db_check_key(options->upper, err);
    }
    return status == CASK_OK ? db_check_key(options->prefix, err) : status;
}

static cask_status check(const cask_iterator *it, const void *ret_entry,
                         cask_error *err)
{
    cask_status status;

    if (it == NULL || it->self != it) {
        (void)fail(err, CASK_INVALID, 0, "not an iterator");
        return CASK_INVALID;
    }
    status = db_check(it->db, err);
    return status == CASK_OK ? db_check_output(ret_entry, "ret_entry", err)
                             : status;
}

/* ---- Create, free ------------------------------------------------------- */

/* Of the caller's snapshot, or of one of its own. */
static cask_status begin(cask_iterator *it, const cask_iterator_options *wish,
                         cask_error *err)
{
    const tree_iterator_options options = {.bounds = {wish->lower, wish->upper},
                                           .prefix = wish->prefix,
                                           .keys_only = wish->keys_only};
    const store_snapshot *at = &it->own;
    cask_status status =
        wish->snapshot != NULL
            ? db_check_snapshot(it->db, wish->snapshot, &at, err)
            : store_snapshot_take(it->db->store, true, &it->own, err);

    return status == CASK_OK
               ? tree_iterator_create(at, &options, &it->walk, err)
               : status;
}

cask_status cask_iterator_create(cask_db *db,
                                 const cask_iterator_options *options,
                                 cask_iterator **ret_iterator, cask_error *err)
{
    const cask_iterator_options all = {.snapshot = NULL};
    cask_status status = db_check_order(db, err);
    cask_iterator *it;

    options = options != NULL ? options : &all;
    if (status == CASK_OK) {
        status = db_check_output(ret_iterator, "ret_iterator", err);
    }
    if (status == CASK_OK) {
        status = check_options(options, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    it = calloc(1, sizeof(*it));
    if (it == NULL) {
        return fail_memory(err, sizeof(*it));
    }
    it->db = db;
    status = begin(it, options, err);
    if (status != CASK_OK) {
        store_snapshot_drop(&it->own);
        free(it);
        return status;
    }
    it->self = it;
    atomic_fetch_add(&db->iterators, 1);
    *ret_iterator = it;
    return CASK_OK;
}

void cask_iterator_free(cask_iterator *iterator)
{
    if (iterator == NULL || iterator->self != iterator) {
        return;
    }
    tree_iterator_free(iterator->walk);
    store_snapshot_drop(&iterator->own);
    atomic_fetch_sub(&iterator->db->iterators, 1);
    iterator->self = NULL;
    free(iterator);
}

cask_status cask_iterator_refresh(cask_iterator *it, cask_error *err)
{
    cask_status status = check(it, it, err);
    store_snapshot now = {.store = NULL};

    if (status == CASK_OK && it->own.store == NULL) {
        status = fail(err, CASK_INVALID, 0,
                      "the iterator was made with a snapshot; make another");
    }
    if (status == CASK_OK) {
        status = store_snapshot_take(it->db->store, true, &now, err);
    }
    if (status == CASK_OK) {
        store_snapshot before = it->own;

        it->own = now;
        tree_iterator_look_at(it->walk, &it->own);
        store_snapshot_drop(&before);
    }
    return status;
}

/* ---- Move --------------------------------------------------------------- */

/* By the numbers of one in the other. */
static cask_run_seek seek_of(cask_seek how)
{
    _Static_assert((int)CASK_SEEK_FIRST == (int)CASK_RUN_FIRST &&
                       (int)CASK_SEEK_LAST == (int)CASK_RUN_LAST &&
                       (int)CASK_SEEK_AT_LEAST == (int)CASK_RUN_AT_LEAST &&
                       (int)CASK_SEEK_AT_MOST == (int)CASK_RUN_AT_MOST,
                   "both count alike");
    return (cask_run_seek)how;
}

cask_status cask_iterator_seek(cask_iterator *it, cask_seek how, cask_slice key,
                               cask_entry *ret_entry, cask_error *err)
{
    cask_status status = check(it, ret_entry, err);

    if (status == CASK_OK &&
        (how < CASK_SEEK_FIRST || how > CASK_SEEK_AT_MOST)) {
        status = fail(err, CASK_INVALID, 0, "cask_seek is %d", (int)how);
    }
    if (status == CASK_OK) {
        status = db_check_key(key, err);
    }
    return status == CASK_OK
               ? tree_iterator_seek(it->walk, seek_of(how), key, ret_entry, err)
               : status;
}

cask_status cask_iterator_next(cask_iterator *it, cask_entry *ret_entry,
                               cask_error *err)
{
    cask_status status = check(it, ret_entry, err);

    return status == CASK_OK ? tree_iterator_next(it->walk, ret_entry, err)
                             : status;
}

cask_status cask_iterator_previous(cask_iterator *it, cask_entry *ret_entry,
                                   cask_error *err)
{
    cask_status status = check(it, ret_entry, err);

    return status == CASK_OK ? tree_iterator_previous(it->walk, ret_entry, err)
                             : status;
}

/* ---- Ranges ------------------------------------------------------------- */

cask_status cask_range(cask_db *db, const cask_range_options *options,
                       cask_fold_fn visit, void *context, cask_error *err)
{
    const cask_range_options all = {.limit = 0};
    cask_iterator *it = NULL;
    tree_walk walk;
    cask_status status;

    if (visit == NULL) {
        return fail(err, CASK_INVALID, 0, "visit is NULL");
    }
    options = options != NULL ? options : &all;
    status = cask_iterator_create(db, &options->keys, &it, err);
    if (it != NULL) {
        walk = (tree_walk){options->reverse, options->limit, visit, context};
        status = tree_iterator_walk(it->walk, &walk, err);
    }
    cask_iterator_free(it);
    return status;
}

static bool count_one(void *context, const cask_entry *entry)
{
    uint64_t *count = context;

    (void)entry;
    (*count)++;
    return true;
}

cask_status cask_count_range(cask_db *db, cask_slice lower, cask_slice upper,
                             uint64_t *ret_count, cask_error *err)
{
    const cask_range_options options = {
        .keys = {.lower = lower, .upper = upper, .keys_only = true}};
    cask_status status = db_check_output(ret_count, "ret_count", err);
    uint64_t count = 0;

    if (status == CASK_OK) {
        status = cask_range(db, &options, count_one, &count, err);
    }
    if (status == CASK_OK) {
        *ret_count = count;
    }
    return status;
}

cask_status cask_size_range(cask_db *db, cask_slice lower, cask_slice upper,
                            uint64_t *ret_bytes, cask_error *err)
{
    const cask_iterator_options range = {.lower = lower, .upper = upper};
    const iter_bounds bounds = {lower, upper};
    cask_status status = db_check_order(db, err);

    if (status == CASK_OK) {
        status = check_options(&range, err);
    }
    if (status == CASK_OK) {
        status = db_check_output(ret_bytes, "ret_bytes", err);
    }
    return status == CASK_OK
               ? tree_size_range(db->store, &bounds, ret_bytes, err)
               : status;
}

cask_status cask_delete_range(cask_db *db, cask_slice from, cask_slice to,
                              cask_error *err)
{
    cask_status status = db_check_order(db, err);
    store_record record;
    uint64_t sequence;

    if (status == CASK_OK) {
        status = db_check_writable(db, err);
    }
    if (status == CASK_OK) {
        status = db_check_key(from, err);
    }
    if (status == CASK_OK) {
        status = db_check_key(to, err);
    }
    if (status != CASK_OK || db_is_no_range(from, to)) {
        return status;
    }
    db->engine->prepare(db->store, RECORD_RANGE_DELETE, from, to, 0, &record);
    return db->engine->write(db->store, &record, 1, &sequence, err);
}
