/*
 * Hint files: written for sealed segments from a scan of their data, in the
 * background; read by the next open instead of the data.
 */
#include "log/hint_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/segment.h"
#include "store/store.h"
#include "store/store_recover.h"
#include "store/store_read.h"
#include "store/store_shortage.h"

enum {
    /* Rows are collected in pieces of this size before they are written. */
    PIECE_ROWS = 8192,
    /* They are handed to the device in pieces of so much: each of them ends
     * with an interrupt, of somebody who writes perhaps. */
    HAND_OVER_BYTES = 1 << 20
};

typedef struct hint_writer {
    os_file *file;
    hint_header header;
    uint64_t offset; /* of the next piece */
    uint64_t handed; /* up to here the device has begun to write */
    size_t rows;     /* in the piece */
    uint8_t piece[PIECE_ROWS * HINT_ROW_SIZE];
} hint_writer;

/* ---- Claims: one process writes a hint, or removes what is left of one ----
 */

static uint32_t claim_of(const store_handle *store)
{
    return HINT_CLAIMED + store->process_slot;
}

/* If the row is another segment's by now the claim went with the old one. */
static void settle_claim(store_handle *store, region_row *row,
                         region_hint outcome)
{
    uint32_t claim = claim_of(store);

    (void)atomic_compare_exchange_strong(&row->has_hint, &claim,
                                         (uint32_t)outcome);
}

/* ---- The file ---- */

static int flush_rows(hint_writer *writer)
{
    const os_span span = {writer->piece, writer->rows * HINT_ROW_SIZE};
    int os_errno =
        writer->file->os->ops->write_at(writer->file, &span, 1, writer->offset);

    writer->header.rows_crc =
        crc32c(writer->header.rows_crc, span.data, span.size);
    writer->offset += span.size;
    /* Else all is left for the sync, and everybody's syncs wait behind it. */
    if (writer->offset - writer->handed >= HAND_OVER_BYTES) {
        writer->file->os->ops->flush_hint(writer->file, writer->handed,
                                          writer->offset - writer->handed);
        writer->handed = writer->offset;
    }
    writer->rows = 0;
    return os_errno;
}

static int add_row(hint_writer *writer, const store_handle *store,
                   const scan_item *item)
{
    bool live = record_kind(&item->header) == RECORD_PUT;
    hint_row row = {.hash = store_hash_of(store, item),
                    .place = hint_place(item->offset, item->size, live),
                    .sequence = item->header.sequence,
                    .type = item->header.type};
    hint_header *header = &writer->header;

    hint_row_encode(&row, writer->piece + writer->rows * HINT_ROW_SIZE);
    writer->rows++;
    header->row_count++;
    header->tombstones += live ? 0 : 1;
    return writer->rows == PIECE_ROWS ? flush_rows(writer) : 0;
}

static void count(hint_header *header, const scan_item *item)
{
    header->records++;
    header->data_bytes += item->size;
    if (header->first_sequence == 0) {
        header->first_sequence = item->header.sequence;
    }
    header->last_sequence = item->header.sequence;
    if (record_kind(&item->header) == RECORD_PUT) {
        hint_note_times(header, &item->header, item->expires_at_ms);
    }
}

/* A segment with damage gets no hint: the next open must see it again. Nor if
 * it was restored since the index was made without what could not be read:
 * merges take a hint to say that the index knows all of it. */
static cask_status fail_damaged(uint64_t id, cask_error *err)
{
    return fail(err, CASK_CORRUPT, 0,
                "%016" PRIx64 ".log: damaged, so it gets no hint file", id);
}

/* All rows, then the header. */
static int write_rows(hint_writer *writer, const store_handle *store,
                      segment_scan *scan, bool *ret_damaged)
{
    scan_result result;
    scan_item item;
    int os_errno = 0;

    *ret_damaged = false;
    while (os_errno == 0 && (result = scan_next(scan, &item)) != SCAN_END) {
        if (result != SCAN_RECORD) {
            *ret_damaged = true;
            return 0;
        }
        count(&writer->header, &item);
        if (record_kind(&item.header) != RECORD_MARK) {
            os_errno = add_row(writer, store, &item);
        }
    }
    if (os_errno == 0 && writer->rows > 0) {
        os_errno = flush_rows(writer);
    }
    return os_errno;
}

static int write_header(hint_writer *writer)
{
    uint8_t bytes[HINT_HEADER_SIZE];
    const os_span span = {bytes, sizeof(bytes)};
    int os_errno;

    hint_header_encode(&writer->header, bytes);
    os_errno = writer->file->os->ops->write_at(writer->file, &span, 1, 0);
    /* Synced, or a power cut could leave a whole name with holes inside; the
     * checksum would tell, but the next open would be slow. */
    return os_errno != 0 ? os_errno : writer->file->os->ops->sync(writer->file);
}

static cask_status write_file(store_handle *store, hint_writer *writer,
                              segment_scan *scan, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    char name[SEGMENT_NAME_SIZE];
    char aside[SEGMENT_NAME_SIZE + 4];
    bool damaged = false;
    int os_errno;

    hint_name_format(writer->header.segment_id, name);
    (void)snprintf(aside, sizeof(aside), "%s.new", name);
    (void)ops->remove(store->dir, aside);
    os_errno = ops->open(store->dir, aside, OS_WRITE | OS_CREATE | OS_EXCL,
                         store->options.file_mode, &writer->file);
    if (os_errno != 0) {
        return fail_new_file(err, os_errno, aside,
                             "move what is in its place away");
    }
    os_errno = write_rows(writer, store, scan, &damaged);
    if (os_errno == 0 && !damaged) {
        os_errno = write_header(writer);
    }
    ops->close(writer->file);
    if (os_errno == 0 && !damaged) {
        os_errno = ops->rename(store->dir, aside, name);
    }
    if (os_errno != 0 || damaged) {
        (void)ops->remove(store->dir, aside);
    }
    if (damaged) {
        return fail_damaged(writer->header.segment_id, err);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot write %s", aside);
    }
    return CASK_OK;
}

/* What is written about a segment. False: the row is not that one's any more.
 */
static bool begin_header(const store_handle *store, const region_row *row,
                         uint64_t id, hint_header *ret_header)
{
    *ret_header =
        (hint_header){.segment_id = id,
                      .segment_nonce = atomic_load(&row->nonce),
                      .segment_length = row->tail,
                      .key_check = hint_key_check(store->identity.hash_key)};
    memcpy(ret_header->uuid, store->identity.uuid, 16);
    return atomic_load(&row->file_id) == id;
}

/* The row may become another segment's while this looks: then the claim is
 * taken back. */
bool store_claim_hint(store_handle *store, uint32_t row_index, uint64_t *ret_id)
{
    region_row *row = &store->region.rows[row_index];
    uint64_t id = atomic_load(&row->file_id);
    uint32_t none = HINT_NONE;

    if (!store->engine->has_hints || atomic_load(&row->state) != ROW_SEALED ||
        id == 0 || atomic_load(&row->has_hint) != HINT_NONE ||
        !store_has_room_for_hint(store, row_index) ||
        !atomic_compare_exchange_strong(&row->has_hint, &none,
                                        claim_of(store))) {
        return false;
    }
    *ret_id = id;
    if (atomic_load(&row->state) == ROW_SEALED &&
        atomic_load(&row->file_id) == id) {
        return true;
    }
    settle_claim(store, row, HINT_NONE);
    return false;
}

bool store_remove_aside(store_handle *store, uint32_t row_index,
                        const char *name)
{
    region_row *row = &store->region.rows[row_index];
    uint32_t has_hint = HINT_NONE;
    bool removed;

    /* If there is a hint already, or never one, nobody writes it. */
    if (!atomic_compare_exchange_strong(&row->has_hint, &has_hint,
                                        claim_of(store)) &&
        has_hint >= HINT_CLAIMED) {
        return false;
    }
    removed = store->os->ops->remove(store->dir, name) == 0;
    settle_claim(store, row, HINT_NONE);
    return removed;
}

static cask_status write_segment(store_handle *store, hint_writer *writer,
                                 cask_error *err)
{
    segment_header expected = {.id = writer->header.segment_id,
                               .nonce = writer->header.segment_nonce};
    uint64_t length = writer->header.segment_length;
    char name[SEGMENT_NAME_SIZE];
    store_bytes bytes = {NULL, 0, 0};
    os_file *file = NULL;
    segment_scan scan;
    cask_status status;
    os_stat stat;

    memcpy(expected.uuid, writer->header.uuid, sizeof(expected.uuid));
    segment_name_format(expected.id, name);
    status =
        segment_open(store->dir, &expected, OS_READ, &file, NULL, &stat, err);
    if (status != CASK_OK) {
        return status;
    }
    status = store_bytes_load(store, file, stat.size, name, false, &bytes, err);
    if (status == CASK_OK) {
        scan_begin(&scan, bytes.data, bytes.size < length ? bytes.size : length,
                   expected.nonce, SEGMENT_HEADER_SIZE);
        scan.trusted_end = length;
        status = write_file(store, writer, &scan, err);
    }
    store_bytes_free(store, &bytes);
    store->os->ops->close(file);
    return status;
}

/*
 *   ret_is_gone  the row is another segment's by now, and so is a claim on it,
 *                perhaps of this handle, too
 */
static cask_status write_hint(store_handle *store, uint32_t row_index,
                              uint64_t id, bool *ret_is_gone, cask_error *err)
{
    const region_row *row = &store->region.rows[row_index];
    hint_writer *writer = malloc(sizeof(*writer));
    char name[SEGMENT_NAME_SIZE];
    cask_status status = CASK_OK;
    bool is_known; /* to the index, all of it */

    if (writer == NULL) {
        return fail_memory(err, sizeof(*writer));
    }
    writer->offset = HINT_HEADER_SIZE;
    writer->handed = HINT_HEADER_SIZE;
    writer->rows = 0;
    /* Before the id is looked at. */
    is_known = atomic_load(&row->damaged_bytes) == 0;
    if (begin_header(store, row, id, &writer->header)) {
        status = is_known ? write_segment(store, writer, err)
                          : fail_damaged(id, err);
    }
    *ret_is_gone = atomic_load(&row->file_id) != id;
    if (*ret_is_gone) {
        /* A merge has taken the segment away meanwhile; its name comes never
         * again. */
        hint_name_format(id, name);
        (void)store->os->ops->remove(store->dir, name);
        status = CASK_OK;
    }
    free(writer);
    return status;
}

cask_status store_write_hint(store_handle *store, uint32_t row_index,
                             uint64_t id, cask_error *err)
{
    region_row *row = &store->region.rows[row_index];
    uint32_t none = HINT_NONE;
    bool is_gone = false;
    cask_status status;

    if (atomic_load(&row->state) == ROW_OUTPUT) {
        (void)atomic_compare_exchange_strong(&row->has_hint, &none,
                                             claim_of(store));
    }
    status = write_hint(store, row_index, id, &is_gone, err);
    if (!is_gone) {
        settle_claim(store, row, status == CASK_OK ? HINT_WRITTEN : HINT_NEVER);
    }
    return status;
}
