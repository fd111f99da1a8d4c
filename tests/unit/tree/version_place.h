/*
 * A simulated disk with a store on it, for one test of versions. Every helper
 * fails the test if the call fails.
 */
#ifndef CASKADE_TESTS_UNIT_TREE_VERSION_PLACE_H
#define CASKADE_TESTS_UNIT_TREE_VERSION_PLACE_H

#include "os/os_fault.h"
#include "os/os_sim.h"
#include "unit/tree/forest.h"

#define PATH "/store"

typedef struct place {
    os_sim *sim;
    os_fault fault; /* of the disk */
    forest f;
} place;

/* For cmocka: *state becomes a place with an open store. */
int place_set_up(void **state);
int place_tear_down(void **state);

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

void make_disk(place *p, uint64_t seed);
void open_forest(place *p);

void require(cask_status status, const cask_error *err);

/* Write a run, or also let it take the place of another; its id. */
version_add write_run(place *p, forest_run what);
uint64_t replace(place *p, forest_run what, uint64_t drop);
void apply(place *p, const version_edit *edit);
void settle(place *p);

/* End it with version_unpin(). */
const version *pin(place *p);

region_tree *tree_of(place *p);
os_file *dir_of(place *p);

#endif
