/*
 * Loading one segment into a new region: by its hint if it has a good one,
 * else by a scan of its data.
 */
#include <inttypes.h>
#include <string.h>

#include "log/hint_format.h"
#include "log/segment.h"
#include "region/place.h"
#include "store/store.h"
#include "store/store_recover.h"
#include "store/store_read.h"

/* Rows whose index lines are fetched while earlier ones are applied. */
enum { AHEAD = 16 };

/* ---- By hint ---- */

static cask_status check_hint(store_handle *store,
                              const manifest_segment *segment,
                              const store_bytes *bytes, const char *name,
                              hint_header *ret_header, cask_error *err)
{
    hint_header expected = {.segment_id = segment->id,
                            .segment_nonce = segment->nonce,
                            .segment_length = segment->length,
                            .key_check =
                                hint_key_check(store->identity.hash_key)};

    memcpy(expected.uuid, store->identity.uuid, 16);
    return hint_check(bytes->data, bytes->size, name, &expected, ret_header,
                      err);
}

static cask_status apply_rows(store_handle *store, uint32_t index,
                              const store_bytes *bytes,
                              const hint_header *header, cask_error *err)
{
    const uint8_t *rows = bytes->data + HINT_HEADER_SIZE;
    cask_status status = CASK_OK;

    for (uint64_t i = 0; i < header->row_count && status == CASK_OK; i++) {
        record_header record = {0};
        hint_row row;

        if (i + AHEAD < header->row_count) {
            hint_row_decode(rows + (i + AHEAD) * HINT_ROW_SIZE, &row);
            store->engine->prefetch(store, row.hash);
        }
        if (i % AHEAD == 0) {
            status = store->engine->reserve(store, AHEAD, err);
        }
        hint_row_decode(rows + i * HINT_ROW_SIZE, &row);
        if (status == CASK_OK &&
            hint_row_is_sound(&row, header->segment_length)) {
            record.sequence = row.sequence;
            record.type = row.type;
            store->engine->apply_locked(store, row.hash, &record,
                                        row.place | (uint64_t)index << 48, 0);
        }
    }
    return status;
}

/* CASK_NOT_FOUND: there is no usable hint. */
static cask_status load_hint(store_handle *store, uint32_t index,
                             const manifest_segment *segment,
                             uint64_t *ret_last_sequence, cask_error *err)
{
    char name[SEGMENT_NAME_SIZE];
    store_bytes bytes = {NULL, 0, 0};
    os_file *file = NULL;
    hint_header header = {.segment_id = 0};
    cask_status status;
    os_stat stat;

    hint_name_format(segment->id, name);
    if (file_open(store->dir, name, OS_READ, &file, &stat, NULL) != CASK_OK) {
        return CASK_NOT_FOUND;
    }
    status = store_bytes_load(store, file, stat.size, name, false, &bytes, err);
    store->os->ops->close(file);
    if (status == CASK_OK) {
        status = check_hint(store, segment, &bytes, name, &header, err);
    }
    if (status == CASK_OK) {
        status = apply_rows(store, index, &bytes, &header, err);
        *ret_last_sequence = header.last_sequence;
    } else if (status == CASK_CORRUPT || status == CASK_UNSUPPORTED) {
        store_event(store, CASK_EVENT_HINT, status,
                    "%s is ignored and will be written again: %s", name,
                    err == NULL ? "" : err->message);
        status = CASK_NOT_FOUND;
    }
    store_bytes_free(store, &bytes);
    return status;
}

void store_count_keys(store_handle *store, const manifest_segment *segment,
                      distinct_counter *counter)
{
    char name[SEGMENT_NAME_SIZE];
    store_bytes bytes = {NULL, 0, 0};
    os_file *file = NULL;
    hint_header header = {.segment_id = 0};
    os_stat stat;

    hint_name_format(segment->id, name);
    if (file_open(store->dir, name, OS_READ, &file, &stat, NULL) != CASK_OK) {
        return;
    }
    /* Only a number is wanted: what is not a hint is found out later. */
    if (store_bytes_load(store, file, stat.size, name, false, &bytes, NULL) ==
            CASK_OK &&
        bytes.size >= HINT_HEADER_SIZE &&
        hint_header_decode(bytes.data, name, &header, NULL) == CASK_OK &&
        bytes.size == hint_file_bytes(&header)) {
        for (uint64_t i = 0; i < header.row_count; i++) {
            distinct_add(counter, load_u64(bytes.data + HINT_HEADER_SIZE +
                                           i * HINT_ROW_SIZE));
        }
    }
    store_bytes_free(store, &bytes);
    store->os->ops->close(file);
}

/* ---- By scan ---- */

static void note_damage(store_handle *store, region_row *row,
                        const scan_item *item)
{
    uint64_t total = row->damaged_bytes + item->size;

    row->damaged_bytes = total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
    store->region.header->damaged_bytes += item->size;
    store_event(store, CASK_EVENT_DAMAGE, CASK_CORRUPT,
                "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
                " bytes are damaged",
                atomic_load(&row->file_id), item->offset, item->size);
}

static cask_status damage_is_served(const store_handle *store,
                                    const region_row *row,
                                    const scan_item *item, cask_error *err)
{
    if (store->options.damage == CASK_DAMAGE_SERVE) {
        return CASK_OK;
    }
    return fail(err, CASK_CORRUPT, 0,
                "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
                " bytes are damaged and no hint says which keys; see "
                "'caskade verify', or open with damage = CASK_DAMAGE_SERVE "
                "(--damage serve) to read the rest",
                atomic_load(&row->file_id), item->offset, item->size);
}

static void apply_item(store_handle *store, uint32_t index,
                       const scan_item *item)
{
    bool live = record_kind(&item->header) == RECORD_PUT;

    store->engine->apply_locked(
        store, store_hash_of(store, item), &item->header,
        place_make((uint16_t)index, item->offset, item->size, live), 0);
}

static cask_status load_scan(store_handle *store, uint32_t index,
                             segment_scan *scan, cask_error *err)
{
    region_row *row = &store->region.rows[index];
    cask_status status = CASK_OK;
    scan_result result = SCAN_RECORD;
    scan_item item;

    while (status == CASK_OK && (result = scan_next(scan, &item)) != SCAN_END) {
        if (result == SCAN_DAMAGE) {
            note_damage(store, row, &item);
            status = damage_is_served(store, row, &item, err);
        } else if (result == SCAN_UNSUPPORTED) {
            status =
                fail(err, CASK_UNSUPPORTED, 0,
                     "%016" PRIx64 ".log: offset %" PRIu64
                     ": record type %02x is not known to this version; "
                     "nothing was changed",
                     atomic_load(&row->file_id), item.offset, item.header.type);
        } else if (record_kind(&item.header) != RECORD_MARK) {
            status = store->engine->reserve(store, 1, err);
            if (status == CASK_OK) {
                apply_item(store, index, &item);
            }
        }
    }
    return status;
}

static cask_status load_data(store_handle *store, uint32_t index, os_file *file,
                             const manifest_segment *segment,
                             uint64_t *ret_last_sequence, cask_error *err)
{
    char name[SEGMENT_NAME_SIZE];
    store_bytes bytes = {NULL, 0, 0};
    segment_scan scan;
    cask_status status;
    uint64_t size;
    os_stat stat;

    segment_name_format(segment->id, name);
    if (store->os->ops->stat(file, &stat) != 0) {
        return fail(err, CASK_IO, 0, "cannot examine %s", name);
    }
    status = store_bytes_load(store, file, stat.size, name, false, &bytes, err);
    if (status != CASK_OK) {
        return status;
    }
    size = bytes.size < segment->length ? bytes.size : segment->length;
    scan_begin(&scan, bytes.data, size, segment->nonce, SEGMENT_HEADER_SIZE);
    scan.trusted_end = segment->length;
    status = load_scan(store, index, &scan, err);
    *ret_last_sequence = scan.last_sequence;
    store_bytes_free(store, &bytes);
    return status;
}

/* ---- A segment ---- */

static void fill_row(region_row *row, const manifest_segment *segment,
                     const os_stat *stat)
{
    uint64_t readable =
        stat->size < segment->length ? stat->size : segment->length;

    memset(row, 0, sizeof(*row));
    row->kind = segment->kind;
    row->inode = stat->inode;
    row->tail = segment->length;
    atomic_store(&row->nonce, segment->nonce);
    /* What was cut off cannot be touched; its keys answer CASK_CORRUPT. */
    atomic_store(&row->reserved_tail, readable);
    atomic_store(&row->capacity, stat->size);
    atomic_store(&row->state, ROW_SEALED);
    atomic_store(&row->file_id, segment->id);
}

cask_status store_load_segment(store_handle *store, uint32_t index,
                               const manifest_segment *segment,
                               uint64_t *ret_last_sequence, cask_error *err)
{
    region_row *row = &store->region.rows[index];
    segment_header expected = {.id = segment->id, .nonce = segment->nonce};
    os_file *file = NULL;
    cask_status status;
    os_stat stat;

    *ret_last_sequence = 0;
    memcpy(expected.uuid, store->identity.uuid, 16);
    status =
        segment_open(store->dir, &expected, OS_READ, &file, NULL, &stat, err);
    if (status == CASK_CORRUPT && store->options.damage == CASK_DAMAGE_SERVE) {
        store_event(store, CASK_EVENT_DAMAGE, status, "%s",
                    err == NULL ? "a segment cannot be read" : err->message);
        store->region.header->damaged_bytes += segment->length;
        stat = (os_stat){0};
        fill_row(row, segment, &stat);
        *ret_last_sequence = segment->last_sequence;
        if (segment->sealed && load_hint(store, index, segment,
                                         ret_last_sequence, err) == CASK_OK) {
            atomic_store(&row->has_hint, 1);
        }
        return CASK_OK;
    }
    if (status != CASK_OK) {
        return status;
    }
    fill_row(row, segment, &stat);
    status = segment->sealed
                 ? load_hint(store, index, segment, ret_last_sequence, err)
                 : CASK_NOT_FOUND;
    if (status == CASK_OK) {
        atomic_store(&row->has_hint, 1);
    } else if (status == CASK_NOT_FOUND) {
        status = load_data(store, index, file, segment, ret_last_sequence, err);
    }
    store->os->ops->close(file);
    return status;
}

/* ---- An unsealed segment ---- */

/* Nothing behind the end: no piece of a write that was lost in part, which
 * could come to life behind records that are appended now. */
static bool is_zero_from(const store_bytes *bytes, uint64_t offset)
{
    while (offset + 8 <= bytes->size && load_u64(bytes->data + offset) == 0) {
        offset += 8;
    }
    while (offset < bytes->size && bytes->data[offset] == 0) {
        offset++;
    }
    return offset >= bytes->size;
}

static scan_result examine(store_tail *tail, const manifest_segment *segment)
{
    uint64_t nonce = segment->nonce;
    segment_scan scan;
    scan_result result;
    scan_item item;

    tail->trusted_end =
        scan_trusted_end(tail->bytes.data, tail->bytes.size, nonce);
    if (tail->trusted_end < segment->synced) {
        tail->trusted_end = segment->synced; /* the marks there are gone */
    }
    scan_begin(&scan, tail->bytes.data, tail->bytes.size, nonce,
               SEGMENT_HEADER_SIZE);
    scan.trusted_end = tail->trusted_end;
    tail->clean = true;
    while ((result = scan_next(&scan, &item)) == SCAN_RECORD ||
           result == SCAN_DAMAGE) {
        if (result == SCAN_DAMAGE) {
            tail->clean = false;
            continue;
        }
        if (tail->first_sequence == 0) {
            tail->first_sequence = item.header.sequence;
        }
        if (item.offset >= tail->trusted_end) {
            tail->unsynced++;
        }
        tail->clean = record_kind(&item.header) == RECORD_MARK &&
                      item.header.value_size == RECORD_MARK_VALUE_SIZE &&
                      load_u64(item.value) == item.offset;
    }
    tail->last_sequence = scan.last_sequence;
    tail->end = scan.offset;
    tail->used =
        tail->first_sequence != 0 || tail->trusted_end > SEGMENT_HEADER_SIZE ||
        scan_first_sequence(tail->bytes.data, tail->bytes.size, nonce) != 0;
    tail->clean = tail->clean && result == SCAN_END &&
                  is_zero_from(&tail->bytes, scan.offset);
    if (result == SCAN_END && !is_zero_from(&tail->bytes, scan.offset)) {
        tail->lost = scan_lost_bytes(tail->bytes.data, tail->bytes.size, nonce,
                                     tail->end, tail->last_sequence);
    }
    return result;
}

cask_status store_tail_examine(store_handle *store,
                               const manifest_segment *segment,
                               store_tail *ret_tail, cask_error *err)
{
    segment_header expected = {.id = segment->id, .nonce = segment->nonce};
    char name[SEGMENT_NAME_SIZE];
    cask_status status;
    bool unsupported = false;
    os_stat stat;

    *ret_tail = (store_tail){.end = SEGMENT_HEADER_SIZE,
                             .trusted_end = SEGMENT_HEADER_SIZE};
    segment_name_format(segment->id, name);
    memcpy(expected.uuid, store->identity.uuid, 16);
    status = segment_open(store->dir, &expected, OS_READ, &ret_tail->file, NULL,
                          &stat, err);
    if (status == CASK_OK) {
        status = store_bytes_load(store, ret_tail->file, stat.size, name,
                                  !segment->sealed, &ret_tail->bytes, err);
    }
    if (status == CASK_OK) {
        unsupported = examine(ret_tail, segment) == SCAN_UNSUPPORTED;
    }
    if (unsupported) {
        status = fail(err, CASK_UNSUPPORTED, 0,
                      "%s: a record in it is of a type that is not known to "
                      "this version; nothing was changed; use a newer Caskade",
                      name);
    }
    return status;
}

void store_tail_free(store_handle *store, store_tail *tail)
{
    store_bytes_free(store, &tail->bytes);
    store->os->ops->close(tail->file);
    tail->file = NULL;
}
