/*
 * A store of the tree engine whose users are killed under single-step.
 */
#ifndef CASKADE_TESTS_PROCESS_STEP_STORE_H
#define CASKADE_TESTS_PROCESS_STEP_STORE_H

#include "caskade.h"
#include "support/random.h"
#include "support/scratch.h"

/* The first member of a test's scene: step_store_prepare() takes either. */
typedef struct step_store {
    char path[SCRATCH_PATH];
    cask_options options; /* of the next open; nothing is done by itself */
    cask_db *db;          /* NULL: not open */
    test_random random;   /* of test_seed() */
} step_store;

/* A directory, and options; to be opened. All of these fail the test. */
void step_store_begin(step_store *store);
/* Closes it if it is open. */
void step_store_end(step_store *store);
/* The same, as a fixture of cmocka, of a scene that has nothing else to end. */
int step_store_tear_down(void **state);

void step_store_open(step_store *store);
void step_store_close(step_store *store);

/* Closed, made anew, and open. */
void step_store_renew(step_store *store);

/* For stepper_work: the child opens it. */
void *step_store_prepare(void *context);

/* "key 007" */
cask_slice step_store_key(char text[16], unsigned key);

#endif
