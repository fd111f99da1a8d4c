/*
 * What the files of the model test share: one sequence of operations as it
 * runs, the model of its store, and comparing.
 */
#ifndef CASKADE_TESTS_MODEL_H
#define CASKADE_TESTS_MODEL_H

#include "content.h"
#include "db/db.h"
#include "operations.h"
#include "os/os_fault.h"
#include "sim_store.h"

enum {
    KEYS = 20,
    OPERATIONS = 48, /* of one sequence */
    MANY = 16,
    START_S = 1000000,
    HANDLES = 2,
    SNAPSHOTS = 4
};

typedef struct operation {
    operation_kind kind;
    unsigned key;
    uint64_t number; /* what else it needs is made of this */
} operation;

/* What the model knows of a key. */
typedef struct entry {
    bool there;      /* a record that counts, perhaps expired */
    uint64_t number; /* of the operation that wrote it */
    uint64_t expires_at_ms;
    uint64_t time_s;
    uint64_t sequence; /* 0: not known */
} entry;

/* What a store holds at some moment. */
typedef struct model {
    entry entries[KEYS];
    uint64_t now_ms;
    uint64_t expiry_seconds;
} model;

/* A snapshot, and what the store held when it was made. */
typedef struct model_snapshot {
    cask_snapshot *snapshot; /* NULL: none */
    unsigned handle;
    model then;
} model_snapshot;

typedef struct run {
    uint64_t seed;
    sim_machine *machine;
    os_fault os[HANDLES]; /* a process each */
    cask_db *db[HANDLES];
    unsigned current;
    cask_options options;
    bool is_tree;    /* the store's engine */
    bool is_ahead;   /* the clock was set by a day */
    bool is_damaged; /* a byte of some segment is wrong */
    uint64_t store_expiry_s, store_grace_s; /* settings of the store */
    uint64_t sequence;                      /* highest seen */
    model now;
    model_snapshot snapshots[SNAPSHOTS];
    cask_buffer buffer;
    char message[400]; /* empty: no failure */
} run;

/* The sequence has failed; the first message counts. */
void wrong(run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether the store answered as expected, and with CASK_OK. */
bool answers(run *r, const char *what, cask_status found, cask_status expected,
             const cask_error *err);

bool is_live(const model *m, const entry *e);
uint64_t count_of(const model *m);
/* What the store counts: a tree those that have not expired. */
uint64_t counted(const run *r, const model *m);
void compare_value(run *r, const entry *e, cask_slice found);
void compare_info(run *r, entry *e, const cask_info *info);

/* Entries that a fold visits. */
typedef struct folding {
    run *r;
    model *m;
    bool keys_only;
    bool seen[KEYS];
} folding;

bool fold_one(void *context, const cask_entry *found);
void fold_end(folding *f);

/* Do one operation, and compare. */
void perform(run *r, const operation *o);

/* ---- model_damage.c ---- */

/* Damage a record, look what becomes of it, and write its key again. */
void damage_perform(run *r, const operation *o);

/* CASK_OK in place of CASK_CORRUPT, which folds and merges answer if they meet
 * what is damaged and dead. */
cask_status unless_damaged(const run *r, cask_status status);

/* ---- model_expiry.c ---- */

/* What concerns times: of keys, of the store, clocks, merges. */
void expiry_perform(run *r, const operation *o);

/* Compact a tree, which may take values away whose time is over, and no
 * others. */
void compact_tree(run *r, uint64_t number);

/* Of half of the trees nearly all values are apart from the runs. */
void tree_set_apart(run *r);

/* ---- model_ingest.c: a tree's alone ---- */

/* Delete a range, walk, or take a run in. */
void tree_perform(run *r, const operation *o);

/* ---- model_ranges.c: a tree's alone ---- */

/* Delete the keys of a range. */
void range_delete(run *r, const operation *o);
/* Let a batch do it; `after` is the model behind it. */
cask_status range_add(cask_batch *batch, unsigned key, uint64_t number,
                      entry *after, cask_error *err);
/* Walk over the keys of a range to and fro, now or as of a snapshot. */
void range_walk(run *r, const operation *o);

/* ---- model_snapshots.c ---- */

/* Make one, compare one with its model, or free one. */
void snapshot_perform(run *r, const operation *o);
/* Before the handle is closed, or after it died. */
void snapshot_free_all(run *r, unsigned handle);

#endif
