/*
 * A directory for one test, on a real or a simulated disk, and short ways to
 * use it. Every helper fails the test if the call fails.
 */
#ifndef CASKADE_TESTS_UNIT_OS_PLACE_H
#define CASKADE_TESTS_UNIT_OS_PLACE_H

#include "cask_test.h"

#include "os/os.h"
#include "os/os_fault.h"
#include "os/os_sim.h"

enum { PLACE_PATH = 256 };

typedef struct place {
    os *os;
    os_file *dir;
    char path[PLACE_PATH];
    os_sim *sim; /* NULL on a real disk */
    os_fault fault;
} place;

/* Fixtures for cmocka: *state becomes a place. */
int place_setup_posix(void **state);
int place_setup_sim(void **state);
int place_setup_fault(void **state); /* os_fault around os_posix */
int place_teardown(void **state);

/* For the table of tests: on one kind of place, on all. */
#define ON(kind, test)                                                         \
    {                                                                          \
        .name = #kind ": " #test, .test_func = test,                           \
        .setup_func = place_setup_##kind, .teardown_func = place_teardown      \
    }

#define ON_ALL(test) ON(posix, test), ON(sim, test), ON(fault, test)

/* Delete a directory of the real disk and the files in it. */
void place_remove_tree(const char *path);

/* CASK_TEST_SEED, or a fixed number; printed once. */
uint64_t test_seed(void);

os_file *create_file(os_file *dir, const char *name);
os_file *open_file(os_file *dir, const char *name);
void put_bytes(os_file *file, const void *data, size_t size, uint64_t offset);
void put_text(os_file *file, const char *text, uint64_t offset);

/* Whether the file has exactly this text. */
bool has_text(os_file *file, const char *text);
/* The same by name; a missing file has no text. */
bool name_has_text(os_file *dir, const char *name, const char *text);
bool name_exists(os_file *dir, const char *name);
size_t count_names(os_file *dir);

#endif
