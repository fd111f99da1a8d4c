/*
 * What is merged: inputs whose records are sorted by key and, of one key, by
 * falling sequence, so that the newest version comes first. A run, a memtable,
 * an array of a test.
 *
 * The layer knows nothing of files or stores: it sees entries as a run has them
 * (include/caskade/run.h) and calls its inputs.
 */
#ifndef CASKADE_ITER_INPUT_H
#define CASKADE_ITER_INPUT_H

#include "base/key_order.h"
#include "caskade.h"

/*
 * The calls are those of cask_run_iterator: each goes to a record and describes
 * it, or returns CASK_NOT_FOUND if there is none, or what went wrong. After
 * anything but CASK_OK the input is nowhere, and `seek` is the only call made.
 *
 * Records may come into being while an input is read (memtables), anywhere; one
 * that was there does not go.
 */
typedef struct iter_input_ops {
    cask_status (*seek)(void *self, cask_run_seek how, cask_slice key,
                        cask_run_entry *ret_entry, cask_error *err);
    cask_status (*next)(void *self, cask_run_entry *ret_entry, cask_error *err);
    cask_status (*previous)(void *self, cask_run_entry *ret_entry,
                            cask_error *err);
} iter_input_ops;

typedef struct iter_input {
    const iter_input_ops *ops;
    void *self;
    bool is_stable; /* bytes that its entries lend stay valid as long as it is
                       used; else until it is moved */
    uint64_t last_sequence; /* it has nothing newer; 0: not known */
} iter_input;

/*
 * Sequences at which the store is looked at, ascending: those of snapshots, and
 * UINT64_MAX for the present. A record belongs to the first one that is not
 * before it, and counts if it is the newest of its key there: so each moment
 * keeps what is seen then, and nothing else is kept.
 */
typedef struct iter_moments {
    const uint64_t *at;
    size_t count;
} iter_moments;

/* The moment that a record of this sequence belongs to; `count`: it is newer
 * than all. */
static inline size_t iter_moment_of(iter_moments moments, uint64_t sequence)
{
    size_t low = 0;
    size_t high = moments.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (moments.at[middle] < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Keys from `lower` to before `upper`; data NULL: no bound. */
typedef struct iter_bounds {
    cask_slice lower;
    cask_slice upper;
} iter_bounds;

static inline bool iter_is_below(const iter_bounds *bounds, cask_slice key)
{
    return bounds->lower.data != NULL && key_compare(key, bounds->lower) < 0;
}

static inline bool iter_is_above(const iter_bounds *bounds, cask_slice key)
{
    return bounds->upper.data != NULL && key_compare(key, bounds->upper) >= 0;
}

/* Whether a put or pointer has expired: it is a tombstone then. */
typedef bool (*iter_expired)(void *context, const cask_run_entry *entry);

#endif
