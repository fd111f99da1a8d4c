/*
 * Opening a store: find the directory, its identity, its living region or build
 * one. All of it happens under the open lock, so that of many processes that
 * start together one does the work and the others find it done.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_open.h"
#include "store/store_recover.h"
#include "store/store_read.h"
#include "store/store_settings.h"

/* Attempts to make a region that others take for an orphan. */
enum { BUILD_ATTEMPTS = 5 };

enum { FIRST_HEAP_BYTES = 256 << 10, REGION_LEAST_BYTES = 1 << 20 };

/* ---- The directory ---- */

static cask_status make_directory(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    int os_errno = ops->make_dir(
        store->os, store->path, store_directory_mode(store->options.file_mode));

    if (os_errno != 0 && os_errno != EEXIST) {
        return fail_os(
            err, os_errno, "cannot create directory %s%s", store->path,
            os_errno == ENOENT ? "; make the one above it first" : "");
    }
    os_errno = ops->open_dir(store->os, store->path, &store->dir);
    if (os_errno == 0) {
        os_errno = store_sync_parent(store->os, store->path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot create directory %s",
                       store->path);
    }
    return CASK_OK;
}

cask_status store_check_engine(const store_handle *store, cask_engine engine,
                               cask_error *err)
{
    return store->engines[engine]->maps_only && store->options.io != CASK_IO_MAP
               ? fail(err, CASK_UNSUPPORTED, 0,
                      "%s: a store of the tree engine is read by maps only; "
                      "open it with io = CASK_IO_MAP (--io map)",
                      store->path)
               : CASK_OK;
}

/* The mode was chosen when the store was made: whoever adds a file to it gives
 * the file the mode that CASKADE has. */
static void adopt_file_mode(store_handle *store)
{
    os_stat stat;

    if (store->os->ops->stat_name(store->dir, IDENTITY_NAME, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        store->options.file_mode = (stat.mode & 0777) | 0600;
    }
}

static cask_status open_directory(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    int os_errno = ops->open_dir(store->os, store->path, &store->dir);
    cask_status status;
    os_space space;

    if (os_errno == ENOENT) {
        if (!store->options.create_if_missing || store->options.read_only) {
            return fail(err, CASK_NOT_FOUND, 0,
                        "%s: no such store; create it first", store->path);
        }
        status = store_check_engine(store, store->options.engine, err);
        return status == CASK_OK ? make_directory(store, err) : status;
    }
    if (os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is not a directory; a store is a directory",
                    store->path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open directory %s", store->path);
    }
    if (!store->options.read_only && !store->options.allow_remote &&
        ops->space(store->dir, &space) == 0 && space.remote) {
        return fail(err, CASK_UNSUPPORTED, 0,
                    "%s: is on a network file system, whose locks and maps "
                    "are not to be trusted; open it read-only, or set "
                    "allow_remote (--allow-remote) if one host alone uses it",
                    store->path);
    }
    adopt_file_mode(store);
    return store_check_directory(store, err);
}

/* ---- LOCK ---- */

int store_lock_is_named(os_file *dir, os_file *lock_file, bool *ret_named)
{
    const os_ops *ops = dir->os->ops;
    os_stat here = {0};
    os_stat there = {0};
    int os_errno = ops->stat(lock_file, &here);

    if (os_errno == 0) {
        os_errno = ops->stat_name(dir, LOCK_NAME, &there);
    }
    *ret_named = os_errno == 0 && here.inode == there.inode;
    return os_errno == ENOENT ? 0 : os_errno;
}

/* Take the open lock of the file that is named LOCK now. */
static cask_status take_open_lock(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    uint32_t create = store->options.read_only ? 0 : OS_CREATE;

    for (;;) {
        bool is_named;
        cask_status status;
        int os_errno =
            ops->open(store->dir, LOCK_NAME, OS_READ | OS_WRITE | create,
                      store->options.file_mode, &store->lock_file);

        if (os_errno != 0) {
            store->lock_file = NULL;
            if (os_errno != EACCES && os_errno != EROFS) {
                return file_fail_open(err, os_errno, store->path, LOCK_NAME);
            }
            return fail_os(err, os_errno,
                           "cannot open %s/" LOCK_NAME
                           "; without write access it can only be read: set "
                           "read_only, or use get, list or dump",
                           store->path);
        }
        status = store_lock_byte(store, LOCK_OPEN, err);
        if (status != CASK_OK) {
            return status;
        }
        os_errno = store_lock_is_named(store->dir, store->lock_file, &is_named);
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot examine %s/" LOCK_NAME,
                           store->path);
        }
        if (is_named) {
            return CASK_OK;
        }
        ops->close(store->lock_file); /* it was replaced meanwhile */
        store->lock_file = NULL;
    }
}

/* ---- The region ---- */

cask_status store_identify(const store_handle *store,
                           region_identity *ret_identity, cask_error *err)
{
    os_stat stat;
    int os_errno = store->os->ops->stat(store->dir, &stat);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot examine %s", store->path);
    }
    memcpy(ret_identity->uuid, store->identity.uuid, 16);
    ret_identity->directory_device = stat.device;
    ret_identity->directory_inode = stat.inode;
    ret_identity->engine = store->identity.engine;
    memset(ret_identity->directory, 0, sizeof(ret_identity->directory));
    store->os->ops->dir_path(store->dir, ret_identity->directory,
                             sizeof(ret_identity->directory));
    return CASK_OK;
}

/* Aim the region at a directory: `path`, or the store's own if it is NULL. */
static cask_status aim(store_handle *store, const region_identity *identity,
                       const char *path, cask_error *err)
{
    region_handle *region = &store->region;
    const os_ops *ops = store->os->ops;
    int os_errno;

    ops->close(store->region_dir);
    store->region_dir = NULL;
    *region = (region_handle){.os = store->os,
                              .huge_pages = store->options.huge_pages};
    if (path == NULL) {
        region->dir = store->dir;
        (void)snprintf(region->name, sizeof(region->name), REGION_FILE_NAME);
        (void)snprintf(region->path, sizeof(region->path), "%s/%s", store->path,
                       region->name);
        return CASK_OK;
    }
    os_errno = ops->open_dir(store->os, path, &store->region_dir);
    if (os_errno != 0) {
        store->region_dir = NULL;
        return fail_os(err, os_errno, "cannot open region_dir %s", path);
    }
    region->dir = store->region_dir;
    region_name(identity, region->name);
    (void)snprintf(region->path, sizeof(region->path), "%s/%s", path,
                   region->name);
    return CASK_OK;
}

/* Whether the files are what a clean region says of them. */
static bool matches_files(store_handle *store)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    os_stat stat;

    if (store->os->ops->stat_name(store->dir, MANIFEST_NAME, &stat) != 0 ||
        stat.size != header->manifest_tail || count > REGION_SEGMENTS) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];
        char name[SEGMENT_NAME_SIZE];

        if (atomic_load(&row->state) == ROW_FREE ||
            atomic_load(&row->state) == ROW_RETIRED) {
            continue;
        }
        segment_name_format(atomic_load(&row->file_id), name);
        if (store->os->ops->stat_name(store->dir, name, &stat) != 0 ||
            stat.inode != row->inode ||
            stat.size < atomic_load(&row->reserved_tail)) {
            return false;
        }
    }
    return true;
}

/* CASK_NOT_FOUND: there is no region to join. */
static cask_status join(store_handle *store, const region_identity *identity,
                        const char *path, cask_error *err)
{
    bool alive = false;
    cask_status status = aim(store, identity, path, err);
    uint32_t state;

    if (status == CASK_OK) {
        status = region_attach(&store->region, identity, true, &alive, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    state = atomic_load(&store->region.header->state);
    if (alive && state == REGION_LIVE) {
        return CASK_OK;
    }
    if (state == REGION_CLEAN && store_stamp_fits(store) &&
        matches_files(store)) {
        /* Whoever only reads leaves it as it is, for the next. */
        if (!store->options.read_only) {
            region_revive(&store->region, identity);
        }
        /* The file counts: it may have been replaced meanwhile. */
        store_settings_load(store);
        return CASK_OK;
    }
    region_detach(&store->region);
    return fail(err, CASK_NOT_FOUND, 0, "%s: no living region", store->path);
}

static const char *region_dir_of(const store_handle *store)
{
    return store->options.region_dir != NULL ? store->options.region_dir
                                             : CASK_REGION_DIR;
}

static cask_status join_any(store_handle *store,
                            const region_identity *identity, cask_error *err)
{
    cask_status status = join(store, identity, region_dir_of(store), err);
    cask_error first = *err;

    if (status == CASK_OK || status == CASK_NAMESPACE) {
        return status;
    }
    if (join(store, identity, NULL, err) == CASK_OK) {
        return CASK_OK;
    }
    *err = first;
    return status;
}

/* A region that nobody holds is of no use, unless it was left clean. */
static bool remove_orphan(void *context, const char *name)
{
    store_handle *store = context;
    region_handle orphan = {.os = store->os, .dir = store->region.dir};

    if (strncmp(name, REGION_PREFIX, strlen(REGION_PREFIX)) == 0 &&
        strcmp(name, store->region.name) != 0 &&
        strlen(name) < sizeof(orphan.name)) {
        (void)snprintf(orphan.name, sizeof(orphan.name), "%s", name);
        if (region_remove_orphan(&orphan)) {
            store_event(store, CASK_EVENT_REGION, CASK_OK,
                        "removed the region %s, which no process holds", name);
        }
    }
    return true;
}

/* Its own, too: the space that it takes is that of the one to come. */
static void remove_orphans(store_handle *store)
{
    region_handle own = {.os = store->os, .dir = store->region.dir};

    memcpy(own.name, store->region.name, sizeof(own.name));
    (void)region_remove_orphan(&own);
    if (store->region_dir != NULL) {
        (void)store->os->ops->list(store->region_dir, remove_orphan, store);
    }
}

/* An index that fills its file system could take no further key: it goes to
 * the directory of the store while that is possible. */
static cask_status check_growth(const store_handle *store, cask_error *err)
{
    uint64_t used = atomic_load(&store->region.header->heap.used) * REGION_LINE;
    os_space space;

    if (store->region_dir != NULL && store->options.region_dir == NULL &&
        store->os->ops->space(store->region_dir, &space) == 0 &&
        space.free < REGION_LEAST_BYTES + used / 4) {
        return fail(err, CASK_NO_SPACE, 0,
                    "%s: %" PRIu64 " bytes free beside an index of %" PRIu64,
                    store->region.path, space.free, used);
    }
    return CASK_OK;
}

/* Make the file of the region; what fails here is the fault of its place. */
static cask_status make_region(store_handle *store,
                               const region_identity *identity,
                               const char *path, cask_error *err)
{
    cask_status status = aim(store, identity, path, err);
    os_space space;

    if (status == CASK_OK) {
        remove_orphans(store);
    }
    if (status == CASK_OK &&
        store->os->ops->space(store->region.dir, &space) == 0 &&
        space.free < REGION_LEAST_BYTES) {
        status = fail(err, CASK_NO_SPACE, 0,
                      "%s: %" PRIu64 " bytes free, at least %d needed",
                      path == NULL ? store->path : path, space.free,
                      REGION_LEAST_BYTES);
    }
    if (status == CASK_OK) {
        status = region_create(&store->region, identity, FIRST_HEAP_BYTES, err);
    }
    if (status != CASK_OK) {
        store->region.is_full = true;
    }
    return status;
}

static cask_status fill_region(store_handle *store, cask_error *err)
{
    cask_status status = store_recover(store, err);

    if (status == CASK_OK) {
        status = check_growth(store, err);
        store->region.is_full = status != CASK_OK;
    }
    if (status == CASK_OK) {
        status = store_stamp(store, err);
    }
    if (status == CASK_OK && !region_is_named(&store->region)) {
        status = fail(err, CASK_BUSY, 0,
                      "%s: was removed while it was made; try again",
                      store->region.path);
    }
    return status;
}

static cask_status build(store_handle *store, const region_identity *identity,
                         const char *path, cask_error *err)
{
    cask_status status = make_region(store, identity, path, err);

    if (status != CASK_OK) {
        return status;
    }
    status = fill_region(store, err);
    if (status == CASK_OK) {
        atomic_store(&store->region.header->state, REGION_LIVE);
    } else {
        store_unmap_all(
            store); /* those of rows: an engine may have read some */
        region_remove(&store->region);
        region_detach(&store->region);
    }
    return status;
}

/* Both reasons why there is no region; of the first without its advice. */
static void add_first(cask_error *err, const cask_error *first)
{
    cask_error second = *err;

    (void)fail(err, second.status, 0, "%.*s, and %s",
               (int)strcspn(first->message, ";"), first->message,
               second.message);
    err->os_errno = second.os_errno;
}

/* In memory if there is room, else in the store's directory. */
static cask_status build_any(store_handle *store,
                             const region_identity *identity, cask_error *err)
{
    int os_errno = store->options.create_if_missing
                       ? store_sync_parent(store->os, store->path)
                       : 0;
    int attempts = BUILD_ATTEMPTS;
    cask_status status;

    /* Whoever made the directory may have died before its name was synced. Who
     * may not open the directory above has not made it. */
    if (os_errno != 0 && os_errno != EACCES) {
        return fail_os(err, os_errno, "cannot sync the directory above %s",
                       store->path);
    }
    do {
        /* CASK_BUSY: taken for its predecessor, an orphan. */
        status = build(store, identity, region_dir_of(store), err);
    } while (status == CASK_BUSY && --attempts > 0);
    /* Only for want of room: a recovery that failed to sync must not sync once
     * more. */
    if (status != CASK_OK && store->region.is_full &&
        store->options.region_dir == NULL) {
        cask_error first = *err;

        status = build(store, identity, NULL, err);
        if (status == CASK_OK) {
            store_event(store, CASK_EVENT_REGION, CASK_OK,
                        "the index is in %s: %s", store->region.path,
                        first.message);
        } else {
            add_first(err, &first);
        }
    }
    return status;
}

/* Processes live that use this store and cannot be seen through a region. */
static cask_status check_elsewhere(store_handle *store, cask_status joined,
                                   cask_error *err)
{
    bool used = false;

    if (store->os->ops->is_locked(store->lock_file, LOCK_PROCESSES,
                                  REGION_PROCESSES, &used) == 0 &&
        used) {
        /* Its region is there: another user's, or too much for this process. */
        if (joined == CASK_INVALID || joined == CASK_NO_MEMORY ||
            error_is_shortage(err)) {
            return joined;
        }
        return fail(err, CASK_NAMESPACE, 0,
                    "%s: in use by a process whose region is not visible here "
                    "(another container, or another region_dir); use the same "
                    "region_dir (--region-dir) there and here",
                    store->path);
    }
    return CASK_OK;
}

/* ---- Roles ---- */

static cask_status take_write_role(store_handle *store, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    os_lock kind = store->options.exclusive ? OS_EXCLUSIVE : OS_SHARED;
    int os_errno = ops->lock(store->lock_file, LOCK_WRITE_ROLE, 1, kind);

    if (os_errno == EAGAIN) {
        return store_fail_busy(store, err);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "%s: cannot lock LOCK", store->path);
    }
    store->writer = true;
    return CASK_OK;
}

/* The identity says which engine the store has. */
static cask_status attach_engine(store_handle *store, cask_error *err)
{
    cask_status status = store_check_engine(store, store->identity.engine, err);

    if (status == CASK_OK) {
        store->engine = store->engines[store->identity.engine];
    }
    return status != CASK_OK || store->engine->attach == NULL
               ? status
               : store->engine->attach(store, err);
}

/* The open lock is held. */
static cask_status join_or_build(store_handle *store, cask_error *err)
{
    region_identity identity;
    cask_status status = store_settle_identity(store, err);

    if (status == CASK_OK) {
        status = attach_engine(store, err);
    }
    if (status == CASK_OK) {
        status = store_identify(store, &identity, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status = join_any(store, &identity, err);
    if (status != CASK_OK && store->options.read_only) {
        return store_build_private(store, &identity, err);
    }
    if (status != CASK_OK && status != CASK_NAMESPACE) {
        status = check_elsewhere(store, status, err);
        if (status == CASK_OK) {
            status = build_any(store, &identity, err);
        }
    }
    if (status == CASK_OK && !store->options.read_only) {
        status = take_write_role(store, err);
    }
    if (status == CASK_OK) {
        status = store_claim_slot(store, err);
    }
    return status;
}

static cask_status open_locked(store_handle *store, cask_error *err)
{
    cask_status status = take_open_lock(store, err);

    if (status != CASK_OK) {
        return status;
    }
    status = join_or_build(store, err);
    if (status == CASK_OK || store->lock_file != NULL) {
        store_unlock_byte(store, LOCK_OPEN);
    }
    return status;
}

/* No write access to LOCK, or none to the directory: an index of its own. */
static cask_status open_private(store_handle *store, cask_error *err)
{
    region_identity identity;
    cask_status status =
        store_read_identity(store->dir, store->path, &store->identity, err);

    if (status == CASK_OK) {
        status = attach_engine(store, err);
    }
    if (status == CASK_OK) {
        status = store_identify(store, &identity, err);
    }
    return status == CASK_OK ? store_build_private(store, &identity, err)
                             : status;
}

/* ---- Open ---- */

static cask_status set_up(store_handle *store, const char *path,
                          cask_error *err)
{
    const os_ops *ops = store->os->ops;
    int os_errno;

    store->opened_ns = ops->now_ns(store->os);
    store->path = strdup(path);
    store->maps = calloc(REGION_SEGMENTS, sizeof(*store->maps));
    if (store->path == NULL || store->maps == NULL) {
        return fail_memory(err, REGION_SEGMENTS * sizeof(*store->maps));
    }
    os_errno = ops->fork_word(store->os, &store->fork_word);
    if (os_errno == 0) {
        os_errno =
            ops->random(store->os, &store->jitter_ms, sizeof(store->jitter_ms));
        store->jitter_ms %= STORE_JITTER_MS;
    }
    if (os_errno == 0) {
        os_errno = ops->mutex_init(store->os, &store->maintenance_mutex);
    }
    if (os_errno == 0) {
        os_errno = ops->mutex_init(store->os, &store->map_mutex);
    }
    if (os_errno == 0) {
        os_errno = ops->mutex_init(store->os, &store->merge_mutex);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot set up a handle");
    }
    return CASK_OK;
}

static cask_status open_store(store_handle *store, const char *path,
                              cask_error *err)
{
    cask_status status = set_up(store, path, err);

    if (status == CASK_OK) {
        status = open_directory(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status = open_locked(store, err);
    if (store->options.read_only && store->lock_file == NULL) {
        status = open_private(store, err);
    }
    if (status == CASK_OK && store->writer) {
        status = store_worker_start(store, err);
    }
    return status;
}

cask_status store_open(os *kernel, const char *path,
                       const cask_options *options,
                       const store_engine *const *engines,
                       store_handle **ret_store, cask_error *err)
{
    store_handle *store =
        aligned_alloc(REGION_LINE, round_up(sizeof(store_handle), REGION_LINE));
    cask_error local;
    cask_status status;

    if (err == NULL) {
        err = &local;
    }
    if (store == NULL) {
        return fail_memory(err, sizeof(*store));
    }
    memset(store, 0, sizeof(*store));
    store->os = kernel;
    store->engines = engines;
    store->options = *options;
    store->region.os = kernel;
    status = open_store(store, path, err);
    if (status != CASK_OK) {
        (void)store_close(store, NULL);
        return status;
    }
    *ret_store = store;
    return CASK_OK;
}
