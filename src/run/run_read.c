/*
 * Records of a run, and the look-up of a key, see run_read.h.
 */
#include "run/run_read.h"

#include <inttypes.h>

#include "base/buffer.h"
#include "base/crc32c.h"

/* ---- Records ------------------------------------------------------------ */

static record_seed seed_at(const cask_run *run, uint64_t offset)
{
    return (record_seed){run->footer.nonce, offset};
}

static cask_status fail_record(const cask_run *run, uint64_t offset,
                               const char *what, cask_error *err)
{
    (void)fail(err, CASK_CORRUPT, 0,
               "%s: offset %" PRIu64 ": the record does not verify: %s",
               run->name, offset, what);
    return CASK_CORRUPT;
}

cask_status run_read_header(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err)
{
    uint64_t length = run->footer.length;
    run_record record = {.offset = offset};
    const uint8_t *bytes;

    if (offset < SEGMENT_HEADER_SIZE || offset % 8 != 0 || offset >= length ||
        length - offset < RECORD_HEADER_SIZE) {
        return fail_record(run, offset, "it is not among the records", err);
    }
    bytes = run->bytes + offset;
    if (!record_decode_header(bytes, seed_at(run, offset), &record.header)) {
        return fail_record(run, offset, "its header's check is wrong", err);
    }
    if (record_size(&record.header) > length - offset) {
        return fail_record(run, offset, "it ends behind the records", err);
    }
    if (!run_record_is_known(&record.header)) {
        (void)fail(err, CASK_UNSUPPORTED, 0,
                   "%s: offset %" PRIu64 ": type of the record is %02x, which "
                   "this program does not know; use a newer Caskade",
                   run->name, offset, record.header.type);
        return CASK_UNSUPPORTED;
    }
    record.body = bytes + RECORD_HEADER_SIZE;
    record.next = offset + record_size(&record.header);
    *ret_record = record;
    return CASK_OK;
}

/* The rest, with the checksum of the body, of which `body` may be a copy. */
static cask_status check_body(const cask_run *run, const run_record *record,
                              uint32_t body_crc, cask_error *err)
{
    const uint8_t *bytes = run->bytes + record->offset;
    const char *problem;

    if (!record_verify(bytes, body_crc, seed_at(run, record->offset))) {
        return fail_record(run, record->offset, "its crc32c is wrong", err);
    }
    problem = run_record_problem(&record->header, record->body);
    return problem == NULL ? CASK_OK
                           : fail_record(run, record->offset, problem, err);
}

cask_status run_read_record(const cask_run *run, uint64_t offset,
                            run_record *ret_record, cask_error *err)
{
    run_record record = {0};
    cask_status status = run_read_header(run, offset, &record, err);

    if (status == CASK_OK) {
        status = check_body(
            run, &record,
            crc32c(0, record.body, record_body_size(&record.header)), err);
    }
    if (status == CASK_OK) {
        *ret_record = record;
    }
    return status;
}

void run_describe(const run_record *record, cask_run_entry *ret_entry)
{
    const record_header *header = &record->header;
    cask_slice key = run_record_key(record);
    const uint8_t *value = (const uint8_t *)key.data + key.size;

    *ret_entry = (cask_run_entry){.kind = (cask_run_kind)record_kind(header),
                                  .key = key,
                                  .value = {value, header->value_size},
                                  .info = {.sequence = header->sequence,
                                           .time_s = header->time_s,
                                           .value_bytes = header->value_size}};
    if ((header->type & RECORD_EXPIRES) != 0) {
        ret_entry->info.expires_at_ms = load_u64(record->body);
    }
    if (ret_entry->kind == CASK_RUN_POINTER) {
        run_pointer pointer = run_pointer_decode(value);

        ret_entry->pointer.segment_id = pointer.segment_id;
        ret_entry->pointer.offset = pointer.offset;
        ret_entry->pointer.size_bytes = pointer.size_bytes;
        ret_entry->value = (cask_slice){0};
        ret_entry->info.value_bytes = 0;
    }
}

/* ---- Look-up ------------------------------------------------------------ */

enum { PREFETCH_LINES = 3 };

/* A record of usual size has several cache lines: wait for all at once. */
static void prefetch_record(const cask_run *run, uint64_t offset)
{
    for (uint64_t i = 0; i < PREFETCH_LINES; i++) {
        /* Beyond the end it does nothing. */
        __builtin_prefetch(run->bytes + offset + i * RUN_LINE_SIZE);
    }
}

static bool filter_allows(const cask_run *run, uint64_t hash)
{
    uint32_t lines = run->footer.filter_lines;

    return lines == 0 ||
           run_filter_has(run->bytes + run->at[RUN_FILTER], lines, hash);
}

/*
 * Whether the record at `offset` is one of the key. CASK_OK: it is, its header
 * is right; CASK_NOT_FOUND: it is of another one, verified as a whole: had it
 * been this key's, damaged, it would be missed otherwise.
 */
static cask_status match(const cask_run *run, uint64_t offset, cask_slice key,
                         run_record *ret_record, cask_error *err)
{
    cask_status status = run_read_header(run, offset, ret_record, err);

    if (status != CASK_OK) {
        return status;
    }
    if (run_compare(run_record_key(ret_record), key) == 0) {
        return CASK_OK;
    }
    status = run_read_record(run, offset, ret_record, err);
    return status == CASK_OK ? CASK_NOT_FOUND : status;
}

/* The newest record of the key, by the index. CASK_NOT_FOUND: there is none. */
static cask_status find(const cask_run *run, cask_slice key,
                        run_record *ret_record, cask_error *err)
{
    uint64_t hash = run_hash(run->footer.hash_key, key.data, key.size);
    uint64_t entries = (uint64_t)run->footer.index_lines * RUN_LINE_ENTRIES;
    const uint8_t *index = run->bytes + run->at[RUN_INDEX];
    cask_status status = CASK_NOT_FOUND;
    uint64_t at;

    if (entries == 0) {
        return CASK_NOT_FOUND;
    }
    at = (uint64_t)run_line(hash, run->footer.index_lines) * RUN_LINE_ENTRIES;
    __builtin_prefetch(index + at * sizeof(uint32_t));
    if (!filter_allows(run, hash)) {
        return CASK_NOT_FOUND;
    }
    /* One turn at most: in a crafted index no entry may be free. */
    for (uint64_t i = 0; i < entries && status == CASK_NOT_FOUND; i++) {
        uint32_t entry = load_u32(index + at * sizeof(uint32_t));

        if (entry == 0) {
            return CASK_NOT_FOUND;
        }
        if (run_index_matches(entry, hash, run->place_bits)) {
            uint64_t offset = run_index_offset(entry, run->place_bits);

            prefetch_record(run, offset);
            status = match(run, offset, key, ret_record, err);
        }
        at = at + 1 < entries ? at + 1 : 0;
    }
    return status;
}

/* Of the key's versions, which follow each other, the newest up to a sequence;
 * ranges between them are passed over. */
static cask_status find_version(const cask_run *run, cask_slice key,
                                uint64_t max_sequence, run_record *record,
                                cask_error *err)
{
    cask_status status = find(run, key, record, err);

    /* Its own check has told the header; to be passed over, it must be proven
     * that there is something to pass over. */
    if (status == CASK_OK && record->header.sequence > max_sequence) {
        status = run_read_record(run, record->offset, record, err);
    }
    while (status == CASK_OK &&
           (record->header.sequence > max_sequence ||
            record_kind(&record->header) == RECORD_RANGE_DELETE)) {
        uint64_t next = record->next;

        if (next >= run->footer.length) {
            return CASK_NOT_FOUND;
        }
        status = run_read_record(run, next, record, err);
        if (status == CASK_OK &&
            run_compare(run_record_key(record), key) != 0) {
            return CASK_NOT_FOUND;
        }
    }
    return status;
}

/* The newest range up to a sequence that deletes the key, or NULL. */
static const run_range *find_range(const cask_run *run, cask_slice key,
                                   uint64_t max_sequence)
{
    const run_range *best = NULL;

    for (uint32_t i = 0; i < run->footer.ranges; i++) {
        const run_range *range = &run->ranges[i];

        if (run_compare(range->start, key) > 0) {
            break;
        }
        if (run_compare(key, range->end) < 0 &&
            range->sequence <= max_sequence &&
            (best == NULL || range->sequence > best->sequence)) {
            best = range;
        }
    }
    return best;
}

/*
 * Copy the record's value, whose size is the caller's to set, and verify the
 * copy, with the caller's key: what the caller gets is what was put under this
 * key, whatever has become of the file since its header was read.
 */
static cask_status copy_value(const cask_run *run, const run_record *record,
                              cask_slice key, cask_buffer *ret_value,
                              cask_error *err)
{
    uint32_t expiry_size = record_expiry_size(&record->header);
    const uint8_t *value = record->body + expiry_size + key.size;
    size_t size = record->header.value_size;
    cask_status status = buffer_reserve(ret_value, size, err);
    uint32_t crc;

    if (status != CASK_OK) {
        return status;
    }
    if (size > 0) {
        memcpy(ret_value->data, value, size);
    }
    crc = crc32c(0, record->body, expiry_size);
    crc = crc32c(crc, key.data, key.size);
    crc = crc32c(crc, ret_value->data, size);
    return check_body(run, record, crc, err);
}

static cask_status read_range(const cask_run *run, const run_range *range,
                              cask_buffer *ret_value, cask_run_entry *ret_entry,
                              cask_error *err)
{
    run_record record;
    cask_status status = run_read_record(run, range->offset, &record, err);

    if (status == CASK_OK) {
        status =
            copy_value(run, &record, run_record_key(&record), ret_value, err);
    }
    if (status == CASK_OK) {
        run_describe(&record, ret_entry);
        ret_value->size = ret_entry->value.size;
        ret_entry->value.data = ret_value->data;
    }
    return status;
}

cask_status run_get(const cask_run *run, cask_slice key, uint64_t max_sequence,
                    cask_buffer *ret_value, cask_run_entry *ret_entry,
                    cask_error *err)
{
    uint64_t limit = max_sequence != 0 ? max_sequence : RECORD_SEQUENCE_MAX;
    run_record record = {0};
    cask_status status = find_version(run, key, limit, &record, err);
    const run_range *range = NULL;

    if (status != CASK_OK && status != CASK_NOT_FOUND) {
        return status;
    }
    if (run->footer.ranges > 0) {
        range = find_range(run, key, limit);
    }
    if (range != NULL && (status == CASK_NOT_FOUND ||
                          range->sequence > record.header.sequence)) {
        return read_range(run, range, ret_value, ret_entry, err);
    }
    if (status == CASK_OK) {
        status = copy_value(run, &record, key, ret_value, err);
    }
    if (status == CASK_OK) {
        run_describe(&record, ret_entry);
        ret_entry->key = key;
        ret_value->size = ret_entry->value.size;
        ret_entry->value.data = ret_value->data;
    }
    return status;
}

bool run_may_have_prefix(const cask_run *run, cask_slice prefix)
{
    const run_footer *footer = &run->footer;
    uint64_t hash;

    if (footer->prefix_bytes == 0 || prefix.size < footer->prefix_bytes) {
        return true;
    }
    hash = run_hash(footer->hash_key, prefix.data, footer->prefix_bytes);
    return footer->prefix_lines > 0 &&
           run_filter_has(run->bytes + run->at[RUN_PREFIXES],
                          footer->prefix_lines, hash);
}
