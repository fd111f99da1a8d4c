/*
 * A segment's file name, header and footer; records lie between the two.
 * docs/format/segment.md
 */
#ifndef CASKADE_SEGMENT_FORMAT_H
#define CASKADE_SEGMENT_FORMAT_H

#include <stdbool.h>

#include "log/file_format.h"

#define SEGMENT_MAGIC "CASKSEG\n"
#define SEGMENT_FOOTER_MAGIC "CASKEND\n"

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER_SIZE = 64, /* bytes, at offset 0 */
    SEGMENT_FOOTER_SIZE = 64, /* bytes, at the end of the records */
    SEGMENT_NAME_SIZE = 32,   /* bytes that hold any name, with its NUL */
    SEGMENT_LENGTH_BITS = 36  /* segments are shorter than 2^36 bytes */
};

typedef enum segment_kind {
    SEGMENT_LOG = 1,   /* records in the order they were written */
    SEGMENT_MERGE = 2, /* output of a merge */
    SEGMENT_RUN = 3,   /* sorted by key */
    SEGMENT_VALUES = 4 /* the same, of values that pointers of runs name */
} segment_kind;

typedef struct segment_header {
    segment_kind kind;
    uint8_t uuid[FORMAT_UUID_SIZE]; /* of the store */
    uint64_t id;                    /* also the file's name */
    uint64_t nonce;                 /* random; seeds the records' checksums */
    uint64_t born; /* made of other segments' records: next sequence when that
                      began; else 0 */
} segment_header;

/* Present in sealed segments. Information; the MANIFEST decides. */
typedef struct segment_footer {
    uint64_t records;        /* of all types */
    uint64_t first_sequence; /* smallest */
    uint64_t last_sequence;  /* largest */
    uint64_t length;         /* bytes before the footer, header included */
    uint64_t tombstones;     /* records that delete */
    uint64_t nonce;          /* of the segment */
} segment_footer;

/* Whether a segment can have this length, read from somewhere: aligned, with
 * room for its header, and shorter than any that the limits allow. */
static inline bool segment_length_is_sound(uint64_t length)
{
    return length >= SEGMENT_HEADER_SIZE && length % 8 == 0 &&
           length >> SEGMENT_LENGTH_BITS == 0;
}

void segment_header_encode(const segment_header *header,
                           uint8_t out[SEGMENT_HEADER_SIZE]);

/*
 * Decode the header. The caller compares uuid and id with what it expects.
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, version 0, checksum);
 * CASK_UNSUPPORTED (newer version, unknown kind).
 */
cask_status segment_header_decode(const uint8_t in[SEGMENT_HEADER_SIZE],
                                  const char *name, segment_header *ret_header,
                                  cask_error *err);

/* The nonce that a header has, which may be damaged: for repair, which tries
 * whether records verify by it. */
uint64_t segment_header_nonce(const uint8_t in[SEGMENT_HEADER_SIZE]);

void segment_footer_encode(const segment_footer *footer,
                           uint8_t out[SEGMENT_FOOTER_SIZE]);

/*
 * Decode the footer found at `offset` of the file. It has no version of its
 * own: the header's is that of the whole file. The caller compares the nonce.
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, checksum, a length that is not
 * `offset`, a sequence out of range).
 */
cask_status segment_footer_decode(const uint8_t in[SEGMENT_FOOTER_SIZE],
                                  const char *name, uint64_t offset,
                                  segment_footer *ret_footer, cask_error *err);

/* Whether these bytes are a footer of the segment with this nonce, or were one
 * before some of them were damaged: magic or nonce are still there. */
bool segment_footer_was_here(const uint8_t in[SEGMENT_FOOTER_SIZE],
                             uint64_t nonce);

/* Write the name of segment `id`, like "000000000000002a.log". */
void segment_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE]);

/* Write the name of its hint file, like "000000000000002a.hint". */
void hint_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE]);

/* Write the name of run `id`, like "000000000000002a.run". */
void run_name_format(uint64_t id, char out[SEGMENT_NAME_SIZE]);

/*
 * Whether `name` is exactly what segment_name_format(), hint_name_format() or
 * run_name_format() writes: 16 lower-case hexadecimal digits and the suffix.
 * Sets `*ret_id` if so.
 */
bool segment_name_parse(const char *name, uint64_t *ret_id);
bool hint_name_parse(const char *name, uint64_t *ret_id);
bool run_name_parse(const char *name, uint64_t *ret_id);

/* The same of what is written aside, before it is renamed: "<name>.new". */
bool hint_aside_name_parse(const char *name, uint64_t *ret_id);
bool run_aside_name_parse(const char *name, uint64_t *ret_id);

#endif
