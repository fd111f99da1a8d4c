/*
 * How a compaction changes the version: what comes, what goes, and which parts
 * begin behind the keys that a sweep takes.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/array.h"
#include "tree/compact_work.h"

uint32_t compact_edit_target_run(const compact_job *job)
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

cask_status compact_edit_add(compact_work *w, const version_add *what,
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

bool compact_edit_reaches_beyond(const compact_job *job, size_t index)
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

cask_status compact_edit_drop_inputs(compact_work *w, cask_error *err)
{
    const compact_job *job = w->job;
    compact_result *result = w->result;

    result->drops = calloc(job->plan->count, sizeof(*result->drops));
    result->begins = calloc(job->version->count, sizeof(*result->begins));
    if (result->drops == NULL || result->begins == NULL) {
        return fail_memory(err, job->version->count * sizeof(*result->begins));
    }
    for (size_t i = 0; i < job->plan->count; i++) {
        const version_run *run = compact_chosen(w, i);

        if (compact_edit_reaches_beyond(job, i)) {
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

bool compact_edit_is_move(const compact_job *job)
{
    bool is_one = job->plan->is_move;

    for (size_t i = 0; i < job->plan->count && is_one; i++) {
        is_one = !compact_edit_reaches_beyond(job, i);
    }
    return is_one;
}

cask_status compact_edit_move_inputs(compact_work *w, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < w->job->plan->count && status == CASK_OK; i++) {
        const version_run *run = compact_chosen(w, i);
        const version_add moved = {run->id, w->job->plan->target_level, w->run,
                                   run->begin,
                                   (int64_t)run->file->added_sequence};

        status = compact_edit_add(w, &moved, err);
    }
    return status;
}
