/*
 * What the parts of one compaction share: what it reads (compact_inputs.c),
 * what it writes (compact_outputs.c), and how that changes the version
 * (compact_edit.c). The whole is in compact_job.c.
 */
#ifndef CASKADE_COMPACT_WORK_H
#define CASKADE_COMPACT_WORK_H

#include "tree/compact_job.h"
#include "tree/run_input.h"
#include "tree/values_output.h"

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

/* Input `index` of the plan. */
static inline const version_run *compact_chosen(const compact_work *w,
                                                size_t index)
{
    return &w->job->version->runs[w->job->choices[index]];
}

/* Its bytes, or those of it that are taken. */
static inline uint64_t compact_part_bytes(const compact_job *job, size_t index)
{
    return job->facts->parts[job->choices[index]].bytes;
}

static inline uint64_t compact_entry_bytes(const cask_run_entry *entry)
{
    return RECORD_HEADER_SIZE + entry->key.size + entry->value.size;
}

/* So many bytes were read or written: have the caller's go_on() called when
 * they are enough; returns what that does. */
static inline cask_status compact_pay(compact_work *w, uint64_t bytes,
                                      cask_error *err)
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

/* ---- compact_inputs.c ---- */

/* Find what is to be read. CASK_OK; CASK_NO_MEMORY. */
cask_status compact_inputs_make(compact_work *w, cask_error *err);

/* Also what was made in part, or not at all. */
void compact_inputs_free(compact_work *w);

/* ---- compact_outputs.c ---- */

/* Write what survives, and note the files in the edit. Statuses of
 * compact_job_run(); then w->writer and w->values may be in hand yet. */
cask_status compact_outputs_write(compact_work *w, cask_error *err);

/* ---- compact_edit.c ---- */

/* Which run the outputs are of: of inputs in their level the newest, which they
 * replace; the one that they join; else a new one. A flush may have made newer
 * runs meanwhile, but only in level 0, above inputs that are there. */
uint32_t compact_edit_target_run(const compact_job *job);

/* Let a file come. CASK_OK; CASK_NO_MEMORY. */
cask_status compact_edit_add(compact_work *w, const version_add *what,
                             cask_error *err);

/* Whether input `index` has records behind the keys that are taken. */
bool compact_edit_reaches_beyond(const compact_job *job, size_t index);

/* Whether all inputs go as they are, and nothing is read. */
bool compact_edit_is_move(const compact_job *job);

/* They go, and come again where they are to be. CASK_OK; CASK_NO_MEMORY. */
cask_status compact_edit_move_inputs(compact_work *w, cask_error *err);

/* Let the inputs go, as far as they are taken. CASK_OK; CASK_NO_MEMORY. */
cask_status compact_edit_drop_inputs(compact_work *w, cask_error *err);

#endif
