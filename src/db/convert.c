/*
 * A store of another engine with the same content: cask_convert(). It is made
 * under another name, and gets its own when it was read back and is the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/convert_copy.h"
#include "db/parent.h"
#include "log/segment.h"
#include "store/config_file.h"
#include "store/store_open.h"
#include "store/store_settings.h"

#define NEW ".new"

enum { PATH_SIZE = 4096, NAME_SIZE = 256, REMOVE_MOST = 32 };

/* One run of cask_convert(). */
typedef struct convert {
    cask_db *from;
    const cask_convert_options *options;
    cask_engine engine;
    char path[PATH_SIZE];  /* of the new store */
    char aside[PATH_SIZE]; /* where it is made */
    os_file *parent;       /* of both */
    const char *name;      /* in it, of the new store */
    bool has_aside;        /* `aside` is there, and was empty */
    bool is_made;          /* what is in `aside` is ours */
    cask_db *to;           /* NULL: not open */
    store_snapshot moment;
    uint64_t sequence;       /* of the moment */
    convert_content content; /* of the old store */
    uint64_t keys_done;
    uint64_t keys_total; /* about */
} convert;

static bool go_on(void *context)
{
    convert *c = context;

    c->keys_done++;
    if (c->keys_total < c->keys_done) {
        c->keys_total = c->keys_done;
    }
    return c->options->on_progress == NULL ||
           c->options->on_progress(c->options->context, c->keys_done,
                                   c->keys_total);
}

/* ---- The place ---- */

static cask_status find_place(convert *c, const char *out_dir, cask_error *err)
{
    size_t size = out_dir == NULL ? 0 : strlen(out_dir);

    while (size > 1 && out_dir[size - 1] == '/') {
        size--;
    }
    if (size == 0 || size + sizeof(NEW) > sizeof(c->path)) {
        return fail(err, CASK_INVALID, 0, "out_dir is %s",
                    size == 0 ? "missing" : "too long");
    }
    memcpy(c->path, out_dir, size);
    c->path[size] = 0;
    memcpy(c->aside, c->path, size);
    memcpy(c->aside + size, NEW, sizeof(NEW));
    return db_open_parent_on(c->from->store->os, c->path, &c->parent, &c->name,
                             err);
}

static cask_status check_place(const convert *c, cask_error *err)
{
    return store_is_above(c->from->store->os, c->from->store->dir, c->path)
               ? fail(err, CASK_INVALID, 0,
                      "%s: is in the store's own directory; choose a place "
                      "outside it",
                      c->path)
               : CASK_OK;
}

static cask_status check_absent(const convert *c, cask_error *err)
{
    os_stat stat;
    int os_errno =
        c->from->store->os->ops->stat_name(c->parent, c->name, &stat);

    if (os_errno == ENOENT) {
        return CASK_OK;
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "%s: cannot look for it", c->path);
    }
    return fail(err, CASK_INVALID, 0,
                "%s: is there already; choose another name, or remove it",
                c->path);
}

static bool is_first(void *context, const char *name)
{
    (void)snprintf(context, NAME_SIZE, "%s", name);
    return false;
}

/* Make the directory, or take it if it is empty. */
static cask_status make_aside(convert *c, cask_error *err)
{
    const store_handle *store = c->from->store;
    const os_ops *ops = store->os->ops;
    char found[NAME_SIZE] = "";
    os_file *dir = NULL;
    int os_errno = ops->make_dir(
        store->os, c->aside, store_directory_mode(store->options.file_mode));

    if (os_errno != 0 && os_errno != EEXIST) {
        return fail_os(err, os_errno, "cannot create directory %s", c->aside);
    }
    os_errno = ops->open_dir(store->os, c->aside, &dir);
    if (os_errno == 0) {
        os_errno = ops->list(dir, is_first, found);
        ops->close(dir);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot list %s", c->aside);
    }
    c->has_aside = found[0] == 0;
    return c->has_aside
               ? CASK_OK
               : fail(err, CASK_INVALID, 0,
                      "%s: is not empty (it holds %s); remove it, if it was "
                      "left by a conversion that was killed",
                      c->aside, found);
}

/* ---- The new store ---- */

static cask_status open_new(convert *c, bool is_new, cask_error *err)
{
    const cask_options *of = &c->from->store->options;
    cask_options options;

    cask_options_init(&options);
    options.engine = c->engine;
    options.create_if_missing = is_new;
    options.error_if_exists = is_new;
    options.file_mode = of->file_mode;
    options.exclusive = true;
    options.allow_remote = of->allow_remote;
    options.lock_timeout_ms = of->lock_timeout_ms;
    /* The first one is made before there are settings. */
    options.segment_max_bytes = store_segment_max_bytes(c->from->store);
    options.memtable_bytes = of->memtable_bytes;
    options.region_dir = of->region_dir;
    options.huge_pages = of->huge_pages;
    options.auto_merge = false;
    options.sync = CASK_SYNC_NONE;
    return db_open_on(c->from->store->os, c->aside, &options, &c->to, err);
}

static cask_status close_new(convert *c, cask_error *err)
{
    cask_db *to = c->to;

    c->to = NULL;
    return to == NULL ? CASK_OK : cask_close(to, err);
}

/* The new store's file is there: in force from now on. */
static cask_status load_settings(store_handle *to, cask_error *err)
{
    cask_status status = store_maintain_begin(to, err);

    if (status == CASK_OK) {
        store_settings_load(to);
        store_maintain_end(to);
    }
    return status;
}

/* Before anything is written: sizes of files, filters and values apart are as
 * these say. Nothing of it expires by them before it is compared, since nobody
 * merges. */
static cask_status copy_settings(convert *c, cask_error *err)
{
    store_handle *to = c->to->store;
    config_file file;
    cask_status status = config_file_read(c->from->store->dir, &file, err);

    if (status == CASK_OK && file.text.size > 0) {
        status = file_publish(to->dir, CONFIG_NAME, file.text.data,
                              file.text.size, to->options.file_mode, err);
        if (status == CASK_OK) {
            status = load_settings(to, err);
        }
    }
    config_file_free(&file);
    return status;
}

static cask_status fail_read(cask_status status, cask_error *err)
{
    cask_error found = *err;

    return status == CASK_CORRUPT
               ? fail(err, CASK_CORRUPT, found.os_errno,
                      "%s; nothing was converted: 'caskade repair' saves "
                      "what can be read, convert that",
                      found.message)
               : status;
}

static cask_status fill(convert *c, cask_error *err)
{
    cask_status status = open_new(c, true, err);

    if (status != CASK_OK) {
        return status;
    }
    c->is_made = true;
    status = copy_settings(c, err);
    if (status != CASK_OK) {
        return status;
    }
    status = convert_copy(&c->moment, c->to, go_on, c, &c->content, err);
    return status == CASK_OK ? close_new(c, err) : fail_read(status, err);
}

/* As anybody will who opens it. */
static cask_status compare(convert *c, cask_error *err)
{
    convert_content found = {.key = c->content.key};
    cask_status status = open_new(c, false, err);

    if (status == CASK_OK) {
        status = convert_read(&c->moment, c->to, go_on, c, &found, err);
    }
    if (status == CASK_OK && !convert_is_same(&found, &c->content)) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%s: holds %" PRIu64 " keys of %" PRIu64
                      " bytes, checksum %016" PRIx64 ", expected %" PRIu64
                      " of %" PRIu64 ", %016" PRIx64
                      "; the disk or the memory is unreliable",
                      c->aside, found.keys, found.bytes, found.sum[0],
                      c->content.keys, c->content.bytes, c->content.sum[0]);
    }
    if (status == CASK_OK) {
        status = cask_merge(c->to, NULL, NULL, err);
    }
    return status == CASK_OK ? close_new(c, err) : status;
}

static cask_status publish(convert *c, cask_error *err)
{
    const os_ops *ops = c->from->store->os->ops;
    char name[NAME_SIZE];
    const char *step = "rename";
    cask_status status = check_absent(c, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    (void)snprintf(name, sizeof(name), "%s" NEW, c->name);
    os_errno = ops->rename(c->parent, name, c->name);
    if (os_errno == 0) {
        c->is_made = false;
        c->has_aside = false;
        step = "sync the directory above";
        os_errno = ops->sync_dir(c->parent);
    }
    return os_errno == 0
               ? CASK_OK
               : fail_os(err, os_errno, "cannot %s %s", step, c->aside);
}

/* ---- Giving up ---- */

typedef struct removal {
    char names[REMOVE_MOST][NAME_SIZE];
    size_t count;
} removal;

static bool note_name(void *context, const char *name)
{
    removal *r = context;

    (void)snprintf(r->names[r->count++], NAME_SIZE, "%s", name);
    return r->count < REMOVE_MOST;
}

/* All that is in it was made by this call, which has it for itself. */
static void remove_aside(const convert *c)
{
    const os_ops *ops = c->from->store->os->ops;
    bool has_removed = true;
    os_file *dir = NULL;
    removal r;

    if (ops->open_dir(c->from->store->os, c->aside, &dir) != 0) {
        return;
    }
    while (has_removed) {
        has_removed = false;
        r.count = 0;
        (void)ops->list(dir, note_name, &r);
        for (size_t i = 0; i < r.count; i++) {
            has_removed |= ops->remove(dir, r.names[i]) == 0;
        }
    }
    ops->close(dir);
}

/* ---- The whole ---- */

static cask_status make(convert *c, cask_error *err)
{
    store_handle *store = c->from->store;
    cask_status status = store_snapshot_take(store, true, &c->moment, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    c->sequence = c->moment.sequence;
    c->keys_total = 2 * c->from->engine->key_estimate(store);
    os_errno = store->os->ops->random(store->os, &c->content.key,
                                      sizeof(c->content.key));
    status = os_errno == 0 ? fill(c, err)
                           : fail_os(err, os_errno, "no random numbers");
    if (status == CASK_OK) {
        status = compare(c, err);
    }
    store_snapshot_drop(&c->moment);
    return status;
}

static cask_status run(convert *c, const char *out_dir, cask_error *err)
{
    cask_status status = find_place(c, out_dir, err);

    if (status == CASK_OK) {
        status = check_absent(c, err);
    }
    if (status == CASK_OK) {
        status = check_place(c, err);
    }
    if (status == CASK_OK) {
        status = make_aside(c, err);
    }
    if (status == CASK_OK) {
        status = make(c, err);
    }
    if (status != CASK_OK) {
        (void)close_new(c, NULL);
    } else {
        status = publish(c, err);
    }
    if (c->is_made) {
        remove_aside(c);
    }
    if (c->has_aside) {
        /* Not if somebody has put something into it. */
        (void)c->from->store->os->ops->remove_dir(c->from->store->os, c->aside);
    }
    if (c->parent != NULL) {
        c->from->store->os->ops->close(c->parent);
    }
    return status;
}

cask_status cask_convert(cask_db *db, const char *out_dir,
                         const cask_convert_options *options,
                         cask_convert_report *ret_report, cask_error *err)
{
    static const cask_convert_options defaults;
    cask_error local = {CASK_OK, 0, ""};
    convert c = {.from = db, .options = options == NULL ? &defaults : options};
    cask_status status = db_check(db, err);

    if (status != CASK_OK) {
        return status;
    }
    c.engine = c.options->engine;
    if (c.engine == 0) {
        c.engine = db->store->identity.engine == CASK_ENGINE_HASH
                       ? CASK_ENGINE_TREE
                       : CASK_ENGINE_HASH;
    }
    status = run(&c, out_dir, err == NULL ? &local : err);
    if (status == CASK_OK && ret_report != NULL) {
        *ret_report = (cask_convert_report){
            .engine = c.engine,
            .sequence = c.sequence,
            .keys = c.content.keys,
            .bytes = c.content.bytes,
            .expiring = c.content.expiring,
            .checksum = {c.content.sum[0], c.content.sum[1]}};
    }
    return status;
}
