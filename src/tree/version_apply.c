/*
 * Changing the runs of a tree. Each step is made so that its death leaves a
 * tree that is whole, and something for version_settle() at most:
 *
 *   files of new runs, which MANIFEST does not name       removed
 *   a part of a version in MANIFEST                       never counts
 *   a version in MANIFEST, maybe not synced, of which
 *   nobody was told                                       written anew, told
 *   files of runs that left                               removed
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_recover.h"
#include "store/store_write.h"
#include "tree/tree_gate.h"
#include "tree/version_work.h"

enum { NAMES_TRIED = 1000 /* for a new run, if files are in the way */ };

/* Neither fenced nor poisoned. */
static cask_status check_may_write(store_handle *store, cask_error *err)
{
    cask_status status = store_lock(store, err);

    if (status == CASK_OK) {
        store_unlock(store);
    }
    return status;
}

/* The maintenance lock, and the MANIFEST as it is then; free that in any
 * case. */
static cask_status begin(store_handle *store, manifest_state *ret_manifest,
                         cask_error *err)
{
    cask_status status;

    *ret_manifest = (manifest_state){0};
    status = store_maintain_begin(store, err);
    if (status != CASK_OK) {
        return status;
    }
    status = check_may_write(store, err);
    if (status == CASK_OK) {
        status =
            manifest_load(store->dir, store->identity.uuid, ret_manifest, err);
    }
    if (status != CASK_OK) {
        store_maintain_end(store);
    }
    return status;
}

/* ---- What the dead left -------------------------------------------------- */

/* Its writer may have died before it was synced, or after a sync that failed:
 * a new file says for certain what it said. */
static cask_status make_certain(store_handle *store, manifest_state *manifest,
                                cask_error *err)
{
    const region_tree *tree = &store->region.header->tree;
    cask_status status;

    if (manifest->version == atomic_load(&tree->version) && !manifest->torn) {
        return CASK_OK;
    }
    manifest->next_sequence = atomic_load(&store->region.header->next_sequence);
    status = store_rewrite_manifest(store, manifest, err);
    if (status == CASK_OK) {
        store_publish_runs(store, manifest);
    }
    return status;
}

cask_status version_settle(store_handle *store, cask_error *err)
{
    region_tree *tree = &store->region.header->tree;
    manifest_state manifest;
    cask_status status;
    bool all = false;

    if (atomic_load(&tree->settled) != 0) {
        return CASK_OK;
    }
    status = begin(store, &manifest, err);
    if (status == CASK_OK) {
        status = make_certain(store, &manifest, err);
        if (status == CASK_OK) {
            status = store_sweep_runs(store, &manifest, true, &all, err);
        }
        if (status == CASK_OK) {
            status = tree_gate_open(store, err);
        }
        if (status == CASK_OK && all) {
            atomic_store(&tree->settled, 1);
        }
        store_maintain_end(store);
    }
    manifest_free(&manifest);
    return status;
}

/* ---- New runs ------------------------------------------------------------ */

/* Whether a name is free: something that is not ours may be in the way. */
static int look_at(const store_handle *store, const char *name, bool *ret_free)
{
    os_stat stat;
    int os_errno = store->os->ops->stat_name(store->dir, name, &stat);

    *ret_free = os_errno == ENOENT;
    return os_errno == ENOENT ? 0 : os_errno;
}

static cask_status take_name(store_handle *store, uint64_t *ret_id,
                             char ret_name[SEGMENT_NAME_SIZE], cask_error *err)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        bool is_free = false;
        cask_status status = store_take_id(store, ret_id, err);
        int os_errno;

        if (status != CASK_OK) {
            return status;
        }
        run_name_format(*ret_id, ret_name);
        os_errno = look_at(store, ret_name, &is_free);
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot examine %s", ret_name);
        }
        if (is_free) {
            return CASK_OK;
        }
    }
    return fail(err, CASK_IO, EEXIST,
                "%s: %d names for a new run are taken; move those files away",
                store->path, NAMES_TRIED);
}

cask_status version_new_run(store_handle *store, uint64_t *ret_id,
                            char ret_name[SEGMENT_NAME_SIZE], cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);

    if (status != CASK_OK) {
        return status;
    }
    status = check_may_write(store, err);
    if (status == CASK_OK) {
        status = take_name(store, ret_id, ret_name, err);
    }
    if (status == CASK_OK) {
        /* Before there is a file. */
        atomic_store(&store->region.header->tree.settled, 0);
    }
    store_maintain_end(store);
    return status;
}

/* ---- Apply --------------------------------------------------------------- */

bool version_edit_adds(const version_edit *edit, uint64_t id)
{
    for (size_t i = 0; i < edit->add_count; i++) {
        if (edit->adds[i].id == id) {
            return true;
        }
    }
    return false;
}

bool version_edit_drops(const version_edit *edit, uint64_t id)
{
    for (size_t i = 0; i < edit->drop_count; i++) {
        if (edit->drops[i] == id) {
            return true;
        }
    }
    return false;
}

/* An edit as the MANIFEST takes it. */
typedef struct applying {
    manifest_run *adds;     /* owned, like all arrays here */
    cask_run **opened;      /* files of these; NULL: not opened */
    const cask_run **files; /* the same, and those that were open */
    manifest_begin *begins;
    uint64_t *drops;       /* those of the edit, then runs of values */
    uint64_t from;         /* the version that it changes */
    uint64_t values_bytes; /* of the latter */
    manifest_change change;
    bool takes_in; /* as of the edit */
} applying;

/* Of a run that leaves and comes again at another place: its file, which is
 * open. It stays what it was, damaged or not. */
static const cask_run *moved_file(const version *pinned,
                                  const version_edit *edit, uint64_t id)
{
    bool is_dropped = version_edit_drops(edit, id);

    for (size_t i = 0; i < pinned->count && is_dropped; i++) {
        if (pinned->runs[i].id == id) {
            return pinned->runs[i].file;
        }
    }
    return NULL;
}

/* What is in the file says which it is; and, of a new one, that it can be
 * opened. */
static cask_status describe(const store_handle *store, const version *pinned,
                            const version_edit *edit, size_t index, applying *a,
                            cask_error *err)
{
    const version_add *add = &edit->adds[index];
    const manifest_run added = {
        .id = add->id, .level = add->level, .added = add->added};
    const cask_run *file = moved_file(pinned, edit, add->id);
    cask_status status = CASK_OK;

    if (file == NULL) {
        status = versions_open_file(store, &added, RUN_WHOLE, &a->opened[index],
                                    err);
        file = a->opened[index];
    }
    if (status == CASK_OK) {
        a->files[index] = file;
        a->adds[index] = (manifest_run){.id = add->id,
                                        .nonce = file->footer.nonce,
                                        .bytes = file->size,
                                        .level = add->level,
                                        .run = add->run,
                                        .added = add->added,
                                        .begin = add->begin};
    }
    return status;
}

/* What leaves: what the edit says, and values that nothing names any more. */
static cask_status find_drops(const version *pinned, const version_edit *edit,
                              applying *a, cask_error *err)
{
    size_t count = edit->drop_count;
    size_t unnamed = 0;
    cask_status status;

    a->from = pinned->number;
    a->drops = calloc(count + pinned->values_count + 1, sizeof(*a->drops));
    if (a->drops == NULL) {
        return fail_memory(err, (count + 1) * sizeof(*a->drops));
    }
    if (count > 0) {
        memcpy(a->drops, edit->drops, count * sizeof(*a->drops));
    }
    status = version_find_unnamed(pinned, edit, a->files, a->drops + count,
                                  &unnamed, err);
    for (size_t i = count; i < count + unnamed; i++) {
        const cask_run *file = version_find_values(pinned, a->drops[i])->file;

        a->values_bytes += file != NULL ? file->size : 0;
    }
    a->change.drops = a->drops;
    a->change.drop_count = count + unnamed;
    return status;
}

static cask_status find_changes(versions *self, const version_edit *edit,
                                applying *a, cask_error *err)
{
    const version *pinned;
    cask_status status = version_pin(self, &pinned, err);

    if (status != CASK_OK) {
        return status;
    }
    for (size_t i = 0; i < edit->add_count && status == CASK_OK; i++) {
        status = describe(self->store, pinned, edit, i, a, err);
    }
    if (status == CASK_OK) {
        status = find_drops(pinned, edit, a, err);
    }
    version_unpin(self, pinned);
    return status;
}

static cask_status prepare(versions *self, const version_edit *edit,
                           applying *a, cask_error *err)
{
    a->adds = calloc(edit->add_count + 1, sizeof(*a->adds));
    a->opened = calloc(edit->add_count + 1, sizeof(void *));
    a->files = calloc(edit->add_count + 1, sizeof(void *));
    a->begins = calloc(edit->begin_count + 1, sizeof(*a->begins));
    if (a->adds == NULL || a->opened == NULL || a->files == NULL ||
        a->begins == NULL) {
        return fail_memory(err, (edit->add_count + 1) * sizeof(*a->adds));
    }
    for (size_t i = 0; i < edit->begin_count; i++) {
        a->begins[i] =
            (manifest_begin){edit->begins[i].id, edit->begins[i].key};
    }
    a->change = (manifest_change){.adds = a->adds,
                                  .add_count = edit->add_count,
                                  .begins = a->begins,
                                  .begin_count = edit->begin_count,
                                  .losts = edit->losts,
                                  .lost_count = edit->lost_count,
                                  .flushed = edit->flushed};
    a->takes_in = edit->takes_in;
    return find_changes(self, edit, a, err);
}

/* Nothing that a reader would refuse gets into MANIFEST. */
static cask_status check(const store_handle *store, manifest_state *manifest,
                         applying *a, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    uint64_t published = atomic_load(&store->region.header->tree.version);
    uint64_t next = atomic_load(&store->region.header->next_sequence);
    cask_status status;

    if (manifest->version != published || manifest->version != a->from) {
        return fail(err, CASK_INVALID, 0,
                    "%s: MANIFEST is at version %" PRIu64
                    " of the tree, expected %" PRIu64 "; settle it first",
                    store->path, manifest->version, published);
    }
    a->change.version = manifest->version + 1;
    if (a->change.flushed == 0) {
        a->change.flushed = manifest->flushed;
    }
    if (a->change.flushed >= next) {
        return fail(err, CASK_INVALID, 0,
                    "%s: cannot change the tree: flushed is %" PRIu64
                    ", the log ends before %" PRIu64,
                    store->path, a->change.flushed, next);
    }
    status = manifest_change_runs(manifest, &a->change, &local);
    if (status == CASK_CORRUPT || status == CASK_UNSUPPORTED) {
        return fail(err, CASK_INVALID, 0, "%s: cannot change the tree: %s",
                    store->path, local.message);
    }
    return status == CASK_OK ? CASK_OK : fail_again(err, &local);
}

/*
 * If appended edits are damaged later it looks as if they were never written.
 * What is lost with them is in the log or in other runs still, and missed if
 * not; but runs that were taken in are nowhere else. For these the file is
 * written anew: its header says how many edits it has. `manifest`: with the
 * change.
 */
static cask_status write_version(store_handle *store, const applying *a,
                                 manifest_state *manifest, cask_error *err)
{
    if (!a->takes_in) {
        return store_edit_runs(store, &a->change, err);
    }
    manifest->next_sequence = atomic_load(&store->region.header->next_sequence);
    return store_rewrite_manifest(store, manifest, err);
}

static cask_status apply(store_handle *store, applying *a, cask_error *err)
{
    manifest_state manifest;
    cask_status status = begin(store, &manifest, err);

    if (status == CASK_OK) {
        status = check(store, &manifest, a, err);
        if (status == CASK_OK) {
            atomic_store(&store->region.header->tree.settled, 0);
            status = write_version(store, a, &manifest, err);
        }
        if (status == CASK_OK) {
            store_publish_runs(store, &manifest);
            /* There is another time. */
            (void)store_shorten_manifest(store, NULL);
        }
        store_maintain_end(store);
    }
    manifest_free(&manifest);
    return status;
}

/* Best effort: version_settle() also removes them. */
static void remove_dropped(store_handle *store, const version_edit *edit,
                           const manifest_change *change)
{
    if (store_files_are_kept(store)) {
        return;
    }
    for (size_t i = 0; i < change->drop_count; i++) {
        char name[SEGMENT_NAME_SIZE];

        if (!version_edit_adds(edit, change->drops[i])) {
            run_name_format(change->drops[i], name);
            (void)store->os->ops->remove(store->dir, name);
        }
    }
}

cask_status version_apply(versions *self, const version_edit *edit,
                          uint64_t *ret_values_bytes, cask_error *err)
{
    store_handle *store = self->store;
    applying a = {0};
    cask_status status = prepare(self, edit, &a, err);

    if (status == CASK_OK) {
        status = apply(store, &a, err);
    }
    if (status == CASK_OK) {
        remove_dropped(store, edit, &a.change);
        if (ret_values_bytes != NULL) {
            *ret_values_bytes = a.values_bytes;
        }
    }
    for (size_t i = 0; a.opened != NULL && i < edit->add_count; i++) {
        run_close(a.opened[i]);
    }
    free(a.adds);
    free(a.opened);
    free(a.files);
    free(a.begins);
    free(a.drops);
    return status;
}
