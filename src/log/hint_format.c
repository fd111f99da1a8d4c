/*
 * Codec of a hint file's header, see docs/format/hint.md. Rows are encoded and
 * decoded inline: an open reads millions of them per second.
 */
#include "log/hint_format.h"

#include <inttypes.h>

#include "base/crc32c.h"

enum {
    HINT_AT_NEWEST = 12,         /* u32, seconds */
    HINT_AT_UUID = 16,           /* 16 bytes */
    HINT_AT_SEGMENT_ID = 32,     /* u64 */
    HINT_AT_SEGMENT_NONCE = 40,  /* u64 */
    HINT_AT_SEGMENT_LENGTH = 48, /* u64 */
    HINT_AT_ROW_COUNT = 56,      /* u64 */
    HINT_AT_KEY_CHECK = 64,      /* u64 */
    HINT_AT_RECORDS = 72,        /* u64 */
    HINT_AT_TOMBSTONES = 80,     /* u64 */
    HINT_AT_DATA_BYTES = 88,     /* u64 */
    HINT_AT_FIRST_SEQUENCE = 96, /* u64 */
    HINT_AT_LAST_SEQUENCE = 104, /* u64 */
    HINT_AT_LAST_EXPIRY = 112,   /* u64, milliseconds */
    HINT_AT_FIRST_EXPIRY = 120,  /* u64, milliseconds */
    HINT_AT_LASTING = 128,       /* u64, bytes */
    HINT_AT_LIFETIMES = 136,     /* 12 times u32, seconds, and u32, units */
    HINT_AT_OLDEST = 232,        /* u32, seconds */
    HINT_AT_ROWS_CRC = 248,      /* u32, of all rows */
    HINT_AT_CRC = 252            /* u32, of the 252 bytes before */
};

enum { LIFETIME_SIZE = 8 };

_Static_assert(HINT_AT_LIFETIMES + LIFETIMES * LIFETIME_SIZE == HINT_AT_OLDEST,
               "the lifetimes fill their place");
_Static_assert(HINT_AT_CRC + FORMAT_CRC_SIZE == HINT_HEADER_SIZE,
               "the checksum is the end of the header");
_Static_assert(HINT_PLACE_OFFSET_SHIFT + HINT_PLACE_OFFSET_BITS ==
                   HINT_PLACE_BITS,
               "the offset is the top of a place");
_Static_assert(HINT_PLACE_SIZE_SHIFT + HINT_PLACE_SIZE_BITS ==
                   HINT_PLACE_OFFSET_SHIFT,
               "the size is between the flag and the offset");

static const format_kind hint_kind = {
    .what = "Caskade hint file",
    .magic = HINT_MAGIC,
    .version = HINT_VERSION,
    .size = HINT_HEADER_SIZE,
};

void hint_header_encode(const hint_header *header,
                        uint8_t out[HINT_HEADER_SIZE])
{
    format_begin(&hint_kind, out);
    store_u32(out + HINT_AT_NEWEST, header->newest_s);
    memcpy(out + HINT_AT_UUID, header->uuid, FORMAT_UUID_SIZE);
    store_u64(out + HINT_AT_SEGMENT_ID, header->segment_id);
    store_u64(out + HINT_AT_SEGMENT_NONCE, header->segment_nonce);
    store_u64(out + HINT_AT_SEGMENT_LENGTH, header->segment_length);
    store_u64(out + HINT_AT_ROW_COUNT, header->row_count);
    store_u64(out + HINT_AT_KEY_CHECK, header->key_check);
    store_u64(out + HINT_AT_RECORDS, header->records);
    store_u64(out + HINT_AT_TOMBSTONES, header->tombstones);
    store_u64(out + HINT_AT_DATA_BYTES, header->data_bytes);
    store_u64(out + HINT_AT_FIRST_SEQUENCE, header->first_sequence);
    store_u64(out + HINT_AT_LAST_SEQUENCE, header->last_sequence);
    store_u64(out + HINT_AT_LAST_EXPIRY, header->last_expiry_ms);
    store_u64(out + HINT_AT_FIRST_EXPIRY, header->first_expiry_ms);
    store_u64(out + HINT_AT_LASTING, header->lifetimes.lasting_bytes);
    for (int i = 0; i < LIFETIMES; i++) {
        uint8_t *at = out + HINT_AT_LIFETIMES + (size_t)i * LIFETIME_SIZE;

        store_u32(at, header->lifetimes.of[i].until_s);
        store_u32(at + 4, header->lifetimes.of[i].units);
    }
    store_u32(out + HINT_AT_OLDEST, header->oldest_s);
    store_u32(out + HINT_AT_ROWS_CRC, header->rows_crc);
    format_finish(&hint_kind, out);
}

/* Right checksums prove nothing about a crafted file: bound what is used. */
static cask_status check_sizes(const hint_header *header, const char *name,
                               cask_error *err)
{
    uint64_t length = header->segment_length;
    uint64_t room;

    if (!segment_length_is_sound(length)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %d: length of the segment is %" PRIu64
                    ", expected a multiple of 8 from %d to 2^%d",
                    name, HINT_AT_SEGMENT_LENGTH, length, SEGMENT_HEADER_SIZE,
                    SEGMENT_LENGTH_BITS);
    }
    room = (length - SEGMENT_HEADER_SIZE) / RECORD_HEADER_SIZE;
    if (header->row_count > room) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %d: %" PRIu64 " rows, but the segment has "
                    "room for %" PRIu64 " records at most",
                    name, HINT_AT_ROW_COUNT, header->row_count, room);
    }
    if (header->last_sequence >= FORMAT_SEQUENCE_LIMIT) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %d: last sequence is %" PRIu64
                    ", the limit is %" PRIu64,
                    name, HINT_AT_LAST_SEQUENCE, header->last_sequence,
                    FORMAT_SEQUENCE_LIMIT);
    }
    return CASK_OK;
}

static void load_lifetimes(const uint8_t *in, lifetimes *ret_lifetimes)
{
    ret_lifetimes->lasting_bytes = load_u64(in + HINT_AT_LASTING);
    for (int i = 0; i < LIFETIMES; i++) {
        const uint8_t *at = in + HINT_AT_LIFETIMES + (size_t)i * LIFETIME_SIZE;

        ret_lifetimes->of[i].until_s = load_u32(at);
        ret_lifetimes->of[i].units = load_u32(at + 4);
    }
}

cask_status hint_header_decode(const uint8_t in[HINT_HEADER_SIZE],
                               const char *name, hint_header *ret_header,
                               cask_error *err)
{
    hint_header header;
    cask_status status;

    status = format_check(&hint_kind, in, name, 0, err);
    if (status != CASK_OK) {
        return status;
    }
    memcpy(header.uuid, in + HINT_AT_UUID, FORMAT_UUID_SIZE);
    header.segment_id = load_u64(in + HINT_AT_SEGMENT_ID);
    header.segment_nonce = load_u64(in + HINT_AT_SEGMENT_NONCE);
    header.segment_length = load_u64(in + HINT_AT_SEGMENT_LENGTH);
    header.row_count = load_u64(in + HINT_AT_ROW_COUNT);
    header.key_check = load_u64(in + HINT_AT_KEY_CHECK);
    header.records = load_u64(in + HINT_AT_RECORDS);
    header.tombstones = load_u64(in + HINT_AT_TOMBSTONES);
    header.data_bytes = load_u64(in + HINT_AT_DATA_BYTES);
    header.first_sequence = load_u64(in + HINT_AT_FIRST_SEQUENCE);
    header.last_sequence = load_u64(in + HINT_AT_LAST_SEQUENCE);
    header.newest_s = load_u32(in + HINT_AT_NEWEST);
    header.oldest_s = load_u32(in + HINT_AT_OLDEST);
    header.last_expiry_ms = load_u64(in + HINT_AT_LAST_EXPIRY);
    header.first_expiry_ms = load_u64(in + HINT_AT_FIRST_EXPIRY);
    load_lifetimes(in, &header.lifetimes);
    header.rows_crc = load_u32(in + HINT_AT_ROWS_CRC);
    status = check_sizes(&header, name, err);
    if (status != CASK_OK) {
        return status;
    }
    *ret_header = header;
    return CASK_OK;
}

/* NULL: it is the hint of that segment, and whole. */
static const char *what_is_wrong(const uint8_t *bytes, size_t size,
                                 const hint_header *header,
                                 const hint_header *expected)
{
    if (memcmp(header->uuid, expected->uuid, FORMAT_UUID_SIZE) != 0 ||
        header->segment_id != expected->segment_id ||
        header->segment_nonce != expected->segment_nonce ||
        header->segment_length != expected->segment_length) {
        return "belongs to another segment";
    }
    if (header->key_check != expected->key_check) {
        return "was hashed with another key";
    }
    if (size != hint_file_bytes(header)) {
        return "has the wrong size";
    }
    if (crc32c(0, bytes + HINT_HEADER_SIZE, size - HINT_HEADER_SIZE) !=
        header->rows_crc) {
        return "has damaged rows";
    }
    return NULL;
}

cask_status hint_check(const uint8_t *bytes, size_t size, const char *name,
                       const hint_header *expected, hint_header *ret_header,
                       cask_error *err)
{
    const char *wrong;
    cask_status status;

    if (size < HINT_HEADER_SIZE) {
        return fail(err, CASK_CORRUPT, 0, "%s: %zu of the header's %d bytes",
                    name, size, HINT_HEADER_SIZE);
    }
    status = hint_header_decode(bytes, name, ret_header, err);
    if (status != CASK_OK) {
        return status;
    }
    wrong = what_is_wrong(bytes, size, ret_header, expected);
    if (wrong != NULL) {
        return fail(err, CASK_CORRUPT, 0, "%s: %s", name, wrong);
    }
    return CASK_OK;
}

void hint_note_times(hint_header *header, const record_header *record,
                     uint64_t expires_at_ms)
{
    uint32_t time_s = record->time_s > 0 ? record->time_s : 1;

    if (header->newest_s < record->time_s) {
        header->newest_s = record->time_s;
    }
    if (header->oldest_s == 0 || header->oldest_s > time_s) {
        header->oldest_s = time_s;
    }
    if (header->last_expiry_ms < expires_at_ms) {
        header->last_expiry_ms = expires_at_ms;
    }
    if (expires_at_ms != 0 && (header->first_expiry_ms == 0 ||
                               header->first_expiry_ms > expires_at_ms)) {
        header->first_expiry_ms = expires_at_ms;
    }
    lifetimes_note(&header->lifetimes, record->time_s, expires_at_ms,
                   record_size(record));
}

uint64_t hint_key_check(siphash_key key)
{
    return siphash(key, HINT_KEY_CHECK_TEXT, strlen(HINT_KEY_CHECK_TEXT))
        .word[0];
}
