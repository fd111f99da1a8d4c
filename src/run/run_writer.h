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
    os_file *dir; /* owned */
    run_output output;
    uint64_t nonce;
    uint64_t memory_limit;
    run_sections sections;
    cask_status failed; /* not CASK_OK: the file cannot be completed */
    cask_error failure;
};

/*
 * Begin the run `name` in `take_dir`, which the writer closes, also if this
 * fails. As cask_run_writer_create().
 */
cask_status run_writer_create(os_file *take_dir, const char *name,
                              const cask_run_options *options,
                              cask_run_writer **ret_writer, cask_error *err);

/* As the functions of caskade/run.h. */
cask_status run_writer_add(cask_run_writer *writer, const cask_run_entry *entry,
                           cask_error *err);
cask_status run_writer_finish(cask_run_writer *take_writer, cask_error *err);
void run_writer_abort(cask_run_writer *take_writer);

#endif
