/*
 * The public calls on snapshots, and folds.
 */
#include <stdlib.h>
#include <string.h>

#include "db/db.h"

struct cask_snapshot {
    cask_db *db;      /* borrowed */
    const void *self; /* this, until it is freed */
    store_snapshot at;
};

/* ---- Checks ---- */

static cask_status check(const cask_snapshot *snapshot, cask_error *err)
{
    if (snapshot == NULL || snapshot->self != snapshot) {
        return fail(err, CASK_INVALID, 0, "not a snapshot");
    }
    return db_check(snapshot->db, err);
}

static cask_status check_read(const cask_snapshot *snapshot, cask_slice key,
                              const void *output, cask_error *err)
{
    cask_status status = check(snapshot, err);

    if (status == CASK_OK) {
        status = db_check_key(key, err);
    }
    return status == CASK_OK ? db_check_output(output, "the output", err)
                             : status;
}

static cask_status check_fold(const cask_fold_options *options,
                              uint32_t most_parts, cask_fold_fn visit,
                              cask_error *err)
{
    if (visit == NULL) {
        return fail(err, CASK_INVALID, 0, "visit is NULL");
    }
    if (options != NULL && options->parts > most_parts) {
        return fail(err, CASK_INVALID, 0, "parts is %u; at most %u%s",
                    options->parts, most_parts,
                    most_parts == 1 ? ", of a snapshot more" : "");
    }
    if (options != NULL && options->part > 0 &&
        options->part >= options->parts) {
        return fail(err, CASK_INVALID, 0, "part is %u of %u parts",
                    options->part, options->parts);
    }
    return CASK_OK;
}

cask_status db_check_snapshot(const cask_db *db, const cask_snapshot *snapshot,
                              const store_snapshot **ret_at, cask_error *err)
{
    cask_status status = check(snapshot, err);

    if (status == CASK_OK && snapshot->db != db) {
        status = fail(err, CASK_INVALID, 0,
                      "the snapshot was made with another handle");
    }
    if (status == CASK_OK) {
        *ret_at = &snapshot->at;
    }
    return status;
}

/* ---- Create, free ---- */

cask_status cask_snapshot_create(cask_db *db, cask_snapshot **ret_snapshot,
                                 cask_error *err)
{
    cask_status status = db_check(db, err);
    cask_snapshot *snapshot;

    if (status == CASK_OK) {
        status = db_check_output(ret_snapshot, "ret_snapshot", err);
    }
    if (status != CASK_OK) {
        return status;
    }
    snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        return fail_memory(err, sizeof(*snapshot));
    }
    status = store_snapshot_take(db->store, false, &snapshot->at, err);
    if (status != CASK_OK) {
        free(snapshot);
        return status;
    }
    snapshot->db = db;
    snapshot->self = snapshot;
    atomic_fetch_add(&db->snapshots, 1);
    *ret_snapshot = snapshot;
    return CASK_OK;
}

void cask_snapshot_free(cask_snapshot *snapshot)
{
    if (snapshot == NULL || snapshot->self != snapshot) {
        return;
    }
    store_snapshot_drop(&snapshot->at);
    atomic_fetch_sub(&snapshot->db->snapshots, 1);
    snapshot->self = NULL;
    free(snapshot);
}

uint64_t cask_snapshot_sequence(const cask_snapshot *snapshot)
{
    return snapshot != NULL && snapshot->self == snapshot
               ? snapshot->at.sequence
               : 0;
}

/* ---- Read ---- */

cask_status cask_snapshot_get(cask_snapshot *snapshot, cask_slice key,
                              cask_buffer *ret_value, cask_info *ret_info,
                              cask_error *err)
{
    cask_status status = check_read(snapshot, key, ret_value, err);
    cask_info info = {.sequence = 0};

    if (status == CASK_OK) {
        status = snapshot->db->engine->snapshot_get(&snapshot->at, key,
                                                    ret_value, &info, err);
    }
    if (status == CASK_OK && ret_info != NULL) {
        *ret_info = info;
    }
    return status;
}

cask_status cask_snapshot_exists(cask_snapshot *snapshot, cask_slice key,
                                 bool *ret_exists, cask_error *err)
{
    cask_status status = check_read(snapshot, key, ret_exists, err);
    cask_info info = {.sequence = 0};

    if (status != CASK_OK) {
        return status;
    }
    status = snapshot->db->engine->snapshot_get(&snapshot->at, key, NULL, &info,
                                                err);
    if (status == CASK_OK || status == CASK_NOT_FOUND) {
        *ret_exists = status == CASK_OK;
        status = CASK_OK;
    }
    return status;
}

cask_status cask_snapshot_get_many(cask_snapshot *snapshot,
                                   const cask_slice *keys, size_t count,
                                   cask_buffer *values, cask_status *statuses,
                                   cask_error *err)
{
    cask_status status = check(snapshot, err);

    if (status == CASK_OK) {
        status = db_check_many(keys, count, values, statuses, err);
    }
    return status == CASK_OK
               ? snapshot->db->engine->snapshot_get_many(
                     &snapshot->at, keys, count, values, statuses, err)
               : status;
}

cask_status cask_snapshot_count(cask_snapshot *snapshot, uint64_t *ret_count,
                                cask_error *err)
{
    cask_status status = check(snapshot, err);

    if (status == CASK_OK) {
        status = db_check_output(ret_count, "ret_count", err);
    }
    if (status == CASK_OK) {
        status =
            snapshot->db->engine->snapshot_count(&snapshot->at, ret_count, err);
    }
    return status;
}

/* ---- Fold ---- */

cask_status cask_snapshot_fold(cask_snapshot *snapshot,
                               const cask_fold_options *options,
                               cask_fold_fn visit, void *context,
                               cask_error *err)
{
    cask_status status = check(snapshot, err);

    if (status == CASK_OK) {
        status = check_fold(options, CASK_FOLD_PARTS, visit, err);
    }
    return status == CASK_OK ? snapshot->db->engine->snapshot_fold(
                                   &snapshot->at, options, visit, context, err)
                             : status;
}

cask_status cask_fold(cask_db *db, const cask_fold_options *options,
                      cask_fold_fn visit, void *context, cask_error *err)
{
    cask_status status = db_check(db, err);
    store_snapshot at = {.store = NULL};

    if (status == CASK_OK) {
        status = check_fold(options, 1, visit, err);
    }
    if (status == CASK_OK) {
        status = store_snapshot_take(db->store, true, &at, err);
    }
    if (status == CASK_OK) {
        status = db->engine->snapshot_fold(&at, options, visit, context, err);
    }
    store_snapshot_drop(&at);
    return status;
}

/* ---- List ---- */

cask_status cask_snapshot_list(cask_db *db, cask_snapshot_info **ret_list,
                               size_t *ret_count, cask_error *err)
{
    cask_status status = db_check(db, err);
    cask_snapshot_info *list;

    if (status != CASK_OK || ret_list == NULL || ret_count == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "an output is NULL");
    }
    list = calloc(REGION_SNAPSHOTS, sizeof(*list));
    if (list == NULL) {
        return fail_memory(err, REGION_SNAPSHOTS * sizeof(*list));
    }
    *ret_count = store_snapshot_list(db->store, list);
    *ret_list = list;
    return CASK_OK;
}
