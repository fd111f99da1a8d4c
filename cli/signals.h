/*
 * Ending cleanly: a long command notices a signal, closes the store, and then
 * dies of the signal, as the shell that started it expects.
 */
#ifndef CASKADE_CLI_SIGNALS_H
#define CASKADE_CLI_SIGNALS_H

#include <stdbool.h>

/* Once, at the start: a closed pipe, or a file that may not grow, is an error
 * of write(), no signal. */
void signals_init(void);

/* From now on SIGINT, SIGTERM and SIGHUP are noted; a second one kills. */
void signals_catch(void);

/* The number of the one that arrived, or 0. */
int signals_arrived(void);

/*
 * Wait until `fd` can be read without waiting. False if a signal arrived,
 * before or meanwhile: none can slip in between the check and the wait.
 */
bool signals_wait_readable(int fd);

/* Forget it and catch the next one: for a prompt. */
void signals_forget(void);

/* Die of the signal that arrived, or of SIGPIPE if `pipe_is_broken`, else
 * return. */
void signals_finish(bool pipe_is_broken);

#endif
