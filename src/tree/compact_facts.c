/*
 * Facts of runs, see compact_facts.h.
 */
#include "tree/compact_facts.h"

#include <assert.h>
#include <stdlib.h>

#include "run/run_iterator.h"
#include "run/run_pointer.h"
#include "tree/run_expiry.h"

/* Of the deletions of ranges of a run so many are weighed; the others are taken
 * for as much. */
enum { RANGES_WEIGHED = 256 };

/* ---- Keys --------------------------------------------------------------- */

/* Where what counts of a run begins: its smallest key, if no sweep has taken
 * that. */
static cask_slice first_of(const version_run *run)
{
    return key_compare(run->begin, run->file->smallest) > 0
               ? run->begin
               : run->file->smallest;
}

/* Whether a deleted range ends behind the last key: there it is exclusive. */
static bool ends_by_range(const version_run *run)
{
    return run->file->ranges.count > 0 &&
           key_compare(run->file->end, run->file->largest) > 0;
}

static int compare_keys(const void *a, const void *b)
{
    return key_compare(*(const cask_slice *)a, *(const cask_slice *)b);
}

static void note_keys(const version *all, compact_facts *facts)
{
    size_t count = 0;

    for (size_t i = 0; i < facts->count; i++) {
        const version_run *run = &all->runs[i];

        facts->keys[count++] = first_of(run);
        facts->keys[count++] =
            ends_by_range(run) ? run->file->end : run->file->largest;
    }
    if (count > 0) {
        qsort(facts->keys, count, sizeof(*facts->keys), compare_keys);
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || key_compare(facts->keys[facts->key_count - 1],
                                  facts->keys[i]) != 0) {
            facts->keys[facts->key_count++] = facts->keys[i];
        }
    }
}

uint64_t compact_facts_number(const compact_facts *facts, cask_slice key)
{
    size_t low = 0;
    size_t high = facts->key_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (key_compare(facts->keys[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 2 * (uint64_t)low +
           (low < facts->key_count && key_compare(facts->keys[low], key) == 0
                ? 1
                : 0);
}

/* Of one of the keys. */
static uint64_t number_of(const compact_facts *facts, cask_slice key)
{
    uint64_t number = compact_facts_number(facts, key);

    assert(number % 2 == 1);
    return number;
}

cask_slice compact_facts_bound(const compact_facts *facts, uint64_t number)
{
    static const cask_slice none = {NULL, 0};
    uint64_t index = number / 2;

    if (index >= facts->key_count || key_is_end(facts->keys[index])) {
        return none;
    }
    if (facts->keys[index].data == NULL) {
        return (cask_slice){"", 0};
    }
    return facts->keys[index];
}

/* ---- Sizes -------------------------------------------------------------- */

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* Bytes of records in front of `key`; as good as known if none can be read. */
static uint64_t bytes_before(const cask_run *file, cask_slice key)
{
    cask_run_iterator iterator = {.run = file};
    cask_run_entry entry;
    cask_status status =
        run_iterator_seek(&iterator, CASK_RUN_AT_LEAST, key, &entry, NULL);

    if (status == CASK_OK) {
        return iterator.offset - SEGMENT_HEADER_SIZE;
    }
    /* What is damaged is told by whoever takes it for a compaction. */
    return status == CASK_NOT_FOUND ? file->footer.length - SEGMENT_HEADER_SIZE
                                    : 0;
}

/* The bytes of a run's file that are left, and what part that is. */
static double left_of(const version_run *run, uint64_t *ret_bytes)
{
    const cask_run *file = run->file;
    double left = 1;

    if (run->begin.size > 0 && key_compare(run->begin, file->smallest) > 0) {
        left -= share(bytes_before(file, run->begin),
                      file->footer.length - SEGMENT_HEADER_SIZE);
    }
    *ret_bytes = (uint64_t)((double)file->size * left);
    return left;
}

static bool is_begun(const version_run *run)
{
    return run->begin.size > 0 && run->level < COMPACTION_LAST;
}

static compaction_part describe(const compact_facts *facts,
                                const version_run *run)
{
    const cask_run *file = run->file;
    const run_footer *footer = &file->footer;
    compaction_part part = {.id = run->id,
                            .level = run->level,
                            .run = run->run,
                            .first_sequence = run_first_sequence(file),
                            .last_sequence = run_last_sequence(file),
                            .first_key = number_of(facts, first_of(run)),
                            .is_begun = is_begun(run)};
    double left = left_of(run, &part.bytes);

    part.records = (uint64_t)((double)footer->records * left);
    part.tombstones =
        (uint64_t)((double)(footer->tombstones + footer->ranges) * left);
    part.last_key = ends_by_range(run) ? number_of(facts, file->end) - 1
                                       : number_of(facts, file->largest);
    if (part.last_key < part.first_key) {
        part.last_key = part.first_key; /* nothing is left of it */
    }
    return part;
}

/* ---- What is hidden ----------------------------------------------------- */

/* Whether a part is of an older run than another, which comes before it. */
static bool is_older(const compaction_part *part, const compaction_part *newer)
{
    return part->level != newer->level || part->run != newer->run;
}

/* Bytes of a run, and of the values that it names, to those of the run. */
static double weight_of(const cask_run *file)
{
    return 1 + share(run_named_bytes(file),
                     file->footer.length - SEGMENT_HEADER_SIZE);
}

/* Bytes of a run within a range. */
static uint64_t bytes_within(const version_run *run, const run_range *range)
{
    cask_slice from = first_of(run);
    uint64_t before_end;
    uint64_t before_start;

    if (key_compare(range->end, from) <= 0 ||
        key_compare(range->start, run->file->largest) > 0) {
        return 0;
    }
    before_end = bytes_before(run->file, range->end);
    before_start = bytes_before(
        run->file, key_compare(range->start, from) > 0 ? range->start : from);
    return before_end > before_start ? before_end - before_start : 0;
}

static double hidden_by_ranges(const version *all, const compact_facts *facts,
                               size_t newer)
{
    const run_ranges *ranges = &all->runs[newer].file->ranges;
    uint32_t step = ranges->count / RANGES_WEIGHED + 1;
    double bytes = 0;

    for (size_t i = newer + 1; i < facts->count && ranges->count > 0; i++) {
        double weight = weight_of(all->runs[i].file);

        if (!is_older(&facts->parts[i], &facts->parts[newer])) {
            continue;
        }
        for (uint32_t r = 0; r < ranges->count; r += step) {
            bytes +=
                weight * (double)bytes_within(&all->runs[i], &ranges->range[r]);
        }
    }
    return bytes * step;
}

/* From the oldest part on, what those behind it have is known. */
static void weigh_hidden(const version *all, compact_facts *facts)
{
    uint64_t bytes = 0; /* of all runs that are older than the one in hand, and
                           of the values that they name */
    uint64_t records = 0;
    size_t end = facts->count; /* of the run in hand */

    for (size_t i = facts->count; i > 0; i--) {
        compaction_part *part = &facts->parts[i - 1];
        const run_footer *footer = &all->runs[i - 1].file->footer;
        double hidden;

        if (end > i && is_older(&facts->parts[i], part)) {
            for (; end > i; end--) {
                bytes += (uint64_t)(weight_of(all->runs[end - 1].file) *
                                    (double)facts->parts[end - 1].bytes);
                records += facts->parts[end - 1].records;
            }
        }
        hidden = (double)(footer->tombstones < records ? footer->tombstones
                                                       : records) *
                     share(bytes, records) +
                 hidden_by_ranges(all, facts, i - 1);
        part->hidden_bytes = hidden < (double)bytes ? (uint64_t)hidden : bytes;
    }
}

/* ---- The whole ---------------------------------------------------------- */

cask_status compact_facts_make(const version *all, compact_facts *ret_facts,
                               cask_error *err)
{
    size_t count = all->count - all->held;
    compact_values values;
    compact_facts facts = {.parts = calloc(count + 1, sizeof(*facts.parts)),
                           .keys = calloc(count + 1, 2 * sizeof(*facts.keys)),
                           .count = count};

    if (facts.parts == NULL || facts.keys == NULL) {
        compact_facts_free(&facts);
        return fail_memory(err, (count + 1) * sizeof(*facts.parts));
    }
    note_keys(all, &facts);
    for (size_t i = 0; i < count; i++) {
        facts.parts[i] = describe(&facts, &all->runs[i]);
    }
    weigh_hidden(all, &facts);
    if (compact_values_find(all, facts.parts, count, &values, err) != CASK_OK) {
        compact_facts_free(&facts);
        return CASK_NO_MEMORY;
    }
    facts.values = values;
    for (size_t i = 0; i < count; i++) {
        facts.parts[i].stale_bytes =
            compact_values_stale(&facts.values, all, all->runs[i].file);
    }
    *ret_facts = facts;
    return CASK_OK;
}

void compact_facts_expire(compact_facts *facts, const version *all,
                          const store_expiry *expiry, uint64_t newest)
{
    for (size_t i = 0; i < facts->count; i++) {
        compaction_part *part = &facts->parts[i];
        const cask_run *file = all->runs[i].file;

        if (part->first_sequence > newest) {
            part->expired =
                (uint64_t)((double)run_expired_count(file, expiry) *
                           share(part->records, file->footer.records));
        }
    }
}

void compact_facts_free(compact_facts *facts)
{
    compact_values_free(&facts->values);
    free(facts->parts);
    free(facts->keys);
    *facts = (compact_facts){.count = 0};
}

void compact_facts_sizes(const version *all, compaction_part *ret_parts)
{
    for (size_t i = 0; i < all->count - all->held; i++) {
        const version_run *run = &all->runs[i];

        ret_parts[i] = (compaction_part){.id = run->id,
                                         .level = run->level,
                                         .run = run->run,
                                         .bytes = run->file->size,
                                         .is_begun = is_begun(run)};
    }
}

bool compact_facts_fit(const compact_facts *facts, compaction_strategy strategy)
{
    for (size_t i = 0; i < facts->count; i++) {
        const compaction_part *part = &facts->parts[i];
        bool is_single =
            strategy == COMPACTION_LEVELED
                ? part->level > 0
                : strategy == COMPACTION_LAZY && part->level == COMPACTION_LAST;

        if (strategy == COMPACTION_LEVELED && part->is_begun) {
            return false;
        }
        if (is_single && i > 0 && facts->parts[i - 1].level == part->level &&
            facts->parts[i - 1].run != part->run) {
            return false;
        }
    }
    return true;
}
