/*
 * Writing the outputs of a merge: puts that the index names, tombstones that
 * are needed, and deletes in place of what has expired.
 */
#include "hash/merge_work.h"

#include <inttypes.h>

#include "hash/hash_note.h"
#include "hash/keydir.h"
#include "log/segment.h"
#include "store/store_recover.h"
#include "store/store_shortage.h"
#include "store/store_size.h"

/* ---- Outputs ---- */

static cask_status finish_output(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    cask_status status;
    int os_errno;

    if (m->output == UINT32_MAX) {
        return CASK_OK;
    }
    status = record_copier_flush(&m->copier, err);
    if (status == CASK_OK) {
        region_row *row = &store->region.rows[m->output];

        row->tail = m->copier.offset;
        atomic_store(&row->reserved_tail, row->tail);
        atomic_store(&row->capacity, row->tail);
        os_errno = store->os->ops->truncate(m->copier.file, row->tail);
        if (os_errno == 0) {
            os_errno = store->os->ops->sync(m->copier.file);
        }
        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot sync %016" PRIx64 ".log",
                             atomic_load(&row->file_id));
        }
        m->report->bytes_written += row->tail;
    }
    store->os->ops->close(m->copier.file);
    record_copier_free(&m->copier);
    if (status == CASK_OK && store_has_room_for_hint(store, m->output)) {
        const region_row *output = &store->region.rows[m->output];

        status = store_write_hint(store, m->output,
                                  atomic_load(&output->file_id), err);
    }
    store_pace_resume(&m->pace);
    m->output = UINT32_MAX;
    return status;
}

static cask_status begin_output(merge *m, uint64_t bytes, cask_error *err)
{
    store_handle *store = m->store;
    uint64_t capacity = SEGMENT_HEADER_SIZE + bytes;
    uint32_t index = 0;
    segment_header expected;
    cask_status status;
    os_stat stat;

    status = store_merge_output(store, capacity, &index, err);
    if (status != CASK_OK) {
        return status;
    }
    expected = store_row_header(store, &store->region.rows[index]);
    m->copier =
        (record_copier){.offset = SEGMENT_HEADER_SIZE, .nonce = expected.nonce};
    status = segment_open(store->dir, &expected, OS_READ | OS_WRITE,
                          &m->copier.file, NULL, &stat, err);
    if (status == CASK_OK) {
        m->output = index;
        m->report->outputs++;
    }
    return status;
}

static void count_copy(region_row *row, const scan_item *item)
{
    store_note_times(row, &item->header, item->expires_at_ms);
    row->records++;
    row->tombstones += record_kind(&item->header) == RECORD_DELETE ? 1 : 0;
    row->last_sequence = item->header.sequence;
    if (row->first_sequence == 0) {
        row->first_sequence = item->header.sequence;
    }
}

/* ---- Records ---- */

static uint64_t place_of(const walk_part *part)
{
    return place_make((uint16_t)part->row, part->item.offset, part->item.size,
                      record_kind(&part->item.header) == RECORD_PUT);
}

static cask_status copy(merge *m, const scan_item *item, cask_error *err)
{
    uint64_t most = store_merged_bytes(m->store);
    cask_status status = CASK_OK;

    if (m->output != UINT32_MAX &&
        record_copier_offset(&m->copier) + item->size > most) {
        status = finish_output(m, err);
    }
    if (status == CASK_OK && m->output == UINT32_MAX) {
        status = begin_output(m, item->size, err);
    }
    if (status == CASK_OK) {
        /* Whole batches are synced: their members stand alone from here on. */
        status = record_copier_add(
            &m->copier, item, item->header.type & (uint8_t)~RECORD_MEMBER, err);
    }
    if (status == CASK_OK) {
        count_copy(&m->store->region.rows[m->output], item);
        store_pace_add(&m->pace, item->size);
        m->report->records++;
    }
    return status;
}

/* Copy a tombstone, if it is the one of its key and needed. */
static cask_status copy_tombstone(merge *m, const scan_item *item,
                                  cask_error *err)
{
    merge_tombstone *tombstone =
        merge_table_find(&m->tombstones, store_hash_of(m->store, item));

    if (tombstone == NULL || tombstone->sequence != item->header.sequence) {
        return CASK_OK; /* a newer record hides what it would */
    }
    if (!tombstone->is_needed && !m->keeps_all) {
        m->report->tombstones_dropped++;
        return CASK_OK;
    }
    if (tombstone->is_copied) {
        return CASK_OK; /* a second time: of a quarantined segment */
    }
    tombstone->is_copied = true;
    return copy(m, item, err);
}

static cask_status copy_put(merge *m, const walk_part *part, cask_error *err)
{
    siphash_value hash = store_hash_of(m->store, &part->item);
    scan_item item = part->item;
    merge_tombstone *tombstone;
    uint64_t place = 0;

    if (!keydir_find(&m->store->region, keydir_hash_of(hash), &place) ||
        place != place_of(part)) {
        return CASK_OK;
    }
    if (!merge_may_expire(m, part->row) ||
        !store_has_expired(m->expiry, item.header.time_s, item.expires_at_ms)) {
        return copy(m, &item, err);
    }
    m->report->expired++;
    tombstone = merge_table_find(&m->tombstones, hash);
    if (tombstone != NULL && !tombstone->is_needed && !m->keeps_all) {
        return CASK_OK;
    }
    if (tombstone != NULL) {
        tombstone->is_copied = true;
    }
    item.header.type = RECORD_DELETE;
    item.header.value_size = 0;
    item.expires_at_ms = 0;
    item.size = record_size(&item.header);
    return copy(m, &item, err);
}

static cask_status copy_part(merge *m, const walk_part *part, cask_error *err)
{
    region_merge *progress = &m->store->region.header->merge;

    store_pace_add(&m->pace, part->item.size);
    m->report->bytes_read += part->item.size;
    atomic_fetch_add(&progress->bytes_done, part->item.size);
    return record_kind(&part->item.header) == RECORD_PUT
               ? copy_put(m, part, err)
               : copy_tombstone(m, &part->item, err);
}

/* ---- Inputs ---- */

/* Copy what stays of all parts; frees the walk. */
static cask_status copy_parts(merge *m, store_walk *walk, cask_error *err)
{
    const walk_part *part = NULL;
    cask_status status;

    store_walk_begin(walk, m->store);
    status = store_walk_next(walk, &part, err);
    while (status == CASK_OK && part != NULL) {
        status = merge_check_part(m, part, err);
        if (status == CASK_OK && part->result == SCAN_RECORD) {
            status = copy_part(m, part, err);
        }
        if (status == CASK_OK) {
            status = store_walk_next(walk, &part, err);
        }
    }
    store_walk_free(walk);
    return status;
}

static cask_status copy_inputs(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    store_walk walk = {.count = 0};
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        if (!merge_is_input(store, i)) {
            continue;
        }
        status = merge_look_for_kept(m, i, err);
        if (status == CASK_OK && m->is_kept) {
            status = hash_walk_row(&walk, store, i, err);
        }
    }
    if (status == CASK_OK) {
        return copy_parts(m, &walk, err);
    }
    store_walk_free(&walk);
    return status;
}

cask_status merge_copy(merge *m, cask_error *err)
{
    cask_status status = copy_inputs(m, err);

    if (status == CASK_OK) {
        status = merge_check_released(m, err);
    }
    if (status == CASK_OK) {
        status = finish_output(m, err);
    } else if (m->output != UINT32_MAX) {
        m->store->os->ops->close(m->copier.file);
        record_copier_free(&m->copier);
    }
    return status;
}
