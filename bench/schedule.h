/*
 * Which runs happen, in which order, each in a child process of its own.
 */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include "results.h"

/*
 * Do every run that the settings ask for, repeats interleaved over the
 * engines (A B C A B C ...), and collect the figures. A run that fails has
 * said why on standard error and is counted in results.failed_runs.
 *
 * Returns false if a signal (interrupt, terminate, hang up) ended it early.
 * All directories and processes are gone in any case.
 */
bool schedule_all(const bench_settings *settings, bench_results *results);

/* Remove a directory with all that is in it, if there is one; says what it
 * could not remove. */
void remove_tree(const char *path);

#endif
