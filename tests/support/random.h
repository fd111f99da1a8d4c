/*
 * Random numbers for tests: one seed, printed, so that a run can be repeated.
 */
#ifndef CASKADE_TESTS_RANDOM_H
#define CASKADE_TESTS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The state of one stream; any value is a good start. */
typedef struct test_random {
    uint64_t state;
} test_random;

/* CASK_TEST_SEED, or a new seed; prints it once per process. */
uint64_t test_seed(void);

/* A number from the environment, or `fallback`. */
uint64_t test_number(const char *variable, uint64_t fallback);

/* A stream of its own for part `number` of a test. */
test_random test_random_make(uint64_t seed, uint64_t number);

/* The next number; below `limit` (0: any). */
uint64_t test_random_next(test_random *random, uint64_t limit);

/* True in `percent` of 100 cases. */
bool test_random_chance(test_random *random, unsigned percent);

/* The next number of a stream of test_seed() that the whole program shares. */
uint64_t test_random_shared(void);

/* Scramble one number; equal in, equal out. */
uint64_t test_mix(uint64_t value);

#endif
