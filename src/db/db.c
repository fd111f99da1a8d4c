/*
 * The public calls that open, write and read: arguments are checked here, the
 * rest is the engine's.
 */
#include "db/db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_read.h"

/* ---- Checks ---- */

cask_status db_check(const cask_db *db, cask_error *err)
{
    if (db == NULL || db->self != db) {
        return fail(err, CASK_INVALID, 0, "not an open handle");
    }
    if (store_is_forked(db->store)) {
        return fail(err, CASK_FORKED, 0,
                    "%s: this handle belongs to the parent process; open the "
                    "store again in the child",
                    db->store->path);
    }
    return CASK_OK;
}

cask_status db_check_writable(const cask_db *db, cask_error *err)
{
    cask_status status = db_check(db, err);

    if (status == CASK_OK && !db->store->writer) {
        status = fail(err, CASK_READ_ONLY, 0, "%s: opened read-only",
                      db->store->path);
    }
    return status;
}

cask_status db_check_tree(const cask_db *db, const char *lacks, cask_error *err)
{
    if (db->store->identity.engine == CASK_ENGINE_TREE) {
        return CASK_OK;
    }
    return fail(err, CASK_UNSUPPORTED, 0,
                "%s: its engine, hash, has no %s; make a store of the engine "
                "tree: 'caskade create --engine tree DIR', or 'caskade convert "
                "--engine tree SRC DST' with the same content",
                db->store->path, lacks);
}

cask_status db_check_key(cask_slice key, cask_error *err)
{
    if (key.size > CASK_KEY_MAX_BYTES) {
        return fail(err, CASK_INVALID, 0, "key of %zu bytes; at most %u",
                    key.size, CASK_KEY_MAX_BYTES);
    }
    if (key.data == NULL && key.size > 0) {
        return fail(err, CASK_INVALID, 0, "key: data is NULL, size is not 0");
    }
    return CASK_OK;
}

cask_status db_check_sizes(cask_slice key, cask_slice value, cask_error *err)
{
    cask_status status = db_check_key(key, err);

    if (status != CASK_OK) {
        return status;
    }
    if (value.size > CASK_VALUE_MAX_BYTES) {
        return fail(err, CASK_INVALID, 0, "value of %zu bytes; at most %u",
                    value.size, CASK_VALUE_MAX_BYTES);
    }
    if (value.data == NULL && value.size > 0) {
        return fail(err, CASK_INVALID, 0, "value: data is NULL, size is not 0");
    }
    return CASK_OK;
}

cask_status db_check_output(const void *output, const char *name,
                            cask_error *err)
{
    return output != NULL ? CASK_OK
                          : fail(err, CASK_INVALID, 0, "%s is NULL", name);
}

/* ---- Open, close ---- */

cask_status db_open_on(os *kernel, const char *path,
                       const cask_options *options, cask_db **ret_db,
                       cask_error *err)
{
    cask_options defaults;
    cask_status status;
    cask_db *db;

    if (path == NULL || path[0] == 0 || ret_db == NULL) {
        return fail(err, CASK_INVALID, 0, "path or ret_db is missing");
    }
    if (options == NULL) {
        cask_options_init(&defaults);
        options = &defaults;
    }
    status = options_check(options, err);
    if (status != CASK_OK) {
        return status;
    }
    db = calloc(1, sizeof(*db));
    if (db == NULL) {
        return fail_memory(err, sizeof(*db));
    }
    status =
        store_open(kernel, path, options, db_store_engines, &db->store, err);
    if (status != CASK_OK) {
        free(db);
        return status;
    }
    db->engine = db_engine_of(db->store);
    if (db->store->writer && options->auto_merge) {
        status =
            store_merger_start(db->store, db->engine->merger, &db->merger, err);
        if (status != CASK_OK) {
            (void)store_close(db->store, NULL);
            free(db);
            return status;
        }
    }
    db->self = db;
    *ret_db = db;
    if (err != NULL) {
        *err = (cask_error){CASK_OK, 0, ""}; /* of attempts that failed */
    }
    return CASK_OK;
}

cask_status cask_open(const char *path, const cask_options *options,
                      cask_db **ret_db, cask_error *err)
{
    return db_open_on(os_posix(), path, options, ret_db, err);
}

cask_status cask_close(cask_db *db, cask_error *err)
{
    cask_status status;

    if (db == NULL) {
        return CASK_OK;
    }
    if (db->self != db) {
        return fail(err, CASK_INVALID, 0, "not an open handle");
    }
    if (!store_is_forked(db->store) && store_pins(db->store) > 0) {
        return fail(err, CASK_BUSY, 0,
                    "%s: views still held: %" PRIu32 "; release them first",
                    db->store->path, store_pins(db->store));
    }
    if (!store_is_forked(db->store) && atomic_load(&db->snapshots) > 0) {
        return fail(err, CASK_BUSY, 0,
                    "%s: snapshots still held: %" PRIu32 "; free them first",
                    db->store->path, atomic_load(&db->snapshots));
    }
    if (!store_is_forked(db->store) && atomic_load(&db->iterators) > 0) {
        return fail(err, CASK_BUSY, 0,
                    "%s: iterators still open: %" PRIu32 "; free them first",
                    db->store->path, atomic_load(&db->iterators));
    }
    if (store_is_forked(db->store)) {
        store_merger_forget(db->merger);
    } else {
        store_merger_stop(db->merger);
    }
    status = store_close(db->store, err);
    db->self = NULL;
    free(db);
    return status;
}

cask_status cask_refresh(cask_db *db, cask_error *err)
{
    cask_status status = db_check(db, err);

    if (status == CASK_OK && db->store->private_index &&
        atomic_load(&db->snapshots) > 0) {
        status = fail(err, CASK_BUSY, 0,
                      "%s: %" PRIu32 " snapshots are held; free them first",
                      db->store->path, atomic_load(&db->snapshots));
    }
    if (status == CASK_OK && db->store->private_index &&
        atomic_load(&db->iterators) > 0) {
        status = fail(err, CASK_BUSY, 0,
                      "%s: iterators open: %" PRIu32 "; free them first",
                      db->store->path, atomic_load(&db->iterators));
    }
    return status == CASK_OK ? store_refresh(db->store, err) : status;
}

/* ---- Write ---- */

cask_status cask_put(cask_db *db, cask_slice key, cask_slice value,
                     cask_error *err)
{
    cask_status status = db_check_writable(db, err);
    store_record record;
    uint64_t sequence;

    if (status == CASK_OK) {
        status = db_check_sizes(key, value, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    db->engine->prepare(db->store, RECORD_PUT, key, value, 0, &record);
    return db->engine->write(db->store, &record, 1, &sequence, err);
}

/* The absolute time of expiry that the options ask for. */
static cask_status expiry_of(const cask_db *db,
                             const cask_write_options *options,
                             uint64_t *ret_expires_at_ms, cask_error *err)
{
    uint64_t now = db->store->os->ops->wall_ms(db->store->os);

    *ret_expires_at_ms = options->expires_at_ms;
    if (options->ttl_ms == 0) {
        return CASK_OK;
    }
    if (options->expires_at_ms != 0) {
        return fail(err, CASK_INVALID, 0,
                    "expires_at_ms and ttl_ms exclude each other");
    }
    *ret_expires_at_ms =
        options->ttl_ms > UINT64_MAX - now ? UINT64_MAX : now + options->ttl_ms;
    return CASK_OK;
}

static cask_status check_condition(const cask_write_options *options,
                                   cask_error *err)
{
    if ((int)options->condition < CASK_ALWAYS ||
        options->condition > CASK_IF_SEQUENCE) {
        return fail(err, CASK_INVALID, 0, "condition %d is none",
                    (int)options->condition);
    }
    return CASK_OK;
}

cask_status cask_put_with(cask_db *db, cask_slice key, cask_slice value,
                          const cask_write_options *options,
                          uint64_t *ret_sequence, cask_error *err)
{
    static const cask_write_options none;
    cask_status status = db_check_writable(db, err);
    uint64_t expires_at_ms = 0;
    uint64_t sequence = 0;
    store_record record;
    bool existed;

    options = options == NULL ? &none : options;
    if (status == CASK_OK) {
        status = db_check_sizes(key, value, err);
    }
    if (status == CASK_OK) {
        status = check_condition(options, err);
    }
    if (status == CASK_OK) {
        status = expiry_of(db, options, &expires_at_ms, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    db->engine->prepare(db->store, RECORD_PUT, key, value, expires_at_ms,
                        &record);
    db_set_time(&record, options->time_s);
    if (options->condition == CASK_ALWAYS) {
        status = db->engine->write(db->store, &record, 1, &sequence, err);
    } else {
        status = db->engine->write_if(db->store, &record, options, &sequence,
                                      &existed, err);
    }
    if (status == CASK_OK && ret_sequence != NULL) {
        *ret_sequence = sequence;
    }
    return status;
}

cask_status cask_delete_with(cask_db *db, cask_slice key,
                             const cask_write_options *options,
                             bool *ret_existed, cask_error *err)
{
    static const cask_write_options none;
    cask_status status = db_check_writable(db, err);
    uint64_t sequence = 0;
    store_record record;
    bool existed = false;

    options = options == NULL ? &none : options;
    if (status == CASK_OK) {
        status = db_check_key(key, err);
    }
    if (status == CASK_OK) {
        status = check_condition(options, err);
    }
    if (status == CASK_OK &&
        (options->expires_at_ms != 0 || options->ttl_ms != 0)) {
        status = fail(err, CASK_INVALID, 0, "a delete does not expire");
    }
    if (status == CASK_OK && options->time_s != 0) {
        status = fail(err, CASK_INVALID, 0,
                      "a delete takes no time_s; its time is now");
    }
    if (status != CASK_OK) {
        return status;
    }
    db->engine->prepare(db->store, RECORD_DELETE, key, (cask_slice){NULL, 0}, 0,
                        &record);
    status = db->engine->write_if(db->store, &record, options, &sequence,
                                  &existed, err);
    if (status == CASK_OK && ret_existed != NULL) {
        *ret_existed = existed;
    }
    return status;
}

cask_status cask_delete(cask_db *db, cask_slice key, bool *ret_existed,
                        cask_error *err)
{
    return cask_delete_with(db, key, NULL, ret_existed, err);
}

cask_status cask_sync(cask_db *db, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    return status == CASK_OK ? store_sync_all(db->store, err) : status;
}

/* ---- Read ---- */

cask_status db_check_read(const cask_db *db, cask_slice key, const void *output,
                          cask_error *err)
{
    cask_status status = db_check(db, err);

    if (status == CASK_OK) {
        status = db_check_key(key, err);
    }
    return status == CASK_OK ? db_check_output(output, "the output", err)
                             : status;
}

cask_status cask_get(cask_db *db, cask_slice key, cask_buffer *ret_value,
                     cask_error *err)
{
    cask_status status = db_check_read(db, key, ret_value, err);

    return status == CASK_OK
               ? db->engine->get(db->store, key, ret_value, NULL, err)
               : status;
}

cask_status cask_get_with(cask_db *db, cask_slice key, cask_buffer *ret_value,
                          cask_info *ret_info, cask_error *err)
{
    cask_status status = db_check_read(db, key, ret_value, err);

    return status == CASK_OK
               ? db->engine->get(db->store, key, ret_value, ret_info, err)
               : status;
}

cask_status cask_exists(cask_db *db, cask_slice key, bool *ret_exists,
                        cask_error *err)
{
    cask_status status = db_check_read(db, key, ret_exists, err);

    if (status != CASK_OK) {
        return status;
    }
    status = db->engine->get(db->store, key, NULL, NULL, err);
    if (status == CASK_OK || status == CASK_NOT_FOUND) {
        *ret_exists = status == CASK_OK;
        status = CASK_OK;
    }
    return status;
}

cask_status db_check_many(const cask_slice *keys, size_t count,
                          const cask_buffer *values,
                          const cask_status *statuses, cask_error *err)
{
    cask_status status = CASK_OK;

    if (count > 0 && (keys == NULL || values == NULL || statuses == NULL)) {
        return fail(err, CASK_INVALID, 0, "an array is NULL");
    }
    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        status = db_check_key(keys[i], err);
    }
    return status;
}

cask_status cask_get_many(cask_db *db, const cask_slice *keys, size_t count,
                          cask_buffer *values, cask_status *statuses,
                          cask_error *err)
{
    cask_status status = db_check(db, err);

    if (status == CASK_OK) {
        status = db_check_many(keys, count, values, statuses, err);
    }
    return status == CASK_OK ? db->engine->get_many(db->store, keys, count,
                                                    values, statuses, err)
                             : status;
}

cask_status cask_view_acquire(cask_db *db, cask_slice key, cask_view *ret_view,
                              cask_error *err)
{
    cask_status status = db_check_read(db, key, ret_view, err);

    return status == CASK_OK ? db->engine->view(db->store, key, ret_view, err)
                             : status;
}

void cask_view_release(cask_db *db, cask_view *view)
{
    (void)db;
    if (view != NULL) {
        store_unview(view);
    }
}

cask_status cask_count(cask_db *db, uint64_t *ret_count, cask_error *err)
{
    cask_status status = db_check(db, err);

    if (status == CASK_OK) {
        status = db_check_output(ret_count, "ret_count", err);
    }
    if (status == CASK_OK) {
        status = db->engine->count(db->store, ret_count, err);
    }
    return status;
}
