/*
 * Writing values apart: a put with a large value goes to a run of values, and a
 * pointer to it into the run that is being written. What flushes and
 * compactions have in common.
 */
#ifndef CASKADE_VALUES_OUTPUT_H
#define CASKADE_VALUES_OUTPUT_H

#include "run/run_writer.h"

/* The files, made and removed by who uses it. */
typedef struct values_files {
    void *context; /* for both */
    /* Begin the file of a new run of values: its id, and a writer for it. */
    cask_status (*begin)(void *context, uint64_t *ret_id,
                         cask_run_writer **ret_writer, cask_error *err);
    /* Remove such a file, which is complete. */
    void (*discard)(void *context, uint64_t id);
} values_files;

/* Start with the first three set, and the rest 0. End it with
 * values_output_free(), or values_output_give_up(). */
typedef struct values_output {
    values_files files;
    uint64_t least_bytes; /* of a value that is written apart; 0: none is */
    uint64_t cut_bytes;   /* a file that has as many is complete */

    cask_run_writer *writer; /* NULL: none */
    uint64_t id;             /* of its file */
    uint64_t *ids;           /* files that are complete and durable; owned */
    size_t count;
    size_t capacity;
    uint64_t bytes; /* of all records written */
} values_output;

/*
 * Take an entry of a run, in the order of a run.
 *
 *   ret_entry  what the run gets: the same, or a pointer; its bytes are those
 *              of `entry`
 *
 * Returns CASK_OK; what begins and writes a run returns.
 */
cask_status values_output_put(values_output *output,
                              const cask_run_entry *entry,
                              cask_run_entry *ret_entry, cask_error *err);

/* Complete the last file. Statuses of run_writer_finish(). */
cask_status values_output_end(values_output *output, cask_error *err);

/* The files stay. */
void values_output_free(values_output *output);

/* All files go, and it is as it was at first. */
void values_output_give_up(values_output *output);

#endif
