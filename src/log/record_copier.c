/*
 * Copies are collected in pieces, each written by one call.
 */
#include "log/record_copier.h"

#include "base/crc32c.h"
#include "base/error.h"

enum { PIECE_BYTES = 1 << 20 };

cask_status record_copier_flush(record_copier *copier, cask_error *err)
{
    const os_span span = {copier->piece.data, copier->piece.size};
    int os_errno;

    if (copier->piece.size == 0) {
        return CASK_OK;
    }
    os_errno =
        copier->file->os->ops->write_at(copier->file, &span, 1, copier->offset);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot write copies of records");
    }
    /* Now, piece by piece: not all at once when the file is synced, when
     * everybody's syncs would wait behind it. */
    copier->file->os->ops->flush_hint(copier->file, copier->offset,
                                      copier->piece.size);
    copier->offset += copier->piece.size;
    copier->piece.size = 0;
    return CASK_OK;
}

cask_status record_copier_add(record_copier *copier, const scan_item *item,
                              uint8_t type, cask_error *err)
{
    record_seed seed = {copier->nonce, record_copier_offset(copier)};
    record_header record = item->header;
    uint32_t skip = record_expiry_size(&record);
    const uint8_t *body = item->key - skip;
    uint64_t body_size = record_body_size(&record);
    static const uint8_t padding[8];
    uint8_t header[RECORD_HEADER_SIZE];
    cask_status status;

    record.type = type;
    record_encode_header(&record, crc32c(0, body, body_size), seed, header);
    status = buffer_append(&copier->piece, header, sizeof(header), err);
    if (status == CASK_OK) {
        status = buffer_append(&copier->piece, body, body_size, err);
    }
    if (status == CASK_OK) {
        status = buffer_append(&copier->piece, padding,
                               item->size - sizeof(header) - body_size, err);
    }
    if (status == CASK_OK && copier->piece.size >= PIECE_BYTES) {
        status = record_copier_flush(copier, err);
    }
    return status;
}

void record_copier_free(record_copier *copier)
{
    cask_buffer_free(&copier->piece);
}
