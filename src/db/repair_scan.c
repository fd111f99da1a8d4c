/*
 * Repair: every record that verifies, whatever lies before it.
 *
 * Below what is known to have been synced the scan steps over damage by itself.
 * Above, it stops at what could be the torn end of the log. It is not the end
 * if a newer record verifies behind it: its writer went on, so what comes
 * before was whole once, and the scan goes on over it as over damage.
 */
#include "db/repair.h"
#include "log/segment_format.h"

/* ---- One source ---------------------------------------------------------- */

/* The first record behind the scan's end, and behind what follows it without a
 * gap, that is newer than all before; 0: none. */
static uint64_t next_behind(const segment_scan *scan)
{
    uint64_t at = scan->offset;
    scan_item item;

    while (scan_parse(scan->data, scan->size, scan->nonce, at, &item)) {
        at += item.size;
    }
    for (; at < scan->size && scan->size - at >= 8; at += 8) {
        if (load_u64(scan->data + at) != 0 &&
            scan_parse(scan->data, scan->size, scan->nonce, at, &item) &&
            item.header.sequence > scan->last_sequence) {
            return at;
        }
    }
    return 0;
}

/* Bytes behind the end that are something, but no record and no footer. */
static uint64_t torn_bytes(const segment_scan *scan)
{
    uint64_t end = scan->size;

    if (scan->offset <= end && end - scan->offset >= SEGMENT_FOOTER_SIZE &&
        segment_footer_was_here(scan->data + scan->offset, scan->nonce)) {
        return 0;
    }
    while (end > scan->offset && scan->data[end - 1] == 0) {
        end--;
    }
    return end > scan->offset ? end - scan->offset : 0;
}

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

static cask_status visit_end(const repair_visitor *visitor,
                             const segment_scan *scan, cask_error *err)
{
    scan_item item = {.offset = scan->offset, .size = torn_bytes(scan)};

    return item.size == 0
               ? CASK_OK
               : visit_damage(visitor, &item,
                              "the log ends with what is no whole operation: "
                              "its writer died, power failed, or it is "
                              "damaged",
                              err);
}

/* Behind the last byte that is not zero, of a footer not counted. */
static uint64_t used_end(const repair_bytes *bytes, uint64_t nonce)
{
    uint64_t end = bytes->size;
    const uint64_t least = SEGMENT_HEADER_SIZE + SEGMENT_FOOTER_SIZE;

    if (end >= least && segment_footer_was_here(
                            bytes->data + end - SEGMENT_FOOTER_SIZE, nonce)) {
        end -= SEGMENT_FOOTER_SIZE;
    }
    while (end > SEGMENT_HEADER_SIZE && bytes->data[end - 1] == 0) {
        end--;
    }
    return round_up_8(end);
}

static void begin_scan(segment_scan *scan, const repair_source *source,
                       const repair_bytes *bytes)
{
    uint64_t size = bytes->size;
    uint64_t marked;

    if (source->length != 0 && source->length < size) {
        size = source->length;
    }
    scan_begin(scan, bytes->data, size, source->nonce, SEGMENT_HEADER_SIZE);
    if (source->length != 0) {
        scan->trusted_end = source->length;
        return;
    }
    if (source->is_followed) {
        scan->trusted_end = used_end(bytes, source->nonce);
        return;
    }
    marked = scan_trusted_end(bytes->data, size, source->nonce);
    scan->trusted_end = marked > source->synced ? marked : source->synced;
}

cask_status repair_scan(const repair_source *source, const repair_bytes *bytes,
                        const repair_visitor *visitor, cask_error *err)
{
    cask_status status = CASK_OK;
    segment_scan scan;
    scan_item item;

    begin_scan(&scan, source, bytes);
    while (status == CASK_OK) {
        scan_result result = scan_next(&scan, &item);

        if (result == SCAN_END) {
            uint64_t next = source->length != 0 ? 0 : next_behind(&scan);

            if (next == 0) {
                break;
            }
            scan.trusted_end = next;
            continue;
        }
        if (result == SCAN_UNSUPPORTED) {
            item.size = scan.offset - item.offset;
        }
        status = visit(visitor, result, &item, err);
    }
    if (status == CASK_OK && source->length == 0) {
        status = visit_end(visitor, &scan, err);
    }
    return status;
}
