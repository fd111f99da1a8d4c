/*
 * Copy records to another segment: checksums are made anew, since they tell the
 * segment and the place in it.
 */
#ifndef CASKADE_RECORD_COPIER_H
#define CASKADE_RECORD_COPIER_H

#include "base/buffer.h"
#include "log/scan.h"
#include "os/os.h"

typedef struct record_copier {
    os_file *file;     /* of the copies; borrowed */
    cask_buffer piece; /* not written yet */
    uint64_t offset;   /* in the file, of the piece */
    uint64_t nonce;    /* of the file */
} record_copier;

/* Where the next copy goes. */
static inline uint64_t record_copier_offset(const record_copier *copier)
{
    return copier->offset + copier->piece.size;
}

/* Copy a verified record, with `type` in place of its own. CASK_OK; as write
 * errors are; CASK_NO_MEMORY. */
cask_status record_copier_add(record_copier *copier, const scan_item *item,
                              uint8_t type, cask_error *err);

/* Write what is not written yet; nothing is synced. */
cask_status record_copier_flush(record_copier *copier, cask_error *err);

void record_copier_free(record_copier *copier);

#endif
