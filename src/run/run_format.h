/*
 * What surrounds the records of a run, a segment that is sorted by key: the
 * sections behind them, by which keys are found, and the footer.
 * docs/format/run.md
 *
 *   header | records | index | filter | prefixes | fences | segments | ranges |
 *   bounds | footer
 *
 * The header is that of a segment (segment_format.h), of kind SEGMENT_RUN; the
 * records are those of the log (record_format.h). Each section begins at a
 * multiple of RUN_ALIGNMENT and is filled up with zeros to the next one; where
 * they are follows from the counts in the footer alone.
 */
#ifndef CASKADE_RUN_FORMAT_H
#define CASKADE_RUN_FORMAT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/key_order.h"
#include "log/file_format.h"
#include "log/record_format.h"
#include "log/segment_format.h"

#define RUN_MAGIC "CASKRUN\n"

enum {
    RUN_VERSION = 1,
    RUN_FOOTER_SIZE = 192, /* bytes, at the end of the file */
    RUN_ALIGNMENT = 64,
    RUN_LENGTH_BITS = 34,     /* the records end before 2^34 */
    RUN_LINE_SIZE = 64,       /* of index and filters: a cache line */
    RUN_LINE_ENTRIES = 16,    /* of the index: u32 each */
    RUN_INDEX_KEY_BYTES = 5,  /* of the index, for each key */
    RUN_FILTER_KEY_BITS = 10, /* of a filter, for each key */
    RUN_FILTER_PROBES = 6,    /* bits that a key sets */
    RUN_FENCE_BYTES = 1024,   /* records that start within are of one fence */
    RUN_FENCE_RECORDS = 43,   /* they are this many at most */
    RUN_FENCE_SIZE = 12,      /* bytes: head u64; elsewhere place u32 */
    RUN_POINTER_SIZE = 24,    /* bytes of value of a RECORD_POINTER */
    RUN_SEGMENT_SIZE = 16,    /* bytes of a row: id u64, bytes u64 */
    RUN_RANGE_SIZE = 4        /* bytes of a row: place u32 */
};

/* In the order of the file. */
typedef enum run_section {
    RUN_INDEX,
    RUN_FILTER,
    RUN_PREFIXES, /* a filter, too */
    RUN_FENCES,
    RUN_SEGMENTS,
    RUN_RANGES,
    RUN_BOUNDS,
    RUN_SECTIONS /* how many there are */
} run_section;

/* What run_hash() mixes into all hashes; both words random. */
typedef struct run_hash_key {
    uint64_t word[2];
} run_hash_key;

/* Times that are greater count as this. */
#define RUN_TIME_MAX UINT32_MAX

/* Of the times of many records three, in seconds since 1970; all 0: there are
 * none. run_times.h */
typedef struct run_times {
    uint32_t first;  /* the smallest */
    uint32_t middle; /* about half are smaller */
    uint32_t last;   /* the largest */
} run_times;

typedef struct run_footer {
    uint64_t nonce;        /* as in the header */
    run_hash_key hash_key; /* of index and filters */
    uint64_t length;       /* bytes before the sections, header included */

    uint64_t records;        /* of all kinds */
    uint64_t keys;           /* different ones, of all kinds but ranges */
    uint64_t tombstones;     /* records that delete a key */
    uint64_t pointers;       /* records whose value is elsewhere */
    uint64_t first_sequence; /* smallest; 0: there are no records */
    uint64_t last_sequence;  /* largest */

    uint32_t index_lines;
    uint32_t filter_lines; /* 0: there is no filter */
    uint32_t prefix_lines;
    uint32_t prefix_bytes; /* of a key, in that filter; 0: there is none */
    uint32_t fences;
    uint32_t segments;       /* that pointers point into */
    uint32_t ranges;         /* records that delete a range */
    uint16_t smallest_bytes; /* of the first record's key */
    uint16_t largest_bytes;  /* of the last record's key */
    uint16_t end_bytes;      /* of the largest end of a range */

    uint32_t crc[RUN_SECTIONS]; /* crc32c of each, what fills it up included */

    /* Of the values, pointers included, and of no others. */
    uint32_t expiring; /* that have a time of expiry */
    run_times expiry;  /* of these, the seconds in which it is past */
    run_times written; /* of all */
} run_footer;

/* Where a value is that is in another file. */
typedef struct run_pointer {
    uint64_t segment_id;
    uint64_t offset;     /* of the record in it */
    uint64_t size_bytes; /* of the record, without what fills it up */
} run_pointer;

/* Records that have a value, here or elsewhere. */
static inline uint64_t run_values(const run_footer *footer)
{
    return footer->records - footer->tombstones - footer->ranges;
}

/* ---- Sizes -------------------------------------------------------------- */

/* Lines of the index of so many keys: four of five entries are used. */
static inline uint64_t run_index_lines(uint64_t keys)
{
    return (keys * RUN_INDEX_KEY_BYTES + RUN_LINE_SIZE - 1) / RUN_LINE_SIZE;
}

/* Lines of a filter of so many keys. */
static inline uint64_t run_filter_lines(uint64_t keys)
{
    const uint64_t line_bits = (uint64_t)RUN_LINE_SIZE * 8;

    return (keys * RUN_FILTER_KEY_BITS + line_bits - 1) / line_bits;
}

/* Bytes of a section, without what fills it up. No sum can overflow. */
uint64_t run_section_bytes(const run_footer *footer, run_section section);

/* Where each section begins, and the footer. */
void run_layout(const run_footer *footer, uint64_t ret_at[RUN_SECTIONS + 1]);

/* ---- Footer ------------------------------------------------------------- */

void run_footer_encode(const run_footer *footer, uint8_t out[RUN_FOOTER_SIZE]);

/*
 * Decode the footer, which is at `offset` of the file, and check that its
 * counts agree with each other and with the offset: then every section lies
 * between the records and the footer.
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, version 0, checksum, counts);
 * CASK_UNSUPPORTED (newer version, unknown flags).
 */
cask_status run_footer_decode(const uint8_t in[RUN_FOOTER_SIZE],
                              const char *name, uint64_t offset,
                              run_footer *ret_footer, cask_error *err);

/* ---- Records ------------------------------------------------------------ */

/*
 * What is wrong with a record of a run whose checksums are right, or NULL:
 * sizes that its kind does not have, a range that ends before it starts.
 * Unknown kinds and flags: ask run_record_is_known() first.
 *
 *   body  of the record: expiry, key, value
 */
const char *run_record_problem(const record_header *header,
                               const uint8_t *body);

/* A put, of which nothing is wrong if its checksums are right. */
static inline bool run_record_is_plain(const record_header *header)
{
    return (header->type & ~(unsigned)RECORD_EXPIRES) == RECORD_PUT &&
           header->sequence != 0;
}

/* Whether kind and flags are such as runs of this version have. */
bool run_record_is_known(const record_header *header);

static inline void run_pointer_encode(const run_pointer *pointer,
                                      uint8_t out[RUN_POINTER_SIZE])
{
    store_u64(out, pointer->segment_id);
    store_u64(out + 8, pointer->offset);
    store_u64(out + 16, pointer->size_bytes);
}

static inline run_pointer run_pointer_decode(const uint8_t in[RUN_POINTER_SIZE])
{
    return (run_pointer){load_u64(in), load_u64(in + 8), load_u64(in + 16)};
}

/* Leading bytes that two keys share. */
static inline size_t run_shared(cask_slice a, cask_slice b)
{
    const uint8_t *left = a.data;
    const uint8_t *right = b.data;
    size_t size = a.size < b.size ? a.size : b.size;
    size_t shared = 0;

    while (size - shared >= 8) {
        uint64_t differ = load_u64(left + shared) ^ load_u64(right + shared);

        if (differ != 0) {
            return shared + (size_t)__builtin_ctzll(differ) / 8;
        }
        shared += 8;
    }
    while (shared < size && left[shared] == right[shared]) {
        shared++;
    }
    return shared;
}

#endif
