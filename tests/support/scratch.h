/*
 * A directory for the files of one test, gone when the test is.
 */
#ifndef CASKADE_TESTS_SCRATCH_H
#define CASKADE_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

enum { SCRATCH_PATH = 256 };

/* Make a new directory in TMPDIR or /tmp; ends the program if it cannot. */
void scratch_make(char ret_path[SCRATCH_PATH]);

/* Remove a file, or a directory with all that is in it; no links followed. */
void scratch_remove(const char *path);

/* How many names in /dev/shm are regions of the store in `path`. */
unsigned scratch_regions(const char *path);

#endif
