/*
 * Versions of the runs, as one process has them.
 *
 * A version lies in a slot. Slots are made when needed and freed with the
 * handle only, so that a reader may count itself in one that is not what it
 * thought. Pins are counted in as many lines as there are stripes of threads:
 *
 *   reader   takes the current slot; counts itself in; looks whether it is
 *            still current: then it has it, else it counts itself out
 *   closer   makes another slot current; adds up the counts of the old one;
 *            at 0 nobody has it, and nobody gets it any more
 *
 * Both store first and load then, in one total order, so at least one of two
 * sees the other. A pin may end in another thread's stripe: after the slot is
 * not current any more no pin is added for good, so a sum read one by one is at
 * least the truth. Who ends a pin of a slot that is not current looks whether
 * it was the last.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/key_order.h"
#include "tree/version_work.h"

static _Atomic int64_t *pins_of(versions *self, version_slot *slot)
{
    store_handle *store = self->store;

    return &slot->stripes[store_stripe_of(store) - store->stripes].pins;
}

static void lock(versions *self)
{
    const os_ops *ops = self->store->os->ops;

    (void)ops->mutex_lock(self->store->os, &self->mutex, UINT32_MAX);
}

static void unlock(versions *self)
{
    self->store->os->ops->mutex_unlock(self->store->os, &self->mutex);
}

static uint64_t published(const versions *self)
{
    return atomic_load_explicit(&self->store->region.header->tree.version,
                                memory_order_acquire);
}

/* ---- Refreshing ---------------------------------------------------------- */

/*
 * Somebody may be appending to it at this moment. Edits of one version are
 * written in one go, and a reader sees their beginning at most; but over the
 * rest of one that was given up it may see any of them, which looks like
 * damage. Then it is read while nobody writes.
 */
static cask_status load(versions *self, manifest_state *ret_manifest,
                        cask_error *err)
{
    store_handle *store = self->store;
    cask_status status =
        manifest_load(store->dir, store->identity.uuid, ret_manifest, err);

    if (status != CASK_CORRUPT || store->private_index) {
        return status;
    }
    manifest_free(ret_manifest);
    status = store_maintain_begin(store, err);
    if (status == CASK_OK) {
        status =
            manifest_load(store->dir, store->identity.uuid, ret_manifest, err);
        store_maintain_end(store);
    }
    return status;
}

/*
 * Load MANIFEST and make its version. CASK_NOT_FOUND: a run has gone;
 * *ret_number: of the version that names it. That is damage if MANIFEST still
 * has that version.
 */
static cask_status load_and_make(versions *self, version_slot **ret_slot,
                                 uint64_t *ret_number, cask_error *err)
{
    uint64_t least = published(self);
    manifest_state manifest = {0};
    cask_status status = load(self, &manifest, err);

    *ret_number = manifest.version;
    if (status == CASK_NOT_FOUND) {
        status = fail(err, CASK_CORRUPT, 0, MANIFEST_NAME ": missing");
    }
    if (status == CASK_OK && manifest.version < least) {
        status = fail(err, CASK_CORRUPT, 0,
                      MANIFEST_NAME ": is at version %" PRIu64
                                    " of the tree, which was at %" PRIu64
                                    " already; restore it",
                      manifest.version, least);
    }
    if (status == CASK_OK) {
        status = versions_make(self, &manifest, ret_slot, err);
    }
    manifest_free(&manifest);
    return status;
}

static cask_status refresh_locked(versions *self, cask_error *err)
{
    version_slot *current = atomic_load(&self->current);
    cask_error local = {CASK_OK, 0, ""};
    uint64_t missed = UINT64_MAX;
    version_slot *slot = NULL;
    cask_status status;
    uint64_t number;

    if (current != NULL && current->version.number >= published(self)) {
        /* Another thread has done it; it may have met the pin that was not to
         * be. */
        versions_close_unused(self);
        return CASK_OK;
    }
    err = err == NULL ? &local : err;
    while ((status = load_and_make(self, &slot, &number, err)) ==
           CASK_NOT_FOUND) {
        if (number == missed) {
            cask_error found = *err;

            return fail(err, CASK_CORRUPT, 0,
                        "%s, but MANIFEST lists it; restore it from a backup",
                        found.message);
        }
        missed = number;
    }
    if (status == CASK_OK) {
        atomic_store(&self->current, slot);
        versions_close_unused(self);
    }
    return status;
}

/* ---- The whole ----------------------------------------------------------- */

cask_status versions_open(store_handle *store, versions **ret_versions,
                          cask_error *err)
{
    versions *self = calloc(1, sizeof(*self));
    int os_errno;

    if (self == NULL) {
        return fail_memory(err, sizeof(*self));
    }
    self->store = store;
    os_errno = store->os->ops->mutex_init(store->os, &self->mutex);
    if (os_errno != 0) {
        free(self);
        return fail_os(err, os_errno, "cannot make a mutex");
    }
    *ret_versions = self;
    return CASK_OK;
}

void versions_close(versions *take_versions)
{
    versions *self = take_versions;

    if (self == NULL) {
        return;
    }
    while (self->slots != NULL) {
        version_slot *slot = self->slots;

        self->slots = slot->next;
        if (slot->is_used) {
            versions_empty_slot(self, slot);
        }
        free(slot);
    }
    free(self->opened);
    free(self);
}

cask_status version_pin(versions *self, const version **ret_version,
                        cask_error *err)
{
    for (;;) {
        version_slot *slot = atomic_load(&self->current);
        cask_status status;

        if (slot != NULL) {
            atomic_fetch_add(pins_of(self, slot), 1);
            if (atomic_load(&self->current) == slot &&
                slot->version.number >= published(self)) {
                *ret_version = &slot->version;
                return CASK_OK;
            }
            atomic_fetch_sub(pins_of(self, slot), 1);
        }
        lock(self);
        status = refresh_locked(self, err);
        unlock(self);
        if (status != CASK_OK) {
            return status;
        }
    }
}

void version_unpin(versions *self, const version *pinned)
{
    version_slot *slot = pinned->slot;

    atomic_fetch_sub(pins_of(self, slot), 1);
    if (atomic_load(&self->current) != slot) {
        lock(self);
        versions_close_unused(self);
        unlock(self);
    }
}

void versions_let_go(versions *self)
{
    version_slot *current;

    lock(self);
    current = atomic_load(&self->current);
    if (current != NULL && current->version.number < published(self)) {
        atomic_store(&self->current, NULL);
    }
    versions_close_unused(self);
    unlock(self);
}

const version_run *version_find(const version_group *group, cask_slice key)
{
    const version_run *part;
    size_t from = 0;
    size_t to = group->count;

    /* The last part that begins at the key or before it. */
    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (key_compare(group->parts[middle].file->smallest, key) <= 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from == 0) {
        return NULL;
    }
    part = &group->parts[from - 1];
    if (key_compare(key, part->begin) < 0 ||
        (key_compare(key, part->file->largest) > 0 &&
         key_compare(key, part->file->end) >= 0)) {
        return NULL;
    }
    return part;
}
