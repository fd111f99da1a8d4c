/*
 * One record of the log: how it is laid out and how it proves itself. The
 * document is docs/format/record.md.
 *
 *   crc32c:4 | time:4 | sequence:7 type:1 | value size:4 | key size:2 |
 *   header check:2 | [expiry:8] | key | value | zeros to a multiple of 8
 *
 * Both checksums include a seed, (nonce of the segment, offset of the record),
 * so bytes that are stale, moved, or from another file never verify.
 */
#ifndef CASKADE_RECORD_FORMAT_H
#define CASKADE_RECORD_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    RECORD_HEADER_SIZE = 24,
    RECORD_EXPIRY_SIZE = 8,
    RECORD_MARK_VALUE_SIZE = 8,
    RECORD_MARK_SIZE = 32 /* a whole mark */
};

/* The low four bits of the type byte. Others: refuse the file. */
enum {
    RECORD_PUT = 1,
    RECORD_DELETE = 2,
    RECORD_MARK = 3, /* no key; value = durable offset in this segment */
    RECORD_RANGE_DELETE = 4, /* of trees, and in runs; value = end of the range,
                                empty: there is none */
    RECORD_POINTER = 5,      /* in runs only; value = where the value is */
    RECORD_KIND_MASK = 0x0f
};

/* The high bits of the type byte. */
enum {
    RECORD_EXPIRES = 0x40, /* the expiry field is there */
    RECORD_MEMBER = 0x80,  /* the next record belongs to the same batch */
    RECORD_FLAG_MASK = 0xf0
};

#define RECORD_SEQUENCE_MAX ((UINT64_C(1) << 56) - 1)

/* What binds a record to its place. */
typedef struct record_seed {
    uint64_t nonce;  /* of the segment */
    uint64_t offset; /* of the record's first byte in the file */
} record_seed;

typedef struct record_header {
    uint64_t sequence; /* 1 .. RECORD_SEQUENCE_MAX */
    uint32_t crc;      /* as stored; ignored by record_encode_header() */
    uint32_t time_s;   /* of the write, seconds since 1970 */
    uint32_t value_size;
    uint16_t key_size;
    uint8_t type; /* kind and flags */
} record_header;

static inline uint8_t record_kind(const record_header *header)
{
    return header->type & RECORD_KIND_MASK;
}

/* Whether the log of any engine may have a record of this kind, with these
 * flags. */
static inline bool record_is_common(const record_header *header)
{
    uint8_t kind = record_kind(header);
    uint8_t flags = header->type & RECORD_FLAG_MASK;

    return kind >= RECORD_PUT && kind <= RECORD_MARK &&
           (flags & ~(RECORD_EXPIRES | RECORD_MEMBER)) == 0;
}

/* Bytes between the header and the key. */
static inline uint32_t record_expiry_size(const record_header *header)
{
    return (header->type & RECORD_EXPIRES) != 0 ? RECORD_EXPIRY_SIZE : 0;
}

/* Bytes of expiry, key and value. */
static inline uint64_t record_body_size(const record_header *header)
{
    return (uint64_t)record_expiry_size(header) + header->key_size +
           header->value_size;
}

/* Bytes in the file, padding included; no sum can overflow. */
static inline uint64_t record_size(const record_header *header)
{
    return round_up_8(RECORD_HEADER_SIZE + record_body_size(header));
}

/*
 * Write the 24 header bytes, checksums included.
 *
 *   body_crc  crc32c() of expiry, key and value, computed beforehand
 */
void record_encode_header(const record_header *header, uint32_t body_crc,
                          record_seed seed,
                          uint8_t ret_bytes[RECORD_HEADER_SIZE]);

/*
 * Decode a header whose own check is right, and say whether it is. Its sizes
 * may be used then; the body is not proven.
 */
bool record_decode_header(const uint8_t bytes[RECORD_HEADER_SIZE],
                          record_seed seed, record_header *ret_header);

/*
 * Whether the record is exactly what was written.
 *
 *   bytes     the header, as decoded by record_decode_header()
 *   body_crc  crc32c() of expiry, key and value
 */
bool record_verify(const uint8_t bytes[RECORD_HEADER_SIZE], uint32_t body_crc,
                   record_seed seed);

/*
 * Copy the value of a record and say whether the record, with the copy and a
 * copy of the key, is exactly what was written.
 *
 *   bytes   the header, as decoded to `header`, and the body behind it
 *   key     of the header's size
 *   to      room for the header's value; it may be overwritten in any case
 */
bool record_copy_value(const uint8_t *bytes, const record_header *header,
                       const void *key, record_seed seed, void *to);

/*
 * All of this at once for what is usual: whether the record is a put of this
 * key without flags, whole and exactly what was written, with a value that has
 * room, which is copied. false: it is not, or is not known to be.
 */
typedef struct record_wanted {
    const void *key;
    size_t key_size;
    void *to;      /* may be overwritten in any case */
    size_t room;   /* bytes */
    uint64_t left; /* bytes that may be read, RECORD_HEADER_SIZE at least */
} record_wanted;

bool record_take(const uint8_t *bytes, record_seed seed,
                 const record_wanted *wanted, record_header *ret_header);

/*
 * Decode the record at `bytes` and say whether all of it is there and exactly
 * what was written: record_decode_header(), sizes, record_verify().
 *
 *   left        bytes that may be read, at least RECORD_HEADER_SIZE
 *   ret_header  may be overwritten in any case
 */
bool record_read(const uint8_t *bytes, uint64_t left, record_seed seed,
                 record_header *ret_header);

#endif
