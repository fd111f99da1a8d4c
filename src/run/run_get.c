/*
 * Looking a key up in a run, see run_read.h: filter, index, record, and the
 * ranges that may hide it.
 */
#include <assert.h>

#include "base/buffer.h"
#include "run/run_line.h"
#include "run/run_read.h"

/* A record of usual size has several cache lines: wait for all at once. */
static inline void prefetch_record(const uint8_t *bytes)
{
    /* Beyond the end it does nothing. */
    __builtin_prefetch(bytes);
    __builtin_prefetch(bytes + RUN_LINE_SIZE);
    __builtin_prefetch(bytes + (uint64_t)2 * RUN_LINE_SIZE);
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
    cask_status status;
    cask_slice found;

    prefetch_record(run->bytes + offset);
    status = run_read_header(run, offset, ret_record, err);
    if (status != CASK_OK) {
        return status;
    }
    found = run_record_key(ret_record);
    if (found.size == key.size &&
        (key.size == 0 || memcmp(found.data, key.data, key.size) == 0)) {
        return CASK_OK;
    }
    status = run_read_record(run, offset, ret_record, err);
    return status == CASK_OK ? CASK_NOT_FOUND : status;
}

/*
 * The newest record of the key, by the index. CASK_NOT_FOUND: there is none.
 * The processor works on several of these at once, as far as it can look ahead:
 * every instruction saved here counts twice.
 */
static cask_status find(const cask_run *run, const run_wanted *wanted,
                        run_record *ret_record, cask_error *err)
{
    uint64_t hash = wanted->hash;
    uint32_t lines = run->footer.index_lines;
    const uint8_t *index = run->bytes + run->at[RUN_INDEX];
    uint64_t at = run_line(hash, lines);

    __builtin_prefetch(index + at * RUN_LINE_SIZE);
    if (!filter_allows(run, hash)) {
        return CASK_NOT_FOUND;
    }
    /* One turn at most: in a crafted index no line may have room. */
    for (uint32_t i = 0; i < lines; i++) {
        const uint8_t *line = index + at * RUN_LINE_SIZE;
        uint32_t same = run_line_match(line, hash, run->place_bits);

        for (; same != 0; same &= same - 1) {
            uint32_t entry =
                run_line_entry(line, (uint32_t)__builtin_ctz(same));
            cask_status status;

            if (entry == 0) {
                return CASK_NOT_FOUND;
            }
            status = match(run, run_index_offset(entry, run->place_bits),
                           wanted->key, ret_record, err);
            if (status != CASK_NOT_FOUND) {
                return status;
            }
        }
        if (!run_line_is_full(line)) {
            return CASK_NOT_FOUND;
        }
        at = at + 1 < lines ? at + 1 : 0;
    }
    return CASK_NOT_FOUND;
}

/* Of the key's versions, which follow each other, the newest up to a sequence
 * of the file; ranges between them are passed over. */
static cask_status find_version(const cask_run *run, const run_wanted *wanted,
                                uint64_t max_sequence, run_record *record,
                                cask_error *err)
{
    cask_status status = find(run, wanted, record, err);

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
            key_compare(run_record_key(record), wanted->key) != 0) {
            return CASK_NOT_FOUND;
        }
    }
    return status;
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
    const record_header *header = &record->header;
    cask_status status = buffer_reserve(ret_value, header->value_size, err);

    if (status != CASK_OK) {
        return status;
    }
    if (!record_copy_value(run->bytes + record->offset, header, key.data,
                           run_seed(run, record->offset), ret_value->data)) {
        return run_fail_body(run, record->offset, err);
    }
    return run_check_kind(run, record, err);
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
        run_describe(run, &record, ret_entry);
        ret_value->size = ret_entry->value.size;
        ret_entry->value.data = ret_value->data;
    }
    return status;
}

/* Step by step: whatever it is, and whatever is wrong. Apart, so that what it
 * keeps in registers costs nobody else. */
__attribute__((noinline)) static cask_status
get_any(const cask_run *run, const run_wanted *wanted, cask_buffer *ret_value,
        cask_run_entry *ret_entry, cask_error *err)
{
    const uint64_t added = run->added_sequence;
    const cask_slice key = wanted->key;
    uint64_t limit = wanted->max_sequence - 1 < RECORD_SEQUENCE_MAX
                         ? wanted->max_sequence
                         : RECORD_SEQUENCE_MAX;
    int64_t limit_in_file = (int64_t)(limit - added);
    run_record record;
    cask_status status = find_version(
        run, wanted, limit_in_file > 0 ? (uint64_t)limit_in_file : 0, &record,
        err);
    const run_range *range = NULL;

    if (status != CASK_OK && status != CASK_NOT_FOUND) {
        return status;
    }
    if (run->footer.ranges > 0) {
        range = run_ranges_find(&run->ranges, key, limit);
    }
    if (range != NULL && (status == CASK_NOT_FOUND ||
                          range->sequence > record.header.sequence + added)) {
        return read_range(run, range, ret_value, ret_entry, err);
    }
    if (status == CASK_OK) {
        status = copy_value(run, &record, key, ret_value, err);
    }
    if (status == CASK_OK) {
        run_describe_as(run, &record.header, record.body, key, ret_value->data,
                        ret_entry);
        ret_value->size = ret_entry->value.size;
    }
    return status;
}

/* The offset of the first record that the index names for the key. 0: the
 * answer takes more. */
static inline uint64_t first_place(const cask_run *run, uint64_t hash)
{
    uint64_t at = run_line(hash, run->footer.index_lines);
    const uint8_t *line = run->bytes + run->at[RUN_INDEX] + at * RUN_LINE_SIZE;
    uint32_t same;

    __builtin_prefetch(line);
    if (!filter_allows(run, hash)) {
        return 0;
    }
    same = run_line_match(line, hash, run->place_bits);
    if (same == 0) {
        return 0;
    }
    return run_index_offset(run_line_entry(line, (uint32_t)__builtin_ctz(same)),
                            run->place_bits);
}

/*
 * What nearly all gets are, at once: the newest version, a put, and the first
 * record that the index names is the key's. The processor works ahead on the
 * next get while it waits for this one's record, so each instruction that is
 * left out here counts twice. false: nothing is known; get_any() tells.
 */
static inline bool get_usual(const cask_run *run, const run_wanted *look,
                             cask_buffer *ret_value, cask_run_entry *ret_entry)
{
    uint64_t offset = first_place(run, look->hash);
    const cask_slice key = look->key;
    const uint8_t *bytes = run->bytes + offset;
    const record_wanted wanted = {key.data, key.size, ret_value->data,
                                  ret_value->capacity,
                                  run->footer.length - offset};
    record_header header;

    if (!run_is_place(run, offset) ||
        !record_take(bytes, run_seed(run, offset), &wanted, &header)) {
        return false;
    }
    run_describe_as(run, &header, bytes + RECORD_HEADER_SIZE, key,
                    ret_value->data, ret_entry);
    ret_value->size = header.value_size;
    return true;
}

static inline cask_status get(const cask_run *run, const run_wanted *wanted,
                              cask_buffer *ret_value, cask_run_entry *ret_entry,
                              cask_error *err)
{
    if (run->is_usual && wanted->max_sequence == 0 && wanted->key.size > 0 &&
        ret_value->capacity > 0 &&
        get_usual(run, wanted, ret_value, ret_entry)) {
        return CASK_OK;
    }
    return get_any(run, wanted, ret_value, ret_entry, err);
}

cask_status run_get(const cask_run *run, cask_slice key, uint64_t max_sequence,
                    cask_buffer *ret_value, cask_run_entry *ret_entry,
                    cask_error *err)
{
    const run_wanted wanted = {
        key, run_hash(run->footer.hash_key, key.data, key.size), max_sequence};

    return get(run, &wanted, ret_value, ret_entry, err);
}

cask_status run_get_hashed(const cask_run *run, const run_wanted *wanted,
                           cask_buffer *ret_value, cask_run_entry *ret_entry,
                           cask_error *err)
{
    assert(wanted->hash ==
           run_hash(run->footer.hash_key, wanted->key.data, wanted->key.size));
    return get(run, wanted, ret_value, ret_entry, err);
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
