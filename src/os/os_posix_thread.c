/*
 * The real os: threads. They belong to a library inside somebody's program, so
 * they take no signals (the program's handlers run on its own threads) and
 * little memory.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { STACK_BYTES = 256 * 1024 };

struct os_thread {
    pthread_t handle;
    os_thread_fn run;
    void *argument;
};

static void *run_thread(void *argument)
{
    os_thread *thread = argument;

    thread->run(thread->argument);
    return NULL;
}

static int create_with_stack(os_thread *thread, size_t stack_bytes)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);

    if (error != 0) {
        return error;
    }
    error = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (error == 0) {
        error =
            pthread_create(&thread->handle, &attributes, run_thread, thread);
    }
    (void)pthread_attr_destroy(&attributes);
    return error;
}

static int create(os_thread *thread)
{
    int error = create_with_stack(thread, STACK_BYTES);

    /* EINVAL: large thread-local variables (sanitizers) do not fit. */
    if (error == EINVAL) {
        error = pthread_create(&thread->handle, NULL, run_thread, thread);
    }
    return error;
}

int posix_thread_start(os *self, os_thread_fn run, void *argument,
                       os_thread **ret_thread)
{
    os_thread *thread = malloc(sizeof(*thread));
    sigset_t all;
    sigset_t before;
    int error;

    (void)self;
    if (thread == NULL) {
        return ENOMEM;
    }
    thread->run = run;
    thread->argument = argument;
    (void)sigfillset(&all);
    /* Inherited by the new thread; there is no moment without it. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = create(thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(thread);
        return error;
    }
    *ret_thread = thread;
    return 0;
}

void posix_thread_join(os *self, os_thread *thread)
{
    (void)self;
    if (thread == NULL) {
        return;
    }
    (void)pthread_join(thread->handle, NULL);
    free(thread);
}
