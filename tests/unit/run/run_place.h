/*
 * A disk in memory for tests of runs, and runs on it.
 */
#ifndef CASKADE_TEST_RUN_PLACE_H
#define CASKADE_TEST_RUN_PLACE_H

#include "cask_test.h"

#include "os/os_fault.h"
#include "os/os_sim.h"
#include "run/run_iterator.h"
#include "run/run_writer.h"

#define RUN_NAME "x.run"

typedef struct run_place {
    os_sim *sim;
    os_fault fault; /* files are opened through it */
    os_file *dir;
} run_place;

/* For cmocka; *state is the run_place. */
int run_place_setup(void **state);
int run_place_teardown(void **state);

/* A writer of RUN_NAME. options: NULL: none. */
cask_status run_place_begin(run_place *place, const cask_run_options *options,
                            cask_run_writer **ret_writer, cask_error *err);

/* Write these to RUN_NAME. */
void run_place_write(run_place *place, const cask_run_options *options,
                     const cask_run_entry *entries, size_t count);

/* The bytes of RUN_NAME; free() them. */
uint8_t *run_place_read(run_place *place, size_t *ret_size);

/* What is to leave a run as a whole, or nothing. */
typedef struct run_place_work {
    cask_status (*write)(run_place *place, cask_error *err); /* RUN_NAME */
    void (*check)(run_place *place); /* what was written; NULL: nothing more */
    uint64_t calls_min;              /* that it makes; a call lost fails here */
    uint64_t calls_max;
} run_place_work;

/* Fail each of its calls in turn: it says so, with the error, and leaves
 * nothing. Without a failure it is there, and is removed. */
void run_place_fail_each_call(run_place *place, const run_place_work *work,
                              int error, bool short_write);

/* The only name in the directory, "" if there is none, "*" if several. */
const char *run_place_name(run_place *place);

cask_slice text_slice(const char *text);

/* Entries of text. */
cask_run_entry put_of(const char *key, const char *value, uint64_t sequence);
cask_run_entry delete_of(const char *key, uint64_t sequence);
cask_run_entry range_of(const char *from, const char *to, uint64_t sequence);
cask_run_entry pointer_of(const char *key, uint64_t segment_id,
                          uint64_t sequence);

void assert_slice(cask_slice got, cask_slice expected);
void assert_entry(const cask_run_entry *got, const cask_run_entry *expected);

/* Random numbers; seeded by CASK_TEST_SEED or a seed that is printed. */
uint64_t run_random(void);

#endif
