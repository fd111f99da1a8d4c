/*
 * Repair: the first reading. It learns which record of each key is newest, and,
 * of what is damaged, which keys the hint of the segment names there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buffer.h"
#include "base/key_order.h"
#include "db/repair.h"
#include "db/repair_lost.h"
#include "db/repair_tree.h"

/* A segment while it is read. */
typedef struct reading {
    repair *r;
    char hint_name[SEGMENT_NAME_SIZE];
    uint32_t index;
    repair_source *source;
    repair_bytes bytes;
    repair_bytes hint;
    uint64_t records;    /* of a run, found in it */
    const uint8_t *rows; /* all of the hint; NULL: there is none that is good */
    hint_header hint_header;
    cask_buffer unsettled; /* unsettled_damage each */
} reading;

/* Damage in the log of a tree: what follows it tells whether all that was there
 * is in runs. */
typedef struct unsettled_damage {
    uint64_t offset;
    uint64_t size;
    char reason[256];
} unsettled_damage;

/* ---- The hint ------------------------------------------------------------ */

/* A good header tells the length of a segment of which MANIFEST does not. */
static void take_length(repair_source *source, const hint_header *header)
{
    if (source->length == 0 && header->segment_id == source->id &&
        header->segment_nonce == source->nonce) {
        source->length = header->segment_length;
    }
}

/* Without the hash key, which is in CASKADE, its rows name no keys. */
static void check_hint(reading *now)
{
    const repair *r = now->r;
    repair_source *source = now->source;
    const char *name = now->hint_name;
    const uint8_t *bytes = repair_view(&now->hint, 0, HINT_HEADER_SIZE);
    hint_header expected;

    if (bytes == NULL ||
        hint_header_decode(bytes, name, &expected, NULL) != CASK_OK) {
        return;
    }
    take_length(source, &expected);
    if (!r->has_identity || hint_file_bytes(&expected) != now->hint.size) {
        return; /* of another size it is no good, and may be huge */
    }
    memcpy(expected.uuid, r->identity.uuid, 16);
    expected.segment_id = source->id;
    expected.segment_nonce = source->nonce;
    expected.segment_length = source->length;
    expected.key_check = hint_key_check(r->identity.hash_key);
    bytes = repair_view(&now->hint, 0, now->hint.size);
    if (bytes != NULL && hint_check(bytes, now->hint.size, name, &expected,
                                    &now->hint_header, NULL) == CASK_OK) {
        now->rows = bytes;
    }
}

static cask_status load_hint(reading *now, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    hint_name_format(now->source->id, now->hint_name);
    status = repair_open(now->r, now->hint_name, &now->hint, &local);
    if (status != CASK_OK) {
        return repair_is_loss(&local) ? CASK_OK : fail_again(err, &local);
    }
    check_hint(now);
    return now->hint.err.status == CASK_OK ? CASK_OK
                                           : fail_again(err, &now->hint.err);
}

/* Its row number `index`. */
static void row_at(const reading *now, uint64_t index, hint_row *ret_row)
{
    hint_row_decode(now->rows + HINT_HEADER_SIZE + index * HINT_ROW_SIZE,
                    ret_row);
}

/* The first row of a record at or behind `offset`. */
static uint64_t first_row(const reading *now, uint64_t offset)
{
    uint64_t low = 0;
    uint64_t high = now->hint_header.row_count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        hint_row row;

        row_at(now, middle, &row);
        if (hint_place_offset(row.place) < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The key of a damaged record, if its bytes are there still: its hash tells. */
static cask_status take_key(reading *now, repair_gap *gap, cask_error *err)
{
    record_seed seed = {now->source->nonce, gap->offset};
    const uint8_t *at =
        now->bytes.r == NULL
            ? NULL
            : repair_view(&now->bytes, gap->offset, RECORD_HEADER_SIZE);
    record_header header;
    siphash_value hash;
    uint64_t skip;

    if (at == NULL || !record_decode_header(at, seed, &header)) {
        return CASK_OK;
    }
    skip = RECORD_HEADER_SIZE + record_expiry_size(&header);
    at = repair_view(&now->bytes, gap->offset, skip + header.key_size);
    if (at == NULL) {
        return CASK_OK;
    }
    hash = siphash(now->r->identity.hash_key, at + skip, header.key_size);
    if (hash.word[0] != gap->hash.word[0] ||
        hash.word[1] != gap->hash.word[1]) {
        return CASK_OK;
    }
    gap->key = malloc(header.key_size + 1U);
    if (gap->key == NULL) {
        return fail_memory(err, header.key_size);
    }
    memcpy(gap->key, at + skip, header.key_size);
    gap->key_size = header.key_size;
    return CASK_OK;
}

static cask_status add_gap(repair *r, const repair_gap *gap, cask_error *err)
{
    repair_gap *gaps =
        array_grow(r->gaps, r->gap_count, &r->gap_capacity, sizeof(*gaps), err);

    if (gaps == NULL) {
        return CASK_NO_MEMORY;
    }
    r->gaps = gaps;
    r->gaps[r->gap_count++] = *gap;
    return CASK_OK;
}

/* All rows of records in these bytes. */
static cask_status note_gaps(reading *now, uint64_t offset, uint64_t size,
                             cask_error *err)
{
    cask_status status = CASK_OK;
    uint64_t i = first_row(now, offset);

    for (; i < now->hint_header.row_count && status == CASK_OK; i++) {
        repair_gap gap = {.source = now->index};
        hint_row row;

        row_at(now, i, &row);
        gap.hash = row.hash;
        gap.sequence = row.sequence;
        gap.offset = hint_place_offset(row.place);
        gap.size = hint_place_size(row.place);
        gap.is_delete = (row.type & RECORD_KIND_MASK) == RECORD_DELETE;
        if (gap.offset - offset >= size) {
            break;
        }
        status = add_gap(now->r, &gap, err);
        if (status == CASK_OK) {
            status = take_key(now, &now->r->gaps[now->r->gap_count - 1], err);
        }
    }
    return status;
}

/* ---- Records and damage -------------------------------------------------- */

static cask_status on_record(void *context, const scan_item *item,
                             cask_error *err)
{
    reading *now = context;
    repair *r = now->r;
    uint64_t sequence = item->header.sequence;
    const repair_entry entry = {
        .hash = siphash(r->identity.hash_key, item->key, item->header.key_size),
        .sequence = sequence,
        .offset = item->offset,
        .source = now->index,
        .state = record_kind(&item->header) == RECORD_PUT ? REPAIR_LIVE
                                                          : REPAIR_DELETED};

    if (now->source->first_sequence == 0) {
        now->source->first_sequence = sequence;
    }
    if (now->source->last_sequence < sequence) {
        now->source->last_sequence = sequence;
    }
    if (!now->source->is_used) {
        return CASK_OK;
    }
    r->report.records++;
    return repair_table_add(&r->table, &entry, err);
}

static cask_status on_damage(void *context, const scan_item *item,
                             const char *reason, cask_error *err);

/* ---- Damage in the log of a tree ------------------------------------------
 */

static cask_status postpone(reading *now, const scan_item *item,
                            const char *reason, cask_error *err)
{
    unsettled_damage damage = {.offset = item->offset, .size = item->size};

    (void)snprintf(damage.reason, sizeof(damage.reason), "%s", reason);
    return buffer_append(&now->unsettled, &damage, sizeof(damage), err);
}

static void tell_log(reading *now, const unsettled_damage *damage,
                     bool is_in_runs)
{
    char text[sizeof(damage->reason) + 128];

    (void)snprintf(text, sizeof(text), "%s; %s", damage->reason,
                   is_in_runs ? "what was here is in runs"
                              : "nobody knows which keys were here, and older "
                                "values of them can be back");
    now->r->report.lost_bytes += is_in_runs ? 0 : damage->size;
    repair_tell(now->r, &(cask_lost){.at = {.file = now->source->name,
                                            .offset = damage->offset,
                                            .size_bytes = damage->size,
                                            .reason = text},
                                     .harmless = is_in_runs});
}

/* `sequence` is of what follows: what was damaged is older. */
static void settle(reading *now, uint64_t sequence)
{
    const unsettled_damage *damages = now->unsettled.data;
    size_t count = now->unsettled.size / sizeof(*damages);

    for (size_t i = 0; i < count; i++) {
        tell_log(now, &damages[i], sequence <= now->r->manifest.flushed + 1);
    }
    now->unsettled.size = 0;
}

/* Nothing follows in this segment. */
static void settle_rest(reading *now)
{
    const manifest_segment *listed =
        manifest_find(&now->r->manifest, now->source->id);

    settle(now, now->source->is_listed && listed != NULL && listed->sealed
                    ? listed->last_sequence + 1
                    : UINT64_MAX);
    cask_buffer_free(&now->unsettled);
}

/* ---- Records of a tree ----------------------------------------------------
 */

/* Whether a record is one of the tree, not of what is in other files too. */
static bool counts_in_tree(const reading *now, const scan_item *item)
{
    const repair_source *source = now->source;
    cask_slice key = {item->key, item->header.key_size};

    if (source->kind != SEGMENT_RUN) {
        return item->header.sequence > now->r->manifest.flushed ||
               repair_was_lost(now->r, source, item);
    }
    /* A deleted range reaches behind its key. Before the key that the run
     * begins with it has had its effect. */
    return record_kind(&item->header) == RECORD_RANGE_DELETE ||
           key_compare(key, source->begin) >= 0;
}

static cask_status on_tree_record(void *context, const scan_item *item,
                                  cask_error *err)
{
    reading *now = context;
    repair_source *source = now->source;
    uint64_t sequence = item->header.sequence + source->added;
    cask_status status;

    now->records++;
    if (source->kind == SEGMENT_LOG) {
        settle(now, sequence);
    }
    if (source->last_sequence < sequence) {
        source->last_sequence = sequence;
    }
    if (!source->is_used) {
        return CASK_OK;
    }
    now->r->report.records++;
    if (!counts_in_tree(now, item)) {
        return CASK_OK;
    }
    status = repair_tree_add(now->r, source, &now->bytes, item, err);
    return status == CASK_CORRUPT
               ? on_damage(now, item,
                           "a record could be read once and not again", err)
               : status;
}

/* Whether media did not give some of these bytes, and why. */
static bool take_bad(reading *now, const scan_item *item, cask_error *ret_why)
{
    bool found = false;

    for (size_t i = 0; i < now->bytes.bad.count; i++) {
        repair_bad *bad = &now->bytes.bad.items[i];

        if (bad->offset < item->offset + item->size &&
            item->offset < bad->offset + bad->size) {
            (void)fail_os(ret_why, bad->os_errno, "cannot be read");
            bad->is_told = true;
            found = true;
        }
    }
    return found;
}

static cask_status on_damage(void *context, const scan_item *item,
                             const char *reason, cask_error *err)
{
    reading *now = context;
    repair *r = now->r;
    bool has_hint = now->rows != NULL;
    cask_buffer key = {NULL, 0, 0};
    bool has_key;
    cask_error unreadable;
    char text[sizeof(unreadable.message) + 128];

    if (!now->source->is_used) {
        return CASK_OK;
    }
    if (take_bad(now, item, &unreadable)) {
        reason = unreadable.message;
    }
    if (now->source->kind != SEGMENT_RUN &&
        !repair_note_lost(r, now->source, item) && r->tree != NULL) {
        return postpone(now, item, reason, err);
    }
    has_key = now->source->kind == SEGMENT_RUN &&
              repair_run_key(now->source, &now->bytes, item, &key);
    (void)snprintf(text, sizeof(text), "%s; %s", reason,
                   has_hint  ? "the hint tells which keys were here"
                   : has_key ? "an older value of this key can be back"
                   : r->tree != NULL
                       ? "nobody knows which keys were here, and older values "
                         "of them can be back"
                       : "no hint tells which keys were here, and older "
                         "values of them can be back");
    r->report.lost_bytes += item->size;
    repair_tell(r, &(cask_lost){.at = {.file = now->source->name,
                                       .offset = item->offset,
                                       .size_bytes = item->size,
                                       .reason = text},
                                .key = {has_key ? key.data : NULL,
                                        has_key ? key.size : 0},
                                .harmless = has_hint});
    cask_buffer_free(&key);
    return has_hint ? note_gaps(now, item->offset, item->size, err) : CASK_OK;
}

/* ---- A source ------------------------------------------------------------ */

static cask_status whole_is_damaged(reading *now, const char *reason,
                                    cask_error *err)
{
    uint64_t end =
        now->source->length != 0 ? now->source->length : now->source->size;
    scan_item item = {.offset = 0, .size = end};

    return on_damage(now, &item, reason, err);
}

/* It may be there, but media do not even tell its size. */
static cask_status missing_is_damaged(reading *now, cask_error *err)
{
    cask_error why = {CASK_OK, 0, "is missing, or empty"};

    if (now->source->os_errno != 0) {
        (void)fail_os(&why, now->source->os_errno, "cannot be examined");
    }
    return whole_is_damaged(now, why.message, err);
}

/* What media did not give, and nothing was found to be missing: records may
 * have been there, at the end of the log. */
static cask_status tell_bad(reading *now, cask_error *err)
{
    const repair_source *source = now->source;
    uint64_t end = source->length != 0 ? source->length : now->bytes.size;
    cask_status status = CASK_OK;

    if (!source->is_used) {
        return CASK_OK;
    }
    for (size_t i = 0; i < now->bytes.bad.count && status == CASK_OK; i++) {
        repair_bad *bad = &now->bytes.bad.items[i];
        const scan_item item = {.offset = bad->offset, .size = bad->size};

        if (!bad->is_told && bad->offset < end &&
            bad->offset + bad->size > SEGMENT_HEADER_SIZE) {
            status = on_damage(now, &item, "", err);
        }
        bad->is_told = true; /* or nothing could have been there */
    }
    return status;
}

static cask_status open_content(reading *now, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        repair_open_source(now->r, now->source, &now->bytes, &local);

    if (status == CASK_OK && now->bytes.size > 0) {
        return CASK_OK;
    }
    if (status != CASK_OK && !repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    repair_close_source(now->source, &now->bytes);
    (void)fail_os(&local, local.os_errno, "cannot be opened");
    return whole_is_damaged(now, local.message, err);
}

/* Without the footer of a run nobody knows where its records end, unless what
 * is left of it agrees with them. */
static void tell_footer(reading *now)
{
    const repair_source *source = now->source;
    bool is_whole;

    if (source->kind != SEGMENT_RUN || source->length != 0 ||
        !source->is_used) {
        return;
    }
    is_whole = repair_run_footer_says(&now->bytes, source->end, now->records);
    repair_tell(
        now->r,
        &(cask_lost){
            .at = {.file = source->name,
                   .offset = source->end,
                   .reason = is_whole
                                 ? "its footer is damaged; all of its records "
                                   "are there"
                                 : "its footer is damaged or cut off; nobody "
                                   "knows whether records followed here, and "
                                   "older values of their keys can be back"},
            .harmless = is_whole});
}

static cask_status read_content(reading *now, cask_error *err)
{
    const repair_visitor visitor = {now->r->tree != NULL ? on_tree_record
                                                         : on_record,
                                    on_damage, now, now->r->tree != NULL};
    cask_status status;

    if (now->source->kind == SEGMENT_VALUES) {
        return CASK_OK; /* what counts in it is read where it is named */
    }
    if (now->source->size == 0) {
        return missing_is_damaged(now, err);
    }
    status = open_content(now, err);
    if (status != CASK_OK || now->bytes.r == NULL) {
        return status;
    }
    if (now->source->nonce == 0) {
        return whole_is_damaged(now, "its header is damaged", err);
    }
    status = now->source->kind == SEGMENT_RUN
                 ? repair_scan_run(now->source, &now->bytes, &visitor,
                                   &now->source->end, err)
                 : repair_scan(now->source, &now->bytes, &visitor,
                               &now->source->end, err);
    if (status == CASK_OK) {
        tell_footer(now);
        status = tell_bad(now, err);
    }
    if (status == CASK_OK && !now->source->has_header && now->source->is_used) {
        /* Of one without a record nobody knows whether it had any. */
        repair_tell(now->r,
                    &(cask_lost){.at = {.file = now->source->name,
                                        .size_bytes = SEGMENT_HEADER_SIZE,
                                        .reason = "its header is damaged"},
                                 .harmless = now->source->last_sequence != 0});
    }
    return status;
}

static cask_status read_source(repair *r, uint32_t index, cask_error *err)
{
    reading now = {.r = r, .index = index, .source = &r->sources[index]};
    cask_status status = load_hint(&now, err);

    if (status == CASK_OK) {
        status = read_content(&now, err);
    }
    settle_rest(&now);
    if (status == CASK_OK && now.bytes.err.status != CASK_OK) {
        status = fail_again(err, &now.bytes.err);
    }
    if (status == CASK_OK) {
        status = repair_progress(r, now.source->size, err);
    }
    if (now.source->is_used && now.source->size > 0) {
        r->report.files++;
    }
    repair_close(&now.hint);
    repair_close_source(now.source, &now.bytes);
    return status;
}

/* ---- All ----------------------------------------------------------------- */

/* Of what MANIFEST lists. */
static uint64_t last_listed(const repair *r)
{
    uint64_t last = 0;

    for (size_t i = 0; i < r->source_count; i++) {
        if (r->sources[i].is_listed && r->sources[i].last_sequence > last) {
            last = r->sources[i].last_sequence;
        }
    }
    return last;
}

/*
 * Whether MANIFEST says all that there is to say. Not if what it lists is
 * missing; nor if its end is: the edits that are lost may have listed anything,
 * also what merges wrote. One that is cut between two edits has lost the one
 * that promises ids, so that files bear ids that it never gave out.
 */
static bool is_complete(const repair *r)
{
    for (size_t i = 0; i < r->source_count; i++) {
        const repair_source *source = &r->sources[i];

        if (source->is_listed ? source->size == 0
                              : source->last_sequence != 0 &&
                                    source->id >= r->manifest.next_id) {
            return false;
        }
    }
    return !r->manifest.torn;
}

/*
 * A file that MANIFEST does not list is what a process that died has left, and
 * does not count; unless it is newer than MANIFEST, which is an old one then,
 * or MANIFEST is not complete: it may be what took the place of a file that is
 * not there, or have been listed.
 */
static bool counts_after_all(const repair *r, const repair_source *source,
                             uint64_t last, bool complete)
{
    return !source->is_used && !source->is_listed &&
           source->last_sequence != 0 &&
           (!complete || (source->last_sequence >= source->born &&
                          source->last_sequence >= r->manifest.next_sequence &&
                          source->last_sequence > last));
}

/* From the newest on: of each it is known then whether another follows. */
static cask_status read_used(repair *r, cask_error *err)
{
    cask_status status = CASK_OK;
    bool is_followed = false;

    for (size_t i = r->source_count; i > 0 && status == CASK_OK; i--) {
        repair_source *source = &r->sources[i - 1];

        source->is_followed = is_followed;
        status = read_source(r, (uint32_t)(i - 1), err);
        is_followed =
            is_followed || (source->is_used && source->kind == SEGMENT_LOG &&
                            source->last_sequence != 0);
    }
    return status;
}

cask_status repair_read_all(repair *r, cask_error *err)
{
    cask_status status = read_used(r, err);
    uint64_t last;
    bool complete;

    last = last_listed(r);
    complete = is_complete(r);
    for (uint32_t i = 0; i < r->source_count && status == CASK_OK; i++) {
        if (counts_after_all(r, &r->sources[i], last, complete)) {
            r->sources[i].is_used = true;
            repair_tell(
                r, &(cask_lost){
                       .at = {.file = r->sources[i].name,
                              .reason = "MANIFEST does not list it, but seems "
                                        "to be out of date: it was read, and "
                                        "keys that were deleted can be back"},
                       .harmless = complete});
            status = read_source(r, i, err);
        }
    }
    if (status == CASK_OK) {
        repair_tell_lost(r);
    }
    return status;
}
