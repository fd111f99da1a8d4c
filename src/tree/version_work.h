/*
 * What versions of runs are made of, for the sources that make and lend them.
 */
#ifndef CASKADE_VERSION_WORK_H
#define CASKADE_VERSION_WORK_H

#include <stdalign.h>

#include "tree/version.h"

/* A run that is open; in as many versions as it is in. */
typedef struct open_run {
    uint64_t id;
    cask_run *file;
    size_t references; /* mutex */
} open_run;

typedef struct version_stripe {
    alignas(64) _Atomic int64_t pins; /* of one stripe maybe less than 0 */
} version_stripe;

struct version_slot {
    version_stripe stripes[STORE_STRIPES];
    version version; /* constant while it is pinned or current */

    /* The rest: mutex. */
    version_slot *next;
    bool is_used;
    version_run *runs; /* owned, as are the next three */
    version_group *groups;
    open_run **opened; /* referenced; count of them */
    uint8_t *keys;     /* that parts begin with */
    size_t opened_count;
};

/* Its mutex comes before the maintenance lock. */
struct versions {
    store_handle *store;
    _Atomic(version_slot *) current; /* NULL: none is open */
    os_mutex mutex;                  /* for all below, and to store `current` */
    version_slot *slots;
    open_run **opened; /* by rising id; owned */
    size_t opened_count;
    size_t opened_capacity;
};

/* ---- version_make.c; all under the mutex ---- */

/* Make the version that MANIFEST has. CASK_NOT_FOUND: a run is not there. */
cask_status versions_make(versions *self, const manifest_state *manifest,
                          version_slot **ret_slot, cask_error *err);

/* Close all versions that nobody has and nobody can get. */
void versions_close_unused(versions *self);

/* Close the version of a slot that is in use. */
void versions_empty_slot(versions *self, version_slot *slot);

#endif
