/*
 * Reading all records of a run, see run_check.h.
 */
#include "run/run_check.h"

#include <inttypes.h>

#include "run/run_iterator.h"
#include "run/run_times.h"

/* What was read so far. */
typedef struct checking {
    const cask_run *run;
    uint64_t offset; /* of the record at hand */
    cask_slice key;  /* of the one before it; those of the file stay */
    uint64_t sequence;
    bool is_indexed; /* a version of that key is in the index */
    uint64_t records;
    uint64_t keys;
    uint64_t tombstones;
    uint64_t ranges;
    uint64_t pointers;
    uint64_t first_sequence;
    uint64_t last_sequence;
    run_times_sample expiry;
    run_times_sample written;
} checking;

static cask_status check_order(const checking *c, const cask_run_entry *entry,
                               cask_error *err)
{
    int order = c->records == 0 ? -1 : key_compare(c->key, entry->key);

    if (order > 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": the key is smaller than the one "
                    "before it, expected rising keys",
                    c->run->name, c->offset);
    }
    if (order == 0 && entry->info.sequence >= c->sequence) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": sequence %" PRIu64
                    " of the same key follows %" PRIu64
                    ", expected falling ones",
                    c->run->name, c->offset, entry->info.sequence, c->sequence);
    }
    return CASK_OK;
}

static void count_times(checking *c, const cask_info *info)
{
    run_times_add(&c->written, info->time_s);
    if (info->expires_at_ms != 0) {
        run_times_add(&c->expiry, run_time_past(info->expires_at_ms));
    }
}

static void count(checking *c, const cask_run_entry *entry)
{
    uint64_t sequence = entry->info.sequence;
    bool is_range = entry->kind == CASK_RUN_DELETE_RANGE;

    if (c->records == 0 || key_compare(c->key, entry->key) != 0) {
        c->is_indexed = false;
    }
    c->keys += !is_range && !c->is_indexed ? 1 : 0;
    c->is_indexed = c->is_indexed || !is_range;
    c->tombstones += entry->kind == CASK_RUN_DELETE ? 1 : 0;
    c->ranges += is_range ? 1 : 0;
    c->pointers += entry->kind == CASK_RUN_POINTER ? 1 : 0;
    if (entry->kind == CASK_RUN_PUT || entry->kind == CASK_RUN_POINTER) {
        count_times(c, &entry->info);
    }
    if (c->records == 0 || sequence < c->first_sequence) {
        c->first_sequence = sequence;
    }
    if (sequence > c->last_sequence) {
        c->last_sequence = sequence;
    }
    c->records++;
    c->key = entry->key;
    c->sequence = sequence;
}

static cask_status check_counts(const checking *c, cask_error *err)
{
    const run_footer *says = &c->run->footer;
    const struct {
        const char *what;
        uint64_t expected;
        uint64_t found;
    } counts[] = {
        {"records", says->records, c->records},
        {"keys", says->keys, c->keys},
        {"tombstones", says->tombstones, c->tombstones},
        {"deleted ranges", says->ranges, c->ranges},
        {"pointers", says->pointers, c->pointers},
        {"first sequence", run_first_sequence(c->run), c->first_sequence},
        {"last sequence", run_last_sequence(c->run), c->last_sequence},
        {"expiring values", says->expiring, c->expiry.count},
        {"first expiry", says->expiry.first, c->expiry.first},
        {"last expiry", says->expiry.last, c->expiry.last},
        {"first time", says->written.first, c->written.first},
        {"last time", says->written.last, c->written.last},
    };

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i].expected != counts[i].found) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: offset %" PRIu64 ": the footer says %s %" PRIu64
                        ", found %" PRIu64,
                        c->run->name, c->run->at[RUN_SECTIONS], counts[i].what,
                        counts[i].expected, counts[i].found);
        }
    }
    return CASK_OK;
}

/* Bounds are what a look-up and a merge believe. */
static cask_status check_bounds(const checking *c, const cask_run_entry *first,
                                cask_error *err)
{
    if (c->records > 0 && (key_compare(c->run->smallest, first->key) != 0 ||
                           key_compare(c->run->largest, c->key) != 0)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset %" PRIu64 ": the smallest and largest key are "
                    "not those of the records",
                    c->run->name, c->run->at[RUN_BOUNDS]);
    }
    return CASK_OK;
}

cask_status run_check(const cask_run *run, run_progress_fn progress,
                      void *context, cask_error *err)
{
    checking c = {.run = run};
    cask_run_iterator it = {.run = run, .next = SEGMENT_HEADER_SIZE};
    cask_run_entry first = {.kind = CASK_RUN_PUT};
    cask_run_entry entry;
    uint64_t told = SEGMENT_HEADER_SIZE;
    cask_status status = run_iterator_next(&it, &entry, err);

    first = status == CASK_OK ? entry : first;
    while (status == CASK_OK) {
        c.offset = it.offset;
        status = check_order(&c, &entry, err);
        if (status == CASK_OK) {
            count(&c, &entry);
        }
        if (status == CASK_OK && progress != NULL &&
            it.next - told >= RUN_CHECK_STEP) {
            status = progress(context, it.next - told, err);
            told = it.next;
        }
        status =
            status == CASK_OK ? run_iterator_next(&it, &entry, err) : status;
    }
    status = status == CASK_NOT_FOUND ? check_counts(&c, err) : status;
    if (status == CASK_OK) {
        status = check_bounds(&c, &first, err);
    }
    if (status == CASK_OK && progress != NULL) {
        status = progress(context, run->footer.length - told, err);
    }
    return status;
}
