/*
 * Repair: every record that verifies, whatever lies before it. As log/scan.h
 * has it, but of a file that is read by windows: it may be larger than memory.
 *
 * Below what is known to have been synced the scan steps over damage by itself.
 * Above, it stops at what could be the torn end of the log. It is not the end
 * if a newer record verifies behind it: its writer went on, so what comes
 * before was whole once, and the scan goes on over it as over damage.
 */
#include <string.h>

#include "base/crc32c.h"
#include "db/repair.h"
#include "log/segment_format.h"
#include "region/place.h"
#include "run/run_format.h"

enum { STEP_BYTES = 1 << 20 };

typedef struct walk {
    repair_bytes *bytes;
    uint64_t size;          /* bytes that may be read */
    uint64_t nonce;         /* of the segment */
    uint64_t trusted_end;   /* see segment_scan */
    uint64_t offset;        /* of the next record */
    uint64_t last_sequence; /* of the records so far */
    uint64_t batch_end;     /* records below it belong to a whole batch */
    bool is_run;            /* may be longer than a segment of the log */
    bool is_tree;           /* the log may delete ranges */
} walk;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Where no record may begin any more. */
static uint64_t start_limit(const walk *w)
{
    return w->is_run ? UINT64_C(1) << RUN_LENGTH_BITS : PLACE_OFFSET_LIMIT;
}

/* ---- One record ---------------------------------------------------------- */

/* Whether the record is there, whole, and what was written. Its header's check
 * may be right by chance, with any size: it is not all of it in memory. */
static bool parse(const walk *w, uint64_t offset, scan_item *ret_item)
{
    record_seed seed = {w->nonce, offset};
    record_header *header = &ret_item->header;
    uint8_t copy[RECORD_HEADER_SIZE];
    const uint8_t *at;
    uint64_t left;
    uint32_t crc = 0;

    if (offset >= start_limit(w) || offset >= w->size ||
        w->size - offset < RECORD_HEADER_SIZE) {
        return false;
    }
    at = repair_view(w->bytes, offset, RECORD_HEADER_SIZE);
    if (at == NULL || !record_decode_header(at, seed, header) ||
        record_size(header) > w->size - offset) {
        return false;
    }
    memcpy(copy, at, sizeof(copy));
    *ret_item = (scan_item){
        .header = *header, .offset = offset, .size = record_size(header)};
    offset += RECORD_HEADER_SIZE;
    for (left = record_body_size(header); left > 0;) {
        uint64_t size = smaller(left, STEP_BYTES);

        at = repair_view(w->bytes, offset, size);
        if (at == NULL) {
            return false;
        }
        crc = crc32c(crc, at, size);
        offset += size;
        left -= size;
    }
    return record_verify(copy, crc, seed);
}

static void take_body(scan_item *item, const uint8_t *body)
{
    uint32_t skip = record_expiry_size(&item->header);

    item->expires_at_ms = skip != 0 ? load_u64(body) : 0;
    item->key = body + skip;
}

/* The key of a record that was parsed; false: reading has ended. */
static bool view_key(const walk *w, scan_item *item)
{
    uint32_t skip = record_expiry_size(&item->header);
    const uint8_t *body =
        repair_view(w->bytes, item->offset + RECORD_HEADER_SIZE,
                    (uint64_t)skip + item->header.key_size);

    if (body != NULL) {
        take_body(item, body);
    }
    return body != NULL;
}

cask_status repair_fetch(repair_bytes *bytes, uint64_t nonce, scan_item *item,
                         cask_error *err)
{
    const uint8_t *at = repair_view(bytes, item->offset, item->size);
    record_seed seed = {nonce, item->offset};
    record_header header;

    if (bytes->err.status != CASK_OK) {
        return fail_again(err, &bytes->err);
    }
    if (at == NULL || !record_read(at, item->size, seed, &header) ||
        record_size(&header) != item->size) {
        return CASK_CORRUPT;
    }
    item->header = header;
    take_body(item, at + RECORD_HEADER_SIZE);
    item->value = item->key + header.key_size;
    return CASK_OK;
}

/* ---- Looking for records ------------------------------------------------- */

/* The first eight bytes from `at` on, below `end`, that are not all zero; `end`
 * if there are none. */
static uint64_t next_used(const walk *w, uint64_t at, uint64_t end)
{
    while (at < end) {
        uint64_t size;
        const uint8_t *bytes = repair_view_some(w->bytes, at, 8, &size);
        uint64_t skipped = 0;

        if (bytes == NULL) {
            return end;
        }
        while (size - skipped >= 8 && load_u64(bytes + skipped) == 0) {
            skipped += 8;
        }
        at += skipped;
        if (size - skipped >= 8) {
            return smaller(at, end);
        }
    }
    return end;
}

/* Where records may begin. */
static uint64_t last_start(const walk *w)
{
    return smaller(w->size, start_limit(w));
}

/* The first record from `from` on, below `end`; `end` if there is none. */
static uint64_t find(const walk *w, uint64_t from, uint64_t end,
                     scan_item *ret_item)
{
    uint64_t last = smaller(end, last_start(w));

    for (uint64_t at = next_used(w, from, last); at < last;
         at = next_used(w, at + 8, last)) {
        if (parse(w, at, ret_item)) {
            return at;
        }
    }
    return end;
}

/* Whether the batch that begins with `item` has all of its records. */
static bool batch_is_whole(walk *w, const scan_item *item)
{
    scan_item next = *item;
    uint64_t sequence;

    while ((next.header.type & RECORD_MEMBER) != 0) {
        sequence = next.header.sequence;
        if (!parse(w, next.offset + next.size, &next) ||
            next.header.sequence <= sequence) {
            return false;
        }
    }
    w->batch_end = next.offset + next.size;
    return true;
}

/* That a range is one is seen when its value is read. */
static bool is_known(const walk *w, const record_header *header)
{
    return record_is_common(header) ||
           (w->is_tree &&
            (header->type & (uint8_t)~RECORD_MEMBER) == RECORD_RANGE_DELETE);
}

/* As scan_next(); the item has a key, and no value. */
static scan_result next(walk *w, scan_item *ret_item)
{
    uint64_t offset = w->offset;
    bool good = parse(w, offset, ret_item);

    if (!good && offset < w->trusted_end) {
        w->offset = find(w, offset + 8, w->trusted_end, ret_item);
        *ret_item = (scan_item){.offset = offset, .size = w->offset - offset};
        return SCAN_DAMAGE;
    }
    if (!good || (offset >= w->trusted_end &&
                  ret_item->header.sequence <= w->last_sequence)) {
        return SCAN_END; /* or bytes of an earlier life of this place */
    }
    if (!is_known(w, &ret_item->header)) {
        w->offset = offset + ret_item->size;
        return SCAN_UNSUPPORTED;
    }
    if (offset >= w->trusted_end && offset >= w->batch_end &&
        !batch_is_whole(w, ret_item)) {
        return SCAN_END;
    }
    w->offset = offset + ret_item->size;
    w->last_sequence = ret_item->header.sequence;
    return view_key(w, ret_item) ? SCAN_RECORD : SCAN_END;
}

bool repair_has_record(repair_bytes *bytes, uint64_t nonce)
{
    const walk w = {.bytes = bytes, .size = bytes->size, .nonce = nonce};
    uint64_t end = last_start(&w);
    scan_item item;

    return find(&w, SEGMENT_HEADER_SIZE, end, &item) < end;
}

/* ---- Ends ---------------------------------------------------------------- */

/* As scan_trusted_end(). */
static uint64_t marked_end(const walk *w)
{
    uint64_t trusted = SEGMENT_HEADER_SIZE;
    uint64_t end = last_start(w);
    scan_item item;
    uint64_t at = find(w, SEGMENT_HEADER_SIZE, end, &item);

    while (at < end) {
        const uint8_t *value = NULL;

        if (record_kind(&item.header) == RECORD_MARK &&
            item.header.value_size == RECORD_MARK_VALUE_SIZE) {
            value = repair_view(w->bytes,
                                at + RECORD_HEADER_SIZE +
                                    record_body_size(&item.header) -
                                    RECORD_MARK_VALUE_SIZE,
                                RECORD_MARK_VALUE_SIZE);
        }
        if (value != NULL && load_u64(value) > trusted &&
            load_u64(value) <= at) {
            trusted = load_u64(value);
        }
        at = find(w, at + item.size, end, &item);
    }
    return trusted;
}

/* The first record behind the scan's end, and behind what follows it without a
 * gap, that is newer than all before; 0: none. */
static uint64_t next_behind(const walk *w)
{
    uint64_t end = last_start(w);
    uint64_t at = w->offset;
    scan_item item;

    while (parse(w, at, &item)) {
        at += item.size;
    }
    do {
        at = find(w, at, end, &item);
        if (at < end && item.header.sequence > w->last_sequence) {
            return at;
        }
        at += 8;
    } while (at < end);
    return 0;
}

/* Behind the last byte below `end` that is not zero; `low` if all are. */
static uint64_t used_end(repair_bytes *bytes, uint64_t low, uint64_t end)
{
    while (end > low) {
        uint64_t size = smaller(end - low, 3 * STEP_BYTES);
        const uint8_t *at = repair_view(bytes, end - size, size);

        if (at == NULL) {
            return low;
        }
        while (size >= 8 && load_u64(at + size - 8) == 0) {
            size -= 8;
            end -= 8;
        }
        for (; size > 0 && at[size - 1] == 0; size--) {
            end--;
        }
        if (size > 0) {
            return end;
        }
    }
    return low;
}

static bool has_footer(repair_bytes *bytes, uint64_t offset, uint64_t nonce)
{
    const uint8_t *at = repair_view(bytes, offset, SEGMENT_FOOTER_SIZE);

    return at != NULL && segment_footer_was_here(at, nonce);
}

/* Bytes behind the end that are something, but no record and no footer. */
static uint64_t torn_bytes(const walk *w)
{
    if (w->offset >= w->size || has_footer(w->bytes, w->offset, w->nonce)) {
        return 0;
    }
    return used_end(w->bytes, w->offset, w->size) - w->offset;
}

/* Behind the last byte that is not zero, of a footer not counted. */
static uint64_t content_end(repair_bytes *bytes, uint64_t nonce)
{
    uint64_t end = bytes->size;
    const uint64_t least = SEGMENT_HEADER_SIZE + SEGMENT_FOOTER_SIZE;

    if (end >= least && has_footer(bytes, end - SEGMENT_FOOTER_SIZE, nonce)) {
        end -= SEGMENT_FOOTER_SIZE;
    }
    return round_up_8(used_end(bytes, SEGMENT_HEADER_SIZE, end));
}

/* ---- One source ---------------------------------------------------------- */

static cask_status visit_damage(const repair_visitor *visitor,
                                const scan_item *item, const char *reason,
                                cask_error *err)
{
    return visitor->damage == NULL
               ? CASK_OK
               : visitor->damage(visitor->context, item, reason, err);
}

static cask_status visit(const repair_visitor *visitor, scan_result result,
                         const scan_item *item, cask_error *err)
{
    if (result == SCAN_DAMAGE) {
        return visit_damage(visitor, item, "no record verifies here", err);
    }
    if (result == SCAN_UNSUPPORTED) {
        return visit_damage(visitor, item,
                            "a record of a type that this version does not "
                            "know; use a newer Caskade",
                            err);
    }
    return record_kind(&item->header) == RECORD_MARK
               ? CASK_OK
               : visitor->record(visitor->context, item, err);
}

static cask_status visit_end(const repair_visitor *visitor, const walk *w,
                             cask_error *err)
{
    scan_item item = {.offset = w->offset, .size = torn_bytes(w)};

    return item.size == 0
               ? CASK_OK
               : visit_damage(visitor, &item,
                              "the log ends with what is no whole operation: "
                              "its writer died, power failed, or it is "
                              "damaged",
                              err);
}

static walk begin(const repair_source *source, repair_bytes *bytes)
{
    walk w = {.bytes = bytes,
              .size = bytes->size,
              .nonce = source->nonce,
              .offset = SEGMENT_HEADER_SIZE};

    if (source->length != 0) {
        w.size = smaller(w.size, source->length);
        w.trusted_end = source->length;
    } else if (source->is_followed) {
        w.trusted_end = content_end(bytes, source->nonce);
    } else {
        w.trusted_end = marked_end(&w);
        if (w.trusted_end < source->synced) {
            w.trusted_end = source->synced;
        }
    }
    return w;
}

cask_status repair_scan(const repair_source *source, repair_bytes *bytes,
                        const repair_visitor *visitor, uint64_t *ret_end,
                        cask_error *err)
{
    cask_status status = CASK_OK;
    walk w = begin(source, bytes);
    scan_item item;

    w.is_tree = visitor->is_tree;
    while (status == CASK_OK && bytes->err.status == CASK_OK) {
        scan_result result = next(&w, &item);

        if (result == SCAN_END) {
            uint64_t behind = source->length != 0 ? 0 : next_behind(&w);

            if (behind == 0) {
                break;
            }
            w.trusted_end = behind;
            continue;
        }
        if (result == SCAN_UNSUPPORTED) {
            item.size = w.offset - item.offset;
        }
        if (bytes->err.status == CASK_OK) {
            status = visit(visitor, result, &item, err);
        }
    }
    if (status == CASK_OK && source->length == 0 &&
        bytes->err.status == CASK_OK) {
        status = visit_end(visitor, &w, err);
    }
    *ret_end = w.offset;
    /* What stopped the reading is no damage, whatever it looked like. */
    return status == CASK_OK && bytes->err.status != CASK_OK
               ? fail_again(err, &bytes->err)
               : status;
}

/* ---- A run --------------------------------------------------------------- */

/* Behind damage, where records go on; the end of all if they do not. */
static cask_status pass_damage(walk *w, const repair_visitor *visitor,
                               bool is_end_known, bool *ret_done,
                               cask_error *err)
{
    scan_item item;
    uint64_t next = find(w, w->offset + 8, w->size, &item);

    item = (scan_item){.offset = w->offset, .size = next - w->offset};
    *ret_done = next >= w->size && !is_end_known;
    if (*ret_done || w->bytes->err.status != CASK_OK) {
        return CASK_OK;
    }
    w->offset = next;
    return visit_damage(visitor, &item, "no record verifies here", err);
}

static cask_status visit_run(walk *w, const repair_visitor *visitor,
                             scan_item *item, cask_error *err)
{
    w->offset += item->size;
    if (!run_record_is_known(&item->header)) {
        return visit(visitor, SCAN_UNSUPPORTED, item, err);
    }
    return view_key(w, item) ? visitor->record(visitor->context, item, err)
                             : CASK_OK;
}

cask_status repair_scan_run(const repair_source *source, repair_bytes *bytes,
                            const repair_visitor *visitor, uint64_t *ret_end,
                            cask_error *err)
{
    walk w = {.bytes = bytes,
              .size = source->length != 0 ? smaller(source->length, bytes->size)
                                          : bytes->size,
              .nonce = source->nonce,
              .offset = SEGMENT_HEADER_SIZE,
              .is_run = true};
    cask_status status = CASK_OK;
    bool is_done = false;
    scan_item item;

    while (status == CASK_OK && bytes->err.status == CASK_OK && !is_done &&
           w.offset < w.size) {
        status =
            parse(&w, w.offset, &item)
                ? visit_run(&w, visitor, &item, err)
                : pass_damage(&w, visitor, source->length != 0, &is_done, err);
    }
    *ret_end = w.offset;
    return status == CASK_OK && bytes->err.status != CASK_OK
               ? fail_again(err, &bytes->err)
               : status;
}
