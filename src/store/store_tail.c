/*
 * The end of the log when its writer is gone: redo what was appended and not
 * applied, and move what was never known to be synced.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "log/record_copier.h"
#include "log/segment.h"
#include "region/place.h"
#include "store/store_expiry.h"
#include "store/store.h"
#include "store/store_recover.h"
#include "store/store_write.h"
#include "store/store_read.h"

static cask_status move_locked(store_handle *store, uint32_t *ret_old,
                               cask_error *err);

/* ---- Redo ---------------------------------------------------------------- */

/* False: the index cannot take it. */
static bool redo_record(store_handle *store, uint32_t row,
                        const scan_item *item)
{
    region_header *header = store->region.header;
    uint64_t tail = region_tail_make(row, item->offset + item->size);
    bool live = record_kind(&item->header) == RECORD_PUT;

    if (record_kind(&item->header) == RECORD_MARK) {
        atomic_store(&header->applied_tail, tail);
        return true;
    }
    store_note_times(&store->region.rows[row], &item->header,
                     item->expires_at_ms);
    return store->engine->apply_locked(
        store, store_hash_of(store, item), &item->header, item->key,
        place_make((uint16_t)row, item->offset, item->size, live), tail);
}

/* Apply every whole operation behind applied_tail, oldest first. */
static cask_status redo_all(store_handle *store, uint32_t row,
                            const store_map *map, uint64_t *ret_end,
                            cask_error *err)
{
    region_header *header = store->region.header;
    uint64_t tail = atomic_load(&header->applied_tail);
    cask_status status = CASK_OK;
    segment_scan scan;
    scan_item item;

    scan_begin(&scan, map->data,
               atomic_load(&store->region.rows[row].reserved_tail), map->nonce,
               region_tail_offset(tail));
    scan.last_sequence = store->region.rows[row].last_sequence;
    scan.knows_ranges = store->engine->has_ranges;
    while (status == CASK_OK && scan_next(&scan, &item) == SCAN_RECORD) {
        status = store->engine->reserve(store, 1, err);
        if (status == CASK_OK) {
            (void)store->engine->has_room_locked(store, 1); /* as a writer */
            if (!redo_record(store, row, &item)) {
                status = store_fail_unapplied(store, err);
            }
        }
    }
    if (atomic_load(&header->next_sequence) <= scan.last_sequence) {
        atomic_store(&header->next_sequence, scan.last_sequence + 1);
    }
    *ret_end = scan.offset;
    return status;
}

/* The owner died while the index followed the copies of the tail. Its segment
 * gets no SEAL edit: recovery sees by its follower that it is whole. */
static cask_status finish_move(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    cask_status status = CASK_OK;
    uint32_t old;

    if (atomic_load(&header->next_row) != 0) {
        status = move_locked(store, &old, err);
    } else {
        atomic_store(&header->moving, 0); /* it had switched already */
    }
    if (status == CASK_OK) {
        atomic_store(&header->redo_needed, 0);
    }
    return status;
}

/* The owner may have died between two stores of store_switch_locked(). */
static void finish_switch(store_handle *store, uint32_t active)
{
    region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);

    if (atomic_load(&header->next_row) == active + 1) {
        atomic_store(&header->next_row, 0);
    }
    atomic_store(&header->active_row, active);
    for (uint32_t i = 0; i < count; i++) {
        region_row *row = &store->region.rows[i];

        if (i != active && atomic_load(&row->state) == ROW_ACTIVE) {
            atomic_store(&row->state, atomic_load(&header->next_row) == i + 1
                                          ? ROW_PREPARED
                                          : ROW_SEALED);
        }
    }
    atomic_store(&store->region.rows[active].state, ROW_ACTIVE);
}

cask_status store_redo_locked(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    uint32_t row_index = region_tail_row(atomic_load(&header->applied_tail));
    region_row *row = &store->region.rows[row_index];
    store_map *map = NULL;
    uint64_t end = 0;
    cask_status status;

    finish_switch(store, row_index);
    store->engine->finish_locked(store);
    status = store_open_active_locked(store, err);
    if (status == CASK_OK) {
        status = store_map_row(store, row_index, &map, err);
    }
    if (status == CASK_OK) {
        status = redo_all(store, row_index, map, &end, err);
    }
    if (status == CASK_OK && atomic_load(&header->moving) != 0) {
        return finish_move(store, err);
    }
    if (status == CASK_OK) {
        uint64_t reserved = atomic_load(&row->reserved_tail);
        int os_errno = 0;

        /* Only now: before, the bytes were what redo reads. */
        if (reserved > end) {
            os_errno = store_zero_active(store, end, reserved - end);
        }
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot zero %016" PRIx64 ".log",
                           store->active->file_id);
        }
        atomic_store(&row->reserved_tail, end);
        atomic_store(&header->redo_needed, 0);
    }
    return status;
}

/* ---- Copy ---- */

static cask_status write_copies(const store_copy *copy, record_copier *writer,
                                cask_error *err)
{
    segment_scan scan = copy->scan;
    cask_status status = CASK_OK;
    scan_item item;
    int os_errno;

    while (status == CASK_OK && scan_next(&scan, &item) == SCAN_RECORD) {
        if (record_kind(&item.header) != RECORD_MARK) {
            status = record_copier_add(writer, &item, item.header.type, err);
        }
    }
    if (status != CASK_OK) {
        return status;
    }
    status = record_copier_flush(writer, err);
    if (status == CASK_OK) {
        os_errno = writer->file->os->ops->sync(writer->file);
        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot copy the log's tail");
        }
    }
    return status;
}

cask_status store_copy_records(store_handle *store, const store_copy *copy,
                               uint64_t *ret_end, cask_error *err)
{
    region_row *row = &store->region.rows[copy->to];
    record_copier writer = {.file = copy->file,
                            .offset = SEGMENT_HEADER_SIZE,
                            .nonce = atomic_load(&row->nonce)};
    segment_scan scan = copy->scan;
    uint64_t offset = SEGMENT_HEADER_SIZE;
    cask_status status = write_copies(copy, &writer, err);
    scan_item item;

    record_copier_free(&writer);
    if (status != CASK_OK) {
        return status;
    }
    atomic_store(&row->reserved_tail, writer.offset);
    while (status == CASK_OK && scan_next(&scan, &item) == SCAN_RECORD) {
        bool live = record_kind(&item.header) == RECORD_PUT;

        if (record_kind(&item.header) != RECORD_MARK) {
            if (!copy->copied(
                    store, &item,
                    place_make((uint16_t)copy->from, item.offset, item.size,
                               live),
                    place_make((uint16_t)copy->to, offset, item.size, live),
                    region_tail_make(copy->to, offset + item.size))) {
                status = store_fail_unapplied(store, err);
            }
            offset += item.size;
        }
    }
    *ret_end = offset;
    return status;
}

/* ---- Move ---- */

/* Room made beyond what is to be moved. */
enum { MOVE_SLACK = 64 << 10, MOVE_SLACK_MOST = 64 << 20 };

static bool moved(store_handle *store, const scan_item *item,
                  uint64_t from_place, uint64_t to_place, uint64_t to_tail)
{
    store_indexed record = store_indexed_of(store, item);

    (void)to_tail;
    return store->engine->place_locked(store, &record) != from_place ||
           store->engine->move_locked(store, &record, to_place);
}

static void count_item(store_handle *store, uint32_t index,
                       const scan_item *item)
{
    region_row *row = &store->region.rows[index];
    bool live = record_kind(&item->header) == RECORD_PUT;
    store_indexed record = store_indexed_of(store, item);

    store_note_times(row, &item->header, item->expires_at_ms);
    row->records++;
    row->tombstones += live ? 0 : 1;
    row->last_sequence = item->header.sequence;
    if (row->first_sequence == 0) {
        row->first_sequence = item->header.sequence;
    }
    if (live &&
        store->engine->place_locked(store, &record) ==
            place_make((uint16_t)index, item->offset, item->size, live)) {
        row->live_bytes += item->size;
        row->live_records++;
    }
}

/* Count a row anew: after a move nobody knows how far an earlier one came. */
static cask_status recount(store_handle *store, uint32_t index, uint64_t end,
                           cask_error *err)
{
    region_row *row = &store->region.rows[index];
    store_map *map = NULL;
    cask_status status = store_map_row(store, index, &map, err);
    scan_result result;
    segment_scan scan;
    scan_item item;

    if (status != CASK_OK) {
        return status;
    }
    row->records = 0;
    row->live_bytes = 0;
    row->live_records = 0;
    row->tombstones = 0;
    row->first_sequence = 0;
    store_forget_times(row);
    scan_begin(&scan, map->data, end, map->nonce, SEGMENT_HEADER_SIZE);
    scan.trusted_end = end;
    scan.knows_ranges = store->engine->has_ranges;
    while ((result = scan_next(&scan, &item)) != SCAN_END) {
        if (result == SCAN_RECORD && record_kind(&item.header) != RECORD_MARK) {
            count_item(store, index, &item);
        }
    }
    return CASK_OK;
}

static cask_status move(store_handle *store, uint32_t *ret_old, cask_error *err)
{
    region_header *header = store->region.header;
    uint32_t from = atomic_load(&header->active_row);
    uint32_t to = atomic_load(&header->next_row) - 1;
    uint64_t tail = region_tail_offset(atomic_load(&header->applied_tail));
    uint64_t durable = header->move_offset;
    segment_header expected = store_row_header(store, &store->region.rows[to]);
    store_copy copy = {.from = from, .to = to, .copied = moved};
    store_map *map = NULL;
    uint64_t end = 0;
    cask_status status;
    os_stat stat;

    status = store_map_row(store, from, &map, err);
    if (status == CASK_OK) {
        status = segment_open(store->dir, &expected, OS_READ | OS_WRITE,
                              &copy.file, NULL, &stat, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    scan_begin(&copy.scan, map->data, tail, map->nonce, durable);
    copy.scan.knows_ranges = store->engine->has_ranges;
    status = store_copy_records(store, &copy, &end, err);
    store->os->ops->close(copy.file);
    if (status == CASK_OK) {
        status = recount(store, from, durable, err);
    }
    if (status == CASK_OK) {
        status = recount(store, to, end, err);
    }
    if (status == CASK_OK) {
        *ret_old = store_switch_locked(store, durable, end);
        atomic_store(&header->commit.mark_due, 1);
        atomic_store(&header->commit.sync_running, 0);
    }
    return status;
}

/*
 * Copy the tail to the next row and let the index follow. Once begun it must be
 * completed before anything else is written: whoever fails or dies in it leaves
 * it to the next owner of the lock, who does all of it again, the same bytes to
 * the same places. The write lock is held.
 */
static cask_status move_locked(store_handle *store, uint32_t *ret_old,
                               cask_error *err)
{
    region_header *header = store->region.header;
    cask_status status;

    if (atomic_load(&header->moving) == 0) {
        /* Kept apart: a switch that is not completed has changed the other. */
        header->move_offset = header->commit.durable_offset;
        /* No hint before it is sealed: should nobody seal it, the next open
         * counts a mark behind its last record, and the hint would not fit. */
        atomic_store(
            &store->region.rows[atomic_load(&header->active_row)].has_hint,
            HINT_NEVER);
        atomic_store(&header->moving, 1);
    }
    status = move(store, ret_old, err);
    if (status == CASK_OK) {
        atomic_store(&header->moving, 0);
    } else {
        atomic_store(&header->redo_needed, 1);
    }
    return status;
}

/* What is unsynced fits into the next row; write lock held. */
static bool next_has_room_locked(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint32_t next = atomic_load(&header->next_row);
    uint64_t tail = region_tail_offset(atomic_load(&header->applied_tail));

    return next != 0 &&
           atomic_load(&store->region.rows[next - 1].capacity) >=
               tail - header->commit.durable_offset + SEGMENT_HEADER_SIZE;
}

/* Take the write lock with a next row that has room, though others append
 * while it is made. */
static cask_status lock_with_next(store_handle *store, cask_error *err)
{
    for (uint64_t slack = MOVE_SLACK; slack < MOVE_SLACK_MOST; slack *= 2) {
        uint64_t tail = region_tail_offset(
            atomic_load(&store->region.header->applied_tail));
        cask_status status = store_ensure_next(store, tail + slack, true, err);

        if (status == CASK_OK) {
            status = store_lock(store, err);
        }
        if (status != CASK_OK || next_has_room_locked(store)) {
            return status;
        }
        store_unlock(store);
    }
    return fail(err, CASK_TIMEOUT, 0,
                "%s: the log grew faster than room for its tail was made; try "
                "again",
                store->path);
}

static cask_status move_and_seal(store_handle *store, cask_error *err)
{
    uint32_t old = 0;
    cask_status status = lock_with_next(store, err);

    if (status != CASK_OK) {
        return status;
    }
    if (store->active != NULL && store_can_vouch_locked(store)) {
        store_unlock(store);
        return CASK_OK; /* another has moved it already */
    }
    status = move_locked(store, &old, err);
    store_unlock(store);
    if (status == CASK_OK) {
        status = store_seal_row(store, old, err);
    }
    if (status == CASK_OK) {
        atomic_store(&store->region.rows[old].has_hint, HINT_NONE);
    }
    return status;
}

cask_status store_move_tail(store_handle *store, bool maintained,
                            cask_error *err)
{
    cask_status status =
        maintained ? CASK_OK : store_maintain_begin(store, err);

    if (status == CASK_OK) {
        status = move_and_seal(store, err);
        if (!maintained) {
            store_maintain_end(store);
        }
    }
    return status;
}
