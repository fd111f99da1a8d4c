/*
 * The last merges. An entry is written without a lock by whoever has merged;
 * its number, stored last and taken away first, tells whether it is whole.
 */
#include "store/merge_log.h"

static region_merger *merger_of(const store_handle *store)
{
    return &store->region.header->merger;
}

void merge_log_begin(store_handle *store)
{
    region_merger *merger = merger_of(store);

    merge_log_take_over(store);
    atomic_store(&merger->began_ms, store->os->ops->wall_ms(store->os));
}

void merge_log_take_over(store_handle *store)
{
    atomic_store(&merger_of(store)->worker, store->process_slot + 1);
}

static void add(store_handle *store, _Atomic uint64_t *entries,
                region_merge_entry log[REGION_MERGES],
                const merge_record *record)
{
    uint64_t number = atomic_fetch_add(entries, 1) + 1;
    region_merge_entry *entry = &log[number % REGION_MERGES];

    atomic_store(&entry->number, 0);
    atomic_store(&entry->began_ms, record->began_ms);
    atomic_store(&entry->took_ms, record->took_ms);
    atomic_store(&entry->bytes_read, record->bytes_read);
    atomic_store(&entry->bytes_written, record->bytes_written);
    atomic_store(&entry->bytes_freed, record->bytes_freed);
    atomic_store(&entry->records, record->records);
    atomic_store(&entry->tombstones_dropped, record->tombstones_dropped);
    atomic_store(&entry->inputs, record->inputs);
    atomic_store(&entry->outputs, record->outputs);
    atomic_store(&entry->pid, store->os->ops->pid(store->os));
    atomic_store(&entry->reason, (uint32_t)record->reason);
    atomic_store(&entry->result, (uint32_t)record->result);
    atomic_store(&entry->number, number);
}

void merge_log_add(store_handle *store, const merge_record *record)
{
    region_merger *merger = merger_of(store);

    add(store, &merger->entries, merger->entry, record);
}

void merge_log_add_flush(store_handle *store, const merge_record *record)
{
    region_tree *tree = &store->region.header->tree;

    if (record->result == CASK_OK) {
        atomic_fetch_add(&tree->flushes, 1);
        atomic_fetch_add(&tree->flush_bytes_read, record->bytes_read);
        atomic_fetch_add(&tree->flush_bytes_written, record->bytes_written);
        atomic_fetch_add(&tree->flush_ms, record->took_ms);
    }
    add(store, &tree->flush_entries, tree->flush, record);
}

/* False: it is being written, or is another by now. */
static bool read_entry(const region_merge_entry *entry, uint64_t number,
                       merge_record *ret_record)
{
    if (atomic_load(&entry->number) != number) {
        return false;
    }
    *ret_record = (merge_record){
        .number = number,
        .began_ms = atomic_load(&entry->began_ms),
        .took_ms = atomic_load(&entry->took_ms),
        .bytes_read = atomic_load(&entry->bytes_read),
        .bytes_written = atomic_load(&entry->bytes_written),
        .bytes_freed = atomic_load(&entry->bytes_freed),
        .records = atomic_load(&entry->records),
        .tombstones_dropped = atomic_load(&entry->tombstones_dropped),
        .inputs = atomic_load(&entry->inputs),
        .outputs = atomic_load(&entry->outputs),
        .pid = atomic_load(&entry->pid),
        .reason = (merge_reason)atomic_load(&entry->reason),
        .result = (cask_status)atomic_load(&entry->result)};
    return atomic_load(&entry->number) == number;
}

static size_t read_log(uint64_t number,
                       const region_merge_entry log[REGION_MERGES],
                       merge_record ret_records[REGION_MERGES])
{
    uint64_t oldest = number > REGION_MERGES ? number - REGION_MERGES : 0;
    size_t count = 0;

    for (; number > oldest; number--) {
        if (read_entry(&log[number % REGION_MERGES], number,
                       &ret_records[count])) {
            count++;
        }
    }
    return count;
}

size_t merge_log_read(const store_handle *store,
                      merge_record ret_records[REGION_MERGES])
{
    const region_merger *merger = merger_of(store);

    return read_log(atomic_load(&merger->entries), merger->entry, ret_records);
}

size_t merge_log_read_flushes(const store_handle *store,
                              merge_record ret_records[REGION_MERGES])
{
    const region_tree *tree = &store->region.header->tree;

    return read_log(atomic_load(&tree->flush_entries), tree->flush,
                    ret_records);
}

uint32_t merge_log_worker(store_handle *store)
{
    uint32_t worker = atomic_load(&merger_of(store)->worker);

    if (worker == 0 || worker > REGION_PROCESSES ||
        !store_slot_is_alive(store, worker - 1)) {
        return 0;
    }
    return atomic_load(&store->region.processes[worker - 1].pid);
}
