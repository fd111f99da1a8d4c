/*
 * A store on a simulated disk for one test, and short ways to use it. Every
 * helper fails the test if the call fails.
 */
#ifndef CASKADE_TESTS_UNIT_DB_HANDLE_H
#define CASKADE_TESTS_UNIT_DB_HANDLE_H

#include "cask_test.h"

#include "caskade.h"
#include "os/os_sim.h"

#define HANDLE_PATH "/store"
#define HANDLE_NOW_MS UINT64_C(1700000000000)

typedef struct handle {
    os_sim *sim;
    os *kernel;
    cask_options options; /* of the next handle_open() */
    cask_db *db;
} handle;

/* Fixtures for cmocka: *state becomes a handle on a new, open store; or on one
 * that the first handle_open() makes. */
int handle_setup(void **state);
int handle_prepare(void **state);
int handle_teardown(void **state);

/* Close and open again with h->options. */
void handle_reopen(handle *h);
void handle_open(handle *h);
void handle_close(handle *h);

void put_text(handle *h, const char *key, const char *value);
void delete_text(handle *h, const char *key);
/* The value is this text; NULL: there is none. */
void check_text(handle *h, const char *key, const char *value);
uint64_t count_keys(handle *h);

cask_stats handle_stats(handle *h);
cask_merge_state handle_merge_state(handle *h);
uint64_t handle_tombstones(handle *h); /* of all segments */
cask_merge_report handle_merge_all(handle *h);

/* Seal the active segment; the row that it was in. */
uint32_t handle_seal(handle *h);

/* The directory, for the caller to close; the store may be open or not. */
os_file *handle_dir(handle *h);

/* Verify finds no problem. */
void handle_verify(handle *h);

/* `size` bytes that depend on `seed`. The caller frees them. */
uint8_t *make_bytes(size_t size, uint64_t seed);
void put_bytes(handle *h, const char *key, const void *value, size_t size);
void check_bytes(handle *h, const char *key, const void *value, size_t size);

/* Whether there is such a directory. */
bool directory_exists(os *kernel, const char *path);

/* Remove all names in a directory, if there is one. */
void clear_directory(os *kernel, const char *path);

/* Let the disk have so many bytes free; how many it had in all. */
uint64_t limit_disk(handle *h, uint64_t free_bytes);

/* For on_progress: goes on *context times, then stops. */
bool stop_at(void *context, uint64_t done, uint64_t total);

#endif
