/*
 * One operation, whatever the engine: prepared before the write lock is taken,
 * written under it.
 */
#include "store/store_operation.h"

#include "base/bytes.h"
#include "base/crc32c.h"

/* How often room is made before somebody else's use of it is an error. */
enum { ROOM_ATTEMPTS = 1000 };

/* ---- Before the lock ---- */

uint32_t store_crc_before_key(uint64_t expires_at_ms)
{
    uint8_t bytes[RECORD_EXPIRY_SIZE];

    if (expires_at_ms == 0) {
        return 0;
    }
    store_u64(bytes, expires_at_ms);
    return crc32c(0, bytes, sizeof(bytes));
}

/* ---- The lock, with room ---- */

cask_status store_lock_with_room(store_handle *store, const store_need *need,
                                 cask_error *err)
{
    const store_engine *engine = store->engine;
    const uint64_t bytes = need->bytes;

    for (int i = 0; i < ROOM_ATTEMPTS; i++) {
        cask_status status = engine->reserve(store, need->count, err);

        if (status == CASK_OK && !store_fits_locked(store, bytes)) {
            status = store_make_room(store, bytes, need->must, err);
        }
        if (status == CASK_OK) {
            status = store_lock(store, err);
        }
        if (status != CASK_OK) {
            return status;
        }
        status = store_open_active_locked(store, err);
        if (status == CASK_OK && store_fits_locked(store, bytes) &&
            engine->has_room_locked(store, need->count)) {
            return CASK_OK;
        }
        store_unlock(store);
        if (status == CASK_OK && engine->wait_for_room != NULL) {
            status = engine->wait_for_room(store, err);
        }
        if (status != CASK_OK) {
            return status;
        }
    }
    return fail(err, CASK_TIMEOUT, 0,
                "%s: other writers used up the room made %d times; nothing "
                "was written",
                store->path, ROOM_ATTEMPTS);
}

/* ---- Conditional writes ---- */

static bool holds(const cask_write_options *options, bool exists,
                  uint64_t sequence)
{
    switch (options->condition) {
    case CASK_ALWAYS:
        return true;
    case CASK_IF_ABSENT:
        return !exists;
    case CASK_IF_PRESENT:
        return exists;
    case CASK_IF_SEQUENCE:
        return exists && sequence == options->expected_sequence;
    }
    return false;
}

cask_status store_check_condition(const cask_write_options *options,
                                  bool exists, uint64_t sequence,
                                  cask_error *err)
{
    if (!holds(options, exists, sequence)) {
        return fail(err, CASK_CONDITION, 0,
                    "the condition was not met; nothing was written");
    }
    return CASK_OK;
}

cask_status store_write_unchanged(store_handle *store, store_record *record,
                                  store_seen seen, uint64_t *ret_sequence,
                                  cask_error *err)
{
    const store_need need = store_need_of(store, record, 1);
    cask_status status = store_lock_with_room(store, &need, err);

    if (status != CASK_OK) {
        return status;
    }
    status = seen.check_locked(store, record, seen.what, err);
    if (status == CASK_OK) {
        status = store_write_locked(store, record, 1, ret_sequence, err);
    }
    store_unlock_written(store);
    return status;
}
