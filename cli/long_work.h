/*
 * A call of the library that takes long: how far it is on the terminal, a
 * signal that stops it, and its failure.
 */
#ifndef CASKADE_CLI_LONG_WORK_H
#define CASKADE_CLI_LONG_WORK_H

#include "progress.h"
#include "report.h"

typedef struct long_work {
    progress line;
    const char *name;     /* of the command */
    const char *if_ended; /* what a signal leaves: "nothing was changed" */
} long_work;

/*
 * Begin: from now on a signal stops it.
 *
 *   name, if_ended  what is said of it then; both outlive it
 *   verb, items     see progress_start()
 */
void long_work_begin(long_work *work, const char *name, const char *if_ended,
                     const char *verb, const char *items);

/* A cask_progress_fn; `context` is a long_work, or begins with one. */
bool long_work_goes_on(void *context, uint64_t done, uint64_t total);

/* The call has returned. */
void long_work_end(long_work *work);

/*
 * Report that it failed, or that a signal has stopped it: then EXIT_DONE, for
 * the program dies of the signal.
 *
 *   subject  as of report_failure()
 */
exit_status long_work_failed(const long_work *work, const char *subject,
                             const cask_error *err);

#endif
