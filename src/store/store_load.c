/*
 * A segment as a source of records for a new region: by its hint if it has a
 * good one, else by a scan of its data. The records come by rising sequence.
 */
#include <inttypes.h>
#include <string.h>

#include "log/hint_format.h"
#include "log/segment.h"
#include "region/place.h"
#include "store/store.h"
#include "store/store_expiry.h"
#include "store/store_recover.h"
#include "store/store_read.h"
#include "store/store_write.h"

/* Rows whose index lines are fetched while earlier ones are applied. */
enum { AHEAD = 16 };

/* UINT64_MAX: there is no such row. */
static uint64_t sequence_of_row(const load_source *source, uint64_t index)
{
    hint_row row;

    if (index >= source->header.row_count) {
        return UINT64_MAX;
    }
    hint_row_decode(
        source->hint.data + HINT_HEADER_SIZE + index * HINT_ROW_SIZE, &row);
    return row.sequence;
}

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

/* Apply rows below `limit`, from source->next_row on. */
static cask_status run_hint(store_handle *store, load_source *source,
                            uint64_t limit, cask_error *err)
{
    const uint8_t *rows = source->hint.data + HINT_HEADER_SIZE;
    uint64_t first = source->next_row;
    uint64_t count = source->header.row_count;
    cask_status status = CASK_OK;
    hint_row row = {.sequence = UINT64_MAX};
    uint64_t i = first;

    for (; i < count && status == CASK_OK; i++) {
        record_header record = {0};

        if (i + AHEAD < count) {
            hint_row_decode(rows + (i + AHEAD) * HINT_ROW_SIZE, &row);
            store->engine->prefetch(store, row.hash);
        }
        hint_row_decode(rows + i * HINT_ROW_SIZE, &row);
        if (row.sequence >= limit) {
            break;
        }
        if ((i - first) % AHEAD == 0) {
            status = store->engine->reserve(store, AHEAD, err);
        }
        if (status == CASK_OK &&
            hint_row_is_sound(&row, source->header.segment_length)) {
            record.sequence = row.sequence;
            record.type = row.type;
            if (!store->engine->apply_locked(
                    store, row.hash, &record, NULL,
                    row.place | (uint64_t)source->row << 48, 0)) {
                status = store_fail_unapplied(store, err);
            }
        }
    }
    source->next_row = i;
    source->sequence = sequence_of_row(source, i);
    return status;
}

cask_status store_hint_load(store_handle *store,
                            const manifest_segment *segment,
                            store_bytes *ret_bytes, hint_header *ret_header,
                            cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    char name[SEGMENT_NAME_SIZE];
    os_file *file = NULL;
    cask_status status;
    os_stat stat;

    *ret_bytes = (store_bytes){NULL, 0, 0};
    hint_name_format(segment->id, name);
    status = file_open(store->dir, name, OS_READ, &file, &stat, &local);
    if (status != CASK_OK) {
        /* It may be there, and name keys that the data does not any more. */
        if (!error_is_shortage(&local)) {
            return CASK_NOT_FOUND;
        }
        (void)fail_again(err, &local);
        return status;
    }
    status =
        store_bytes_load(store, file, stat.size, name, false, ret_bytes, err);
    store->os->ops->close(file);
    if (status == CASK_OK) {
        status = check_hint(store, segment, ret_bytes, name, ret_header, err);
    }
    if (status == CASK_OK) {
        return CASK_OK;
    }
    store_bytes_free(store, ret_bytes);
    if (status == CASK_CORRUPT || status == CASK_UNSUPPORTED) {
        store_event(store, CASK_EVENT_HINT, status,
                    "%s is ignored and will be written again: %s", name,
                    err == NULL ? "" : err->message);
        status = CASK_NOT_FOUND;
    }
    return status;
}

/* CASK_NOT_FOUND: there is no usable hint. */
static cask_status open_hint(store_handle *store, load_source *source,
                             const manifest_segment *segment, cask_error *err)
{
    region_row *row = &store->region.rows[source->row];
    cask_status status =
        store_hint_load(store, segment, &source->hint, &source->header, err);

    if (status == CASK_OK) {
        source->by_hint = true;
        source->last_sequence = source->header.last_sequence;
        source->sequence = sequence_of_row(source, 0);
        row->last_expiry_ms = source->header.last_expiry_ms;
        row->first_expiry_ms = source->header.first_expiry_ms;
        row->newest_s = source->header.newest_s;
        row->oldest_s = source->header.oldest_s;
        row->lifetimes = source->header.lifetimes;
        atomic_store(&row->has_hint, HINT_WRITTEN);
    }
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

static uint32_t damaged_sum(const region_row *row, uint64_t more)
{
    uint64_t total = row->damaged_bytes + more;

    return total > UINT32_MAX ? UINT32_MAX : (uint32_t)total;
}

static void note_damage(store_handle *store, region_row *row,
                        const scan_item *item)
{
    row->damaged_bytes = damaged_sum(row, item->size);
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

static cask_status apply_item(store_handle *store, uint32_t index,
                              const scan_item *item, cask_error *err)
{
    bool live = record_kind(&item->header) == RECORD_PUT;

    store_note_times(&store->region.rows[index], &item->header,
                     item->expires_at_ms);
    return store->engine->apply_locked(
               store, store_hash_of(store, item), &item->header, item->key,
               place_make((uint16_t)index, item->offset, item->size, live), 0)
               ? CASK_OK
               : store_fail_unapplied(store, err);
}

/* Whether all that is damaged before the next record is in runs, or is told of
 * by the MANIFEST as lost. */
static bool is_flushed(const store_handle *store, const load_source *source)
{
    uint64_t flushed = atomic_load(&store->region.header->tree.flushed);
    segment_scan ahead = source->scan;
    scan_result result;
    scan_item item;

    if (flushed == 0) {
        return false;
    }
    while ((result = scan_next(&ahead, &item)) == SCAN_DAMAGE) {
    }
    return result == SCAN_RECORD
               ? item.header.sequence <= flushed + 1
               : result == SCAN_END && source->sealed_last != 0 &&
                     source->sealed_last <= flushed;
}

/* The record that comes next, in source->item; what is damaged before it is
 * told and stepped over. */
static cask_status find_next(store_handle *store, load_source *source,
                             cask_error *err)
{
    region_row *row = &store->region.rows[source->row];
    cask_status status = CASK_OK;
    scan_result result;

    source->sequence = UINT64_MAX;
    while (status == CASK_OK &&
           (result = scan_next(&source->scan, &source->item)) != SCAN_END) {
        if (result == SCAN_DAMAGE && is_flushed(store, source)) {
            continue;
        }
        if (result == SCAN_DAMAGE) {
            note_damage(store, row, &source->item);
            status = damage_is_served(store, row, &source->item, err);
        } else if (result == SCAN_UNSUPPORTED) {
            status = fail(err, CASK_UNSUPPORTED, 0,
                          "%016" PRIx64 ".log: offset %" PRIu64
                          ": record type %02x is not known to this version; "
                          "nothing was changed",
                          atomic_load(&row->file_id), source->item.offset,
                          source->item.header.type);
        } else if (record_kind(&source->item.header) != RECORD_MARK) {
            source->sequence = source->item.header.sequence;
            break;
        }
    }
    source->last_sequence = source->scan.last_sequence;
    return status;
}

static cask_status run_scan(store_handle *store, load_source *source,
                            uint64_t limit, cask_error *err)
{
    cask_status status = CASK_OK;

    while (status == CASK_OK && source->sequence < limit) {
        status = store->engine->reserve(store, 1, err);
        if (status == CASK_OK) {
            status = apply_item(store, source->row, &source->item, err);
        }
        if (status == CASK_OK) {
            status = find_next(store, source, err);
        }
    }
    return status;
}

static cask_status open_data(store_handle *store, load_source *source,
                             os_file *file, const manifest_segment *segment,
                             cask_error *err)
{
    char name[SEGMENT_NAME_SIZE];
    cask_status status;
    uint64_t size;
    os_stat stat;

    segment_name_format(segment->id, name);
    if (store->os->ops->stat(file, &stat) != 0) {
        return fail(err, CASK_IO, 0, "cannot examine %s", name);
    }
    status = store_bytes_load(store, file, stat.size, name, false,
                              &source->data, err);
    if (status != CASK_OK) {
        return status;
    }
    size = source->data.size < segment->length ? source->data.size
                                               : segment->length;
    scan_begin(&source->scan, source->data.data, size, segment->nonce,
               SEGMENT_HEADER_SIZE);
    source->scan.trusted_end = segment->length;
    source->scan.knows_ranges = store->engine->has_ranges;
    return find_next(store, source, err);
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
    atomic_store(&row->damage,
                 segment->quarantined ? ROW_QUARANTINED : ROW_SOUND);
    atomic_store(&row->state, ROW_SEALED);
    atomic_store(&row->file_id, segment->id);
}

/* A file that is gone or not the one: its keys are served as damaged, if its
 * hint names them. */
static cask_status open_missing(store_handle *store, load_source *source,
                                const manifest_segment *segment,
                                cask_error *err)
{
    region_row *row = &store->region.rows[source->row];
    os_stat stat = {0};

    store_event(store, CASK_EVENT_DAMAGE, CASK_CORRUPT, "%s",
                err == NULL ? "a segment cannot be read" : err->message);
    store->region.header->damaged_bytes += segment->length;
    fill_row(row, segment, &stat);
    source->last_sequence = segment->last_sequence;
    if (!segment->sealed || open_hint(store, source, segment, err) != CASK_OK) {
        row->damaged_bytes = damaged_sum(row, segment->length);
    }
    return CASK_OK;
}

cask_status load_source_open(store_handle *store, load_source *source,
                             uint32_t row, const manifest_segment *segment,
                             cask_error *err)
{
    segment_header expected = store_listed_header(store, segment);
    os_file *file = NULL;
    cask_status status;
    os_stat stat;

    *source = (load_source){.row = row,
                            .sequence = UINT64_MAX,
                            .is_quarantined = segment->quarantined,
                            .sealed_last =
                                segment->sealed ? segment->last_sequence : 0};
    status =
        segment_open(store->dir, &expected, OS_READ, &file, NULL, &stat, err);
    if (status == CASK_CORRUPT && store->options.damage == CASK_DAMAGE_SERVE) {
        return open_missing(store, source, segment, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    fill_row(&store->region.rows[row], segment, &stat);
    status = segment->sealed && store->engine->has_hints
                 ? open_hint(store, source, segment, err)
                 : CASK_NOT_FOUND;
    if (status == CASK_NOT_FOUND) {
        status = open_data(store, source, file, segment, err);
    }
    store->os->ops->close(file);
    return status;
}

cask_status load_source_run(store_handle *store, load_source *source,
                            uint64_t limit, cask_error *err)
{
    return source->by_hint ? run_hint(store, source, limit, err)
                           : run_scan(store, source, limit, err);
}

void load_source_close(store_handle *store, load_source *source)
{
    store_bytes_free(store, &source->hint);
    store_bytes_free(store, &source->data);
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

static scan_result examine(const store_handle *store, store_tail *tail,
                           const manifest_segment *segment)
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
    scan.knows_ranges = store->engine->has_ranges;
    tail->clean = true;
    tail->is_sound = true;
    while ((result = scan_next(&scan, &item)) == SCAN_RECORD ||
           result == SCAN_DAMAGE) {
        if (result == SCAN_DAMAGE) {
            tail->clean = false;
            tail->is_sound = false;
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
    tail->is_blank =
        result == SCAN_END && is_zero_from(&tail->bytes, scan.offset);
    tail->clean = tail->clean && tail->is_blank;
    if (result == SCAN_END && !tail->is_blank) {
        tail->lost = scan_lost_bytes(tail->bytes.data, tail->bytes.size, nonce,
                                     tail->end, tail->last_sequence);
    }
    return result;
}

cask_status store_tail_examine(store_handle *store,
                               const manifest_segment *segment,
                               store_tail *ret_tail, cask_error *err)
{
    segment_header expected = store_listed_header(store, segment);
    char name[SEGMENT_NAME_SIZE];
    cask_status status;
    bool unsupported = false;
    os_stat stat;

    *ret_tail = (store_tail){.segment = *segment,
                             .end = SEGMENT_HEADER_SIZE,
                             .trusted_end = SEGMENT_HEADER_SIZE};
    segment_name_format(segment->id, name);
    status = segment_open(store->dir, &expected, OS_READ, &ret_tail->file, NULL,
                          &stat, err);
    if (status == CASK_OK) {
        status = store_bytes_load(store, ret_tail->file, stat.size, name,
                                  !segment->sealed, &ret_tail->bytes, err);
    }
    if (status == CASK_OK) {
        unsupported = examine(store, ret_tail, segment) == SCAN_UNSUPPORTED;
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
