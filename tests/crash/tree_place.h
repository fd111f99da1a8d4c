/*
 * A small store of the tree engine on a simulated disk: a run in the last
 * level, one above it that has several versions of some keys, one that was
 * taken in, and a log; puts, deletes, deletes of ranges, keys that are in all
 * of them, values that are apart from their run.
 */
#ifndef CASKADE_TESTS_CRASH_TREE_PLACE_H
#define CASKADE_TESTS_CRASH_TREE_PLACE_H

#include "caskade.h"
#include "crash/image.h"
#include "os/os_sim.h"

#define TREE_PATH "/store"

enum { TREE_KEYS = 24, TREE_VALUE = 48, TREE_VERSIONS = 6 };

typedef struct tree_place {
    os_sim *sim;
    os *kernel;
    image whole; /* the store, closed */
    /* Of each key, the newest first; "": it was deleted. */
    char values[TREE_KEYS][TREE_VERSIONS][TREE_VALUE];
    unsigned versions[TREE_KEYS]; /* how many there are */
    unsigned range[TREE_KEYS];    /* number of the range by which the newest was
                                     deleted; 0: by none */
    bool is_taken_in[TREE_KEYS];  /* the newest came with a run */
    unsigned ranges;
    cask_db *db; /* while it is made */
} tree_place;

/* For cmocka: *state becomes a place whose store is in TREE_PATH, closed. */
int tree_place_set_up(void **state);
int tree_place_tear_down(void **state);

cask_options tree_place_options(void);

/* Whether it is a run of values. */
bool tree_place_is_values(const image_file *file);

/* In sweeps over the bytes of a file: each of those of values, half of all
 * others. Two sweeps may begin at different ones. */
unsigned tree_place_stride(const image_file *file);

/* "key 07" */
const char *tree_key(unsigned i);

/* What a store answers for the keys. */
typedef struct tree_answers {
    unsigned right;  /* as it was, deleted ones too */
    unsigned older;  /* an older version, or a value of a deleted key */
    unsigned gone;   /* not found, though there was a value */
    unsigned failed; /* the get failed */
    bool is_right[TREE_KEYS];
} tree_answers;

/* Read all keys. Fails the test if one has a value that it never had. */
tree_answers tree_place_read(const tree_place *p, cask_db *db);

#endif
