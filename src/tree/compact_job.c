/*
 * One compaction, see compact_job.h.
 *
 * Outputs end between two keys, when they have plan->cut_bytes. With deletions
 * of ranges the key is looked for first: a piece of a range that was written is
 * not cut any more, and parts of one run must not overlap.
 */
#include "tree/compact_job.h"

#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "tree/run_input.h"
#include "tree/values_output.h"

static const cask_slice NONE = {NULL, 0};

/* A run of values that is smaller than this part of a full one is put together
 * with others, or small flushes would leave ever more files. */
enum { VALUES_SMALL_SHARE = 16 };

/* A run among the inputs: its parts, and the bytes that it has given. */
typedef struct compact_input {
    run_input run; /* first: run_input_ops take its address */
    struct compact_work *work;
} compact_input;

typedef struct compact_work {
    const compact_job *job;
    compact_result *result;
    size_t add_capacity;
    cask_slice upper; /* of the keys that are taken; data NULL: all */
    uint32_t run;     /* of the outputs */

    run_part *parts; /* of all inputs that are read */
    size_t part_count;
    uint64_t unread_bytes; /* of the others, of which nothing survives */
    compact_input *inputs; /* one for each run */
    iter_input *merged;    /* the same */
    size_t input_count;
    iter_range *ranges; /* of all inputs, by where they start */
    size_t range_count;
    size_t shared_bytes;
    uint64_t unpaid; /* bytes since go_on() */

    cask_run_writer *writer; /* of the output in hand; NULL: none */
    uint64_t writer_id;
    cask_slice last; /* the key that it had last */
    values_output values;
    compact_values_wish wish;
} compact_work;

/* ---- Inputs ------------------------------------------------------------- */

static uint64_t size_of(const cask_run_entry *entry)
{
    return RECORD_HEADER_SIZE + entry->key.size + entry->value.size;
}

static cask_status pay(compact_work *w, uint64_t bytes, cask_error *err)
{
    const compact_calls *calls = w->job->calls;
    uint64_t unpaid = w->unpaid + bytes;

    if (unpaid < calls->step_bytes) {
        w->unpaid = unpaid;
        return CASK_OK;
    }
    w->unpaid = 0;
    return calls->go_on(calls->context, unpaid, err);
}

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

    return status == CASK_OK ? pay(input->work, size_of(ret_entry), err)
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

static const version_run *chosen(const compact_work *w, size_t index)
{
    return &w->job->version->runs[w->job->choices[index]];
}

static uint64_t part_bytes(const compact_job *job, size_t index)
{
    return job->facts->parts[job->choices[index]].bytes;
}

static bool is_same_run(const version_run *a, const version_run *b)
{
    return a->level == b->level && a->run == b->run;
}

/* Bytes that all keys of the inputs begin with. */
static size_t shared_of(const compact_work *w)
{
    cask_slice smallest = chosen(w, 0)->file->smallest;
    cask_slice largest = chosen(w, 0)->file->largest;

    for (size_t i = 1; i < w->job->plan->count; i++) {
        const cask_run *file = chosen(w, i)->file;

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
        w->parts[i] = (run_part){chosen(w, i)->file, chosen(w, i)->begin};
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

        if (!is_same_run(chosen(w, i), chosen(w, index)) &&
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
           calls->has_expired(calls->context, chosen(w, index)->file);
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

static cask_status make_inputs(compact_work *w, cask_error *err)
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
        if (is_hidden(w, chosen(w, i)) || is_past(w, i)) {
            w->unread_bytes += part_bytes(w->job, i);
        } else {
            add_part(w, chosen(w, i), before);
            before = chosen(w, i);
        }
    }
    return status;
}

/* ---- The edit ----------------------------------------------------------- */

/* Which run the outputs are of: of inputs in their level the newest, which they
 * replace; the one that they join; else a new one. A flush may have made newer
 * runs meanwhile, but only in level 0, above inputs that are there. */
static uint32_t target_run(const compact_job *job)
{
    const compaction_plan *plan = job->plan;

    for (size_t i = 0; i < plan->count; i++) {
        const version_run *run = &job->version->runs[job->choices[i]];

        if (run->level == plan->target_level) {
            return run->run;
        }
    }
    for (size_t i = 0; i < job->facts->count && plan->joins_run; i++) {
        if (job->version->runs[i].level == plan->target_level) {
            return job->version->runs[i].run;
        }
    }
    return job->version->next_run;
}

static cask_status add(compact_work *w, const version_add *what,
                       cask_error *err)
{
    compact_result *result = w->result;
    version_add *adds = array_grow(result->adds, result->edit.add_count,
                                   &w->add_capacity, sizeof(*adds), err);

    if (adds == NULL) {
        return CASK_NO_MEMORY;
    }
    result->adds = adds;
    result->adds[result->edit.add_count++] = *what;
    return CASK_OK;
}

/* Whether an input has records behind the keys that are taken. */
static bool reaches_beyond(const compact_job *job, size_t index)
{
    const compaction_part *part = &job->facts->parts[job->choices[index]];

    return job->plan->is_sweep && part->last_key >= job->plan->to_key;
}

static bool is_input(const compact_job *job, size_t index)
{
    size_t low = 0;
    size_t high = job->plan->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (job->choices[middle] < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < job->plan->count && job->choices[low] == index;
}

/* Whether a part that is no input belongs to a run of the sweep, and has to
 * say so: nothing newer may get below it. */
static bool must_begin(const compact_job *job, size_t index)
{
    const compaction_plan *plan = job->plan;
    const compaction_part *part = &job->facts->parts[index];
    bool is_swept = plan->is_sweep && part->level < COMPACTION_LAST &&
                    (part->level > plan->first_sweep_level ||
                     (part->level == plan->first_sweep_level &&
                      part->run <= plan->first_sweep_run));

    return is_swept && !part->is_begun && part->first_key >= plan->to_key &&
           !is_input(job, index);
}

static void begin_at_upper(compact_work *w, uint64_t id)
{
    compact_result *result = w->result;

    assert(w->upper.size > 0);
    result->begins[result->edit.begin_count++] = (version_begin){id, w->upper};
}

static cask_status drop_inputs(compact_work *w, cask_error *err)
{
    const compact_job *job = w->job;
    compact_result *result = w->result;

    result->drops = calloc(job->plan->count, sizeof(*result->drops));
    result->begins = calloc(job->version->count, sizeof(*result->begins));
    if (result->drops == NULL || result->begins == NULL) {
        return fail_memory(err, job->version->count * sizeof(*result->begins));
    }
    for (size_t i = 0; i < job->plan->count; i++) {
        const version_run *run = chosen(w, i);

        if (reaches_beyond(job, i)) {
            begin_at_upper(w, run->id);
        } else {
            result->drops[result->edit.drop_count++] = run->id;
        }
    }
    for (size_t i = 0; i < job->facts->count; i++) {
        if (must_begin(job, i)) {
            begin_at_upper(w, job->version->runs[i].id);
        }
    }
    return CASK_OK;
}

/* ---- Moves -------------------------------------------------------------- */

static bool is_move(const compact_job *job)
{
    bool is_one = job->plan->is_move;

    for (size_t i = 0; i < job->plan->count && is_one; i++) {
        is_one = !reaches_beyond(job, i);
    }
    return is_one;
}

/* All inputs go, and come again where they are to be. */
static cask_status move_inputs(compact_work *w, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < w->job->plan->count && status == CASK_OK; i++) {
        const version_run *run = chosen(w, i);
        const version_add moved = {run->id, w->job->plan->target_level, w->run,
                                   run->begin,
                                   (int64_t)run->file->added_sequence};

        status = add(w, &moved, err);
    }
    return status;
}

/* ---- Outputs ------------------------------------------------------------ */

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
    status = add(w, &output, err);
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
    compact_values_wish wish = {
        .small_bytes = job->values_bytes / VALUES_SMALL_SHARE,
        .all = job->plan->reason == COMPACTION_REASON_ALL};

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
               ? pay(w, 2 * (w->values.bytes - before), err)
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
        status = pay(w, written, err);
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
        bytes += size_of(entry);
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

static cask_status write_outputs(compact_work *w, cask_error *err)
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

        status = add(w, &output, err);
        w->result->outputs += status == CASK_OK ? 1 : 0;
    }
    return status;
}

/* ---- The whole ---------------------------------------------------------- */

static void sum_up(compact_work *w)
{
    const compact_job *job = w->job;
    compact_result *result = w->result;

    for (size_t i = 0; i < job->plan->count; i++) {
        result->bytes_read += part_bytes(job, i);
        if (!reaches_beyond(job, i)) {
            result->bytes_freed += chosen(w, i)->file->size;
        }
    }
    result->bytes_read -= w->unread_bytes;
}

static void give_up(compact_work *w)
{
    const compact_calls *calls = w->job->calls;
    compact_result *result = w->result;

    run_writer_abort(w->writer);
    values_output_give_up(&w->values);
    for (size_t i = 0; i < result->outputs; i++) {
        calls->discard_run(calls->context, result->adds[i].id);
    }
    compact_result_free(result);
}

static cask_status carry_out(compact_work *w, cask_error *err)
{
    cask_status status;

    if (is_move(w->job)) {
        return move_inputs(w, err);
    }
    status = make_inputs(w, err);
    if (status == CASK_OK) {
        w->wish = wish_of(w);
        status = write_outputs(w, err);
    }
    if (status == CASK_OK) {
        status = end_values(w, err);
    }
    if (status == CASK_OK) {
        sum_up(w);
    }
    return status;
}

cask_status compact_job_run(const compact_job *job, compact_result *ret_result,
                            cask_error *err)
{
    compact_result result = {.outputs = 0};
    compact_work w = {
        .job = job,
        .result = &result,
        .run = target_run(job),
        .values = {.files = {job->calls->context, job->calls->begin_values,
                             job->calls->discard_run},
                   .least_bytes = job->value_bytes,
                   .cut_bytes = job->values_bytes}};
    cask_status status;

    assert(job->plan->count > 0);
    if (job->plan->is_sweep) {
        w.upper = compact_facts_bound(job->facts, job->plan->to_key);
    }
    status = carry_out(&w, err);
    if (status == CASK_OK) {
        status = drop_inputs(&w, err);
    }
    if (status == CASK_OK) {
        result.edit.adds = result.adds;
        result.edit.drops = result.drops;
        result.edit.begins = result.begins;
        *ret_result = result;
    } else {
        give_up(&w);
    }
    values_output_free(&w.values);
    free(w.parts);
    free(w.inputs);
    free(w.merged);
    free(w.ranges);
    return status;
}

void compact_result_free(compact_result *result)
{
    free(result->adds);
    free(result->drops);
    free(result->begins);
    *result = (compact_result){.outputs = 0};
}
