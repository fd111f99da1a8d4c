/*
 * A small store with a known past: what was written to it in which order, so
 * that any state it may be found in after damage can be told from one that it
 * never was in.
 */
#ifndef CASKADE_TESTS_CRASH_HISTORY_H
#define CASKADE_TESTS_CRASH_HISTORY_H

#include "crash/image.h"

#include "caskade.h"
#include "os/os_sim.h"

enum {
    HISTORY_ENDS = 4,
    HISTORY_KEYS = 24,
    HISTORY_STEPS = 96,
    HISTORY_NONE = -1,   /* the key is not there */
    HISTORY_DAMAGED = -2 /* its look-up said CASK_CORRUPT */
};

#define HISTORY_PATH "/store"

/* The simulated clock. */
#define HISTORY_NOW_MS UINT64_C(1700000000000)

typedef enum step_kind { STEP_PUT, STEP_EXPIRED_PUT, STEP_DELETE } step_kind;

/* One record of the log, in order. */
typedef struct step {
    step_kind kind;
    int key;
    int value;             /* for history_value() */
    bool more;             /* the next step belongs to the same batch */
    char file[IMAGE_NAME]; /* where its record is, */
    uint64_t start;        /* from here */
    uint64_t end;          /* to here, padding included */
} step;

/* How the last writer left the store. */
typedef enum history_end {
    HISTORY_SEALED,  /* all segments sealed by their close */
    HISTORY_ROTATED, /* as if killed before MANIFEST said that they are */
    HISTORY_CLOSED,  /* an unsealed one, closed properly */
    HISTORY_KILLED   /* the writer died with records behind the last mark */
} history_end;

typedef struct history {
    step steps[HISTORY_STEPS];
    int count;
    int first_count; /* steps of the first session */
    image image;
    /* The unsealed segment, if any; up to where MANIFEST says that it was
     * synced (by the last proper close), and up to where that or a mark says
     * it. */
    char tail_file[IMAGE_NAME];
    uint64_t tail_synced;
    uint64_t tail_trusted;
} history;

/*
 * Two sealed segments with hints and, from HISTORY_CLOSED on, an unsealed one
 * with marks. Overwrites, deletes, batches, expiry, NUL bytes, empty key and
 * value. Stores of one seed are one store at different times; of two seeds, two
 * stores that wrote the same.
 */
void history_make(history *ret_history, history_end end, uint64_t seed);
void history_free(history *past);

cask_slice history_key(int key);

/* Value number `i`; `buffer` holds it. */
cask_slice history_value(int i, char buffer[128]);

/* What key `k` holds after the first `count` steps: the number of the step
 * that put it, or HISTORY_NONE. */
int history_state(const history *past, int count, int k);

/* Whether `value` is what some step once put to `k`; its number, or -1. */
int history_step_of(const history *past, int k, const void *value, size_t size);

/* Steps that are whole, batches included, in front of byte `offset` of the
 * unsealed segment. */
int history_steps_before(const history *past, uint64_t offset);

/* The options that history_make() opened the store with. */
cask_options history_options(void);

#endif
