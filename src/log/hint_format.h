/*
 * A hint file: one row for each put or delete record of a sealed segment, so
 * that an open need not read the segment. docs/format/hint.md
 */
#ifndef CASKADE_HINT_FORMAT_H
#define CASKADE_HINT_FORMAT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/lifetimes.h"
#include "base/siphash.h"
#include "log/file_format.h"
#include "log/record_format.h"
#include "log/segment_format.h"

#define HINT_MAGIC "CASKHINT"
#define HINT_KEY_CHECK_TEXT "caskade hint"

enum {
    HINT_VERSION = 1,
    HINT_HEADER_SIZE = 256,       /* bytes, at offset 0 */
    HINT_ROW_SIZE = 32,           /* bytes, from HINT_HEADER_SIZE on */
    HINT_PLACE_SIZE_SHIFT = 1,    /* bits 1..20: size of the record / 8 */
    HINT_PLACE_SIZE_BITS = 20,    /* all ones: this size or more */
    HINT_PLACE_OFFSET_SHIFT = 21, /* bits 21..47: offset of the record / 8 */
    HINT_PLACE_OFFSET_BITS = 27,
    HINT_PLACE_BITS = 48 /* the others are zero */
};

typedef struct hint_header {
    uint8_t uuid[FORMAT_UUID_SIZE]; /* of the store */
    uint64_t segment_id;
    uint64_t segment_nonce;
    uint64_t segment_length; /* bytes before its footer, header included */
    uint64_t row_count;
    uint64_t key_check; /* hint_key_check() of the store's hash key */

    /* Counters of the segment. */
    uint64_t records;        /* of all types */
    uint64_t tombstones;     /* records that delete */
    uint64_t data_bytes;     /* of all records */
    uint64_t first_sequence; /* smallest */
    uint64_t last_sequence;  /* largest */

    /* When its puts expire. */
    uint32_t newest_s;        /* newest time of a put; 0: there is none */
    uint32_t oldest_s;        /* oldest, at least 1; likewise */
    uint64_t last_expiry_ms;  /* largest time of expiry of a put; 0: none has
                                 one */
    uint64_t first_expiry_ms; /* smallest; likewise */
    lifetimes lifetimes;      /* of its puts */

    uint32_t rows_crc; /* crc32c of all rows */
} hint_header;

typedef struct hint_row {
    siphash_value hash; /* of the key */
    uint64_t place;     /* hint_place() */
    uint64_t sequence;  /* below FORMAT_SEQUENCE_LIMIT */
    uint8_t type;       /* of the record, see record_format.h */
} hint_row;

/* Count the times of a put. expires_at_ms: 0: it has none. */
void hint_note_times(hint_header *header, const record_header *record,
                     uint64_t expires_at_ms);

void hint_header_encode(const hint_header *header,
                        uint8_t out[HINT_HEADER_SIZE]);

/*
 * Decode the header alone; see hint_check().
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, version 0, checksum; a segment length
 * that no segment has; more rows than the segment has room for records; a
 * sequence out of range); CASK_UNSUPPORTED (newer version).
 */
cask_status hint_header_decode(const uint8_t in[HINT_HEADER_SIZE],
                               const char *name, hint_header *ret_header,
                               cask_error *err);

/*
 * Decode the header of a whole file and check that the file is the hint of one
 * segment, and undamaged. What its rows say is not looked at.
 *
 *   expected  its uuid, segment_id, segment_nonce, segment_length and key_check
 *
 * Returns as hint_header_decode(); also CASK_CORRUPT for a file that is short,
 * of the wrong size, of another segment or store, or whose rows do not verify.
 */
cask_status hint_check(const uint8_t *bytes, size_t size, const char *name,
                       const hint_header *expected, hint_header *ret_header,
                       cask_error *err);

/* Proof that rows were hashed with `key`, which does not give it away. */
uint64_t hint_key_check(siphash_key key);

/* Size of the whole file. Cannot overflow for a header that was decoded. */
static inline uint64_t hint_file_bytes(const hint_header *header)
{
    return HINT_HEADER_SIZE + header->row_count * HINT_ROW_SIZE;
}

/*
 * Where a record is: a place of the index with 0 as the segment's row.
 *
 *   offset  of the record, a multiple of 8, below 2^30
 *   size    of the whole record in bytes, a multiple of 8; kept exactly below
 *           8 * (2^20 - 1), and as that above
 *   live    false for a tombstone
 */
static inline uint64_t hint_place(uint64_t offset, uint64_t size, bool live)
{
    const uint64_t limit = ((uint64_t)1 << HINT_PLACE_SIZE_BITS) - 1;
    uint64_t units = size / 8 < limit ? size / 8 : limit;

    return offset / 8 << HINT_PLACE_OFFSET_SHIFT |
           units << HINT_PLACE_SIZE_SHIFT | (uint64_t)live;
}

static inline uint64_t hint_place_offset(uint64_t place)
{
    return (place >> HINT_PLACE_OFFSET_SHIFT) * 8;
}

static inline uint64_t hint_place_size(uint64_t place)
{
    const uint64_t mask = ((uint64_t)1 << HINT_PLACE_SIZE_BITS) - 1;

    return (place >> HINT_PLACE_SIZE_SHIFT & mask) * 8;
}

static inline bool hint_place_is_live(uint64_t place)
{
    return (place & 1) != 0;
}

/* Encode one row; row->sequence must be in range. */
static inline void hint_row_encode(const hint_row *row,
                                   uint8_t out[HINT_ROW_SIZE])
{
    store_u64(out, row->hash.word[0]);
    store_u64(out + 8, row->hash.word[1]);
    store_u64(out + 16, row->place);
    store_u64(out + 24,
              row->sequence | (uint64_t)row->type << FORMAT_SEQUENCE_BITS);
}

/* Decode one row. Any bytes are a row; see hint_row_is_sound(). */
static inline void hint_row_decode(const uint8_t in[HINT_ROW_SIZE],
                                   hint_row *ret_row)
{
    uint64_t last = load_u64(in + 24);

    ret_row->hash.word[0] = load_u64(in);
    ret_row->hash.word[1] = load_u64(in + 8);
    ret_row->place = load_u64(in + 16);
    ret_row->sequence = last & (FORMAT_SEQUENCE_LIMIT - 1);
    ret_row->type = (uint8_t)(last >> FORMAT_SEQUENCE_BITS);
}

/*
 * Whether the record that `row` names lies inside the segment: behind the
 * segment's header, and ending at `segment_length` at the latest, and the bits
 * of the segment's row are zero. To be asked for each row even when the
 * checksum is right: a file may have been crafted.
 *
 *   segment_length  of a hint_header that was decoded
 */
static inline bool hint_row_is_sound(const hint_row *row,
                                     uint64_t segment_length)
{
    uint64_t offset = hint_place_offset(row->place);
    uint64_t size = hint_place_size(row->place);

    return row->place >> HINT_PLACE_BITS == 0 &&
           offset >= SEGMENT_HEADER_SIZE && offset < segment_length &&
           size >= RECORD_HEADER_SIZE && size <= segment_length - offset;
}

#endif
