/*
 * Whether a directory holds a store, and which: the file CASKADE.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_open.h"

/* ---- No store yet ---- */

static bool is_foreign(void *context, const char *name)
{
    if (strcmp(name, LOCK_NAME) != 0 && strcmp(name, REGION_FILE_NAME) != 0 &&
        strcmp(name, IDENTITY_NAME ".new") != 0) {
        (void)snprintf(context, 64, "%s", name);
        return false;
    }
    return true;
}

/* A file that only a store has: its CASKADE is lost, not missing. */
static bool is_ours(void *context, const char *name)
{
    uint64_t id;

    if (segment_name_parse(name, &id) || strcmp(name, MANIFEST_NAME) == 0) {
        (void)snprintf(context, 64, "%s", name);
        return false;
    }
    return true;
}

/* Whether there is no store, or one without its CASKADE. */
static cask_status missing_identity(os_file *dir, const char *path,
                                    cask_error *err)
{
    char found[64] = "";
    int os_errno = dir->os->ops->list(dir, is_ours, found);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot list %s", path);
    }
    if (found[0] != 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s/" IDENTITY_NAME ": is missing, but %s is there; "
                    "restore it from a backup, or see 'caskade repair'",
                    path, found);
    }
    return fail(err, CASK_NOT_FOUND, 0, "%s: no store in this directory", path);
}

static cask_status check_empty(store_handle *store, cask_error *err)
{
    char foreign[64] = "";
    int os_errno = store->os->ops->list(store->dir, is_foreign, foreign);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot list %s", store->path);
    }
    if (foreign[0] != 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is not a store and not empty (it holds %s); choose "
                    "another directory",
                    store->path, foreign);
    }
    return CASK_OK;
}

/* What is no store, and will not become one, stays as it is: not even LOCK is
 * made in it. */
cask_status store_check_directory(store_handle *store, cask_error *err)
{
    cask_status status;
    os_stat stat;

    if (store->os->ops->stat_name(store->dir, IDENTITY_NAME, &stat) == 0 ||
        store->os->ops->stat_name(store->dir, LOCK_NAME, &stat) == 0) {
        return CASK_OK; /* looked at under the lock */
    }
    status = missing_identity(store->dir, store->path, err);
    if (status == CASK_NOT_FOUND && store->options.create_if_missing &&
        !store->options.read_only) {
        status = check_empty(store, err);
        if (status == CASK_OK) {
            status = store_check_engine(store, store->options.engine, err);
        }
    }
    return status;
}

/* ---- CASKADE ---- */

cask_status store_new_identity(os *kernel, cask_engine engine,
                               store_identity *ret_identity, cask_error *err)
{
    const os_ops *ops = kernel->ops;
    store_identity identity = {.engine = engine,
                               .created_ms = ops->wall_ms(kernel)};
    int os_errno = ops->random(kernel, identity.uuid, sizeof(identity.uuid));

    if (os_errno == 0) {
        os_errno =
            ops->random(kernel, &identity.hash_key, sizeof(identity.hash_key));
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot get random bytes");
    }
    identity.uuid[6] = (uint8_t)((identity.uuid[6] & 0x0f) | 0x40);
    identity.uuid[8] = (uint8_t)((identity.uuid[8] & 0x3f) | 0x80);
    *ret_identity = identity;
    return CASK_OK;
}

static cask_status create_identity(store_handle *store, cask_error *err)
{
    store_identity *identity = &store->identity;
    uint8_t bytes[IDENTITY_SIZE];
    cask_status status;

    if (!store->options.create_if_missing || store->options.read_only) {
        return fail(err, CASK_NOT_FOUND, 0,
                    "%s: no store in this directory; create it first",
                    store->path);
    }
    status = check_empty(store, err);
    if (status == CASK_OK) {
        status = store_check_engine(store, store->options.engine, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    status =
        store_new_identity(store->os, store->options.engine, identity, err);
    if (status != CASK_OK) {
        return status;
    }
    identity_encode(identity, bytes);
    return file_publish(store->dir, IDENTITY_NAME, bytes, sizeof(bytes),
                        store->options.file_mode, err);
}

cask_status store_read_identity(os_file *dir, const char *path,
                                store_identity *ret_identity, cask_error *err)
{
    uint8_t bytes[IDENTITY_SIZE + 1];
    os_file *file = NULL;
    cask_status status;
    os_stat stat;
    size_t got = 0;
    int os_errno = dir->os->ops->open(dir, IDENTITY_NAME, OS_READ, 0, &file);

    if (os_errno == ENOENT) {
        return missing_identity(dir, path, err);
    }
    if (os_errno != 0) {
        return file_fail_open(err, os_errno, path, IDENTITY_NAME);
    }
    os_errno = dir->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got);
    if (os_errno == 0) {
        os_errno = dir->os->ops->stat(file, &stat);
    }
    dir->os->ops->close(file);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot read %s/" IDENTITY_NAME, path);
    }
    if (got < IDENTITY_SIZE) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s/" IDENTITY_NAME ": %zu bytes, %d expected; restore it "
                    "from a backup, or see 'caskade repair'",
                    path, got, IDENTITY_SIZE);
    }
    status = identity_decode(bytes, IDENTITY_NAME, ret_identity, err);
    if (status == CASK_OK && got > IDENTITY_SIZE) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%s/" IDENTITY_NAME ": longer than %d bytes", path,
                      IDENTITY_SIZE);
    }
    return status;
}

cask_status store_settle_identity(store_handle *store, cask_error *err)
{
    cask_status status =
        store_read_identity(store->dir, store->path, &store->identity, err);

    if (status == CASK_NOT_FOUND) {
        return create_identity(store, err);
    }
    if (status == CASK_OK && store->options.error_if_exists) {
        status = fail(err, CASK_INVALID, 0, "%s: there is a store already",
                      store->path);
    }
    return status;
}
