/*
 * Writing: what is long comes before the lock; under it records are appended
 * and put into the newest memtable. Conditions are looked at before the lock,
 * in memtables and runs, and again under it, in the memtables alone.
 */
#include "base/key_order.h"
#include "run/run_pointer.h"
#include "store/store_merge.h"
#include "store/store_operation.h"
#include "store/store_settings.h"
#include "tree/tree.h"
#include "tree/tree_delay.h"
#include "tree/tree_flush.h"
#include "tree/tree_tables.h"

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
    cask_status status;

    if (atomic_load_explicit(&state->has_begun, memory_order_relaxed)) {
        atomic_store(&state->has_begun, false);
        store_merge_wake(store);
    }
    status = store_sync_commit(store, sequence, err);
    tree_delay(store);
    return status;
}

static cask_status check_batch(const store_record *records, size_t count,
                               cask_error *err)
{
    size_t ranges = 0;

    if (count > TREE_BATCH_RECORDS) {
        return fail(err, CASK_INVALID, 0,
                    "batch of %zu operations; at most %d in a store of the "
                    "tree engine: write it in parts",
                    count, TREE_BATCH_RECORDS);
    }
    for (size_t i = 0; i < count && count > TREE_BATCH_RANGES; i++) {
        ranges += record_kind(&records[i].header) == RECORD_RANGE_DELETE;
    }
    return ranges <= TREE_BATCH_RANGES
               ? CASK_OK
               : fail(err, CASK_INVALID, 0,
                      "batch that deletes %zu ranges; at most %d: write it in "
                      "parts",
                      ranges, TREE_BATCH_RANGES);
}

/* Bytes of the runs that a deleted range hides wholly; 0 also if an earlier one
 * was flushed, and is not compacted yet. */
static uint64_t hidden_bytes(store_handle *store, const store_record *record)
{
    versions *all = tree_state_of(store)->versions;
    cask_slice end = key_end_of(record->value);
    const version *pinned;
    uint64_t bytes = 0;

    if (version_pin(all, &pinned, NULL) != CASK_OK) {
        return 0;
    }
    for (size_t i = 0; i < pinned->count; i++) {
        const version_run *run = &pinned->runs[i];

        if (run->level == 0 && run->file->ranges.count > 0) {
            bytes = 0;
            break;
        }
        if (key_compare(record->key, run->file->smallest) <= 0 &&
            key_compare(run->file->largest, end) < 0) {
            bytes += run->file->size + run_named_bytes(run->file);
        }
    }
    version_unpin(all, pinned);
    return bytes;
}

/* The space comes back when the range is in a run. If it is more than the
 * memtable would take, that counts as full; but one after the other. */
static void hurry(store_handle *store, const store_record *records,
                  size_t count)
{
    region_tree *tree = &store->region.header->tree;

    for (size_t i = 0; i < count; i++) {
        if (record_kind(&records[i].header) == RECORD_RANGE_DELETE &&
            region_tables_count(tree_tables_word(store)) == 1) {
            uint64_t full = store_memtable_bytes(store);

            if (hidden_bytes(store, &records[i]) >= full) {
                atomic_store(&tree->taken_bytes, full);
            }
            return; /* of a batch the first one is weighed */
        }
    }
}

cask_status tree_write(store_handle *store, store_record *records, size_t count,
                       uint64_t *ret_sequence, cask_error *err)
{
    const store_need need = store_need_of(store, records, count);
    cask_status status;

    status = check_batch(records, count, err);
    if (status != CASK_OK) {
        return status;
    }
    if (count > 0) {
        /* Further ones are fetched while those before them are applied. */
        tree_tables_prefetch(store, records[0].hash.word[0]);
    }
    status = store_lock_with_room(store, &need, err);
    if (status != CASK_OK) {
        return status;
    }
    status = tree_check_locked(store, records, count, err);
    if (status == CASK_OK) {
        status = store_write_locked(store, records, count, ret_sequence, err);
    }
    store_unlock_written(store);
    if (status != CASK_OK) {
        return status;
    }
    hurry(store, records, count);
    return settle(store, *ret_sequence, err);
}

/* ---- Conditional writes ---- */

/* What a look-up saw. */
typedef struct seen_key {
    uint64_t tables;   /* the memtables before it */
    uint64_t sequence; /* of the newest record, or of the deletion of a range;
                          0: there is none */
    bool is_damaged;   /* that cannot be read, and is not known */
} seen_key;

/* The sequence of what memtables say of the key: of its newest record, or of
 * the deletion of a range around it; 0: nothing. CASK_BUSY: that is not known.
 * Write lock held. */
static cask_status find_sequence(const tree_state *state,
                                 const tree_tables *tables,
                                 const store_record *record,
                                 uint64_t *ret_sequence, cask_error *err)
{
    memtable_result result = MEMTABLE_NONE;
    cask_status status = CASK_OK;
    uint64_t newest = 0;

    for (unsigned i = 0; i < tables->count && result == MEMTABLE_NONE &&
                         newest == 0 && status == CASK_OK;
         i++) {
        memtable_entry entry = {.sequence = 0};

        status = tree_ranges_newest(state->ranges, &tables->view[i],
                                    record->key, UINT64_MAX, &newest, err);
        result = memtable_find(&tables->view[i], record->key,
                               record->hash.word[0], UINT64_MAX, &entry);
        newest = entry.sequence > newest ? entry.sequence : newest;
    }
    if (status == CASK_OK && result != MEMTABLE_NONE &&
        result != MEMTABLE_FOUND) {
        status = CASK_BUSY;
    }
    *ret_sequence = newest;
    return status;
}

/* Whether what was seen of the key holds, or CASK_BUSY: as long as the
 * memtables are the same they have all that was written. Write lock held. */
static cask_status check_unchanged(store_handle *store,
                                   const store_record *record,
                                   const seen_key *seen, cask_error *err)
{
    const tree_state *state = tree_state_of(store);
    uint64_t sequence = 0;
    cask_status status;
    tree_tables tables;

    if (seen->is_damaged) {
        return CASK_OK;
    }
    tree_tables_load(store, &state->log, &tables);
    if (tables.word != seen->tables) {
        return CASK_BUSY;
    }
    status = find_sequence(state, &tables, record, &sequence, err);
    if (status != CASK_OK) {
        return status;
    }
    return sequence == 0 || sequence == seen->sequence ? CASK_OK : CASK_BUSY;
}

static cask_status check_record(store_handle *store, const store_record *record,
                                const void *seen, cask_error *err)
{
    cask_status status = check_unchanged(store, record, seen, err);

    return status == CASK_OK ? tree_check_locked(store, record, 1, err)
                             : status;
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
        status =
            store_check_condition(options, exists, found.info.sequence, err);
        if (status != CASK_OK) {
            return status;
        }
        *ret_existed = exists || seen.is_damaged;
        if (is_delete && !seen.is_damaged && !found.is_put) {
            *ret_sequence = 0;
            return CASK_OK;
        }
        status = store_write_unchanged(store, record,
                                       (store_seen){check_record, &seen},
                                       ret_sequence, err);
    } while (status == CASK_BUSY);
    return status == CASK_OK ? settle(store, *ret_sequence, err) : status;
}
