/*
 * A tree for tests of compactions: runs in files of a simulated disk, a list of
 * them in memory in place of MANIFEST, and an oracle that knows what every
 * snapshot is to see.
 */
#ifndef CASKADE_TESTS_TOY_TREE_H
#define CASKADE_TESTS_TOY_TREE_H

#include "cask_test.h"

#include "os/os_fault.h"
#include "os/os_sim.h"
#include "support/random.h"
#include "tree/compact_job.h"

enum {
    TOY_KEYS = 240,
    TOY_SNAPSHOTS = 4,
    TOY_BATCH = 64,
    TOY_RUNS = 400,
    TOY_KEY_SIZE = 24
};

/* What is seen of each key: the sequence of its put; 0: nothing. */
typedef struct toy_view {
    uint64_t sequence; /* up to this one */
    uint64_t put[TOY_KEYS];
    bool expires[TOY_KEYS]; /* the put does, some day */
    uint64_t expired_up_to; /* such puts, up to this sequence, have */
} toy_view;

/* What is put. */
typedef struct toy_mix {
    uint32_t keys;
    unsigned delete_percent;
    unsigned range_percent;
    unsigned expiring_percent; /* they expire when toy_expire() says so */
} toy_mix;

typedef struct toy_tree {
    os_sim *sim;
    os_fault fault;
    os_file *dir;
    test_random random;
    toy_mix mix;
    compaction_settings settings;

    version_run runs[TOY_RUNS]; /* in the order of a version */
    size_t count;
    uint32_t next_run;
    uint64_t next_id;

    uint64_t sequence;
    toy_view now;
    toy_view snapshot[TOY_SNAPSHOTS];
    size_t snapshots;

    uint64_t steps;   /* calls of go_on() */
    uint64_t stop_at; /* that call says stop; 0: none */
    unsigned flushes; /* so many of them flush yet */
} toy_tree;

void toy_make(toy_tree *tree, uint64_t seed, uint64_t number);
void toy_free(toy_tree *tree);

/* Put a batch at random, and write it as a run of level 0. */
void toy_flush(toy_tree *tree);
/* Put these keys, at most TOY_BATCH, and write them. */
void toy_put_in_order(toy_tree *tree, uint32_t from, uint32_t count);
/* Delete all keys by one range, and write that. */
void toy_delete_all(toy_tree *tree);
/* All puts so far that expire have expired. */
void toy_expire(toy_tree *tree);
void toy_take_snapshot(toy_tree *tree);
void toy_drop_snapshot(toy_tree *tree, size_t index);

/* The runs as a version; valid until the next change. */
version toy_version(const toy_tree *tree);

/* Choose by the strategy, or all; false: nothing is due. `choices` has room for
 * TOY_RUNS. */
bool toy_choose(const toy_tree *tree, const compact_facts *facts, bool all,
                uint32_t *choices, compaction_plan *ret_plan);

/* Do it. The runs are as before if it fails. */
cask_status toy_carry_out(toy_tree *tree, const compact_facts *facts,
                          const compaction_plan *plan, const uint32_t *choices,
                          cask_error *err);

/* One compaction, if one is due; false: none was. */
bool toy_compact(toy_tree *tree, bool all);

/* Runs are in order and whole, no file is there besides, and all that is seen
 * is what is to be seen. */
void toy_check(toy_tree *tree);

uint64_t toy_bytes(const toy_tree *tree);

#endif
