/*
 * Writing a run: records in order, then what finds them. include/caskade/run.h
 * says what callers are told; arguments have been checked there.
 */
#ifndef CASKADE_RUN_WRITER_H
#define CASKADE_RUN_WRITER_H

#include "run/run_output.h"
#include "run/run_sections.h"

struct cask_run_writer {
    os *kernel;
    os_file *dir;
    bool borrows_dir; /* else it is owned */
    run_output output;
    uint64_t nonce;
    uint64_t memory_limit;
    run_sections sections;
    cask_status failed; /* not CASK_OK: the file cannot be completed */
    cask_error failure;
    struct run_sorter *sorter; /* of its user, db/run_sort.h; NULL: none */
};

/* What a run says of the store it is made for. */
typedef struct run_origin {
    uint8_t uuid[FORMAT_UUID_SIZE];
    uint64_t id;           /* of the file */
    uint64_t born;         /* as in segment_header */
    bool is_values;        /* a run of values, which pointers of others name */
    run_hash_key hash_key; /* the store's for runs: a get hashes its key once
                              for all of them, see run_get_hashed() */
} run_origin;

typedef struct run_writer_options {
    cask_run_options run;     /* as for cask_run_writer_create() */
    const run_origin *origin; /* borrowed for the call; NULL: of no store, with
                                 a hash key of its own */
    bool borrows_dir; /* the directory stays open, longer than the writer */
} run_writer_options;

/*
 * Begin the run `name` in `take_dir`, which the writer closes, also if this
 * fails, unless it is borrowed. As cask_run_writer_create().
 */
cask_status run_writer_create(os_file *take_dir, const char *name,
                              const run_writer_options *options,
                              cask_run_writer **ret_writer, cask_error *err);

/* The file cannot be completed: all further calls give what `failure` says, as
 * this one does. */
cask_status run_writer_fail(cask_run_writer *writer, cask_status status,
                            const cask_error *failure, cask_error *err);

/* As the functions of caskade/run.h. */
cask_status run_writer_add(cask_run_writer *writer, const cask_run_entry *entry,
                           cask_error *err);
cask_status run_writer_finish(cask_run_writer *take_writer, cask_error *err);
void run_writer_abort(cask_run_writer *take_writer);

#endif
