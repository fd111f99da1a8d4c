/*
 * Codec of segment names, headers and footers, see docs/format/segment.md.
 */
#include "log/segment_format.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"

enum {
    SEGMENT_AT_KIND = 12,     /* u32 */
    SEGMENT_AT_UUID = 16,     /* 16 bytes */
    SEGMENT_AT_ID = 32,       /* u64 */
    SEGMENT_AT_NONCE = 40,    /* u64 */
    SEGMENT_AT_BORN = 48,     /* u64 */
    SEGMENT_AT_RESERVED = 56, /* 4 zeros */
    SEGMENT_AT_CRC = 60       /* u32, of the 60 bytes before */
};

enum {
    FOOTER_AT_RECORDS = 8,         /* u64 */
    FOOTER_AT_FIRST_SEQUENCE = 16, /* u64 */
    FOOTER_AT_LAST_SEQUENCE = 24,  /* u64 */
    FOOTER_AT_LENGTH = 32,         /* u64 */
    FOOTER_AT_TOMBSTONES = 40,     /* u64 */
    FOOTER_AT_NONCE = 48,          /* u64 */
    FOOTER_AT_RESERVED = 56,       /* 4 zeros */
    FOOTER_AT_CRC = 60             /* u32, of the 60 bytes before */
};

enum { NAME_DIGITS = 16 };

static const char segment_suffix[] = ".log";
static const char hint_suffix[] = ".hint";
static const char run_suffix[] = ".run";
static const char hint_aside_suffix[] = ".hint.new";
static const char run_aside_suffix[] = ".run.new";

_Static_assert(SEGMENT_AT_CRC + FORMAT_CRC_SIZE == SEGMENT_HEADER_SIZE,
               "the checksum is the end of the header");
_Static_assert(FOOTER_AT_CRC + FORMAT_CRC_SIZE == SEGMENT_FOOTER_SIZE,
               "the checksum is the end of the footer");

static const format_kind header_kind = {
    .what = "Caskade segment",
    .magic = SEGMENT_MAGIC,
    .version = SEGMENT_VERSION,
    .size = SEGMENT_HEADER_SIZE,
};

static const format_kind footer_kind = {
    .what = "Caskade segment footer",
    .magic = SEGMENT_FOOTER_MAGIC,
    .version = 0,
    .size = SEGMENT_FOOTER_SIZE,
};

void segment_header_encode(const segment_header *header,
                           uint8_t out[SEGMENT_HEADER_SIZE])
{
    format_begin(&header_kind, out);
    store_u32(out + SEGMENT_AT_KIND, (uint32_t)header->kind);
    memcpy(out + SEGMENT_AT_UUID, header->uuid, FORMAT_UUID_SIZE);
    store_u64(out + SEGMENT_AT_ID, header->id);
    store_u64(out + SEGMENT_AT_NONCE, header->nonce);
    store_u64(out + SEGMENT_AT_BORN, header->born);
    format_finish(&header_kind, out);
}

static cask_status check_kind(uint32_t kind, const char *name, cask_error *err)
{
    if (kind >= SEGMENT_LOG && kind <= SEGMENT_VALUES) {
        return CASK_OK;
    }
    return fail(err, CASK_UNSUPPORTED, 0,
                "%s: offset %d: kind of segment is %" PRIu32
                ", this program knows 1 to 4; use a newer Caskade",
                name, SEGMENT_AT_KIND, kind);
}

cask_status segment_header_decode(const uint8_t in[SEGMENT_HEADER_SIZE],
                                  const char *name, segment_header *ret_header,
                                  cask_error *err)
{
    uint32_t kind = load_u32(in + SEGMENT_AT_KIND);
    cask_status status;

    status = format_check(&header_kind, in, name, 0, err);
    if (status != CASK_OK) {
        return status;
    }
    status = check_kind(kind, name, err);
    if (status != CASK_OK) {
        return status;
    }
    ret_header->kind = (segment_kind)kind;
    memcpy(ret_header->uuid, in + SEGMENT_AT_UUID, FORMAT_UUID_SIZE);
    ret_header->id = load_u64(in + SEGMENT_AT_ID);
    ret_header->nonce = load_u64(in + SEGMENT_AT_NONCE);
    ret_header->born = load_u64(in + SEGMENT_AT_BORN);
    return CASK_OK;
}

uint64_t segment_header_nonce(const uint8_t in[SEGMENT_HEADER_SIZE])
{
    return load_u64(in + SEGMENT_AT_NONCE);
}

void segment_footer_encode(const segment_footer *footer,
                           uint8_t out[SEGMENT_FOOTER_SIZE])
{
    format_begin(&footer_kind, out);
    store_u64(out + FOOTER_AT_RECORDS, footer->records);
    store_u64(out + FOOTER_AT_FIRST_SEQUENCE, footer->first_sequence);
    store_u64(out + FOOTER_AT_LAST_SEQUENCE, footer->last_sequence);
    store_u64(out + FOOTER_AT_LENGTH, footer->length);
    store_u64(out + FOOTER_AT_TOMBSTONES, footer->tombstones);
    store_u64(out + FOOTER_AT_NONCE, footer->nonce);
    format_finish(&footer_kind, out);
}

cask_status segment_footer_decode(const uint8_t in[SEGMENT_FOOTER_SIZE],
                                  const char *name, uint64_t offset,
                                  segment_footer *ret_footer, cask_error *err)
{
    uint64_t length = load_u64(in + FOOTER_AT_LENGTH);
    uint64_t last = load_u64(in + FOOTER_AT_LAST_SEQUENCE);
    cask_status status;

    status = format_check(&footer_kind, in, name, offset, err);
    if (status != CASK_OK) {
        return status;
    }
    if (length != offset) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": the footer says that it is at "
                    "offset %" PRIu64,
                    name, offset, length);
    }
    if (last >= FORMAT_SEQUENCE_LIMIT) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": last sequence is %" PRIu64
                    ", the limit is %" PRIu64,
                    name, offset + FOOTER_AT_LAST_SEQUENCE, last,
                    FORMAT_SEQUENCE_LIMIT);
    }
    ret_footer->records = load_u64(in + FOOTER_AT_RECORDS);
    ret_footer->first_sequence = load_u64(in + FOOTER_AT_FIRST_SEQUENCE);
    ret_footer->last_sequence = last;
    ret_footer->length = length;
    ret_footer->tombstones = load_u64(in + FOOTER_AT_TOMBSTONES);
    ret_footer->nonce = load_u64(in + FOOTER_AT_NONCE);
    return CASK_OK;
}

bool segment_footer_was_here(const uint8_t in[SEGMENT_FOOTER_SIZE],
                             uint64_t nonce)
{
    return memcmp(in, SEGMENT_FOOTER_MAGIC, FORMAT_MAGIC_SIZE) == 0 ||
           load_u64(in + FOOTER_AT_NONCE) == nonce;
}

static void name_format(uint64_t id, const char *suffix,
                        char out[SEGMENT_NAME_SIZE])
{
    (void)snprintf(out, SEGMENT_NAME_SIZE, "%016" PRIx64 "%s", id, suffix);
}

void segment_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE])
{
    name_format(id, segment_suffix, out);
}

void hint_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE])
{
    name_format(id, hint_suffix, out);
}

void run_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE])
{
    name_format(id, run_suffix, out);
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return -1;
}

static bool name_parse(const char *name, const char *suffix, uint64_t *ret_id)
{
    uint64_t id = 0;

    for (int i = 0; i < NAME_DIGITS; i++) {
        int value = digit_value(name[i]);

        /* Also stops at the NUL of a short name. */
        if (value < 0) {
            return false;
        }
        id = id << 4 | (uint64_t)value;
    }
    if (strcmp(name + NAME_DIGITS, suffix) != 0) {
        return false;
    }
    *ret_id = id;
    return true;
}

bool segment_name_parse(const char *name, uint64_t *ret_id)
{
    return name_parse(name, segment_suffix, ret_id);
}

bool hint_name_parse(const char *name, uint64_t *ret_id)
{
    return name_parse(name, hint_suffix, ret_id);
}

bool run_name_parse(const char *name, uint64_t *ret_id)
{
    return name_parse(name, run_suffix, ret_id);
}

bool hint_aside_name_parse(const char *name, uint64_t *ret_id)
{
    return name_parse(name, hint_aside_suffix, ret_id);
}

bool run_aside_name_parse(const char *name, uint64_t *ret_id)
{
    return name_parse(name, run_aside_suffix, ret_id);
}
