/*
 * Making a store in one piece. What a process that died leaves is no store: it
 * has no CASKADE, and an open says so; and it is not empty, so that the next
 * attempt does not take it for a place of its own.
 */
#include "store/store_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_open.h"

/* Names removed between two listings. */
enum { REMOVE_MOST = 32 };

typedef struct content {
    char found[64]; /* a name that is in the way; "": none */
    bool has_lock;
} content;

static bool is_in_the_way(void *context, const char *name)
{
    content *c = context;

    if (strcmp(name, LOCK_NAME) == 0) {
        c->has_lock = true;
        return true;
    }
    (void)snprintf(c->found, sizeof(c->found), "%s", name);
    return false;
}

static cask_status check_empty(const store_target *target, bool *ret_has_lock,
                               cask_error *err)
{
    content c = {.has_lock = false};
    int os_errno = target->os->ops->list(target->dir, is_in_the_way, &c);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot list %s", target->path);
    }
    if (c.found[0] != 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is not empty (it holds %s); choose another directory, "
                    "or remove it if it was left by a process that died",
                    target->path, c.found);
    }
    *ret_has_lock = c.has_lock;
    return CASK_OK;
}

static cask_status open_directory(store_target *target, cask_error *err)
{
    const os_ops *ops = target->os->ops;
    int os_errno = ops->make_dir(target->os, target->path,
                                 store_directory_mode(target->file_mode));

    target->made_dir = os_errno == 0;
    if (os_errno != 0 && os_errno != EEXIST) {
        return fail_os(
            err, os_errno, "cannot create directory %s%s", target->path,
            os_errno == ENOENT ? "; make the one above it first" : "");
    }
    os_errno = ops->open_dir(target->os, target->path, &target->dir);
    if (os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is not a directory; choose another name",
                    target->path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open directory %s", target->path);
    }
    return check_empty(target, &target->had_lock, err);
}

/* named: the file that was locked is LOCK still. */
static cask_status try_lock(store_target *target, bool *ret_named,
                            cask_error *err)
{
    const os_ops *ops = target->os->ops;
    int os_errno =
        ops->open(target->dir, LOCK_NAME, OS_READ | OS_WRITE | OS_CREATE,
                  target->file_mode, &target->lock_file);

    if (os_errno != 0) {
        target->lock_file = NULL;
        return file_fail_open(err, os_errno, target->path, LOCK_NAME);
    }
    os_errno = ops->lock(target->lock_file, LOCK_OPEN, 1, OS_EXCLUSIVE);
    if (os_errno == EAGAIN) {
        return fail(err, CASK_BUSY, 0,
                    "%s: another process is making a store there; choose "
                    "another directory",
                    target->path);
    }
    if (os_errno == 0) {
        os_errno =
            store_lock_is_named(target->dir, target->lock_file, ret_named);
    }
    return os_errno == 0
               ? CASK_OK
               : fail_os(err, os_errno, "%s: cannot lock LOCK", target->path);
}

/* Held until the store is whole: who would open it waits. */
static cask_status take_lock(store_target *target, cask_error *err)
{
    bool is_named = false;
    bool has_lock;
    cask_status status = try_lock(target, &is_named, err);

    while (status == CASK_OK && !is_named) {
        /* Another's, who gave up and took it away. */
        target->os->ops->close(target->lock_file);
        status = try_lock(target, &is_named, err);
    }
    /* The directory was another's until now, perhaps. */
    return status == CASK_OK ? check_empty(target, &has_lock, err) : status;
}

/* keep: the directory, whoever made it. */
static void let_go(store_target *target, bool keep)
{
    if (!keep && target->made_dir) {
        /* Not if somebody has put something into it. */
        (void)target->os->ops->remove_dir(target->os, target->path);
    }
    target->os->ops->close(target->lock_file);
    target->os->ops->close(target->dir);
    target->lock_file = NULL;
    target->dir = NULL;
}

cask_status store_target_begin(os *kernel, const char *path, os_file *from,
                               uint32_t file_mode, store_target *ret_target,
                               cask_error *err)
{
    store_target target = {
        .os = kernel, .path = path, .file_mode = file_mode | 0600};
    cask_status status;

    if (store_is_above(kernel, from, path)) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is in the store's own directory; choose a place "
                    "outside it",
                    path);
    }
    status = open_directory(&target, err);
    if (status == CASK_OK) {
        status = take_lock(&target, err);
    }
    if (status != CASK_OK) {
        let_go(&target, false);
        return status;
    }
    *ret_target = target;
    return CASK_OK;
}

cask_status store_target_put_config(store_target *target,
                                    const config_file *file, cask_error *err)
{
    return file->text.size == 0
               ? CASK_OK
               : file_publish(target->dir, CONFIG_NAME, file->text.data,
                              file->text.size, target->file_mode, err);
}

cask_status store_target_publish(store_target *target,
                                 const store_identity *identity,
                                 manifest_state *manifest, cask_error *err)
{
    uint8_t bytes[IDENTITY_SIZE];
    cask_status status;
    int os_errno;

    status = manifest_rewrite(target->dir, manifest, target->file_mode, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = store_sync_parent(target->os, target->path);
    /* Who may not open the directory above has not made this one. */
    if (os_errno != 0 && os_errno != EACCES) {
        return fail_os(err, os_errno, "cannot sync the directory above %s",
                       target->path);
    }
    identity_encode(identity, bytes);
    return file_publish(target->dir, IDENTITY_NAME, bytes, sizeof(bytes),
                        target->file_mode, err);
}

/* ---- Giving up ---- */

typedef struct removal {
    char names[REMOVE_MOST][64];
    size_t count;
} removal;

/* Nobody else's file, should one have come meanwhile. */
static bool is_ours(const char *name)
{
    uint64_t id;

    return segment_name_parse(name, &id) || hint_name_parse(name, &id) ||
           run_name_parse(name, &id) ||
           strncmp(name, MANIFEST_NAME, strlen(MANIFEST_NAME)) == 0 ||
           strncmp(name, CONFIG_NAME, strlen(CONFIG_NAME)) == 0 ||
           strncmp(name, IDENTITY_NAME, strlen(IDENTITY_NAME)) == 0;
}

static bool note_name(void *context, const char *name)
{
    removal *r = context;

    if (is_ours(name) && strlen(name) < sizeof(r->names[0])) {
        (void)snprintf(r->names[r->count++], sizeof(r->names[0]), "%s", name);
    }
    return r->count < REMOVE_MOST;
}

/* It was made under the lock, by this process. CASKADE first: without it the
 * rest is no store. LOCK last: from then on another may make a store here.
 * Whoever has that one open finds out that it is not LOCK any more. */
static void remove_all(const store_target *target)
{
    const os_ops *ops = target->os->ops;
    bool removed = true;
    removal r;

    (void)ops->remove(target->dir, IDENTITY_NAME);
    while (removed) {
        removed = false;
        r.count = 0;
        (void)ops->list(target->dir, note_name, &r);
        for (size_t i = 0; i < r.count; i++) {
            removed |= ops->remove(target->dir, r.names[i]) == 0;
        }
    }
    if (!target->had_lock) {
        (void)ops->remove(target->dir, LOCK_NAME);
    }
}

void store_target_end(store_target *target, bool keep)
{
    if (!keep) {
        remove_all(target);
    }
    let_go(target, keep);
}
