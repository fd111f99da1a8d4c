/*
 * Verify: a run. All of it is read: what an open reads, then each record, and
 * from the records what index, filters, fences, bounds and counts must be. So a
 * run that was made wrongly is found as well as one that was damaged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/place.h"
#include "db/verification.h"
#include "run/run_counts.h"
#include "run/run_pointer.h"

typedef struct run_check {
    verification *v;
    const manifest_state *manifest;
    const manifest_run *listed; /* by it */
    const mapped *file;
    const cask_run *run; /* NULL: what surrounds the records is damaged */
    run_footer says;
    run_counts counts; /* as the records are */
    uint32_t fences;
    uint64_t told; /* offset of a problem that an open has found */

    uint64_t offset; /* of the record, and what was before it: */
    cask_slice key;
    uint64_t sequence;
    bool is_unproven; /* damage comes before it, maybe of its key, too */
    uint64_t fence_offset;
    cask_slice prefix;
    uint64_t prefixes;
    cask_slice smallest;
    cask_slice end;
    uint64_t *segment_bytes; /* for each row of segments; owned */
    verify_values values;    /* likewise */
    bool is_partial;         /* some records are damaged: counts prove nothing
                              */
} run_check;

static void tell(run_check *c, uint64_t offset, uint64_t size,
                 const char *reason)
{
    verify_problem(c->v, c->file->name, offset, size, reason);
}

/* ---- What leads to a record ---------------------------------------------- */

static bool is_in_index(const run_check *c, uint64_t hash)
{
    const uint8_t *index = c->run->bytes + c->run->at[RUN_INDEX];
    uint64_t entries = (uint64_t)c->says.index_lines * RUN_LINE_ENTRIES;
    uint32_t wanted = run_index_entry(hash, c->offset, c->run->place_bits);
    uint64_t at =
        (uint64_t)run_line(hash, c->says.index_lines) * RUN_LINE_ENTRIES;

    for (uint64_t i = 0; i < entries; i++) {
        uint32_t entry = load_u32(index + at * sizeof(uint32_t));

        if (entry == wanted || entry == 0) {
            return entry == wanted;
        }
        at = at + 1 < entries ? at + 1 : 0;
    }
    return false;
}

static bool is_in_filter(const run_check *c, run_section section,
                         uint32_t lines, cask_slice key)
{
    uint64_t hash = run_hash(c->says.hash_key, key.data, key.size);

    return lines == 0 ||
           run_filter_has(c->run->bytes + c->run->at[section], lines, hash);
}

static bool same(cask_slice a, cask_slice b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void check_prefix(run_check *c, cask_slice key)
{
    cask_slice prefix = {key.data, c->says.prefix_bytes};

    if (prefix.size == 0 || key.size < prefix.size) {
        return;
    }
    if (c->prefixes == 0 || !same(prefix, c->prefix)) {
        c->prefixes++;
        c->prefix = prefix;
    }
    if (!is_in_filter(c, RUN_PREFIXES, c->says.prefix_lines, prefix)) {
        tell(c, c->offset, 0,
             "the filter of prefixes denies that this record is there");
    }
}

/* The newest record of a key, other than a range. */
static void check_key(run_check *c, cask_slice key)
{
    uint64_t hash = run_hash(c->says.hash_key, key.data, key.size);

    if (c->run == NULL || c->is_unproven) {
        return;
    }
    if (!is_in_index(c, hash)) {
        tell(c, c->offset, 0, "the index does not lead to this record");
    }
    if (!is_in_filter(c, RUN_FILTER, c->says.filter_lines, key)) {
        tell(c, c->offset, 0, "the filter denies that this record is there");
    }
    check_prefix(c, key);
}

static void check_fence(run_check *c, cask_slice key)
{
    uint32_t index = c->fences;

    if (c->run == NULL ||
        (index > 0 && c->offset - c->fence_offset < RUN_FENCE_BYTES)) {
        return;
    }
    if (index >= c->says.fences ||
        run_fence_offset(c->run, index) != c->offset ||
        run_fence_head(c->run, index) != run_head(key, c->run->skip)) {
        tell(c, c->offset, 0, "no fence leads to this record");
    }
    c->fences++;
    c->fence_offset = c->offset;
}

/* ---- A record ------------------------------------------------------------ */

static void check_range(run_check *c, cask_slice end)
{
    const uint8_t *rows;

    end = key_end_of(end);
    if (c->counts.ranges == 0 || key_compare(end, c->end) > 0) {
        c->end = end;
    }
    if (c->run != NULL && c->counts.ranges < c->says.ranges) {
        rows = c->run->bytes + c->run->at[RUN_RANGES];
        rows += (uint64_t)c->counts.ranges * RUN_RANGE_SIZE;
        if ((uint64_t)load_u32(rows) * 8 != c->offset) {
            tell(c, c->offset, 0, "the row of this deleted range is wrong");
        }
    }
}

/* The value that it names must be there. */
static void follow(run_check *c, const cask_run_entry *pointer, uint32_t row)
{
    const cask_run *values = c->values.of[row];
    cask_error why = {CASK_OK, 0, ""};
    char text[sizeof(why.message) + 64];
    cask_slice value;

    if (values != NULL &&
        run_read_value(values, pointer, &value, &why) != CASK_OK) {
        (void)snprintf(text, sizeof(text),
                       "the value that it points to cannot be read: %s",
                       why.message);
        tell(c, c->offset, 0, text);
    }
}

/* Bytes of a pointer's record count for the segment that it is in. */
static void check_pointer(run_check *c, const run_record *record)
{
    cask_run_entry pointer;

    if (c->run == NULL) {
        return;
    }
    run_describe(c->run, record, &pointer);
    for (uint32_t i = 0; i < c->says.segments; i++) {
        if (run_named_at(c->run, i).id == pointer.pointer.segment_id) {
            c->segment_bytes[i] += pointer.pointer.size_bytes;
            follow(c, &pointer, i);
            return;
        }
    }
    tell(c, c->offset, 0, "points to a segment that the run does not name");
}

static void check_order(run_check *c, cask_slice key, uint64_t sequence,
                        bool *ret_new)
{
    int order = c->counts.records == 0 ? -1 : key_compare(c->key, key);

    *ret_new = order != 0;
    if (order > 0 || (order == 0 && sequence >= c->sequence)) {
        tell(c, c->offset, 0,
             "the record is not behind the one before it: keys rise, and of "
             "one key sequences fall");
    }
}

static cask_info info_of(const record_header *header, const uint8_t *body)
{
    return (cask_info){
        .sequence = header->sequence,
        .time_s = header->time_s,
        .expires_at_ms = record_expiry_size(header) != 0 ? load_u64(body) : 0};
}

static void check_sound(run_check *c, const record_header *header,
                        const uint8_t *body)
{
    const uint8_t *bytes = body + record_expiry_size(header);
    cask_slice key = {bytes, header->key_size};
    const uint8_t kind = record_kind(header);
    const cask_info info = info_of(header, body);
    bool is_new;

    check_order(c, key, header->sequence, &is_new);
    c->is_unproven = c->is_unproven && !is_new;
    if (c->counts.records == 0) {
        c->smallest = key;
    }
    check_fence(c, key);
    if (kind == RECORD_RANGE_DELETE) {
        check_range(c, (cask_slice){bytes + key.size, header->value_size});
    }
    if (run_counts_add(&c->counts, (cask_run_kind)kind, &info, is_new)) {
        check_key(c, key);
    }
    if (kind == RECORD_POINTER) {
        check_pointer(c, &(run_record){.offset = c->offset,
                                       .header = *header,
                                       .body = body});
    }
    c->key = key;
    c->sequence = header->sequence;
}

/* Its checksums are right. */
static void check_record(run_check *c, const record_header *header)
{
    const uint8_t *bytes = c->file->memory;
    const uint8_t *body = bytes + c->offset + RECORD_HEADER_SIZE;
    const char *problem = run_record_is_known(header)
                              ? run_record_problem(header, body)
                              : "a record type that this version does not know";

    if (problem != NULL) {
        c->is_partial = true;
        if (c->offset != c->told) {
            tell(c, c->offset, record_size(header), problem);
        }
        return;
    }
    c->v->report.records++;
    c->v->report.bytes += record_size(header);
    check_sound(c, header, body);
}

/* ---- Records ------------------------------------------------------------- */

/* Whether a whole record is at `offset`. */
static bool is_record(const run_check *c, uint64_t offset,
                      record_header *ret_header)
{
    const uint8_t *bytes = c->file->memory;
    record_seed seed = {c->says.nonce, offset};

    return c->says.length - offset >= RECORD_HEADER_SIZE &&
           record_read(bytes + offset, c->says.length - offset, seed,
                       ret_header);
}

/* Where records go on, behind one that does not verify. */
static uint64_t next_record(const run_check *c)
{
    uint64_t at = c->offset + 8;
    record_header header;

    while (at < c->says.length && !is_record(c, at, &header)) {
        at += 8;
    }
    return at;
}

/* Fences are known of what is damaged, too. */
static void pass_fences(run_check *c, uint64_t next)
{
    while (c->run != NULL && c->fences < c->says.fences &&
           run_fence_offset(c->run, c->fences) < next) {
        c->fence_offset = run_fence_offset(c->run, c->fences);
        c->fences++;
    }
}

static void pass_damage(run_check *c)
{
    uint64_t next = next_record(c);

    if (c->told != c->offset) {
        tell(c, c->offset, next - c->offset, "no record verifies here");
    }
    c->is_partial = true;
    c->is_unproven = true;
    pass_fences(c, next);
    c->offset = next;
}

static void check_records(run_check *c)
{
    record_header header;

    c->offset = SEGMENT_HEADER_SIZE;
    while (c->offset < c->says.length) {
        if (!is_record(c, c->offset, &header)) {
            pass_damage(c);
            continue;
        }
        check_record(c, &header);
        c->offset += record_size(&header);
    }
}

/* ---- Counts -------------------------------------------------------------- */

static void check_count(run_check *c, const char *what, uint64_t says,
                        uint64_t is)
{
    char text[160];

    if (says != is) {
        (void)snprintf(text, sizeof(text),
                       "the footer says %s %" PRIu64
                       ", by the records it is %" PRIu64,
                       what, says, is);
        tell(c, c->file->size - RUN_FOOTER_SIZE, RUN_FOOTER_SIZE, text);
    }
}

static void check_counts(run_check *c)
{
    run_count counts[RUN_COUNTS];

    run_counts_compare(&c->counts, &c->says, counts);
    for (size_t i = 0; i < RUN_COUNTS; i++) {
        check_count(c, counts[i].what, counts[i].says, counts[i].is);
    }
    check_count(c, "fences", c->says.fences, c->fences);
    check_count(c, "lines of prefixes", c->says.prefix_lines,
                run_filter_lines(c->prefixes));
}

static void check_bounds(run_check *c)
{
    const cask_run *run = c->run;
    cask_slice none = {NULL, 0};

    if (!same(run->smallest, c->smallest) || !same(run->largest, c->key) ||
        !same(run->end, c->counts.ranges > 0 ? c->end : none)) {
        tell(c, run->at[RUN_BOUNDS], run_section_bytes(&c->says, RUN_BOUNDS),
             "the bounds are not those of the records");
    }
}

/* Each key has its entry; one more leads nowhere. */
static void check_index(run_check *c)
{
    const uint8_t *index = c->run->bytes + c->run->at[RUN_INDEX];
    uint64_t entries = (uint64_t)c->says.index_lines * RUN_LINE_ENTRIES;
    uint64_t used = 0;

    for (uint64_t i = 0; i < entries; i++) {
        used += load_u32(index + i * sizeof(uint32_t)) != 0 ? 1 : 0;
    }
    if (used != c->counts.keys) {
        tell(c, c->run->at[RUN_INDEX], run_section_bytes(&c->says, RUN_INDEX),
             "the index has other entries than there are keys");
    }
}

static void check_segments(run_check *c)
{
    uint64_t at = c->run->at[RUN_SEGMENTS];

    for (uint32_t i = 0; i < c->says.segments; i++, at += RUN_SEGMENT_SIZE) {
        if (run_named_at(c->run, i).bytes != c->segment_bytes[i]) {
            tell(c, at, RUN_SEGMENT_SIZE,
                 "the row counts other bytes than pointers have in this "
                 "segment");
        }
    }
}

/* ---- The file ------------------------------------------------------------ */

/* The header of a run that could be opened. */
static void check_header(run_check *c)
{
    const manifest_run *listed = c->listed;
    segment_kind kind =
        listed->level == MANIFEST_VALUES ? SEGMENT_VALUES : SEGMENT_RUN;
    segment_header header = {.id = 0};

    if (segment_header_decode(c->file->memory, c->file->name, &header, NULL) !=
            CASK_OK ||
        header.kind != kind || header.id != listed->id ||
        header.nonce != listed->nonce ||
        memcmp(header.uuid, c->v->identity.uuid, sizeof(header.uuid)) != 0) {
        tell(c, 0, SEGMENT_HEADER_SIZE, "belongs to another run or store");
    } else if (c->file->size != listed->bytes) {
        tell(c, 0, c->file->size, "MANIFEST names a run of another size");
    }
}

/* CASK_CORRUPT: told; what the footer says is known if it is whole. */
static cask_status open_run(run_check *c, cask_run **ret_run, cask_error *err)
{
    const mapped *file = c->file;
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        run_open_bytes(file->memory, file->size, file->name, ret_run, &local);

    if (status == CASK_OK) {
        c->says = (*ret_run)->footer;
        check_header(c);
        return CASK_OK;
    }
    if (status != CASK_CORRUPT && status != CASK_UNSUPPORTED) {
        return fail_again(err, &local);
    }
    verify_failure(c->v, file->name, &local, NULL);
    c->told = place_in_message(local.message, c->v->path, file->name).offset;
    return CASK_CORRUPT;
}

/* By a footer that is whole, though the rest could not be used. */
static bool take_footer(run_check *c)
{
    const mapped *file = c->file;
    const uint8_t *bytes = file->memory;
    uint64_t offset = file->size - RUN_FOOTER_SIZE;

    return file->size >= SEGMENT_HEADER_SIZE + RUN_FOOTER_SIZE &&
           file->size % 8 == 0 &&
           run_footer_decode(bytes + offset, file->name, offset, &c->says,
                             NULL) == CASK_OK;
}

static cask_status check_content(run_check *c, cask_error *err)
{
    cask_status status = CASK_OK;

    c->segment_bytes =
        calloc(c->says.segments + (size_t)1, sizeof(*c->segment_bytes));
    if (c->segment_bytes == NULL) {
        return fail_memory(err, c->says.segments * sizeof(uint64_t));
    }
    if (c->run != NULL) {
        status = verify_values_open(c->v, c->manifest, c->run, &c->values, err);
    }
    if (status == CASK_OK) {
        check_records(c);
    }
    if (status == CASK_OK && c->run != NULL && !c->is_partial) {
        check_counts(c);
        check_bounds(c);
        check_index(c);
        check_segments(c);
    }
    verify_values_close(&c->values);
    free(c->segment_bytes);
    return status;
}

static cask_status check_run(run_check *c, verify_run_fn visit, void *context,
                             cask_error *err)
{
    cask_run *run = NULL;
    cask_status status = open_run(c, &run, err);

    c->run = run;
    if (status == CASK_OK || (status == CASK_CORRUPT && take_footer(c))) {
        status = check_content(c, err);
    } else if (status == CASK_CORRUPT) {
        status = CASK_OK;
    }
    if (status == CASK_OK && run != NULL && visit != NULL) {
        status = visit(context, c->listed, run, err);
    }
    run_close(run);
    return status;
}

cask_status verify_run(verification *v, const manifest_state *manifest,
                       const manifest_run *listed, verify_run_fn visit,
                       void *context, cask_error *err)
{
    mapped file = {.file = NULL};
    run_check c = {.v = v,
                   .manifest = manifest,
                   .listed = listed,
                   .file = &file,
                   .told = UINT64_MAX};
    cask_status status;

    run_name_format(listed->id, file.name);
    status = verify_map(v, &file, err);
    if (status == CASK_UNSUPPORTED) {
        verify_problem(v, file.name, 0, listed->bytes,
                       "is a link or no plain file: ignored");
        return CASK_OK;
    }
    if (status != CASK_OK) {
        return status == CASK_NOT_FOUND
                   ? status
                   : verify_refused(v, file.name, status, err);
    }
    status = check_run(&c, visit, context, err);
    verify_progress(v, file.size);
    verify_unmap(v, &file);
    return status;
}
