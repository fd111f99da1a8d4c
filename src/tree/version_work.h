/*
 * What versions of runs are made of, for the sources that make and lend them.
 */
#ifndef CASKADE_VERSION_WORK_H
#define CASKADE_VERSION_WORK_H

#include "tree/tree_pins.h"
#include "tree/version.h"

/* A run that is open; in as many versions as it is in. */
typedef struct open_run {
    uint64_t id;
    uint64_t bytes;   /* as MANIFEST says */
    cask_run *file;   /* NULL: it is broken */
    cask_run *bounds; /* of one that is; NULL: they are not known */
    char *damage;     /* of one that is; owned */
    bool is_held;     /* a record of it is damaged; mutex, like the rest */
    bool is_told;     /* that it is broken, by an event */
    size_t references;
} open_run;

struct version_slot {
    tree_pins pins;
    version version; /* constant while it is pinned or current */

    /* The rest: mutex. */
    version_slot *next;
    bool is_used;
    version_run *runs; /* owned, as are the next six */
    version_group *groups;
    version_broken *broken;
    manifest_lost *losts;
    version_values *values;
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
    size_t untold; /* broken runs of which no event told yet */
};

/* ---- version_make.c ---- */

/* Open the file of a run of this store, as it is listed; a nonce of 0 stands
 * for any. CASK_NOT_FOUND: there is no such file; else as run_open(). */
cask_status versions_open_file(const store_handle *store,
                               const manifest_run *listed, run_extent extent,
                               cask_run **ret_file, cask_error *err);

/* ---- version_apply.c ---- */

/* Whether a run comes with the edit, maybe again; whether it goes, maybe to
 * come again. */
bool version_edit_adds(const version_edit *edit, uint64_t id);
bool version_edit_drops(const version_edit *edit, uint64_t id);

/* ---- version_values.c ---- */

/* For qsort(): by rising id. */
int version_values_compare(const void *left, const void *right);

/*
 * The runs of values that no run names any more after an edit, and that every
 * one that is named is there, or was missing before.
 *
 *   pinned   the version that the edit changes
 *   files    of edit->adds, in the same order
 *   ret_ids  as many as pinned->values_count have room; none while a run is
 *            broken: nobody knows what that names
 *
 * Returns CASK_OK; CASK_INVALID: a new run names what is not there.
 */
cask_status version_find_unnamed(const version *pinned,
                                 const version_edit *edit,
                                 const cask_run *const *files,
                                 uint64_t *ret_ids, size_t *ret_count,
                                 cask_error *err);

/* ---- version_make.c; all under the mutex ---- */

/*
 * Make the version that MANIFEST has.
 *
 *   all  no other process can have removed a run: one that is not there is
 *        broken. Else CASK_NOT_FOUND
 */
cask_status versions_make(versions *self, const manifest_state *manifest,
                          bool all, version_slot **ret_slot, cask_error *err);

/* Place of the first open run whose id is not less. */
size_t versions_place_of(const versions *self, uint64_t id);

/* In which place of a version broken runs are, and what is held for damage. */
void versions_note_damage(const versions *self, version_slot *slot);

/* A run that cannot be opened, for `why`; what is known of it. */
cask_status versions_break(const store_handle *store,
                           const manifest_run *listed, const cask_error *why,
                           open_run *run, cask_error *err);

/* Close all versions that nobody has and nobody can get. */
void versions_close_unused(versions *self);

/* Close the version of a slot that is in use. */
void versions_empty_slot(versions *self, version_slot *slot);

#endif
