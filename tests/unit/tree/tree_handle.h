/*
 * A store of the tree engine for one test, and short ways to use it. Every
 * helper fails the test if the call fails.
 */
#ifndef CASKADE_TESTS_UNIT_TREE_TREE_HANDLE_H
#define CASKADE_TESTS_UNIT_TREE_TREE_HANDLE_H

#include "unit/db/handle.h"

/* Fixtures for cmocka, with small memtables: as handle_setup() and
 * handle_prepare(). */
int tree_handle_setup(void **state);
int tree_handle_prepare(void **state);

/* Flush all memtables. */
void flush_all(handle *h);

/* cask_merge(); ret_report: NULL: not wanted. */
void merge_runs(handle *h, bool all, cask_merge_report *ret_report);

/* The files of runs that are there. */
typedef struct run_files {
    os_file *dir;
    uint64_t count;
    uint64_t bytes;
} run_files;
run_files find_runs(handle *h);

/* The text of a key, and of its value in a round; good until the next call. */
const char *name_of(unsigned i);
const char *text_of(unsigned round, unsigned i);

#endif
