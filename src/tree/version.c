/*
 * Versions of the runs, as one process has them.
 *
 * A version lies in a slot. Slots are made when needed, and used again; readers
 * are counted in them (tree_pins.h).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/key_order.h"
#include "tree/version_work.h"

static void lock(versions *self)
{
    os_mutex_enter(self->store->os, &self->mutex);
}

static void unlock(versions *self)
{
    os_mutex_leave(self->store->os, &self->mutex);
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
 * *number: of the version that names it. If MANIFEST still has that version the
 * next time, the run is broken.
 */
static cask_status load_and_make(versions *self, version_slot **ret_slot,
                                 uint64_t *number, cask_error *err)
{
    uint64_t least = published(self);
    manifest_state manifest = {0};
    cask_status status = load(self, &manifest, err);
    bool all = manifest.version == *number;

    *number = manifest.version;
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
        status = versions_make(self, &manifest, all, ret_slot, err);
    }
    manifest_free(&manifest);
    return status;
}

static cask_status renew_locked(versions *self, cask_error *err)
{
    uint64_t number = UINT64_MAX;
    version_slot *slot = NULL;
    cask_status status;

    do {
        status = load_and_make(self, &slot, &number, err);
    } while (status == CASK_NOT_FOUND);
    if (status == CASK_OK) {
        atomic_store(&self->current, slot);
        versions_close_unused(self);
    }
    return status;
}

static cask_status refresh_locked(versions *self, cask_error *err)
{
    version_slot *current = atomic_load(&self->current);

    if (current != NULL && current->version.number >= published(self)) {
        /* Another thread has done it; it may have met the pin that was not to
         * be. */
        versions_close_unused(self);
        return CASK_OK;
    }
    return renew_locked(self, err);
}

/* ---- Damage -------------------------------------------------------------- */

/* Of a run that turned out to be broken; without the mutex: whoever is told may
 * read. False: of none. */
static bool tell_one(versions *self)
{
    cask_error damage = {CASK_OK, 0, ""};

    lock(self);
    for (size_t i = 0; i < self->opened_count && damage.status == CASK_OK;
         i++) {
        open_run *run = self->opened[i];

        if (run->damage != NULL && !run->is_told) {
            run->is_told = true;
            self->untold--;
            (void)fail(&damage, CASK_CORRUPT, 0, "%s", run->damage);
        }
    }
    unlock(self);
    if (damage.status != CASK_OK) {
        store_event(self->store, CASK_EVENT_DAMAGE, CASK_CORRUPT, "%s",
                    damage.message);
    }
    return damage.status != CASK_OK;
}

bool versions_hold(versions *self, uint64_t id)
{
    bool is_new = false;
    size_t at;

    lock(self);
    at = versions_place_of(self, id);
    if (at < self->opened_count && self->opened[at]->id == id) {
        is_new = !self->opened[at]->is_held;
        self->opened[at]->is_held = true;
    }
    if (is_new) {
        is_new = renew_locked(self, NULL) == CASK_OK;
    }
    unlock(self);
    return is_new;
}

void versions_count_damaged(versions *self, uint64_t *ret_count,
                            uint64_t *ret_bytes)
{
    lock(self);
    *ret_count = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < self->opened_count; i++) {
        const open_run *run = self->opened[i];

        if (run->file == NULL || run->is_held) {
            ++*ret_count;
            *ret_bytes += run->bytes;
        }
    }
    unlock(self);
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

cask_status versions_open_private(versions *self, cask_error *err)
{
    const uint64_t wanted = published(self);
    const version_slot *current;
    cask_status status;

    lock(self);
    status = renew_locked(self, err);
    current = atomic_load(&self->current);
    if (status == CASK_OK && current->version.number != wanted) {
        status = fail(err, CASK_CORRUPT, 0,
                      MANIFEST_NAME ": is at version %" PRIu64
                                    " of the tree, the index was made of "
                                    "version %" PRIu64 "; try again",
                      current->version.number, wanted);
    }
    unlock(self);
    return status;
}

cask_status version_pin(versions *self, const version **ret_version,
                        cask_error *err)
{
    for (;;) {
        version_slot *slot = atomic_load(&self->current);
        cask_status status;
        bool has_news;

        if (slot != NULL) {
            tree_pins_add(self->store, &slot->pins);
            if (atomic_load(&self->current) == slot &&
                slot->version.number >= published(self)) {
                *ret_version = &slot->version;
                return CASK_OK;
            }
            tree_pins_remove(self->store, &slot->pins);
        }
        lock(self);
        status = refresh_locked(self, err);
        has_news = self->untold > 0;
        unlock(self);
        while (has_news && tell_one(self)) {
        }
        if (status != CASK_OK) {
            return status;
        }
    }
}

void version_unpin(versions *self, const version *pinned)
{
    version_slot *slot = pinned->slot;

    tree_pins_remove(self->store, &slot->pins);
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
