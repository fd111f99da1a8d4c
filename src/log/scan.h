/*
 * Read the records of a segment from memory, in order, each wholly verified.
 *
 * Below `trusted_end` everything was synced once, so a record that does not
 * verify is damage: it is reported and stepped over. From there on it is the
 * torn end of the log: the scan stops at the first record that does not verify,
 * does not raise the sequence, or belongs to a batch without its end.
 *
 * Who does not want values may have another proof than the checksum, which
 * takes reading them: see scan_proof.
 */
#ifndef CASKADE_SCAN_H
#define CASKADE_SCAN_H

#include "log/record_format.h"

/* One record; points into the scanned memory. */
typedef struct scan_item {
    record_header header;
    uint64_t offset;
    uint64_t size; /* bytes in the file */
    uint64_t expires_at_ms;
    const uint8_t *key;
    const uint8_t *value;
    bool is_unread; /* proven by a scan_proof: the value may be damaged */
} scan_item;

/*
 * Whether a record whose header's check is right, and which lies in what may be
 * read, is what was written, but for its value. False: its checksum tells.
 */
typedef struct scan_proof {
    bool (*proves)(void *context, uint32_t row, const scan_item *item);
    void *context;
    uint32_t row; /* passed on: of which segment */
} scan_proof;

/*
 * Where the bytes of a scan come from, if they are not all there from the
 * beginning. `read` sees to it that some are; false: they cannot be had, which
 * to the scan is damage.
 */
typedef struct scan_source {
    bool (*read)(void *context, uint64_t offset, uint64_t size);
    void *context;
} scan_source;

typedef struct segment_scan {
    const uint8_t *data; /* the file, from its first byte */
    uint64_t size;       /* bytes of it that may be read */
    uint64_t nonce;
    uint64_t trusted_end;   /* see above */
    uint64_t offset;        /* of the next record; after the end: the tail */
    uint64_t last_sequence; /* of the records so far */
    uint64_t batch_end;     /* records below it belong to a whole batch */
    scan_proof proof;       /* {0}: none; may be set after scan_begin() */
    scan_source source;     /* {0}: all is there; likewise */
    bool knows_ranges;      /* the log may delete ranges: a tree's; may be set
                               after scan_begin(). Else they are a kind that is
                               not known */
} segment_scan;

typedef enum scan_result {
    SCAN_END,
    SCAN_RECORD,
    SCAN_DAMAGE,     /* offset and size say which bytes */
    SCAN_UNSUPPORTED /* a verified record of a kind that is not known */
} scan_result;

/* Begin at `offset`, with nothing trusted behind it: see `trusted_end`. */
void scan_begin(segment_scan *scan, const uint8_t *data, uint64_t size,
                uint64_t nonce, uint64_t offset);

/* The next record, damage, or the end. Marks are records too. */
scan_result scan_next(segment_scan *scan, scan_item *ret_item);

/* Go on somewhere before the first record with this sequence or a later one, at
 * most some 64 KiB, by halving. All of the scan is trusted. */
void scan_seek(segment_scan *scan, uint64_t sequence);

/* The first offset from `from` on, below `end`, where a record verifies; `end`
 * if there is none. */
uint64_t scan_find(const segment_scan *scan, uint64_t from, uint64_t end);

/*
 * The highest durable offset that a valid mark names, also behind damage;
 * SEGMENT_HEADER_SIZE if there is none. Looks at the whole file.
 */
uint64_t scan_trusted_end(const uint8_t *data, uint64_t size, uint64_t nonce);

/*
 * Where a segment ends that another follows. It was synced before its follower
 * took a record, so all of it must be there: up to its last record older than
 * `sequence`, the follower's first, or, if something that is no record comes
 * behind that, up to the end of it.
 */
uint64_t scan_end_before(const uint8_t *data, uint64_t size, uint64_t nonce,
                         uint64_t sequence);

/*
 * Bytes behind `end`, where a scan ended, that are more than the torn end of
 * the last write: what comes first there does not verify, and a whole record
 * newer than `last_sequence` follows. A power cut leaves that, or damage. Else
 * 0.
 */
uint64_t scan_lost_bytes(const uint8_t *data, uint64_t size, uint64_t nonce,
                         uint64_t end, uint64_t last_sequence);

/* The sequence of the first record that verifies; 0 if none does. */
uint64_t scan_first_sequence(const uint8_t *data, uint64_t size,
                             uint64_t nonce);

/*
 * Whether the record at `offset` verifies; fills `ret_item` if so.
 * Never reads at or beyond data + size.
 */
bool scan_parse(const uint8_t *data, uint64_t size, uint64_t nonce,
                uint64_t offset, scan_item *ret_item);

#endif
