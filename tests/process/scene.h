/*
 * A store in a scratch directory, for tests of processes.
 */
#ifndef CASKADE_TESTS_SCENE_H
#define CASKADE_TESTS_SCENE_H

#include "cask_test.h"

#include <sys/types.h>

#include "caskade.h"
#include "support/scratch.h"

/* Of a file's name in a store. */
enum { SCENE_NAME = 64 };

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_error err;
    int events[16]; /* of each kind */
} scene;

/* For cmocka: a scene with small segments; it must leave no region behind. */
int scene_set_up(void **state);
int scene_tear_down(void **state);

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

/* Fail the test, with the message, unless it is CASK_OK. */
void require(const scene *s, cask_status status);

cask_db *open_store(scene *s);
void close_store(scene *s, cask_db *db);
void put(scene *s, cask_db *db, const char *key, const char *value);

/* The value is this; NULL: there is none. */
void expect(scene *s, cask_db *db, const char *key, const char *value);

/* A child that runs `run` and ends with its result. */
pid_t start(int (*run)(scene *s), scene *s);

/* Its exit status, or 256 and the signal. */
int wait_for(pid_t pid);

/* Kill it. */
void end(pid_t pid);

/* Wait until another process has written `key`. */
void wait_for_key(cask_db *db, const char *key);

/* ---- Files of the store ---- */

void scene_path(const scene *s, const char *name,
                char ret_path[SCRATCH_PATH + SCENE_NAME]);

/* Make a file of zeros, as it is when its creator dies before it writes. */
void scene_plant(const scene *s, const char *name);

bool scene_has(const scene *s, const char *name);

#endif
