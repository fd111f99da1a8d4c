/*
 * Reading all records of a run, see run_check.h.
 */
#include "run/run_check.h"

#include <inttypes.h>

#include "run/run_counts.h"
#include "run/run_iterator.h"

/* What was read so far. */
typedef struct checking {
    const cask_run *run;
    uint64_t offset; /* of the record at hand */
    cask_slice key;  /* of the one before it; those of the file stay */
    uint64_t sequence;
    run_counts counts;
} checking;

static cask_status check_order(const checking *c, const cask_run_entry *entry,
                               bool *ret_new, cask_error *err)
{
    int order = c->counts.records == 0 ? -1 : key_compare(c->key, entry->key);

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
    *ret_new = order != 0;
    return CASK_OK;
}

static cask_status check_record(checking *c, const cask_run_entry *entry,
                                cask_error *err)
{
    bool is_new = false;
    cask_status status = check_order(c, entry, &is_new, err);

    if (status == CASK_OK) {
        (void)run_counts_add(&c->counts, entry->kind, &entry->info, is_new);
        c->key = entry->key;
        c->sequence = entry->info.sequence;
    }
    return status;
}

static cask_status check_counts(const checking *c, cask_error *err)
{
    run_footer says = c->run->footer;
    run_count counts[RUN_COUNTS];

    /* Records were read with what is added to their sequences. */
    says.first_sequence = run_first_sequence(c->run);
    says.last_sequence = run_last_sequence(c->run);
    run_counts_compare(&c->counts, &says, counts);
    for (size_t i = 0; i < RUN_COUNTS; i++) {
        if (counts[i].says != counts[i].is) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: offset %" PRIu64 ": the footer says %s %" PRIu64
                        ", found %" PRIu64,
                        c->run->name, c->run->at[RUN_SECTIONS], counts[i].what,
                        counts[i].says, counts[i].is);
        }
    }
    return CASK_OK;
}

/* Bounds are what a look-up and a merge believe. */
static cask_status check_bounds(const checking *c, const cask_run_entry *first,
                                cask_error *err)
{
    if (c->counts.records > 0 &&
        (key_compare(c->run->smallest, first->key) != 0 ||
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
        status = check_record(&c, &entry, err);
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
