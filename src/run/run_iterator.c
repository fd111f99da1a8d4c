/*
 * Walking over a run, see run_iterator.h.
 */
#include "run/run_iterator.h"

#include <inttypes.h>

enum { PREFETCH_BYTES = 1024, PREFETCH_LINE = 64, HEADS_IN_LINE = 8 };

enum { RECORD_STEP = 8 /* records begin at multiples of it */ };

/* ---- Damage ------------------------------------------------------------- */

static bool is_passed(const cask_run_iterator *it, cask_status status)
{
    return status == CASK_CORRUPT && it->passing != NULL;
}

static void tell(const cask_run_iterator *it, uint64_t offset)
{
    it->passing->pass(it->passing->context, it->run, offset);
}

/* Where the first record is that can be read, behind one that cannot; or the
 * end. */
static uint64_t behind_damage(const cask_run *run, uint64_t offset)
{
    run_record record;

    offset = run_read_header(run, offset, &record, NULL) == CASK_OK
                 ? record.next
                 : offset + RECORD_STEP;
    while (offset < run->footer.length &&
           run_read_record(run, offset, &record, NULL) == CASK_CORRUPT) {
        offset += RECORD_STEP;
    }
    return offset < run->footer.length ? offset : run->footer.length;
}

/* ---- Steps -------------------------------------------------------------- */

static cask_status arrive(cask_run_iterator *it, uint64_t offset,
                          const run_record *record, cask_run_entry *ret_entry)
{
    it->offset = offset;
    it->next = record->next;
    run_describe(it->run, record, ret_entry);
    return CASK_OK;
}

/* Read the record at *offset; if that is damaged and passed over, the one
 * behind it. CASK_NOT_FOUND: there is none. */
static cask_status read_from(const cask_run_iterator *it, uint64_t *offset,
                             run_record *ret_record, cask_error *err)
{
    cask_status status = run_read_record(it->run, *offset, ret_record, err);

    if (!is_passed(it, status)) {
        return status;
    }
    tell(it, *offset);
    *offset = behind_damage(it->run, *offset);
    return *offset < it->run->footer.length
               ? run_read_record(it->run, *offset, ret_record, err)
               : CASK_NOT_FOUND;
}

/* Go to the record at `offset`, at most the end of the records. */
static cask_status go_to(cask_run_iterator *it, uint64_t offset,
                         cask_run_entry *ret_entry, cask_error *err)
{
    run_record record;
    cask_status status;

    if (offset >= it->run->footer.length) {
        it->offset = 0;
        return CASK_NOT_FOUND;
    }
    status = read_from(it, &offset, &record, err);
    if (status != CASK_OK) {
        it->offset = 0;
        return status;
    }
    return arrive(it, offset, &record, ret_entry);
}

cask_status run_iterator_next(cask_run_iterator *it, cask_run_entry *ret_entry,
                              cask_error *err)
{
    const uint8_t *ahead = it->run->bytes + it->next + PREFETCH_BYTES;

    /* Beyond the end it does nothing. */
    __builtin_prefetch(ahead);
    __builtin_prefetch(ahead + PREFETCH_LINE);
    __builtin_prefetch(ahead + 2 * PREFETCH_LINE);
    it->noted = 0;
    return go_to(it, it->next, ret_entry, err);
}

/* The last fence in front of `offset`, which is behind the first one. */
static uint32_t fence_before(const cask_run *run, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = run->footer.fences;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (run_fence_offset(run, middle) < offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Note where the records begin from `from`, a fence, up to `limit`. */
static cask_status note_starts(cask_run_iterator *it, uint64_t from,
                               uint64_t limit, cask_error *err)
{
    const cask_run *run = it->run;
    uint64_t at = from;
    run_record record;
    uint32_t count = 0;

    while (at < limit && count < RUN_FENCE_RECORDS) {
        cask_status status = run_read_header(run, at, &record, err);

        if (is_passed(it, status)) {
            tell(it, at);
            at = behind_damage(run, at);
            continue;
        }
        if (status != CASK_OK) {
            return status;
        }
        it->starts[count++] = at;
        at = record.next;
    }
    if (at < limit || (at > limit && it->passing == NULL)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": the records before do not lead "
                    "there, but to offset %" PRIu64,
                    run->name, limit, at);
    }
    it->noted = count;
    return CASK_OK;
}

/* Go to the record before the one at `offset`, or before the end. */
static cask_status go_before(cask_run_iterator *it, uint64_t offset,
                             cask_run_entry *ret_entry, cask_error *err)
{
    const cask_run *run = it->run;

    it->offset = 0;
    while (offset > SEGMENT_HEADER_SIZE) {
        run_record record;
        cask_status status = CASK_OK;

        if (it->noted == 0) {
            uint64_t from = run_fence_offset(run, fence_before(run, offset));

            status = note_starts(it, from, offset, err);
            offset = from; /* if all between is damaged */
        }
        if (status == CASK_OK && it->noted == 0) {
            continue;
        }
        if (status == CASK_OK) {
            it->noted--;
            offset = it->starts[it->noted];
            status = run_read_record(run, offset, &record, err);
        }
        if (!is_passed(it, status)) {
            return status == CASK_OK ? arrive(it, offset, &record, ret_entry)
                                     : status;
        }
        tell(it, offset);
    }
    return CASK_NOT_FOUND;
}

cask_status run_iterator_previous(cask_run_iterator *it,
                                  cask_run_entry *ret_entry, cask_error *err)
{
    return go_before(it, it->offset, ret_entry, err);
}

/* ---- Seek --------------------------------------------------------------- */

/* A place between records: before the first one of a key, or behind the last
 * one. */
typedef struct boundary {
    cask_slice key;
    bool behind;
} boundary;

/* Whether a key is in front of the boundary. */
static bool is_before(cask_slice key, const boundary *where)
{
    int order = key_compare(key, where->key);

    return order < 0 || (order == 0 && where->behind);
}

/*
 * How many of `count` heads are less than `head`; they rise. Without a branch
 * that could be guessed wrong.
 */
static inline uint32_t count_less(const uint8_t *heads, uint32_t count,
                                  uint64_t head)
{
    const uint8_t *from = heads;
    uint32_t left = count;

    while (left > 1) {
        uint32_t half = left / 2;
        const uint8_t *middle = from + (uint64_t)half * sizeof(uint64_t);

        from = load_u64(middle - sizeof(uint64_t)) < head ? middle : from;
        left -= half;
    }
    return (uint32_t)((uint64_t)(from - heads) / sizeof(uint64_t)) +
           (left > 0 && load_u64(from) < head);
}

/* The first fence whose head is at least `head`: among all, then between two
 * of those that are kept apart, which stay in the nearest cache. */
static uint32_t first_head(const cask_run *run, uint64_t head)
{
    const uint8_t *heads = run->bytes + run->at[RUN_FENCES];
    uint32_t tops =
        count_less((const uint8_t *)run->tops, run->top_count, head);
    uint32_t from = tops > 0 ? (tops - 1) * RUN_TOP_FENCES : 0;
    uint32_t left = run->footer.fences - from;

    heads += (uint64_t)from * sizeof(uint64_t);
    left = left < RUN_TOP_FENCES ? left : RUN_TOP_FENCES;
    for (uint32_t i = 0; i < RUN_TOP_FENCES; i += HEADS_IN_LINE) {
        __builtin_prefetch(heads + (uint64_t)i * sizeof(uint64_t));
    }
    return from + count_less(heads, left, head);
}

/* The first fence, from `low` on, whose head is not `head`. */
static uint32_t first_other(const cask_run *run, uint32_t low, uint64_t head)
{
    if (low >= run->footer.fences || run_fence_head(run, low) != head) {
        return low;
    }
    return head < UINT64_MAX ? first_head(run, head + 1) : run->footer.fences;
}

/* Of a damaged record that is passed over the next one that can be read
 * decides: if that is in front of the boundary, so was it; if not, nobody
 * knows. */
__attribute__((cold)) static cask_status
find_before_damaged(const cask_run *run, uint64_t *offset,
                    const boundary *where, bool *ret_is_before, cask_error *err)
{
    const uint64_t at = behind_damage(run, *offset);
    run_record record;
    cask_status status;

    *offset = at;
    *ret_is_before = false;
    if (at == run->footer.length) {
        return CASK_OK;
    }
    status = run_read_record(run, at, &record, err);
    if (status == CASK_OK && is_before(run_record_key(&record), where)) {
        *ret_is_before = true;
        *offset = record.next;
    }
    return status;
}

/* Whether the record at *offset is in front of the boundary. If so, or if it is
 * passed over, *offset becomes that of the next one. */
static inline cask_status find_before(const cask_run_iterator *it,
                                      uint64_t *offset, const boundary *where,
                                      bool *ret_is_before, cask_error *err)
{
    run_record record;
    cask_status status = run_read_record(it->run, *offset, &record, err);

    if (is_passed(it, status)) {
        return find_before_damaged(it->run, offset, where, ret_is_before, err);
    }
    if (status == CASK_OK) {
        *ret_is_before = is_before(run_record_key(&record), where);
        *offset = *ret_is_before ? record.next : *offset;
    }
    return status;
}

/* How many fences are of keys in front of the boundary. Heads decide, where
 * they are equal the keys. */
static cask_status count_fences(const cask_run_iterator *it,
                                const boundary *where, uint32_t *ret_count,
                                cask_error *err)
{
    const cask_run *run = it->run;
    uint64_t head = run_head(where->key, run->skip);
    uint32_t low = first_head(run, head);
    uint32_t high = first_other(run, low, head);

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t offset = run_fence_offset(run, middle);
        bool is_low = false;
        cask_status status = find_before(it, &offset, where, &is_low, err);

        if (status != CASK_OK) {
            return status;
        }
        if (is_low) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_count = low;
    return CASK_OK;
}

/* Heads know nothing of the bytes that all keys share: < 0 if the key sorts
 * before all that begin with them, > 0 if behind. */
static int compare_shared(const cask_run *run, cask_slice key)
{
    cask_slice shared = {run->smallest.data, run->skip};
    cask_slice start = {key.data, key.size < run->skip ? key.size : run->skip};

    return key_compare(start, shared);
}

/* The offset of the first record behind the boundary, or of the end. */
static cask_status find_boundary(const cask_run_iterator *it,
                                 const boundary *where, uint64_t *ret_offset,
                                 cask_error *err)
{
    const cask_run *run = it->run;
    int order = compare_shared(run, where->key);
    uint64_t offset = SEGMENT_HEADER_SIZE;
    uint32_t count = 0;
    bool is_low = true;
    cask_status status;

    if (order != 0 || run->footer.records == 0) {
        *ret_offset = order < 0 ? offset : run->footer.length;
        return CASK_OK;
    }
    status = count_fences(it, where, &count, err);
    if (status != CASK_OK) {
        return status;
    }
    /* The boundary is among the records of the last of these fences. */
    offset = count > 0 ? run_fence_offset(run, count - 1) : offset;
    /* All at once: one after the other each line would be waited for. */
    for (uint64_t i = 0; i < RUN_FENCE_BYTES; i += PREFETCH_LINE) {
        __builtin_prefetch(run->bytes + offset + i);
    }
    while (is_low && offset < run->footer.length) {
        uint64_t at = offset;

        status = find_before(it, &offset, where, &is_low, err);
        if (status != CASK_OK) {
            return status;
        }
        if (!is_low && offset != at) {
            tell(it, at);
        }
    }
    *ret_offset = offset;
    return CASK_OK;
}

cask_status run_iterator_seek(cask_run_iterator *it, cask_run_seek how,
                              cask_slice key, cask_run_entry *ret_entry,
                              cask_error *err)
{
    const boundary where = {key, how == CASK_RUN_AT_MOST};
    uint64_t offset = SEGMENT_HEADER_SIZE;
    cask_status status = CASK_OK;

    it->offset = 0;
    it->noted = 0;
    if (how == CASK_RUN_LAST) {
        offset = it->run->footer.length;
    } else if (how != CASK_RUN_FIRST) {
        status = find_boundary(it, &where, &offset, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    return how == CASK_RUN_FIRST || how == CASK_RUN_AT_LEAST
               ? go_to(it, offset, ret_entry, err)
               : go_before(it, offset, ret_entry, err);
}
