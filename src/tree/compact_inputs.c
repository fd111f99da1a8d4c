/*
 * What a compaction reads: the parts that something may survive of, one input
 * for each run; and all ranges that the inputs delete.
 */
#include <stdlib.h>

#include "tree/compact_work.h"

static cask_status look_at(compact_input *input, cask_status status)
{
    const compact_calls *calls = input->work->job->calls;

    if (status == CASK_CORRUPT) {
        calls->meet_damage(calls->context,
                           input->run.parts[input->run.at].file);
    }
    return status;
}

static cask_status input_seek(void *self, cask_run_seek how, cask_slice key,
                              cask_run_entry *ret_entry, cask_error *err)
{
    compact_input *input = self;

    return look_at(input,
                   run_input_ops.seek(&input->run, how, key, ret_entry, err));
}

static cask_status input_next(void *self, cask_run_entry *ret_entry,
                              cask_error *err)
{
    compact_input *input = self;
    cask_status status =
        look_at(input, run_input_ops.next(&input->run, ret_entry, err));

    return status == CASK_OK
               ? compact_pay(input->work, compact_entry_bytes(ret_entry), err)
               : status;
}

static cask_status input_previous(void *self, cask_run_entry *ret_entry,
                                  cask_error *err)
{
    compact_input *input = self;

    return look_at(input, run_input_ops.previous(&input->run, ret_entry, err));
}

static const iter_input_ops input_ops = {input_seek, input_next,
                                         input_previous};

static bool is_same_run(const version_run *a, const version_run *b)
{
    return a->level == b->level && a->run == b->run;
}

/* Bytes that all keys of the inputs begin with. */
static size_t shared_of(const compact_work *w)
{
    cask_slice smallest = compact_chosen(w, 0)->file->smallest;
    cask_slice largest = compact_chosen(w, 0)->file->largest;

    for (size_t i = 1; i < w->job->plan->count; i++) {
        const cask_run *file = compact_chosen(w, i)->file;

        if (key_compare(file->smallest, smallest) < 0) {
            smallest = file->smallest;
        }
        if (key_compare(file->largest, largest) > 0) {
            largest = file->largest;
        }
    }
    return run_shared(smallest, largest);
}

static int by_start(const void *a, const void *b)
{
    const iter_range *left = a;
    const iter_range *right = b;

    return key_compare(left->from, right->from);
}

/* The ranges that all parts delete, by where they start. */
static cask_status find_ranges(compact_work *w, cask_error *err)
{
    size_t count = w->job->plan->count;

    for (size_t i = 0; i < count; i++) {
        w->parts[i] =
            (run_part){compact_chosen(w, i)->file, compact_chosen(w, i)->begin};
    }
    w->range_count = run_parts_count_ranges(w->parts, count);
    if (w->range_count > 0) {
        w->ranges = calloc(w->range_count, sizeof(*w->ranges));
        if (w->ranges == NULL) {
            return fail_memory(err, w->range_count * sizeof(*w->ranges));
        }
        w->range_count = run_parts_ranges(w->parts, count, w->ranges);
        qsort(w->ranges, w->range_count, sizeof(*w->ranges), by_start);
    }
    return CASK_OK;
}

/*
 * Whether newer ranges hide all records of a part, and nobody looks at a moment
 * between: then none of them survives, and the file need not be read. What it
 * deletes itself is among the ranges.
 */
static bool is_hidden(const compact_work *w, const version_run *run)
{
    iter_moments moments = w->job->moments;
    size_t moment = iter_moment_of(moments, run_first_sequence(run->file));
    cask_slice at = key_compare(run->begin, run->file->smallest) > 0
                        ? run->begin
                        : run->file->smallest;

    for (size_t i = 0; i < w->range_count; i++) {
        const iter_range *range = &w->ranges[i];

        if (key_compare(range->from, at) > 0) {
            return false;
        }
        if (range->sequence > run_last_sequence(run->file) &&
            iter_moment_of(moments, range->sequence) == moment &&
            key_compare(range->to, at) > 0) {
            at = range->to;
        }
        if (key_compare(at, run->file->largest) > 0) {
            return true;
        }
    }
    return false;
}

/* Whether an older run among the inputs may have keys of this one. */
static bool is_above_another(const compact_work *w, size_t index)
{
    const compact_job *job = w->job;
    const compaction_part *part = &job->facts->parts[job->choices[index]];

    for (size_t i = index + 1; i < job->plan->count; i++) {
        const compaction_part *older = &job->facts->parts[job->choices[i]];

        if (!is_same_run(compact_chosen(w, i), compact_chosen(w, index)) &&
            older->first_key <= part->last_key &&
            older->last_key >= part->first_key) {
            return true;
        }
    }
    return false;
}

/*
 * Whether none of its records survives because all values have expired, and
 * nothing is left that they would hide: the file need not be read.
 */
static bool is_past(const compact_work *w, size_t index)
{
    const compact_calls *calls = w->job->calls;

    return w->job->plan->drop_tombstones && calls->has_expired != NULL &&
           !is_above_another(w, index) &&
           calls->has_expired(calls->context, compact_chosen(w, index)->file);
}

/* Of what is to be read: one for each run, which has parts side by side. */
static void add_part(compact_work *w, const version_run *run,
                     const version_run *before)
{
    run_part *part = &w->parts[w->part_count++];

    *part = (run_part){run->file, run->begin};
    if (before == NULL || !is_same_run(run, before)) {
        compact_input *input = &w->inputs[w->input_count];

        input->work = w;
        input->run.parts = part;
        w->merged[w->input_count++] =
            (iter_input){.ops = &input_ops, .self = input, .is_stable = true};
    }
    w->inputs[w->input_count - 1].run.count++;
}

cask_status compact_inputs_make(compact_work *w, cask_error *err)
{
    size_t count = w->job->plan->count;
    const version_run *before = NULL;
    cask_status status;

    w->parts = calloc(count, sizeof(*w->parts));
    w->inputs = calloc(count, sizeof(*w->inputs));
    w->merged = calloc(count, sizeof(*w->merged));
    if (w->parts == NULL || w->inputs == NULL || w->merged == NULL) {
        return fail_memory(err, count * sizeof(*w->inputs));
    }
    w->shared_bytes = shared_of(w);
    status = find_ranges(w, err);
    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        if (is_hidden(w, compact_chosen(w, i)) || is_past(w, i)) {
            w->unread_bytes += compact_part_bytes(w->job, i);
        } else {
            add_part(w, compact_chosen(w, i), before);
            before = compact_chosen(w, i);
        }
    }
    return status;
}

void compact_inputs_free(compact_work *w)
{
    free(w->parts);
    free(w->inputs);
    free(w->merged);
    free(w->ranges);
}
