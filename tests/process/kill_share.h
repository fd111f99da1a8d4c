/*
 * What the kill test's processes write down outside of the store, in memory
 * that they share with their parent and that survives any of them: what a
 * writer is about to do, and what was acknowledged to it.
 *
 * Kinds of keys:
 *   owned    one writer each; versions 1, 2, ... of which some are deletes
 *            (which ones is a function of key and version)
 *   unique   written once by one writer, never touched again: the store grows
 *   counter  all writers raise them by conditional puts
 *
 * A process that is killed leaves for each key intent == acked (nothing was
 * under way) or intent > acked (who resolves it asks the store, once).
 */
#ifndef CASKADE_TESTS_KILL_SHARE_H
#define CASKADE_TESTS_KILL_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caskade.h"
#include "support/random.h"
#include "support/scratch.h"

enum {
    WRITERS = 6,
    READERS = 2,
    WORKERS = WRITERS + READERS,
    OWNED_KEYS = 200, /* of each writer */
    BATCH_KEYS = 8,   /* most owned keys in one batch */
    COUNTERS = 3,
    KEY_BYTES = 32,
    VALUE_BYTES = 400 << 10, /* the largest value and its head */
    BOUND_SECONDS = 20       /* what no operation may take */
};

/* One owned key. Versions only grow; 0 is "never written". */
typedef struct kill_key {
    _Atomic uint64_t intent;  /* version that was about to be written */
    _Atomic uint64_t acked;   /* newest version known to be in the store */
    _Atomic uint64_t seen;    /* newest version that somebody read */
    _Atomic uint64_t aborted; /* newest version known to be lost for ever */
} kill_key;

typedef struct kill_writer {
    kill_key key[OWNED_KEYS];
    /* The batch under way; size 0: none. */
    _Atomic uint32_t batch_size;
    uint32_t batch_key[BATCH_KEYS];
    uint64_t batch_version[BATCH_KEYS];
    /* Unique keys below `unique_acked` are in the store; those from
     * `unique_intent` on are not. */
    _Atomic uint64_t unique_intent, unique_acked;
    _Atomic uint32_t counter_intent; /* counter + 1 being raised; 0: none */
} kill_writer;

/* What one process says of itself. */
typedef struct kill_worker {
    _Atomic uint64_t operations;
    _Atomic uint64_t opens;
    _Atomic uint64_t longest_ns; /* of one operation */
    _Atomic bool paused;
} kill_worker;

typedef struct kill_share {
    char path[SCRATCH_PATH];
    uint64_t seed;
    _Atomic bool pause;
    _Atomic bool failed;
    _Atomic bool is_last_open; /* kill_finish() has opened the store */
    _Atomic bool is_alone;     /* nobody else is left */
    char message[512];
    _Atomic uint64_t sequence; /* highest that was acknowledged */
    _Atomic uint64_t counter_acked[COUNTERS];
    _Atomic uint64_t counter_unsure[COUNTERS]; /* raised, or killed before */
    _Atomic uint64_t counter_seen[COUNTERS];
    kill_writer writer[WRITERS];
    kill_worker worker[WORKERS];
    /* What was done, for the summary. */
    _Atomic uint64_t batches, deletes, conditions, private_opens, checks;
    _Atomic uint64_t merges_begun;
    _Atomic uint64_t merges, merged;
} kill_share;

/* Say what is wrong and end this process with status 1. */
_Noreturn void kill_fail(kill_share *share, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* kill_fail() unless `status` is CASK_OK. */
void kill_check(kill_share *share, cask_status status, const char *what,
                const cask_error *err);

/* Keys; `text` is the caller's memory. */
cask_slice kill_owned(char text[KEY_BYTES], unsigned writer, unsigned key);
cask_slice kill_unique(char text[KEY_BYTES], unsigned writer, uint64_t number);
cask_slice kill_counter(char text[KEY_BYTES], unsigned counter);
/* What a writer puts first of all; its value is its name. */
cask_slice kill_hello(char text[KEY_BYTES], unsigned writer);

/* Whether this version of an owned key is a delete. */
bool kill_is_delete(const kill_share *share, unsigned writer, unsigned key,
                    uint64_t version);

/* Whether the key has a value after this version. */
bool kill_is_put(const kill_share *share, unsigned writer, unsigned key,
                 uint64_t version);

/*
 * The value of a version: `version`, and bytes that depend on it and the key.
 *
 *   memory   VALUE_BYTES bytes
 */
cask_slice kill_value(const kill_share *share, cask_slice key, uint64_t version,
                      uint8_t *memory);

/* The version that a value bears; fails if a single byte of it is wrong. */
uint64_t kill_version(kill_share *share, cask_slice key, cask_slice value,
                      uint8_t *memory);

/* Let `word` be at least `value`. */
void kill_raise(_Atomic uint64_t *word, uint64_t value);

/* Let the stores be of the engine that the program's arguments say, before any
 * process is started; whether it is the tree. */
void kill_choose(int count, char **arguments);
bool kill_is_tree(void);

/* The defaults, for stores of that engine. */
void kill_begin_options(cask_options *ret_options);

/* Options of one opening, drawn at random. */
cask_options kill_options(test_random *random);

uint64_t kill_now_ns(void);

/* The life of a writer or a reader; ends only by death or failure. */
_Noreturn void kill_write(kill_share *share, unsigned writer, uint64_t life);
_Noreturn void kill_read(kill_share *share, unsigned reader, uint64_t life);

/* Decide what became of the operation that a dead writer had under way; the
 * handle must have taken the write lock since. */
void kill_resolve(kill_share *share, cask_db *db, unsigned writer,
                  uint8_t *memory);

/* Look at the whole store while nobody writes. */
void kill_examine(kill_share *share, test_random *random);

/* Open the store, wait until all others are dead, write, perhaps merge, close:
 * then there are the files that MANIFEST lists, and no region. */
void kill_finish(kill_share *share, test_random *random);

#endif
