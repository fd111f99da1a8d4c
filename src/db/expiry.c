/*
 * Times of expiry of single keys: told, set and taken away. To change one the
 * record is read and written again, on condition that it is still the newest.
 */
#include "db/db.h"

#include "store/store_settings.h"

cask_status cask_ttl(cask_db *db, cask_slice key, uint64_t *ret_ttl_ms,
                     cask_error *err)
{
    cask_status status = db_check_read(db, key, ret_ttl_ms, err);
    cask_info info = {0};
    uint64_t now_ms;
    uint64_t end_ms;

    if (status == CASK_OK) {
        status = db->engine->get(db->store, key, NULL, &info, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    now_ms = db->store->os->ops->wall_ms(db->store->os);
    end_ms = store_end_ms(db->store, info.time_s, info.expires_at_ms);
    if (end_ms <= now_ms) {
        return CASK_NOT_FOUND; /* since it was looked up */
    }
    *ret_ttl_ms = end_ms == UINT64_MAX ? CASK_TTL_NEVER : end_ms - now_ms;
    return CASK_OK;
}

/* Write the record of a key with another time of expiry, if it is not that
 * already. CASK_CONDITION: somebody wrote the key meanwhile. */
static cask_status rewrite(const cask_db *db, cask_slice key,
                           uint64_t expires_at_ms, cask_buffer *value,
                           uint64_t *ret_before_ms, cask_error *err)
{
    cask_write_options unchanged = {.condition = CASK_IF_SEQUENCE};
    store_handle *store = db->store;
    cask_info info = {0};
    cask_status status = db->engine->get(store, key, value, &info, err);
    store_record record;
    uint64_t sequence;
    bool existed;

    if (status != CASK_OK) {
        return status;
    }
    *ret_before_ms = info.expires_at_ms;
    if (info.expires_at_ms == expires_at_ms) {
        return CASK_OK;
    }
    unchanged.expected_sequence = info.sequence;
    db->engine->prepare(store, RECORD_PUT, key,
                        (cask_slice){value->data, value->size}, expires_at_ms,
                        &record);
    db_set_time(&record, info.time_s);
    return db->engine->write_if(store, &record, &unchanged, &sequence, &existed,
                                err);
}

static cask_status set_expiry(const cask_db *db, cask_slice key,
                              uint64_t expires_at_ms, uint64_t *ret_before_ms,
                              cask_error *err)
{
    cask_buffer value = {0};
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    do {
        status = rewrite(db, key, expires_at_ms, &value, ret_before_ms, &local);
    } while (status == CASK_CONDITION);
    cask_buffer_free(&value);
    if (status != CASK_OK && status != CASK_NOT_FOUND && err != NULL) {
        *err = local;
    }
    return status;
}

static cask_status check_change(const cask_db *db, cask_slice key,
                                cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    return status == CASK_OK ? db_check_sizes(key, (cask_slice){NULL, 0}, err)
                             : status;
}

cask_status cask_expire(cask_db *db, cask_slice key, const cask_expiry *expiry,
                        cask_error *err)
{
    cask_status status = check_change(db, key, err);
    uint64_t expires_at_ms;
    uint64_t before_ms;
    uint64_t now_ms;

    if (status != CASK_OK) {
        return status;
    }
    if (expiry == NULL ||
        (expiry->expires_at_ms == 0) == (expiry->ttl_ms == 0)) {
        return fail(err, CASK_INVALID, 0,
                    "give either expires_at_ms or ttl_ms");
    }
    now_ms = db->store->os->ops->wall_ms(db->store->os);
    expires_at_ms = expiry->expires_at_ms;
    if (expiry->ttl_ms != 0) {
        expires_at_ms = expiry->ttl_ms > UINT64_MAX - now_ms
                            ? UINT64_MAX
                            : now_ms + expiry->ttl_ms;
    }
    return set_expiry(db, key, expires_at_ms, &before_ms, err);
}

cask_status cask_persist(cask_db *db, cask_slice key, bool *ret_had_expiry,
                         cask_error *err)
{
    cask_status status = check_change(db, key, err);
    uint64_t before_ms = 0;

    if (status == CASK_OK) {
        status = set_expiry(db, key, 0, &before_ms, err);
    }
    if (status == CASK_OK && ret_had_expiry != NULL) {
        *ret_had_expiry = before_ms != 0;
    }
    return status;
}
