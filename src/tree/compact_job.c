/*
 * One compaction, see compact_job.h: the edit, and around it what it takes to
 * come to that, in compact_inputs.c, compact_outputs.c and compact_edit.c.
 */
#include "tree/compact_job.h"

#include <assert.h>
#include <stdlib.h>

#include "tree/compact_work.h"

static void sum_up(compact_work *w)
{
    const compact_job *job = w->job;
    compact_result *result = w->result;

    for (size_t i = 0; i < job->plan->count; i++) {
        result->bytes_read += compact_part_bytes(job, i);
        if (!compact_edit_reaches_beyond(job, i)) {
            result->bytes_freed += compact_chosen(w, i)->file->size;
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

    if (compact_edit_is_move(w->job)) {
        return compact_edit_move_inputs(w, err);
    }
    status = compact_inputs_make(w, err);
    if (status == CASK_OK) {
        status = compact_outputs_write(w, err);
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
        .run = compact_edit_target_run(job),
        .values = {.files = {job->calls->context, job->calls->begin_values,
                             job->calls->discard_run},
                   .least_bytes = job->separation_bytes,
                   .cut_bytes = job->values_cut_bytes}};
    cask_status status;

    assert(job->plan->count > 0);
    if (job->plan->is_sweep) {
        w.upper = compact_facts_bound(job->facts, job->plan->to_key);
    }
    status = carry_out(&w, err);
    if (status == CASK_OK) {
        status = compact_edit_drop_inputs(&w, err);
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
    compact_inputs_free(&w);
    return status;
}

void compact_result_free(compact_result *result)
{
    free(result->adds);
    free(result->drops);
    free(result->begins);
    *result = (compact_result){.outputs = 0};
}
