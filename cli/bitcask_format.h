/*
 * The bytes of Bitcask's files: records, hints, the trailer of hints. Pure
 * functions; the document is docs/format/bitcask.md.
 *
 * All integers are big-endian; no file has a header.
 *
 *   record   crc32:4 | time:4 | key size:2 | value size:4 | key | value
 *   hint     time:4 | key size:2 | record size:4 | tombstone:1 bit,
 *            record offset:63 bits | key
 *   trailer  a hint of no key at the largest offset; its record size is the
 *            crc32 of all hints
 *
 * The crc32 is zlib's, over all that follows it.
 */
#ifndef CASKADE_CLI_BITCASK_FORMAT_H
#define CASKADE_CLI_BITCASK_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caskade.h"

enum {
    BITCASK_HEADER_SIZE = 14, /* of a record, before the key */
    BITCASK_HINT_SIZE = 18,   /* before the key; also the whole trailer */
    BITCASK_MARK_SIZE = 17    /* of BITCASK_MARK */
};

/* A value that begins so is a tombstone, whatever follows. */
#define BITCASK_MARK "bitcask_tombstone"

/* The most that a hint can say; a larger record has no hint. */
#define BITCASK_RECORD_MAX_BYTES 0xffffffffu

#define BITCASK_TRAILER_OFFSET 0x7fffffffffffffffu

typedef struct bitcask_header {
    uint32_t crc;
    uint32_t time_s; /* seconds since 1970 */
    uint16_t key_size;
    uint32_t value_size;
} bitcask_header;

void bitcask_decode_header(const uint8_t bytes[BITCASK_HEADER_SIZE],
                           bitcask_header *ret_header);

/* Bytes of the whole record; no sum can overflow. */
uint64_t bitcask_record_size(const bitcask_header *header);

/* Whether `size` bytes at `record` have the checksum that they begin with. */
bool bitcask_verify(const uint8_t *record, size_t size);

/*
 * Write the header of a record.
 *
 *   key, value  at most 65535 bytes and, together with the header,
 *               BITCASK_RECORD_MAX_BYTES
 */
void bitcask_encode_header(uint32_t time_s, cask_slice key, cask_slice value,
                           uint8_t ret_bytes[BITCASK_HEADER_SIZE]);

bool bitcask_is_tombstone(const void *value, size_t size);

typedef struct bitcask_hint {
    uint32_t time_s;
    uint16_t key_size;
    uint32_t record_size;
    bool tombstone;
    uint64_t offset; /* of the record in its data file */
} bitcask_hint;

void bitcask_decode_hint(const uint8_t bytes[BITCASK_HINT_SIZE],
                         bitcask_hint *ret_hint);
void bitcask_encode_hint(const bitcask_hint *hint,
                         uint8_t ret_bytes[BITCASK_HINT_SIZE]);

/* The trailer after hints whose crc32 is `crc`. */
void bitcask_encode_trailer(uint32_t crc, uint8_t ret_bytes[BITCASK_HINT_SIZE]);

/* Whether the bytes are a trailer, and its crc32. */
bool bitcask_decode_trailer(const uint8_t bytes[BITCASK_HINT_SIZE],
                            uint32_t *ret_crc);

/* zlib's crc32 of `size` bytes after others whose crc32 is `crc`. */
uint32_t bitcask_crc(uint32_t crc, const void *bytes, size_t size);

#endif
