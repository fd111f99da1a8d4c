/*
 * Statistics: what the region counts, and what the directory holds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "log/hint_format.h"
#include "region/heap.h"
#include "region/undo.h"
#include "store/store_expiry.h"
#include "store/store_merge.h"
#include "store/store_settings.h"
#include "store/store_snapshot.h"

void db_format_uuid(const uint8_t uuid[16], char ret_text[DB_UUID_SIZE])
{
    char *at = ret_text;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        (void)snprintf(at, 3, "%02x", uuid[i]);
        at += 2;
    }
}

/* Bytes of records in a row, the active one included. */
static uint64_t data_bytes(const store_handle *store, uint32_t index)
{
    const region_header *header = store->region.header;
    const region_row *row = &store->region.rows[index];
    uint64_t end = row->tail;

    if (index == atomic_load(&header->active_row) &&
        atomic_load(&row->state) == ROW_ACTIVE) {
        end = region_tail_offset(atomic_load(&header->applied_tail));
    }
    return end > SEGMENT_HEADER_SIZE ? end - SEGMENT_HEADER_SIZE : 0;
}

/* Also the inputs of a merge from which the index is being led away: it names
 * some of them still. */
static bool is_shown(const store_handle *store, uint32_t row)
{
    return store_row_counts(store, row) ||
           atomic_load(&store->region.rows[row].is_input) != 0;
}

static bool is_quarantined(const region_row *row)
{
    uint32_t damage = atomic_load(&row->damage);

    return damage == ROW_QUARANTINED || damage == ROW_RELEASED;
}

/* Of a clock that is not believed nothing has expired. */
static uint64_t expired_bytes(const store_expiry *expiry, const region_row *row)
{
    return expiry->disagrees ? 0 : store_row_expired_bytes(expiry, row);
}

static void add_segments(const store_handle *store, cask_stats *stats)
{
    store_expiry expiry;
    uint32_t count = atomic_load(&store->region.header->row_count);

    store_expiry_now(store, false, &expiry);
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (is_shown(store, i)) {
            stats->segment_count++;
            stats->data_bytes += data_bytes(store, i);
            stats->live_bytes += row->live_bytes;
            stats->expired_bytes += expired_bytes(&expiry, row);
            stats->may_expire |= row->last_expiry_ms != 0;
        }
        if (is_shown(store, i) && is_quarantined(row)) {
            stats->quarantined_count++;
            stats->quarantined_bytes += data_bytes(store, i);
        }
    }
    stats->dead_bytes = stats->data_bytes > stats->live_bytes
                            ? stats->data_bytes - stats->live_bytes
                            : 0;
}

static void add_totals(const store_handle *store, cask_stats *stats)
{
    store_totals totals = store_totals_locked(store);

    stats->log_bytes = totals.log_bytes;
    stats->merge_bytes = totals.merge_bytes;
}

static void add_processes(store_handle *store, cask_stats *stats)
{
    const region_header *header = store->region.header;

    stats->gets = atomic_load(&header->past_gets);
    stats->get_misses = atomic_load(&header->past_get_misses);
    for (uint32_t i = 0; i < REGION_PROCESSES; i++) {
        const region_process *process = &store->region.processes[i];

        stats->gets += atomic_load(&process->gets);
        stats->get_misses += atomic_load(&process->get_misses);
        if (atomic_load(&process->in_use) != 0 && !store->private_index &&
            store_slot_is_alive(store, i)) {
            stats->handle_count++;
        }
    }
}

/* Counters of segments change under the write lock only; a private index has
 * no other user. */
static cask_status begin_counting(store_handle *store, cask_error *err)
{
    return store->has_slot ? store_lock_always(store, err) : CASK_OK;
}

static void end_counting(store_handle *store)
{
    if (store->has_slot) {
        store_unlock(store);
    }
}

static uint64_t pinned_bytes(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_RETIRED &&
            store_snapshot_needs_row(store, i)) {
            bytes += row->tail;
        }
    }
    return bytes;
}

static void add_snapshots(store_handle *store, cask_stats *stats)
{
    const region_handle *region = &store->region;

    stats->snapshot_count = atomic_load(&region->header->snapshots);
    stats->snapshots_lost = atomic_load(&region->snapshots->undo.lost);
    stats->undo_bytes = undo_bytes(region);
    stats->pinned_bytes = pinned_bytes(store);
}

typedef struct disk_usage {
    const store_handle *store;
    uint64_t bytes;
} disk_usage;

static bool add_file(void *context, const char *name)
{
    disk_usage *usage = context;
    os_stat stat;

    if (usage->store->os->ops->stat_name(usage->store->dir, name, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        usage->bytes += stat.allocated;
    }
    return true;
}

static void copy_histogram(const _Atomic uint64_t *from, cask_histogram *to)
{
    for (int i = 0; i < CASK_HISTOGRAM_BUCKETS; i++) {
        to->bucket[i] = atomic_load(&from[i]);
    }
}

cask_status cask_stat(cask_db *db, cask_stats *ret_stats, cask_error *err)
{
    cask_status status = db_check(db, err);
    const region_header *header;
    cask_stats stats = {0};
    store_handle *store;
    disk_usage usage;

    if (status != CASK_OK || ret_stats == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "ret_stats is NULL");
    }
    store = db->store;
    header = store->region.header;
    usage = (disk_usage){.store = store};
    store_publish_counters(store);
    stats.engine = store->identity.engine;
    db_format_uuid(store->identity.uuid, stats.uuid);
    stats.key_count = db->engine->key_estimate(store);
    stats.may_expire = store_reads_expiry_seconds(store) != 0;
    /* In this order, since others write and sync meanwhile; and what is taken
     * in may be durable before it is seen. */
    stats.durable_sequence = atomic_load(&header->commit.durable_sequence);
    stats.sequence = region_newest_sequence(header);
    if (stats.durable_sequence > stats.sequence) {
        stats.durable_sequence = stats.sequence;
    }
    stats.damaged_bytes = header->damaged_bytes;
    stats.index_bytes = atomic_load(&header->heap.used) * REGION_LINE;
    stats.region_bytes = region_allocated_bytes(&store->region);
    stats.poisoned = atomic_load(&header->poisoned) != 0;
    stats.private_index = store->private_index;
    if (!store->private_index) {
        (void)snprintf(stats.region_path, sizeof(stats.region_path), "%s",
                       store->region.path);
    }
    if (db->engine->damaged_runs != NULL) {
        db->engine->damaged_runs(store, &stats.quarantined_count,
                                 &stats.quarantined_bytes);
    }
    status = begin_counting(store, err);
    if (status != CASK_OK) {
        return status;
    }
    add_segments(store, &stats);
    add_totals(store, &stats);
    end_counting(store);
    add_processes(store, &stats);
    add_snapshots(store, &stats);
    (void)store->os->ops->list(store->dir, add_file, &usage);
    stats.disk_bytes = usage.bytes;
    stats.puts = atomic_load(&header->puts);
    stats.deletes = atomic_load(&header->deletes);
    stats.batches = atomic_load(&header->batches);
    stats.syncs = atomic_load(&header->syncs);
    stats.bytes_written = atomic_load(&header->bytes_written);
    stats.takeovers = atomic_load(&header->takeovers);
    copy_histogram(header->sync_ns, &stats.sync_ns);
    copy_histogram(header->lock_wait_ns, &stats.lock_wait_ns);
    *ret_stats = stats;
    return CASK_OK;
}

static cask_segment_stats segment_stats(const store_handle *store,
                                        const store_expiry *expiry,
                                        uint32_t index)
{
    const region_row *row = &store->region.rows[index];
    uint64_t total = data_bytes(store, index);

    return (cask_segment_stats){
        .id = atomic_load(&row->file_id),
        .total_bytes = total,
        .live_bytes = row->live_bytes,
        .dead_bytes = total > row->live_bytes ? total - row->live_bytes : 0,
        .expired_bytes = expired_bytes(expiry, row),
        .live_records = row->live_records,
        .tombstones = row->tombstones,
        .damaged_bytes = row->damaged_bytes,
        .first_sequence = row->first_sequence,
        .last_sequence = row->last_sequence,
        .sealed = atomic_load(&row->state) == ROW_SEALED,
        .has_hint = atomic_load(&row->has_hint) == HINT_WRITTEN,
        .quarantined = is_quarantined(row)};
}

/* Rows are used again, ids are not. */
static int by_id(const void *left, const void *right)
{
    const cask_segment_stats *a = left;
    const cask_segment_stats *b = right;

    return a->id < b->id ? -1 : a->id > b->id;
}

cask_status cask_segments(cask_db *db, cask_segment_stats **ret_segments,
                          size_t *ret_count, cask_error *err)
{
    cask_status status = db_check(db, err);
    cask_segment_stats *segments;
    store_expiry expiry;
    uint32_t rows;
    size_t count = 0;

    if (status != CASK_OK || ret_segments == NULL || ret_count == NULL) {
        return status != CASK_OK
                   ? status
                   : fail(err, CASK_INVALID, 0, "an output is NULL");
    }
    rows = atomic_load(&db->store->region.header->row_count);
    segments = calloc((size_t)rows + 1, sizeof(*segments));
    if (segments == NULL) {
        return fail_memory(err, rows * sizeof(*segments));
    }
    status = begin_counting(db->store, err);
    if (status != CASK_OK) {
        free(segments);
        return status;
    }
    store_expiry_now(db->store, false, &expiry);
    for (uint32_t i = 0; i < rows; i++) {
        if (is_shown(db->store, i)) {
            segments[count++] = segment_stats(db->store, &expiry, i);
        }
    }
    end_counting(db->store);
    qsort(segments, count, sizeof(*segments), by_id);
    *ret_segments = segments;
    *ret_count = count;
    return CASK_OK;
}
