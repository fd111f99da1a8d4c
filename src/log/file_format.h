/*
 * What the headers of all Caskade files share: eight magic bytes at the start,
 * a version after them, a crc32c of everything before it at the end.
 *
 * A decoder built on this never trusts a byte that the checksum has not
 * confirmed, the version included. So all versions of a kind have magic,
 * version and checksum at the same places, and what the checksum covers.
 */
#ifndef CASKADE_FILE_FORMAT_H
#define CASKADE_FILE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    FORMAT_MAGIC_SIZE = 8,
    FORMAT_UUID_SIZE = 16,
    FORMAT_CRC_SIZE = 4,
    FORMAT_SEQUENCE_BITS = 56
};

/* Sequences are below this. */
#define FORMAT_SEQUENCE_LIMIT ((uint64_t)1 << FORMAT_SEQUENCE_BITS)

/* One kind of header (or footer). */
typedef struct format_kind {
    const char *what;  /* for messages, like "Caskade segment" */
    const char *magic; /* FORMAT_MAGIC_SIZE characters */
    uint32_t version;  /* newest that is known; 0: it has no version field */
    uint32_t size;     /* bytes in all; the last 4 are the crc32c */
} format_kind;

/* Fill `out` (kind->size bytes) with zeros, then set magic and version. */
void format_begin(const format_kind *kind, uint8_t *out);

/* Set the checksum, after all other fields. */
void format_finish(const format_kind *kind, uint8_t *out);

/*
 * Check magic, version and checksum of the kind->size bytes at `in`.
 *
 *   name    of the file, for messages
 *   offset  of `in` in the file, for messages
 *
 * Returns CASK_OK; CASK_CORRUPT for another magic, a wrong checksum or version
 * 0; CASK_UNSUPPORTED if magic and checksum are right and the version newer
 * than kind->version (the rest is not looked at: it may have another layout).
 */
cask_status format_check(const format_kind *kind, const uint8_t *in,
                         const char *name, uint64_t offset, cask_error *err);

/*
 * Check the number of an engine found at `offset`, after the checksum.
 * Returns CASK_OK or CASK_UNSUPPORTED.
 */
cask_status format_check_engine(uint32_t engine, const char *name,
                                uint64_t offset, cask_error *err);

#endif
