/*
 * Verify: a segment, and its hint with it. Only what MANIFEST calls sealed, or
 * what lies below the last mark, must be whole; the rest may be being written.
 */
#include <inttypes.h>
#include <string.h>

#include "db/verification.h"
#include "log/segment.h"

static bool check_header(verification *v, const mapped *file,
                         const manifest_segment *segment)
{
    segment_header header;
    cask_error err;

    if (file->size < SEGMENT_HEADER_SIZE) {
        verify_problem(v, file->name, 0, file->size, "shorter than its header");
        return false;
    }
    if (segment_header_decode(file->memory, file->name, &header, &err) !=
        CASK_OK) {
        verify_failure(v, file->name, &err, NULL);
        return false;
    }
    if (header.id != segment->id || header.nonce != segment->nonce ||
        memcmp(header.uuid, v->identity.uuid, 16) != 0) {
        verify_problem(v, file->name, 0, SEGMENT_HEADER_SIZE,
                       "belongs to another segment or store");
        return false;
    }
    return true;
}

static void check_footer(verification *v, const mapped *file,
                         const manifest_segment *segment)
{
    static const char advice[] = "nothing is lost: MANIFEST says what counts";
    const uint8_t *bytes = file->memory;
    segment_footer footer;
    cask_error err;

    if (file->size < SEGMENT_FOOTER_SIZE ||
        file->size - SEGMENT_FOOTER_SIZE < segment->length) {
        return; /* its writer died before it wrote one: it is information */
    }
    bytes += segment->length;
    if (!segment_footer_was_here(bytes, segment->nonce)) {
        return; /* the same; or records that were moved, the last one torn */
    }
    if (segment_footer_decode(bytes, file->name, segment->length, &footer,
                              &err) != CASK_OK) {
        verify_failure(v, file->name, &err, advice);
    } else if (footer.nonce != segment->nonce) {
        verify_harmless(v, file->name, segment->length, SEGMENT_FOOTER_SIZE,
                        "the footer belongs to another segment; nothing is "
                        "lost: MANIFEST says what counts");
    }
}

/* The first sequence in a segment's file; 0 if there is none. */
static cask_status first_sequence(verification *v,
                                  const manifest_segment *segment,
                                  uint64_t *ret_sequence, cask_error *err)
{
    mapped file = {.may_shrink = !segment->sealed};
    cask_status status;

    *ret_sequence = 0;
    segment_name_format(segment->id, file.name);
    status = verify_map(v, &file, err);
    if (status == CASK_NOT_FOUND || status == CASK_UNSUPPORTED ||
        (status != CASK_OK && v->notes_refusals && verify_is_refusal(err))) {
        return CASK_OK; /* told when it has its turn */
    }
    if (status == CASK_OK) {
        v->report.files--; /* the same */
        *ret_sequence =
            scan_first_sequence(file.memory, file.size, segment->nonce);
        verify_unmap(v, &file);
    }
    return status;
}

/* Up to where everything must verify. */
static cask_status trusted_end(verification *v, const mapped *file,
                               const manifest_segment *segment,
                               uint64_t *ret_end, cask_error *err)
{
    const manifest_segment *end = v->manifest.segments + v->manifest.count;
    uint64_t marked;

    if (segment->sealed) {
        *ret_end = segment->length;
        return CASK_OK;
    }
    for (const manifest_segment *next = segment + 1; next < end; next++) {
        uint64_t sequence = 0;
        cask_status status = next->kind == SEGMENT_LOG
                                 ? first_sequence(v, next, &sequence, err)
                                 : CASK_OK;

        if (status != CASK_OK) {
            return status;
        }
        if (sequence != 0) {
            *ret_end = scan_end_before(file->memory, file->size, segment->nonce,
                                       sequence);
            return CASK_OK;
        }
    }
    marked = scan_trusted_end(file->memory, file->size, segment->nonce);
    *ret_end = marked > segment->synced ? marked : segment->synced;
    return CASK_OK;
}

/* What the next open will cut off; while somebody writes, it is nothing. */
static void tell_lost(verification *v, const mapped *file,
                      const manifest_segment *segment, const segment_scan *scan)
{
    uint64_t lost = scan_lost_bytes(file->memory, file->size, segment->nonce,
                                    scan->offset, scan->last_sequence);

    if (lost > 0) {
        verify_problem(v, file->name, scan->offset, lost,
                       "not known to have been synced, and lost: power failed, "
                       "or they are damaged; records that follow are cut off");
    }
}

static const char *why_damaged(const mapped *file,
                               const manifest_segment *segment,
                               const segment_scan *scan)
{
    if (scan->offset > file->size) {
        return "cut off";
    }
    return segment->quarantined
               ? "no record verifies here; quarantined: a merge has moved what "
                 "can be read of the segment"
               : "no record verifies here";
}

/* Whether somebody writes, or has written, since this began to read. */
static bool has_come_to_use(const verification *v)
{
    manifest_state now;
    bool changed;

    if (verify_is_in_use(v)) {
        return true;
    }
    changed = manifest_load(v->dir, v->identity.uuid, &now, NULL) != CASK_OK ||
              now.header.nonce != v->manifest.header.nonce ||
              now.number != v->manifest.number;
    manifest_free(&now);
    return changed;
}

/* `hint` is told of all that is found. */
static cask_status check_records(verification *v, mapped *file,
                                 const manifest_segment *segment,
                                 verify_hint *hint, cask_error *err)
{
    uint64_t end = segment->sealed && segment->length < file->size
                       ? segment->length
                       : file->size;
    uint64_t read_again_to = file->may_shrink ? 0 : UINT64_MAX;
    segment_scan scan;
    scan_result result;
    scan_item item;
    cask_status status;

    scan_begin(&scan, file->memory, end, segment->nonce, SEGMENT_HEADER_SIZE);
    scan.knows_ranges = v->identity.engine == CASK_ENGINE_TREE;
    status = trusted_end(v, file, segment, &scan.trusted_end, err);
    if (status != CASK_OK) {
        return status;
    }
    while ((result = scan_next(&scan, &item)) != SCAN_END) {
        if (result == SCAN_UNSUPPORTED) {
            verify_problem(v, file->name, item.offset, 0,
                           "a record type that this version does not know");
            hint->usable = false; /* such a segment gets none */
            return CASK_OK;
        }
        if (result == SCAN_DAMAGE && item.offset < file->size &&
            item.offset + item.size > read_again_to) {
            /* What was written while the file was read may be missing before
             * what it has behind that. What a mark is behind does not change:
             * by now it is there. */
            status = verify_read_again(v, file, item.offset, item.size, err);
            if (status != CASK_OK) {
                return verify_refused(v, file->name, status, err);
            }
            read_again_to = item.offset + item.size;
            scan.offset = item.offset;
            continue;
        }
        if (result == SCAN_DAMAGE) {
            verify_problem(v, file->name, item.offset, item.size,
                           why_damaged(file, segment, &scan));
            verify_hint_damage(v, hint, item.offset, item.size);
            continue;
        }
        verify_hint_record(v, hint, &item);
        v->report.records++;
        v->report.bytes += item.size;
    }
    if (!segment->sealed && !v->in_use && !has_come_to_use(v)) {
        tell_lost(v, file, segment, &scan);
    }
    return CASK_OK;
}

/* Records, and with a sealed segment what was made of them. */
static cask_status check_content(verification *v, mapped *data,
                                 const manifest_segment *segment,
                                 cask_error *err)
{
    verify_hint hint = {.usable = false};
    cask_status status = CASK_OK;

    if (segment->sealed) {
        status = verify_hint_open(v, segment, &hint, err);
    }
    if (status == CASK_OK) {
        status = check_records(v, data, segment, &hint, err);
        verify_hint_close(v, &hint);
    }
    if (status == CASK_OK && segment->sealed) {
        check_footer(v, data, segment);
    }
    return status;
}

/* Of a segment without a file: its process may have taken it away meanwhile. */
static cask_status tell_missing(verification *v,
                                const manifest_segment *segment,
                                const char *name, cask_error *err)
{
    manifest_state now;
    cask_status status = manifest_load(v->dir, v->identity.uuid, &now, err);
    bool is_gone =
        status == CASK_OK && manifest_find(&now, segment->id) == NULL;

    manifest_free(&now);
    if (status != CASK_OK && status != CASK_CORRUPT &&
        status != CASK_NOT_FOUND) {
        return status;
    }
    if (!is_gone) {
        verify_problem(v, name, 0, segment->length,
                       "is missing, but MANIFEST lists it");
    }
    return CASK_OK;
}

cask_status verify_segment(verification *v, const manifest_segment *segment,
                           cask_error *err)
{
    mapped data = {.may_shrink = !segment->sealed};
    cask_status status;

    segment_name_format(segment->id, data.name);
    status = verify_map(v, &data, err);
    if (status == CASK_NOT_FOUND) {
        return tell_missing(v, segment, data.name, err);
    }
    if (status == CASK_UNSUPPORTED) {
        verify_problem(v, data.name, 0, segment->length,
                       "is a link or no plain file: ignored");
        return CASK_OK;
    }
    if (status != CASK_OK) {
        return verify_refused(v, data.name, status, err);
    }
    if (check_header(v, &data, segment)) {
        status = check_content(v, &data, segment, err);
    }
    verify_progress(v, data.size);
    verify_unmap(v, &data);
    return status;
}
