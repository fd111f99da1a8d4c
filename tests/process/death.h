/*
 * Deaths of a child, one after another, in the midst of what it does.
 */
#ifndef CASKADE_TESTS_PROCESS_DEATH_H
#define CASKADE_TESTS_PROCESS_DEATH_H

#include <stdbool.h>
#include <stdint.h>

#include "process/stepper.h"
#include "support/random.h"

/* Who dies, and what comes before and after each death. */
typedef struct death_round {
    stepper_work work; /* its context is passed to the others, too */
    test_random *random;
    void (*begin)(void *context);
    void (*end)(void *context); /* the child is dead */
} death_round;

/* From one of the first `hits` calls of a function on, up to `window`
 * instructions. */
typedef struct death_place {
    void (*function)(void);
    uint64_t hits;
    uint64_t window;
} death_place;

/* One death, without what comes before and after. False if the child's work was
 * over before. */
bool death_at(const death_round *round, const death_place *where);

/* CASK_TEST_POINTS rounds (default 25, or DEATH_POINTS), each with a death at
 * the place; in more than a quarter of them the child is in the midst of it. */
void death_sweep(const death_round *round, const death_place *where);

/* Rounds, each with a death some system calls later than the one before, until
 * the child's work is over; 40 calls at least.
 *
 *   stride  calls from one death to the next, on average
 */
void death_sweep_calls(const death_round *round, uint64_t stride);

#endif
