/*
 * Carrying out one plan of a compaction: the inputs become outputs, files of
 * their own that nobody knows of, and an edit says how the version changes.
 * Nothing has changed before that is applied; whoever dies before leaves files
 * that no MANIFEST names.
 */
#ifndef CASKADE_COMPACT_JOB_H
#define CASKADE_COMPACT_JOB_H

#include "iter/iter_survivors.h"
#include "run/run_writer.h"
#include "tree/compact_facts.h"

/* What a job asks of its caller. */
typedef struct compact_calls {
    void *context; /* for all of them */
    /* Begin the file of a new run: its id, and a writer for it. */
    cask_status (*begin_run)(void *context, uint64_t *ret_id,
                             cask_run_writer **ret_writer, cask_error *err);
    /* The same of a run of values. */
    cask_status (*begin_values)(void *context, uint64_t *ret_id,
                                cask_run_writer **ret_writer, cask_error *err);
    /* Remove such a file, which is complete; the job has failed. */
    void (*discard_run)(void *context, uint64_t id);
    /* So many bytes were read and written since the last call: wait, or flush.
     * What is not CASK_OK ends the job, which returns it; never
     * CASK_NOT_FOUND. */
    cask_status (*go_on)(void *context, uint64_t bytes, cask_error *err);
    /* A record of this input is damaged: that is why the job fails. */
    void (*meet_damage)(void *context, const cask_run *file);
    /* A value in the run of values `id` is damaged: its pointer stays. */
    void (*meet_damaged_value)(void *context, uint64_t id,
                               const cask_error *what);
    uint64_t step_bytes;     /* between two of these calls, or a little more */
    iter_expired is_expired; /* NULL: nothing expires */
    /* Whether is_expired() is true for all values of a file; NULL: that is not
     * known. */
    bool (*has_expired)(void *context, const cask_run *file);
} compact_calls;

/* All borrowed. */
typedef struct compact_job {
    const version *version;
    const compact_facts *facts; /* of it */
    const compaction_plan *plan;
    const uint32_t *choices;   /* plan->count of them */
    iter_moments moments;      /* taken after the version was pinned */
    uint64_t separation_bytes; /* of a value that is written apart, at least; 0:
                                  none is */
    uint64_t values_cut_bytes; /* a run of values that has them is complete */
    const compact_calls *calls;
} compact_job;

typedef struct compact_result {
    version_edit edit; /* keys are borrowed from the runs of the version */
    /* Owned; edit has them. */
    version_add *adds;
    uint64_t *drops;
    version_begin *begins;

    uint64_t outputs;     /* files written; of a move none */
    uint64_t bytes_read;  /* of files that are dropped, or of what is taken;
                             what deleted ranges hide wholly, or has expired
                             with nothing below, is not read; and of values that
                             are moved */
    uint64_t bytes_freed; /* of files that are dropped */
    iter_survivors_counts counts;
} compact_result;

/*
 * Do what is planned; if the inputs go as they are, nothing is read.
 *
 *   ret_result  free it with compact_result_free() when its edit was applied,
 *               before the version is unpinned
 *
 * Returns CASK_OK; CASK_CORRUPT: a record of an input does not verify, it and
 * all else stay; CASK_NO_SPACE, CASK_IO, CASK_NO_MEMORY; what a call returned.
 * On failure no output is left.
 *
 * Cost: about a microsecond for each record. Deletions of ranges are cut where
 * an output ends, and where that is must be known before: inputs that have some
 * are read twice.
 */
cask_status compact_job_run(const compact_job *job, compact_result *ret_result,
                            cask_error *err);

/* Accepts {0}. */
void compact_result_free(compact_result *result);

#endif
