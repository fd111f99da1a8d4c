/*
 * A store with runs, for tests of versions: how runs come, are part of the tree
 * and are read, without an engine. A run has keys "k000" up to "k999", whose
 * values tell which run they are of.
 */
#ifndef CASKADE_TESTS_UNIT_TREE_FOREST_H
#define CASKADE_TESTS_UNIT_TREE_FOREST_H

#include "caskade.h"
#include "db/db.h"
#include "store/store.h"
#include "tree/version.h"

typedef struct forest {
    os *kernel;
    const char *path;
    cask_db *db;
    store_handle *store;
    versions *versions;
} forest;

/* Open the store, which is made if there is none, and take the merge lock if
 * `merges`; what open gives. */
cask_status forest_open(forest *f, os *kernel, const char *path, bool merges,
                        cask_error *err);
void forest_close(forest *f); /* accepts one that did not open */

/* A run to be. */
typedef struct forest_run {
    unsigned first; /* keys */
    unsigned count;
    unsigned tag; /* in the values; 1 or more; sequences grow with it */
    uint32_t level;
    uint32_t run;
} forest_run;

/* Write the file, and say how it is added. */
cask_status forest_write(forest *f, const forest_run *what,
                         version_add *ret_add, cask_error *err);

/* Write a run and apply an edit that adds it and drops another; 0: none. */
cask_status forest_replace(forest *f, const forest_run *what, uint64_t drop,
                           uint64_t *ret_id, cask_error *err);

/* What a version says of a key: the tag of a run; 0: nothing. Fails the test if
 * it cannot be read. */
unsigned forest_get(const version *v, unsigned key);

/* The same, of the newest version; a key of each hundred. `tags`: of as many.
 */
void forest_expect(forest *f, const unsigned *tags, unsigned count);

/* How many names in the directory end with `suffix`. */
unsigned forest_names(forest *f, const char *suffix);

/* Whether the file of a run is there. */
bool forest_has(forest *f, uint64_t id);

#endif
