/*
 * Verify: a hint against its segment. Both are in the order of the log, so one
 * walk over the two finds rows that lie, rows of nothing and records without a
 * row, whatever the checksums say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/verification.h"

/* An open ignores a hint that is damaged, but believes one whose checksums are
 * right. */
static const char ignored[] =
    "nothing is lost: the next open for writing writes it again";
static const char in_the_way[] =
    "is a link or no plain file: ignored; nothing is lost: move it away, and "
    "the next open for writing writes the hint again";
static const char believed[] =
    "nothing is lost: remove the file, and the next open reads the segment";

/* ---- The file ---- */

static void check_file(verification *v, const manifest_segment *segment,
                       verify_hint *hint)
{
    hint_header expected = {.segment_id = segment->id,
                            .segment_nonce = segment->nonce,
                            .segment_length = segment->length,
                            .key_check = hint_key_check(v->identity.hash_key)};
    cask_error err;

    memcpy(expected.uuid, v->identity.uuid, sizeof(expected.uuid));
    hint->usable =
        hint_check(hint->file.memory, hint->file.size, hint->file.name,
                   &expected, &hint->header, &err) == CASK_OK;
    if (!hint->usable) {
        verify_failure(v, hint->file.name, &err, ignored);
    }
}

cask_status verify_hint_open(verification *v, const manifest_segment *segment,
                             verify_hint *ret_hint, cask_error *err)
{
    cask_status status;

    *ret_hint = (verify_hint){.usable = false};
    hint_name_format(segment->id, ret_hint->file.name);
    status = verify_map(v, &ret_hint->file, err);
    if (status == CASK_UNSUPPORTED) {
        verify_harmless(v, ret_hint->file.name, 0, 0, in_the_way);
    }
    if (status == CASK_NOT_FOUND || status == CASK_UNSUPPORTED) {
        ret_hint->file.size = 0;
        return CASK_OK; /* it will be written again */
    }
    if (status != CASK_OK) {
        ret_hint->file.file = NULL; /* nothing is open */
        return verify_refused(v, ret_hint->file.name, status, err);
    }
    check_file(v, segment, ret_hint);
    return CASK_OK;
}

/* ---- Its rows ---- */

static uint64_t row_offset(uint64_t row)
{
    return HINT_HEADER_SIZE + row * HINT_ROW_SIZE;
}

/* The record's offset that a row names; UINT64_MAX: there is no such row. */
static uint64_t place_of(const verify_hint *hint, uint64_t index)
{
    const uint8_t *bytes = hint->file.memory;
    hint_row row;

    if (index >= hint->header.row_count) {
        return UINT64_MAX;
    }
    hint_row_decode(bytes + row_offset(index), &row);
    return hint_place_offset(row.place);
}

static void tell_row(verification *v, const verify_hint *hint, uint64_t size,
                     const char *reason)
{
    char text[160];

    (void)snprintf(text, sizeof(text), "%s; %s", reason, believed);
    verify_harmless(v, hint->file.name, row_offset(hint->row), size, text);
}

/* Rows of records before `offset`, which the scan has not found. */
static void pass_rows_before(verification *v, verify_hint *hint,
                             uint64_t offset)
{
    while (hint->row < hint->header.row_count &&
           place_of(hint, hint->row) < offset) {
        tell_row(v, hint, HINT_ROW_SIZE, "the row names no record");
        hint->row++;
    }
}

static void compare(verification *v, const verify_hint *hint,
                    const scan_item *item)
{
    const uint8_t *bytes = hint->file.memory;
    siphash_value hash =
        siphash(v->identity.hash_key, item->key, item->header.key_size);
    bool live = record_kind(&item->header) == RECORD_PUT;
    hint_row row;

    hint_row_decode(bytes + row_offset(hint->row), &row);
    if (row.place != hint_place(item->offset, item->size, live) ||
        row.sequence != item->header.sequence ||
        row.type != item->header.type || row.hash.word[0] != hash.word[0] ||
        row.hash.word[1] != hash.word[1]) {
        tell_row(v, hint, HINT_ROW_SIZE, "the row differs from its record");
    }
}

static void count(hint_header *seen, const scan_item *item)
{
    seen->records++;
    seen->data_bytes += item->size;
    if (seen->first_sequence == 0) {
        seen->first_sequence = item->header.sequence;
    }
    seen->last_sequence = item->header.sequence;
    if (record_kind(&item->header) == RECORD_PUT) {
        hint_note_times(seen, &item->header, item->expires_at_ms);
    }
}

void verify_hint_record(verification *v, verify_hint *hint,
                        const scan_item *item)
{
    uint8_t kind = record_kind(&item->header);
    char reason[64];

    if (!hint->usable) {
        return;
    }
    count(&hint->seen, item);
    if (kind == RECORD_MARK) {
        return;
    }
    hint->seen.row_count++;
    hint->seen.tombstones += kind == RECORD_PUT ? 0 : 1;
    pass_rows_before(v, hint, item->offset);
    if (place_of(hint, hint->row) != item->offset &&
        place_of(hint, hint->row + 1) == item->offset) {
        tell_row(v, hint, HINT_ROW_SIZE, "the row names no record");
        hint->row++;
    }
    if (place_of(hint, hint->row) == item->offset) {
        compare(v, hint, item);
        hint->row++;
        return;
    }
    (void)snprintf(reason, sizeof(reason),
                   "no row for the record at offset %" PRIu64, item->offset);
    tell_row(v, hint, 0, reason);
}

void verify_hint_damage(verification *v, verify_hint *hint, uint64_t offset,
                        uint64_t size)
{
    if (!hint->usable) {
        return;
    }
    hint->is_partial = true;
    pass_rows_before(v, hint, offset);
    while (hint->row < hint->header.row_count &&
           place_of(hint, hint->row) - offset < size) {
        hint->row++;
    }
}

/* ---- The end ---- */

static bool counters_are_right(const verify_hint *hint)
{
    const hint_header *says = &hint->header;
    const hint_header *is = &hint->seen;

    return says->row_count == is->row_count && says->records == is->records &&
           says->tombstones == is->tombstones &&
           says->data_bytes == is->data_bytes &&
           says->first_sequence == is->first_sequence &&
           says->last_sequence == is->last_sequence &&
           says->newest_s == is->newest_s && says->oldest_s == is->oldest_s &&
           says->last_expiry_ms == is->last_expiry_ms &&
           says->first_expiry_ms == is->first_expiry_ms &&
           memcmp(&says->lifetimes, &is->lifetimes, sizeof(is->lifetimes)) == 0;
}

static void check_end(verification *v, verify_hint *hint)
{
    char text[160];

    pass_rows_before(v, hint, UINT64_MAX);
    if (!hint->is_partial && !counters_are_right(hint)) {
        (void)snprintf(text, sizeof(text),
                       "the header counts other records than there are; %s",
                       believed);
        verify_harmless(v, hint->file.name, 0, HINT_HEADER_SIZE, text);
    }
    v->report.bytes += hint->file.size;
}

void verify_hint_close(verification *v, verify_hint *hint)
{
    if (hint->file.file == NULL) {
        return;
    }
    if (hint->usable) {
        check_end(v, hint);
    }
    verify_progress(v, hint->file.size);
    verify_unmap(v, &hint->file);
}
