/*
 * Writing: what is long comes before the lock; under it records are appended
 * and put into the newest memtable. Conditions are looked at before the lock,
 * in memtables and runs, and again under it, in the memtables alone.
 */
#include "store/store_merge.h"
#include "store/store_operation.h"
#include "tree/tree.h"
#include "tree/tree_delay.h"
#include "tree/tree_flush.h"
#include "tree/tree_tables.h"

void tree_prepare(const store_handle *store, uint8_t kind, cask_slice key,
                  cask_slice value, uint64_t expires_at_ms,
                  store_record *ret_record)
{
    store_prepare(store, kind, key, value, expires_at_ms, ret_record);
}

void tree_prepare_many(const store_handle *store, store_record *records,
                       size_t count)
{
    store_hash_records(store, records, count);
}

cask_status tree_reserve(store_handle *store, uint64_t count, cask_error *err)
{
    (void)store;
    (void)count;
    (void)err;
    return CASK_OK;
}

/* After the lock: wake who flushes, wait for the device if the policy says
 * so, make way. */
static cask_status settle(store_handle *store, uint64_t sequence,
                          cask_error *err)
{
    tree_state *state = tree_state_of(store);
    cask_status status = CASK_OK;

    if (atomic_load_explicit(&state->has_begun, memory_order_relaxed)) {
        atomic_store(&state->has_begun, false);
        store_merge_wake(store);
    }
    if (store->options.sync == CASK_SYNC_COMMIT) {
        status = store_sync_to(store, sequence, err);
    }
    tree_delay(store);
    return status;
}

cask_status tree_write(store_handle *store, store_record *records, size_t count,
                       uint64_t *ret_sequence, cask_error *err)
{
    const store_need need = store_need_of(store, records, count);
    cask_status status;

    if (count > TREE_BATCH_RECORDS) {
        return fail(err, CASK_INVALID, 0,
                    "batch of %zu operations; at most %d in a store of the "
                    "tree engine: write it in parts",
                    count, TREE_BATCH_RECORDS);
    }
    status = store_lock_with_room(store, &need, err);
    if (status != CASK_OK) {
        return status;
    }
    status = store_write_locked(store, records, count, ret_sequence, err);
    store_unlock_written(store);
    return status == CASK_OK ? settle(store, *ret_sequence, err) : status;
}

/* ---- Conditional writes ---- */

/* What a look-up saw. */
typedef struct seen_key {
    uint64_t tables;   /* the memtables before it */
    uint64_t sequence; /* of the newest record; 0: there is none */
    bool is_damaged;   /* that cannot be read, and is not known */
} seen_key;

/* Whether the newest record may be another one now: as long as the memtables
 * are the same they have all that was written. Write lock held. */
static bool is_written_since(store_handle *store, const store_record *record,
                             const seen_key *seen)
{
    memtable_result result = MEMTABLE_NONE;
    memtable_entry entry = {.sequence = 0};
    tree_tables tables;

    if (seen->is_damaged) {
        return false;
    }
    tree_tables_load(store, &tree_state_of(store)->log, &tables);
    for (unsigned i = 0; i < tables.count && result == MEMTABLE_NONE; i++) {
        result = memtable_find(&tables.view[i], record->key,
                               record->hash.word[0], UINT64_MAX, &entry);
    }
    return tables.word != seen->tables ||
           (result != MEMTABLE_NONE &&
            (result != MEMTABLE_FOUND || entry.sequence != seen->sequence));
}

/* CASK_BUSY: the key was written between look-up and lock; look again. */
static cask_status write_unchanged(store_handle *store, store_record *record,
                                   const seen_key *seen, uint64_t *ret_sequence,
                                   cask_error *err)
{
    const store_need need = store_need_of(store, record, 1);
    cask_status status = store_lock_with_room(store, &need, err);

    if (status != CASK_OK) {
        return status;
    }
    if (is_written_since(store, record, seen)) {
        status = CASK_BUSY;
    } else {
        status = store_write_locked(store, record, 1, ret_sequence, err);
    }
    store_unlock_written(store);
    return status;
}

static bool holds(const cask_write_options *options, bool exists,
                  const tree_found *found)
{
    switch (options->condition) {
    case CASK_ALWAYS:
        return true;
    case CASK_IF_ABSENT:
        return !exists;
    case CASK_IF_PRESENT:
        return exists;
    case CASK_IF_SEQUENCE:
        return exists && found->info.sequence == options->expected_sequence;
    }
    return false;
}

cask_status tree_write_if(store_handle *store, store_record *record,
                          const cask_write_options *options,
                          uint64_t *ret_sequence, bool *ret_existed,
                          cask_error *err)
{
    bool is_delete = record_kind(&record->header) == RECORD_DELETE;
    cask_status status;

    do {
        seen_key seen = {.tables = tree_tables_word(store)};
        tree_found found = {.is_put = false};
        bool exists;

        status = tree_find(store, record->key, record->hash, NULL, &found, err);
        exists = status == CASK_OK && tree_is_live(store, &found);
        seen.sequence = found.info.sequence;
        seen.is_damaged =
            status == CASK_CORRUPT && options->condition == CASK_ALWAYS;
        if (status != CASK_OK && status != CASK_NOT_FOUND && !seen.is_damaged) {
            return status;
        }
        if (!holds(options, exists, &found)) {
            return fail(err, CASK_CONDITION, 0,
                        "the condition was not met; nothing was written");
        }
        *ret_existed = exists || seen.is_damaged;
        if (is_delete && !seen.is_damaged && !found.is_put) {
            *ret_sequence = 0;
            return CASK_OK;
        }
        status = write_unchanged(store, record, &seen, ret_sequence, err);
    } while (status == CASK_BUSY);
    return status == CASK_OK ? settle(store, *ret_sequence, err) : status;
}
