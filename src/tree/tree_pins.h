/*
 * Who has something that is replaced now and then: a version of the runs, a
 * book of deleted ranges. Whoever reads one is counted, in as many lines as
 * there are stripes of threads, so that readers do not wait for each other.
 *
 *   reader   takes the current one; counts itself in; looks whether it is
 *            still current: then it has it, else it counts itself out
 *   closer   makes another one current; adds up the counts of the old one;
 *            at 0 nobody has it, and nobody gets it any more
 *
 * Both store first and load then, in one total order, so at least one of two
 * sees the other. A pin may end in another thread's stripe: after it is not
 * current any more no pin is added for good, so a sum read one by one is at
 * least the truth. Who ends a pin of one that is not current looks whether it
 * was the last.
 *
 * What is pinned is freed with the handle only, and used again meanwhile, so
 * that a reader may count itself in one that is not what it thought.
 */
#ifndef CASKADE_TREE_PINS_H
#define CASKADE_TREE_PINS_H

#include <stdalign.h>

#include "store/store.h"

typedef struct tree_pin_stripe {
    alignas(64) _Atomic int64_t pins; /* of one stripe maybe less than 0 */
} tree_pin_stripe;

/* Begins as {0}. */
typedef struct tree_pins {
    tree_pin_stripe stripes[STORE_STRIPES];
} tree_pins;

/* Cost: one atomic operation on this thread's line. */
static inline void tree_pins_add(store_handle *store, tree_pins *pins)
{
    ptrdiff_t mine = store_stripe_of(store) - store->stripes;

    atomic_fetch_add(&pins->stripes[mine].pins, 1);
}

static inline void tree_pins_remove(store_handle *store, tree_pins *pins)
{
    ptrdiff_t mine = store_stripe_of(store) - store->stripes;

    atomic_fetch_sub(&pins->stripes[mine].pins, 1);
}

/* Whether somebody has it, or tries to. */
static inline bool tree_pins_are_held(const tree_pins *pins)
{
    int64_t sum = 0;

    for (size_t i = 0; i < STORE_STRIPES; i++) {
        sum += atomic_load(&pins->stripes[i].pins);
    }
    return sum != 0;
}

#endif
