/*
 * Codec of a run's footer, the layout that follows from it, and what records
 * of runs look like, see docs/format/run.md.
 */
#include "run/run_format.h"

#include <inttypes.h>

enum {
    RUN_AT_FLAGS = 12,           /* u32, no flag is known */
    RUN_AT_NONCE = 16,           /* u64 */
    RUN_AT_HASH_KEY = 24,        /* 2 u64 */
    RUN_AT_LENGTH = 40,          /* u64 */
    RUN_AT_RECORDS = 48,         /* u64 */
    RUN_AT_KEYS = 56,            /* u64 */
    RUN_AT_TOMBSTONES = 64,      /* u64 */
    RUN_AT_POINTERS = 72,        /* u64 */
    RUN_AT_FIRST_SEQUENCE = 80,  /* u64 */
    RUN_AT_LAST_SEQUENCE = 88,   /* u64 */
    RUN_AT_INDEX_LINES = 96,     /* u32 */
    RUN_AT_FILTER_LINES = 100,   /* u32 */
    RUN_AT_PREFIX_LINES = 104,   /* u32 */
    RUN_AT_PREFIX_BYTES = 108,   /* u32 */
    RUN_AT_FENCES = 112,         /* u32 */
    RUN_AT_SEGMENTS = 116,       /* u32 */
    RUN_AT_RANGES = 120,         /* u32 */
    RUN_AT_SMALLEST_BYTES = 124, /* u16 */
    RUN_AT_LARGEST_BYTES = 126,  /* u16 */
    RUN_AT_END_BYTES = 128,      /* u16, then 2 zeros */
    RUN_AT_CRCS = 132,           /* 7 u32, of the sections */
    RUN_AT_EXPIRING = 160,       /* u32 */
    RUN_AT_EXPIRY = 164,         /* 3 u32: first, middle, last */
    RUN_AT_WRITTEN = 176,        /* 3 u32, likewise */
    RUN_AT_CRC = 188             /* u32, of the 188 bytes before */
};

_Static_assert(RUN_AT_CRC + FORMAT_CRC_SIZE == RUN_FOOTER_SIZE,
               "the checksum is the end of the footer");
_Static_assert(RUN_AT_CRCS + RUN_SECTIONS * FORMAT_CRC_SIZE <= RUN_AT_EXPIRING,
               "the checksums of the sections have room");
_Static_assert(RUN_FENCE_RECORDS >= (RUN_FENCE_BYTES + RECORD_HEADER_SIZE - 1) /
                                        RECORD_HEADER_SIZE,
               "the smallest records fit between two fences");
_Static_assert(RUN_LENGTH_BITS - 3 < 32, "an entry has a bit beside the place");

static const format_kind footer_kind = {
    .what = "footer of a Caskade run",
    .magic = RUN_MAGIC,
    .version = RUN_VERSION,
    .size = RUN_FOOTER_SIZE,
};

/* ---- Layout ------------------------------------------------------------- */

uint64_t run_section_bytes(const run_footer *footer, run_section section)
{
    switch (section) {
    case RUN_INDEX:
        return (uint64_t)footer->index_lines * RUN_LINE_SIZE;
    case RUN_FILTER:
        return (uint64_t)footer->filter_lines * RUN_LINE_SIZE;
    case RUN_PREFIXES:
        return (uint64_t)footer->prefix_lines * RUN_LINE_SIZE;
    case RUN_FENCES:
        return (uint64_t)footer->fences * RUN_FENCE_SIZE;
    case RUN_SEGMENTS:
        return (uint64_t)footer->segments * RUN_SEGMENT_SIZE;
    case RUN_RANGES:
        return (uint64_t)footer->ranges * RUN_RANGE_SIZE;
    case RUN_BOUNDS:
        return (uint64_t)footer->smallest_bytes + footer->largest_bytes +
               footer->end_bytes;
    case RUN_SECTIONS:
        break;
    }
    return 0;
}

void run_layout(const run_footer *footer, uint64_t ret_at[RUN_SECTIONS + 1])
{
    uint64_t at = round_up(footer->length, RUN_ALIGNMENT);

    for (int i = 0; i < RUN_SECTIONS; i++) {
        ret_at[i] = at;
        at +=
            round_up(run_section_bytes(footer, (run_section)i), RUN_ALIGNMENT);
    }
    ret_at[RUN_SECTIONS] = at;
}

/* ---- Footer ------------------------------------------------------------- */

static void store_times(uint8_t *out, const run_times *times)
{
    store_u32(out, times->first);
    store_u32(out + 4, times->middle);
    store_u32(out + 8, times->last);
}

static run_times load_times(const uint8_t *in)
{
    return (run_times){load_u32(in), load_u32(in + 4), load_u32(in + 8)};
}

void run_footer_encode(const run_footer *footer, uint8_t out[RUN_FOOTER_SIZE])
{
    format_begin(&footer_kind, out);
    store_u64(out + RUN_AT_NONCE, footer->nonce);
    store_u64(out + RUN_AT_HASH_KEY, footer->hash_key.word[0]);
    store_u64(out + RUN_AT_HASH_KEY + 8, footer->hash_key.word[1]);
    store_u64(out + RUN_AT_LENGTH, footer->length);
    store_u64(out + RUN_AT_RECORDS, footer->records);
    store_u64(out + RUN_AT_KEYS, footer->keys);
    store_u64(out + RUN_AT_TOMBSTONES, footer->tombstones);
    store_u64(out + RUN_AT_POINTERS, footer->pointers);
    store_u64(out + RUN_AT_FIRST_SEQUENCE, footer->first_sequence);
    store_u64(out + RUN_AT_LAST_SEQUENCE, footer->last_sequence);
    store_u32(out + RUN_AT_INDEX_LINES, footer->index_lines);
    store_u32(out + RUN_AT_FILTER_LINES, footer->filter_lines);
    store_u32(out + RUN_AT_PREFIX_LINES, footer->prefix_lines);
    store_u32(out + RUN_AT_PREFIX_BYTES, footer->prefix_bytes);
    store_u32(out + RUN_AT_FENCES, footer->fences);
    store_u32(out + RUN_AT_SEGMENTS, footer->segments);
    store_u32(out + RUN_AT_RANGES, footer->ranges);
    store_u16(out + RUN_AT_SMALLEST_BYTES, footer->smallest_bytes);
    store_u16(out + RUN_AT_LARGEST_BYTES, footer->largest_bytes);
    store_u16(out + RUN_AT_END_BYTES, footer->end_bytes);
    for (int i = 0; i < RUN_SECTIONS; i++) {
        store_u32(out + RUN_AT_CRCS + i * FORMAT_CRC_SIZE, footer->crc[i]);
    }
    store_u32(out + RUN_AT_EXPIRING, footer->expiring);
    store_times(out + RUN_AT_EXPIRY, &footer->expiry);
    store_times(out + RUN_AT_WRITTEN, &footer->written);
    format_finish(&footer_kind, out);
}

static void load_fields(const uint8_t *in, run_footer *footer)
{
    footer->nonce = load_u64(in + RUN_AT_NONCE);
    footer->hash_key.word[0] = load_u64(in + RUN_AT_HASH_KEY);
    footer->hash_key.word[1] = load_u64(in + RUN_AT_HASH_KEY + 8);
    footer->length = load_u64(in + RUN_AT_LENGTH);
    footer->records = load_u64(in + RUN_AT_RECORDS);
    footer->keys = load_u64(in + RUN_AT_KEYS);
    footer->tombstones = load_u64(in + RUN_AT_TOMBSTONES);
    footer->pointers = load_u64(in + RUN_AT_POINTERS);
    footer->first_sequence = load_u64(in + RUN_AT_FIRST_SEQUENCE);
    footer->last_sequence = load_u64(in + RUN_AT_LAST_SEQUENCE);
    footer->index_lines = load_u32(in + RUN_AT_INDEX_LINES);
    footer->filter_lines = load_u32(in + RUN_AT_FILTER_LINES);
    footer->prefix_lines = load_u32(in + RUN_AT_PREFIX_LINES);
    footer->prefix_bytes = load_u32(in + RUN_AT_PREFIX_BYTES);
    footer->fences = load_u32(in + RUN_AT_FENCES);
    footer->segments = load_u32(in + RUN_AT_SEGMENTS);
    footer->ranges = load_u32(in + RUN_AT_RANGES);
    footer->smallest_bytes = load_u16(in + RUN_AT_SMALLEST_BYTES);
    footer->largest_bytes = load_u16(in + RUN_AT_LARGEST_BYTES);
    footer->end_bytes = load_u16(in + RUN_AT_END_BYTES);
    for (int i = 0; i < RUN_SECTIONS; i++) {
        footer->crc[i] = load_u32(in + RUN_AT_CRCS + i * FORMAT_CRC_SIZE);
    }
    footer->expiring = load_u32(in + RUN_AT_EXPIRING);
    footer->expiry = load_times(in + RUN_AT_EXPIRY);
    footer->written = load_times(in + RUN_AT_WRITTEN);
}

static bool length_is_sound(uint64_t length)
{
    return length >= SEGMENT_HEADER_SIZE && length % 8 == 0 &&
           length >> RUN_LENGTH_BITS == 0;
}

static bool rise(const run_times *times)
{
    return times->first <= times->middle && times->middle <= times->last;
}

/* NULL: the counts agree with each other. The length is sound. */
static const char *what_disagrees(const run_footer *footer)
{
    uint64_t room = (footer->length - SEGMENT_HEADER_SIZE) / RECORD_HEADER_SIZE;

    if (footer->records > room) {
        return "more records than there is room for";
    }
    /* Each is below the first, so that the sum cannot overflow. */
    if (footer->tombstones > footer->records ||
        footer->pointers > footer->records ||
        footer->tombstones + footer->pointers + footer->ranges >
            footer->records ||
        footer->keys > footer->records - footer->ranges) {
        return "more records of some kind than records";
    }
    if ((footer->records == 0) != (footer->fences == 0) ||
        (footer->records == 0) != (footer->length == SEGMENT_HEADER_SIZE) ||
        footer->fences > footer->records) {
        return "fences and records disagree";
    }
    if (footer->index_lines != run_index_lines(footer->keys) ||
        (footer->filter_lines != 0 &&
         footer->filter_lines != run_filter_lines(footer->keys))) {
        return "index or filter has another size than its keys need";
    }
    if (footer->prefix_bytes > CASK_KEY_MAX_BYTES ||
        (footer->prefix_bytes == 0 && footer->prefix_lines != 0)) {
        return "size of prefixes is out of range";
    }
    if (footer->last_sequence >= FORMAT_SEQUENCE_LIMIT ||
        footer->first_sequence > footer->last_sequence ||
        (footer->records == 0) != (footer->first_sequence == 0)) {
        return "sequences are out of range";
    }
    if (footer->expiring > run_values(footer)) {
        return "more records of some kind than records";
    }
    if (!rise(&footer->expiry) || !rise(&footer->written) ||
        (footer->expiring == 0) != (footer->expiry.last == 0) ||
        (run_values(footer) == 0 && footer->written.last != 0)) {
        return "times are out of range";
    }
    return NULL;
}

static cask_status check_counts(const run_footer *footer, const char *name,
                                uint64_t offset, cask_error *err)
{
    uint64_t at[RUN_SECTIONS + 1];
    const char *wrong;

    if (!length_is_sound(footer->length)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": length of the records is %" PRIu64
                    ", expected a multiple of 8 from %d to 2^%d",
                    name, offset + RUN_AT_LENGTH, footer->length,
                    SEGMENT_HEADER_SIZE, RUN_LENGTH_BITS);
    }
    wrong = what_disagrees(footer);
    if (wrong != NULL) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": footer of the run: %s", name,
                    offset, wrong);
    }
    run_layout(footer, at);
    if (at[RUN_SECTIONS] != offset) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": footer belongs to offset %" PRIu64
                    " by its counts",
                    name, offset, at[RUN_SECTIONS]);
    }
    return CASK_OK;
}

cask_status run_footer_decode(const uint8_t in[RUN_FOOTER_SIZE],
                              const char *name, uint64_t offset,
                              run_footer *ret_footer, cask_error *err)
{
    uint32_t flags = load_u32(in + RUN_AT_FLAGS);
    run_footer footer;
    cask_status status = format_check(&footer_kind, in, name, offset, err);

    if (status != CASK_OK) {
        return status;
    }
    if (flags != 0) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: offset %" PRIu64 ": flags of the run are %08" PRIx32
                    ", this program knows none; use a newer Caskade",
                    name, offset + RUN_AT_FLAGS, flags);
    }
    load_fields(in, &footer);
    status = check_counts(&footer, name, offset, err);
    if (status != CASK_OK) {
        return status;
    }
    *ret_footer = footer;
    return CASK_OK;
}

/* ---- Records ------------------------------------------------------------ */

bool run_record_is_known(const record_header *header)
{
    uint8_t flags = header->type & RECORD_FLAG_MASK;

    switch (record_kind(header)) {
    case RECORD_PUT:
    case RECORD_POINTER:
        return flags == 0 || flags == RECORD_EXPIRES;
    case RECORD_DELETE:
    case RECORD_RANGE_DELETE:
        return flags == 0;
    default:
        return false;
    }
}

const char *run_record_problem(const record_header *header, const uint8_t *body)
{
    cask_slice key = {body, header->key_size};
    cask_slice end = {body + header->key_size, header->value_size};

    if (header->sequence == 0) {
        return "sequence is 0";
    }
    switch (record_kind(header)) {
    case RECORD_DELETE:
        return header->value_size == 0 ? NULL : "a tombstone has a value";
    case RECORD_POINTER:
        return header->value_size == RUN_POINTER_SIZE
                   ? NULL
                   : "a pointer has another size than 24 bytes";
    case RECORD_RANGE_DELETE:
        if (header->value_size > CASK_KEY_MAX_BYTES) {
            return "the end of a range is longer than a key can be";
        }
        return key_compare(key, key_end_of(end)) < 0
                   ? NULL
                   : "a range does not end behind its start";
    default:
        return NULL;
    }
}
