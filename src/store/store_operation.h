/*
 * One operation, whatever the engine: what comes before the write lock, taking
 * it with room for all that is written, and what is done under it. An engine
 * adds when it may be written.
 *
 * Mostly inline: each call costs a put 1 %.
 */
#ifndef CASKADE_STORE_OPERATION_H
#define CASKADE_STORE_OPERATION_H

#include "base/crc32c.h"
#include "store/store_write.h"

/* The checksum of what a record's body has before its key; that of the body is
 * this one, continued with key and value. */
uint32_t store_crc_before_key(uint64_t expires_at_ms);

/* Fill a record for a put, a delete, or that of a range, whose end is the
 * value; the slices are borrowed. */
static inline void store_prepare(const store_handle *store, uint8_t kind,
                                 cask_slice key, cask_slice value,
                                 uint64_t expires_at_ms,
                                 store_record *ret_record)
{
    uint32_t crc = store_crc_before_key(expires_at_ms);

    ret_record->header = (record_header){
        .time_s = (uint32_t)(store->os->ops->wall_ms(store->os) / 1000),
        .value_size = (uint32_t)value.size,
        .key_size = (uint16_t)key.size,
        .type = kind};
    ret_record->key = key;
    ret_record->value = value;
    ret_record->expires_at_ms = expires_at_ms;
    if (expires_at_ms != 0) {
        ret_record->header.type |= RECORD_EXPIRES;
    }
    crc = crc32c(crc, key.data, key.size);
    ret_record->body_crc = crc32c(crc, value.data, value.size);
    ret_record->hash = store_hash(store, key);
}

/* Set the hashes of records that have all else. */
static inline void store_hash_records(const store_handle *store,
                                      store_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        records[i].hash = store_hash(store, records[i].key);
    }
}

/* What an operation needs in segment and index. */
typedef struct store_need {
    uint64_t bytes;
    size_t count; /* of records */
    bool must;    /* they only delete, which goes on when the disk is full */
} store_need;

static inline store_need store_need_of(const store_handle *store,
                                       const store_record *records,
                                       size_t count)
{
    store_need need = {.bytes = store_records_size(records, count),
                       .count = count,
                       .must = true};

    for (size_t i = 0; i < count && need.must; i++) {
        if (record_kind(&records[i].header) == RECORD_PUT) {
            need.bytes += store_delete_reserve(store);
            need.must = false;
        }
    }
    return need;
}

/*
 * Take the write lock with room for the operation in segment and index, so that
 * nothing need grow while it is held. Once per segment the file is opened, and
 * perhaps mapped, under it.
 *
 * Returns CASK_OK with the lock held; else without it, and nothing was written:
 * CASK_TIMEOUT, CASK_NO_SPACE, CASK_NO_MEMORY, CASK_IO, CASK_POISONED,
 * CASK_FENCED.
 */
cask_status store_lock_with_room(store_handle *store, const store_need *need,
                                 cask_error *err);

/* Counted under the lock, exactly, over all processes. */
static inline void store_count_operations(store_handle *store,
                                          const store_record *records,
                                          size_t count)
{
    region_header *header = store->region.header;
    uint64_t deletes = 0;

    for (size_t i = 0; i < count; i++) {
        deletes += record_kind(&records[i].header) != RECORD_PUT ? 1 : 0;
    }
    atomic_store_explicit(
        &header->puts,
        atomic_load_explicit(&header->puts, memory_order_relaxed) + count -
            deletes,
        memory_order_relaxed);
    if (deletes > 0) {
        atomic_fetch_add_explicit(&header->deletes, deletes,
                                  memory_order_relaxed);
    }
    if (count > 1) {
        atomic_fetch_add_explicit(&header->batches, 1, memory_order_relaxed);
    }
}

/* store_append_locked(), and count it in the statistics. */
static inline cask_status
store_write_locked(store_handle *store, store_record *records, size_t count,
                   uint64_t *ret_sequence, cask_error *err)
{
    cask_status status =
        store_append_locked(store, records, count, ret_sequence, err);

    if (status == CASK_OK) {
        store_count_operations(store, records, count);
    }
    return status;
}

/* CASK_OK if the condition holds for what was found; CASK_CONDITION.
 *
 *   exists    whether the key has a live value, of that `sequence` then
 */
cask_status store_check_condition(const cask_write_options *options,
                                  bool exists, uint64_t sequence,
                                  cask_error *err);

/* Release the lock after an append: what is to be written back early begins
 * outside of it. */
static inline void store_unlock_written(store_handle *store)
{
    store_writeback writeback = store_writeback_take_locked(store);

    store_unlock(store);
    store_writeback_begin(store, writeback);
}

/* What a condition was judged by, before the lock. */
typedef struct store_seen {
    /* With the lock, before the write: CASK_OK; CASK_BUSY: it may be otherwise
     * now; what else keeps from writing. */
    cask_status (*check_locked)(store_handle *store, const store_record *record,
                                const void *what, cask_error *err);
    const void *what; /* borrowed */
} store_seen;

/* Take the lock, check that nothing has changed, and write one record.
 * CASK_BUSY without `err`: look again; what the check says; statuses of
 * store_lock_with_room() and store_append_locked(). */
cask_status store_write_unchanged(store_handle *store, store_record *record,
                                  store_seen seen, uint64_t *ret_sequence,
                                  cask_error *err);

/* After the lock: wait for the device, if the policy says so. */
static inline cask_status store_sync_commit(store_handle *store,
                                            uint64_t sequence, cask_error *err)
{
    return store->options.sync == CASK_SYNC_COMMIT
               ? store_sync_to(store, sequence, err)
               : CASK_OK;
}

/* Whether this thread is to make way for merges now: one thread of the handle
 * is, each time that all processes have written `bytes` more to the log. */
static inline bool store_take_yield(store_handle *store, uint64_t bytes)
{
    uint64_t written = atomic_load_explicit(
        &store->region.header->bytes_written, memory_order_relaxed);
    uint64_t yielded =
        atomic_load_explicit(&store->yielded, memory_order_relaxed);

    /* Another thread may have come in between, and have seen more. */
    return written > yielded && written - yielded >= bytes &&
           atomic_compare_exchange_strong(&store->yielded, &yielded, written);
}

#endif
