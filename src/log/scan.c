/*
 * The scanner of segments. It trusts no size before the header's check is
 * right, and no record before its checksum is.
 */
#include "log/scan.h"

#include "base/crc32c.h"
#include "base/key_order.h"
#include "log/segment_format.h"

/* Below so many bytes a search goes from record to record. */
enum { SEEK_LEAST = 64 << 10 };

/* The record at `offset`, if its header's check is right; the body is not
 * looked at, but is there. */
static bool locate(const uint8_t *data, uint64_t size, uint64_t nonce,
                   uint64_t offset, scan_item *ret_item)
{
    const uint8_t *at = data + offset;
    const uint8_t *body = at + RECORD_HEADER_SIZE;
    record_header *header = &ret_item->header;
    uint32_t skip;

    if (size < RECORD_HEADER_SIZE || offset > size - RECORD_HEADER_SIZE ||
        !record_decode_header(at, (record_seed){nonce, offset}, header) ||
        record_size(header) > size - offset) {
        return false;
    }
    skip = record_expiry_size(header);
    ret_item->offset = offset;
    ret_item->size = record_size(header);
    ret_item->expires_at_ms = skip != 0 ? load_u64(body) : 0;
    ret_item->key = body + skip;
    ret_item->value = body + skip + header->key_size;
    ret_item->is_unread = false;
    return true;
}

static bool verifies(const uint8_t *data, uint64_t nonce, const scan_item *item)
{
    const uint8_t *at = data + item->offset;
    uint32_t body_crc =
        crc32c(0, at + RECORD_HEADER_SIZE, record_body_size(&item->header));

    return record_verify(at, body_crc, (record_seed){nonce, item->offset});
}

bool scan_parse(const uint8_t *data, uint64_t size, uint64_t nonce,
                uint64_t offset, scan_item *ret_item)
{
    return locate(data, size, nonce, offset, ret_item) &&
           verifies(data, nonce, ret_item);
}

static bool has(const segment_scan *scan, uint64_t offset, uint64_t size)
{
    return scan->source.read == NULL ||
           scan->source.read(scan->source.context, offset, size);
}

/* As locate(). Of what comes from a source the header is there, then expiry and
 * key are, too; only now they may be looked at. */
static bool find(const segment_scan *scan, uint64_t offset, scan_item *ret_item)
{
    const record_header *header = &ret_item->header;

    if (scan->source.read == NULL) {
        return locate(scan->data, scan->size, scan->nonce, offset, ret_item);
    }
    return has(scan, offset, RECORD_HEADER_SIZE) &&
           locate(scan->data, scan->size, scan->nonce, offset, ret_item) &&
           has(scan, offset,
               RECORD_HEADER_SIZE + record_expiry_size(header) +
                   header->key_size) &&
           locate(scan->data, scan->size, scan->nonce, offset, ret_item);
}

/* As scan_parse(), or by the proof that the scan has. */
static bool parse(const segment_scan *scan, uint64_t offset,
                  scan_item *ret_item)
{
    const scan_proof *proof = &scan->proof;

    if (!find(scan, offset, ret_item)) {
        return false;
    }
    ret_item->is_unread = proof->proves != NULL &&
                          proof->proves(proof->context, proof->row, ret_item);
    return ret_item->is_unread || (has(scan, offset, ret_item->size) &&
                                   verifies(scan->data, scan->nonce, ret_item));
}

void scan_begin(segment_scan *scan, const uint8_t *data, uint64_t size,
                uint64_t nonce, uint64_t offset)
{
    *scan = (segment_scan){.data = data,
                           .size = size,
                           .nonce = nonce,
                           .trusted_end = offset,
                           .offset = offset};
}

uint64_t scan_find(const segment_scan *scan, uint64_t from, uint64_t end)
{
    scan_item item;

    if (from < scan->size && !has(scan, from, scan->size - from)) {
        return end;
    }
    for (uint64_t at = from; at < end && at + 8 <= scan->size; at += 8) {
        if (load_u64(scan->data + at) != 0 &&
            scan_parse(scan->data, scan->size, scan->nonce, at, &item)) {
            return at;
        }
    }
    return end;
}

void scan_seek(segment_scan *scan, uint64_t sequence)
{
    uint64_t low = scan->offset;
    uint64_t high = scan->trusted_end;

    while (low < high && high - low > SEEK_LEAST) {
        uint64_t middle = (low + (high - low) / 2) & ~UINT64_C(7);
        uint64_t at = scan_find(scan, middle, high);
        scan_item item;

        if (at < high &&
            scan_parse(scan->data, scan->size, scan->nonce, at, &item) &&
            item.header.sequence < sequence) {
            low = at;
        } else {
            high = middle;
        }
    }
    scan->offset = low;
}

/* Whether the batch that begins with `item` has all of its records. */
static bool batch_is_whole(segment_scan *scan, const scan_item *item)
{
    scan_item next = *item;
    uint64_t sequence;

    while ((next.header.type & RECORD_MEMBER) != 0) {
        sequence = next.header.sequence;
        if (!scan_parse(scan->data, scan->size, scan->nonce,
                        next.offset + next.size, &next) ||
            next.header.sequence <= sequence) {
            return false;
        }
    }
    scan->batch_end = next.offset + next.size;
    return true;
}

/* The deletion of a range, as the log has it: without expiry, not empty. */
static bool is_range(const scan_item *item)
{
    const record_header *header = &item->header;
    cask_slice from = {item->key, header->key_size};
    cask_slice to = {item->value, header->value_size};

    return (header->type & (uint8_t)~RECORD_MEMBER) == RECORD_RANGE_DELETE &&
           to.size <= CASK_KEY_MAX_BYTES &&
           key_compare(from, key_end_of(to)) < 0;
}

static bool is_known(const segment_scan *scan, const scan_item *item)
{
    return record_is_common(&item->header) ||
           (scan->knows_ranges && is_range(item));
}

scan_result scan_next(segment_scan *scan, scan_item *ret_item)
{
    uint64_t offset = scan->offset;
    bool good = offset < scan->size && parse(scan, offset, ret_item);

    if (!good && offset < scan->trusted_end) {
        scan->offset = scan_find(scan, offset + 8, scan->trusted_end);
        ret_item->offset = offset;
        ret_item->size = scan->offset - offset;
        return SCAN_DAMAGE;
    }
    if (!good) {
        return SCAN_END;
    }
    if (offset >= scan->trusted_end &&
        ret_item->header.sequence <= scan->last_sequence) {
        return SCAN_END; /* bytes of an earlier life of this place */
    }
    if (!is_known(scan, ret_item)) {
        scan->offset = offset + ret_item->size;
        return SCAN_UNSUPPORTED;
    }
    if (offset >= scan->trusted_end && offset >= scan->batch_end &&
        !batch_is_whole(scan, ret_item)) {
        return SCAN_END;
    }
    scan->offset = offset + ret_item->size;
    scan->last_sequence = ret_item->header.sequence;
    return SCAN_RECORD;
}

uint64_t scan_trusted_end(const uint8_t *data, uint64_t size, uint64_t nonce)
{
    uint64_t trusted = SEGMENT_HEADER_SIZE;
    uint64_t at = SEGMENT_HEADER_SIZE;
    scan_item item;

    while (at + RECORD_HEADER_SIZE <= size) {
        if (load_u64(data + at) == 0 ||
            !scan_parse(data, size, nonce, at, &item)) {
            at += 8;
            continue;
        }
        if (record_kind(&item.header) == RECORD_MARK &&
            item.header.value_size == RECORD_MARK_VALUE_SIZE) {
            uint64_t named = load_u64(item.value);

            if (named > trusted && named <= item.offset) {
                trusted = named;
            }
        }
        at += item.size;
    }
    return trusted;
}

/* The end of the last byte that is not zero, rounded up to 8. */
static uint64_t used_end(const uint8_t *data, uint64_t size)
{
    while (size > SEGMENT_HEADER_SIZE && data[size - 1] == 0) {
        size--;
    }
    return round_up_8(size);
}

static bool has_footer(const uint8_t *data, uint64_t size, uint64_t nonce,
                       uint64_t end)
{
    segment_footer footer;

    return end <= size && size - end >= SEGMENT_FOOTER_SIZE &&
           segment_footer_decode(data + end, "", end, &footer, NULL) ==
               CASK_OK &&
           footer.nonce == nonce;
}

/* For all records that are there, of whichever engine, trusted or not. */
static void begin_all(segment_scan *scan, const uint8_t *data, uint64_t size,
                      uint64_t nonce, uint64_t offset)
{
    scan_begin(scan, data, size, nonce, offset);
    scan->trusted_end = size;
    scan->knows_ranges = true;
}

uint64_t scan_end_before(const uint8_t *data, uint64_t size, uint64_t nonce,
                         uint64_t sequence)
{
    uint64_t end = SEGMENT_HEADER_SIZE;
    bool copied = false; /* records that the follower has too */
    segment_scan scan;
    scan_result result;
    scan_item item;

    begin_all(&scan, data, size, nonce, SEGMENT_HEADER_SIZE);
    while ((result = scan_next(&scan, &item)) != SCAN_END) {
        if (result == SCAN_RECORD && item.header.sequence < sequence) {
            end = item.offset + item.size;
        } else if (result == SCAN_RECORD) {
            copied = true;
        }
    }
    if (!copied && !has_footer(data, size, nonce, end) &&
        used_end(data, size) > end) {
        end = used_end(data, size);
    }
    return end;
}

uint64_t scan_lost_bytes(const uint8_t *data, uint64_t size, uint64_t nonce,
                         uint64_t end, uint64_t last_sequence)
{
    segment_scan scan;
    scan_result result;
    scan_item item;

    if (scan_parse(data, size, nonce, end, &item)) {
        return 0; /* of a batch without its end */
    }
    begin_all(&scan, data, size, nonce, end);
    while ((result = scan_next(&scan, &item)) != SCAN_END) {
        if (result == SCAN_RECORD && item.header.sequence > last_sequence) {
            return used_end(data, size) - end;
        }
    }
    return 0;
}

uint64_t scan_first_sequence(const uint8_t *data, uint64_t size, uint64_t nonce)
{
    segment_scan scan;
    scan_result result;
    scan_item item;

    begin_all(&scan, data, size, nonce, SEGMENT_HEADER_SIZE);
    do {
        result = scan_next(&scan, &item);
    } while (result == SCAN_DAMAGE);
    return result == SCAN_RECORD ? item.header.sequence : 0;
}
