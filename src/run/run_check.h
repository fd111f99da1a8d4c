/*
 * Reading all records of a run: each is verified as on every read, and besides
 * what no read looks at, because a writer made it right: that they are in order
 * and are as many as the footer says.
 */
#ifndef CASKADE_RUN_CHECK_H
#define CASKADE_RUN_CHECK_H

#include "run/run_read.h"

/* Called after each so many bytes; another status than CASK_OK ends it. */
typedef cask_status (*run_progress_fn)(void *context, uint64_t bytes,
                                       cask_error *err);

enum { RUN_CHECK_STEP = 1 << 20 /* bytes */ };

/*
 * Read them. Returns CASK_OK; CASK_CORRUPT; CASK_UNSUPPORTED (a record of a
 * newer version); what `progress` (NULL: none) returned.
 */
cask_status run_check(const cask_run *run, run_progress_fn progress,
                      void *context, cask_error *err);

#endif
