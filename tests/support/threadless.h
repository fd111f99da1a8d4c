/*
 * An os in which no thread runs, so that every run of a test makes the same
 * calls.
 */
#ifndef CASKADE_TESTS_THREADLESS_H
#define CASKADE_TESTS_THREADLESS_H

#include "os/os.h"

static inline int threadless_start(os *self, os_thread_fn run, void *argument,
                                   os_thread **ret_thread)
{
    static char nobody;

    (void)self;
    (void)run;
    (void)argument;
    *ret_thread = (os_thread *)&nobody;
    return 0;
}

static inline void threadless_join(os *self, os_thread *thread)
{
    (void)self;
    (void)thread;
}

/* Threads seem to be started, and do nothing. */
static inline void threadless(os_ops *ops)
{
    ops->thread_start = threadless_start;
    ops->thread_join = threadless_join;
}

#endif
