/*
 * A child that runs instruction by instruction, or call by call, until it is
 * killed at a chosen point. Fails the test if the child ends otherwise.
 */
#ifndef CASKADE_TESTS_PROCESS_STEPPER_H
#define CASKADE_TESTS_PROCESS_STEPPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STEPPER_FUNCTION(name) ((void (*)(void))(name))

/*
 * Fork a child that prepares itself and stops. Skips the test if ptrace is not
 * allowed.
 *
 *   prepare  in the child: open what is needed. NULL: it failed
 *   perform  in the child, under single-step: 0 is success
 */
typedef struct stepper_work {
    void *(*prepare)(void *context);
    int (*perform)(void *prepared, void *context);
    void *context;
} stepper_work;

pid_t stepper_start(const stepper_work *work);
void stepper_kill(pid_t pid);

/*
 * Run at full speed to the `hit`th call of a function; a child has it at the
 * same address. False if it ended before. Elsewhere than on x86-64 (or without
 * debug registers) all is done step by step, from the beginning.
 */
bool stepper_run_to(pid_t pid, void (*function)(void), uint64_t hit);

/* Step up to `limit` instructions; how many there were until it was done. */
uint64_t stepper_step(pid_t pid, uint64_t limit);

/* Run to the `limit`th entry to or return from a system call; likewise. */
uint64_t stepper_run_calls(pid_t pid, uint64_t limit);

#endif
