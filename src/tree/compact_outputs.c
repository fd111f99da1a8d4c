/*
 * What a compaction writes: what survives of its inputs, in runs of the level
 * that it is for.
 *
 * Outputs end between two keys, when they have plan->cut_bytes. With deletions
 * of ranges the key is looked for first: a piece of a range that was written is
 * not cut any more, and parts of one run must not overlap.
 */
#include "tree/compact_work.h"

static const cask_slice NONE = {NULL, 0};

static cask_status begin_output(compact_work *w, cask_error *err)
{
    const compact_calls *calls = w->job->calls;

    return calls->begin_run(calls->context, &w->writer_id, &w->writer, err);
}

static cask_status end_output(compact_work *w, cask_error *err)
{
    const version_add output = {
        .id = w->writer_id, .level = w->job->plan->target_level, .run = w->run};
    cask_run_writer *writer = w->writer;
    cask_status status;

    if (writer == NULL) {
        return CASK_OK;
    }
    w->writer = NULL;
    /* Room in the list first: a file that is complete must be in it. */
    status = compact_edit_add(w, &output, err);
    if (status != CASK_OK) {
        run_writer_abort(writer);
        return status;
    }
    w->result->edit.add_count--;
    status = run_writer_finish(writer, err);
    if (status == CASK_OK) {
        w->result->edit.add_count++;
        w->result->outputs++;
    }
    return status;
}

static compact_values_wish wish_of(const compact_work *w)
{
    const compact_job *job = w->job;
    compact_values_wish wish =
        compact_values_wish_of(job->values_cut_bytes, job->separation_bytes,
                               job->plan->reason == COMPACTION_REASON_ALL);

    if (!compact_values_are_several(&job->facts->values, job->version, w->parts,
                                    w->part_count, &wish)) {
        wish.small_bytes = 0;
    }
    return wish;
}

/* Whether what is left of a run of values is to be moved, so that it can go. */
static bool is_collected(const compact_work *w, uint64_t id)
{
    const compact_job *job = w->job;
    const version_values *values = version_find_values(job->version, id);

    return values != NULL &&
           compact_values_are_due(&job->facts->values, job->version, values,
                                  &w->wish);
}

/* The put that a pointer stands for, if its value is moved. */
static void collect(compact_work *w, const cask_run_entry *entry,
                    cask_run_entry *ret_entry)
{
    const compact_calls *calls = w->job->calls;
    cask_error what = {CASK_OK, 0, ""};
    cask_slice value;
    cask_status status =
        version_read_value(w->job->version, entry, &value, &what);

    if (status == CASK_OK) {
        ret_entry->kind = CASK_RUN_PUT;
        ret_entry->value = value;
        w->result->bytes_read += entry->pointer.size_bytes;
    } else {
        calls->meet_damaged_value(calls->context, entry->pointer.segment_id,
                                  &what);
    }
}

/* What the run in hand gets for an entry. */
static cask_status place_value(compact_work *w, const cask_run_entry *entry,
                               cask_run_entry *ret_entry, cask_error *err)
{
    cask_run_entry whole = *entry;
    uint64_t before = w->values.bytes;
    cask_status status;

    if (entry->kind == CASK_RUN_POINTER &&
        is_collected(w, entry->pointer.segment_id)) {
        collect(w, entry, &whole);
    }
    status = values_output_put(&w->values, &whole, ret_entry, err);
    return status == CASK_OK && w->values.bytes > before
               ? compact_pay(w, 2 * (w->values.bytes - before), err)
               : status;
}

static cask_status put(compact_work *w, const cask_run_entry *entry,
                       cask_error *err)
{
    cask_run_entry placed;
    uint64_t before;
    uint64_t written;
    cask_status status = CASK_OK;

    if (w->writer != NULL && w->range_count == 0 &&
        run_output_size(&w->writer->output) >= w->job->plan->cut_bytes &&
        key_compare(entry->key, w->last) != 0) {
        status = end_output(w, err);
    }
    if (status == CASK_OK && w->writer == NULL) {
        status = begin_output(w, err);
    }
    if (status == CASK_OK) {
        status = place_value(w, entry, &placed, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    before = run_output_size(&w->writer->output);
    status = run_writer_add(w->writer, &placed, err);
    w->last = entry->key;
    if (status == CASK_OK) {
        written = run_output_size(&w->writer->output) - before;
        status = compact_pay(w, written, err);
    }
    return status;
}

/* ---- Merging ------------------------------------------------------------ */

/* What is left of the inputs within bounds. */
typedef struct compact_span {
    iter_bounds bounds;
    iter_ranges *ranges;
    iter_survivors *survivors;
} compact_span;

static void close_span(compact_span *span)
{
    iter_survivors_free(span->survivors);
    iter_ranges_free(span->ranges);
}

static cask_status open_span(compact_work *w, compact_span *span,
                             cask_error *err)
{
    const compact_job *job = w->job;
    iter_survivors_options options = {.moments = job->moments,
                                      .bounds = span->bounds,
                                      .drop_tombstones =
                                          job->plan->drop_tombstones,
                                      .is_expired = job->calls->is_expired,
                                      .context = job->calls->context,
                                      .shared_bytes = w->shared_bytes};
    cask_status status = CASK_OK;

    span->ranges = NULL;
    span->survivors = NULL;
    if (w->range_count > 0) {
        status = iter_ranges_create(w->ranges, w->range_count, job->moments,
                                    &span->bounds, &span->ranges, err);
        options.ranges = span->ranges;
    }
    if (status == CASK_OK) {
        status = iter_survivors_create(w->merged, w->input_count, &options,
                                       &span->survivors, err);
    }
    if (status != CASK_OK) {
        close_span(span);
    }
    return status;
}

/* The end of the next output: where `upper` is, or before. */
static cask_status find_cut(compact_work *w, iter_bounds bounds,
                            cask_slice *ret_cut, cask_error *err)
{
    compact_span span = {.bounds = bounds};
    const cask_run_entry *entry;
    cask_slice last = NONE;
    uint64_t bytes = 0;
    cask_status status = open_span(w, &span, err);

    *ret_cut = bounds.upper;
    if (status != CASK_OK) {
        return status;
    }
    for (;;) {
        status = iter_survivors_next(span.survivors, &entry, err);
        if (status != CASK_OK) {
            break;
        }
        if (bytes >= w->job->plan->cut_bytes &&
            key_compare(entry->key, last) != 0) {
            *ret_cut = entry->key;
            break;
        }
        bytes += compact_entry_bytes(entry);
        last = entry->key;
    }
    close_span(&span);
    return status == CASK_NOT_FOUND ? CASK_OK : status;
}

static void count(compact_work *w, const iter_survivors *survivors)
{
    iter_survivors_counts more = iter_survivors_count(survivors);
    iter_survivors_counts *all = &w->result->counts;

    all->read += more.read;
    all->kept += more.kept;
    all->deletes += more.deletes;
    all->replaced += more.replaced;
    all->hidden += more.hidden;
    all->tombstones_gone += more.tombstones_gone;
    all->expired += more.expired;
    all->ranges_kept += more.ranges_kept;
}

static cask_status write_span(compact_work *w, iter_bounds bounds,
                              cask_error *err)
{
    compact_span span = {.bounds = bounds};
    const cask_run_entry *entry;
    cask_status status = open_span(w, &span, err);

    if (status != CASK_OK) {
        return status;
    }
    while (status == CASK_OK) {
        status = iter_survivors_next(span.survivors, &entry, err);
        if (status == CASK_OK) {
            status = put(w, entry, err);
        }
    }
    count(w, span.survivors);
    close_span(&span);
    return status == CASK_NOT_FOUND ? end_output(w, err) : status;
}

static cask_status write_spans(compact_work *w, cask_error *err)
{
    iter_bounds bounds = {.lower = NONE};
    cask_slice cut = w->upper;
    cask_status status = CASK_OK;

    if (w->range_count == 0) {
        bounds.upper = w->upper;
        return write_span(w, bounds, err);
    }
    do {
        bounds.lower = bounds.upper;
        bounds.upper = w->upper;
        status = find_cut(w, bounds, &cut, err);
        bounds.upper = cut;
        if (status == CASK_OK) {
            status = write_span(w, bounds, err);
        }
    } while (status == CASK_OK && cut.data != w->upper.data);
    return status;
}

/* Runs of values that were written come with the edit, too. */
static cask_status end_values(compact_work *w, cask_error *err)
{
    cask_status status = values_output_end(&w->values, err);

    for (size_t i = 0; i < w->values.count && status == CASK_OK; i++) {
        const version_add output = {.id = w->values.ids[i],
                                    .level = MANIFEST_VALUES};

        status = compact_edit_add(w, &output, err);
        w->result->outputs += status == CASK_OK ? 1 : 0;
    }
    return status;
}

cask_status compact_outputs_write(compact_work *w, cask_error *err)
{
    cask_status status;

    w->wish = wish_of(w);
    status = write_spans(w, err);
    return status == CASK_OK ? end_values(w, err) : status;
}
