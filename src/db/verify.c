/*
 * Verify: read every file of a store and check all that can be checked, without
 * opening it. The files of each kind have sources of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/place.h"
#include "db/verification.h"
#include "log/segment.h"
#include "store/config_file.h"
#include "store/store_open.h"

/* ---- Telling ---- */

void verify_problem(verification *v, const char *file, uint64_t offset,
                    uint64_t size, const char *reason)
{
    cask_problem found = {file, offset, size, reason};

    v->report.problems++;
    if (v->options->on_problem != NULL) {
        v->options->on_problem(v->options->context, &found);
    }
}

void verify_harmless(verification *v, const char *file, uint64_t offset,
                     uint64_t size, const char *reason)
{
    v->report.harmless++;
    verify_problem(v, file, offset, size, reason);
}

void verify_failure(verification *v, const char *file, const cask_error *err,
                    const char *advice)
{
    message_place place = place_in_message(err->message, v->path, file);
    char text[sizeof(err->message) + 128];

    if (advice == NULL) {
        verify_problem(v, file, place.offset, 0, place.reason);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s; %s", place.reason, advice);
    verify_harmless(v, file, place.offset, 0, text);
}

bool verify_is_refusal(const cask_error *err)
{
    return err->status == CASK_IO && !error_is_shortage(err);
}

cask_status verify_refused(verification *v, const char *file,
                           cask_status status, const cask_error *err)
{
    size_t used = strlen(v->also_refused);

    if (!v->notes_refusals || !verify_is_refusal(err)) {
        return status;
    }
    if (v->refusals++ == 0) {
        v->first_refusal = *err;
    } else if (sizeof(v->also_refused) - used > strlen(file) + 2) {
        (void)snprintf(v->also_refused + used, sizeof(v->also_refused) - used,
                       "%s%s", used > 0 ? ", " : "", file);
    }
    return CASK_OK;
}

/* All files that could be read have been. */
static cask_status fail_refused(const verification *v, cask_error *err)
{
    const cask_error *first = &v->first_refusal;

    (void)fail(err, first->status, 0, "%s", first->message);
    if (v->refusals > 1) {
        (void)fail(err, first->status, 0,
                   "%s; nor %" PRIu64 " other file%s: %s", first->message,
                   v->refusals - 1, v->refusals > 2 ? "s" : "",
                   v->also_refused);
    }
    err->os_errno = first->os_errno;
    return first->status;
}

void verify_progress(verification *v, uint64_t bytes)
{
    v->bytes_done += bytes;
    if (v->options->on_progress != NULL) {
        v->options->on_progress(v->options->context, v->bytes_done,
                                v->bytes_total);
    }
}

/* ---- Files ---- */

void verify_unmap(verification *v, mapped *file)
{
    if (file->memory != NULL) {
        v->kernel->ops->unmap(v->kernel, file->memory, file->room);
    }
    v->kernel->ops->close(file->file);
}

/* Where a file of which a read failed cannot be read: the block that fails by
 * itself, too; false if none does any more. */
static bool find_unreadable(mapped *file, uint64_t *ret_offset)
{
    enum { BLOCK_BYTES = 4096 };
    const os_ops *ops = file->file->os->ops;
    uint8_t *to = file->memory;

    for (uint64_t at = 0; at < file->room; at += BLOCK_BYTES) {
        uint64_t left = file->room - at;
        size_t got;

        if (ops->read_at(file->file, to + at,
                         left < BLOCK_BYTES ? left : BLOCK_BYTES, at,
                         &got) != 0) {
            *ret_offset = at;
            return true;
        }
    }
    return false;
}

static cask_status fail_read(mapped *file, int os_errno, cask_error *err)
{
    uint64_t offset;

    if (!find_unreadable(file, &offset)) {
        return fail_os(err, os_errno, "%s: cannot read", file->name);
    }
    return fail_os(err, os_errno, "%s: offset %" PRIu64 ": cannot read",
                   file->name, offset);
}

/* The bytes of an open file, which has some. */
static cask_status load(verification *v, mapped *file, cask_error *err)
{
    const os_ops *ops = v->kernel->ops;
    int os_errno;

    if (!file->may_shrink) {
        os_errno = ops->map(file->file, 0, file->size, false, &file->memory);
        return os_errno == 0
                   ? CASK_OK
                   : fail_os(err, os_errno, "cannot map %s", file->name);
    }
    os_errno = ops->map_private(v->kernel, file->room, &file->memory);
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot get %" PRIu64 " bytes for %s",
                       file->room, file->name);
    }
    os_errno =
        ops->read_at(file->file, file->memory, file->room, 0, &file->size);
    return os_errno == 0 ? CASK_OK : fail_read(file, os_errno, err);
}

cask_status verify_map(verification *v, mapped *file, cask_error *err)
{
    const os_ops *ops = v->kernel->ops;
    cask_status status = CASK_OK;
    os_stat stat;
    int os_errno = ops->open(v->dir, file->name, OS_READ, 0, &file->file);

    if (os_errno != 0) {
        file->file = NULL;
    }
    if (os_errno == ENOENT) {
        return CASK_NOT_FOUND;
    }
    if (os_errno == ELOOP || os_errno == EINVAL) {
        return CASK_UNSUPPORTED;
    }
    if (os_errno == 0) {
        os_errno = ops->stat(file->file, &stat);
    }
    if (os_errno != 0) {
        status = fail_os(err, os_errno, "cannot open %s", file->name);
    } else if (stat.size > 0) {
        file->size = stat.size;
        file->room = stat.size;
        status = load(v, file, err);
    }
    if (status != CASK_OK) {
        verify_unmap(v, file);
        return status;
    }
    v->report.files++;
    return CASK_OK;
}

cask_status verify_read_again(verification *v, mapped *file, uint64_t offset,
                              uint64_t size, cask_error *err)
{
    uint8_t *to = file->memory;
    uint64_t left = file->size - offset;
    size_t got;
    int os_errno = v->kernel->ops->read_at(
        file->file, to + offset, size < left ? size : left, offset, &got);

    return os_errno == 0 ? CASK_OK : fail_read(file, os_errno, err);
}

/* ---- The store ---- */

bool verify_is_in_use(const verification *v)
{
    const os_ops *ops = v->kernel->ops;
    os_file *lock = NULL;
    bool locked = true;
    int os_errno = ops->open(v->dir, LOCK_NAME, OS_READ, 0, &lock);

    if (os_errno == ENOENT) {
        return false;
    }
    if (os_errno == 0) {
        (void)ops->is_locked(lock, LOCK_PROCESSES, REGION_PROCESSES, &locked);
        ops->close(lock);
    }
    return locked;
}

static bool add_size(void *context, const char *name)
{
    verification *v = context;
    os_stat stat;

    if (v->kernel->ops->stat_name(v->dir, name, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        v->bytes_total += stat.size;
    }
    return true;
}

/* The keys that an open finds, if it can be opened at all. */
static cask_status count_keys(verification *v, cask_error *err)
{
    cask_options options;
    cask_status status;
    cask_db *db;

    cask_options_init(&options);
    options.read_only = true;
    options.damage = CASK_DAMAGE_SERVE;
    status = db_open_on(v->kernel, v->path, &options, &db, err);
    if (status == CASK_OK) {
        v->report.readable = true;
        status = cask_count(db, &v->report.keys, err);
        /* Of one's own it was made just now from what has been checked. */
        if (status == CASK_OK && !db->store->private_index &&
            v->identity.engine == CASK_ENGINE_HASH && v->report.problems == 0) {
            status = verify_index(v, db->store, err);
        }
        (void)cask_close(db, NULL);
    }
    return status;
}

static bool is_no_segment(void *context, const char *name)
{
    uint64_t id;
    bool is_segment =
        segment_name_parse(name, &id) || run_name_parse(name, &id);

    *(bool *)context = *(bool *)context || is_segment;
    return !is_segment;
}

/* Without them, whoever made the store died before it wrote a MANIFEST: the
 * next open goes on from there. With them there was one, and it is lost. */
static cask_status find_segments(const verification *v, bool *ret_found,
                                 cask_error *err)
{
    int os_errno;

    *ret_found = false;
    os_errno = v->kernel->ops->list(v->dir, is_no_segment, ret_found);
    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno, "cannot list %s", v->path);
}

/* An errno of a call by which a file was to be opened or read: whether it is
 * the file's own, not a lack of rights, descriptors or memory. */
static bool is_of_file(const cask_error *err)
{
    return err->status == CASK_CORRUPT || err->status == CASK_UNSUPPORTED ||
           (err->status == CASK_IO &&
            (err->os_errno == 0 || err->os_errno == ELOOP));
}

/* Settings: the store works without them, by the defaults. */
static cask_status check_config(verification *v, cask_error *err)
{
    cask_error why = {CASK_OK, 0, ""};
    config_file file;
    cask_status status = config_file_read(v->dir, &file, &why);

    if (status != CASK_OK && !is_of_file(&why)) {
        status = verify_refused(v, CONFIG_NAME, status, &why);
        (void)fail_again(err, &why);
    } else if (status != CASK_OK) {
        verify_failure(v, CONFIG_NAME, &why,
                       "no data is lost: settings are at their defaults until "
                       "it is restored, or they are reset");
        status = CASK_OK;
    }
    if (file.text.capacity > 0) {
        v->report.files++;
        verify_progress(v, file.text.size);
    }
    config_file_free(&file);
    return status;
}

/* Which segments there are; false: nobody can say, which was told. */
static cask_status load_manifest(verification *v, bool *ret_loaded,
                                 cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = verify_load_manifest(v, &v->manifest, &local);
    bool has_segments = true;

    *ret_loaded = status == CASK_OK;
    if (status == CASK_OK) {
        v->report.files++;
        return CASK_OK;
    }
    /* It has what stands before the damage: segments, too, that were removed
     * later. */
    manifest_free(&v->manifest);
    if (status != CASK_CORRUPT && status != CASK_NOT_FOUND) {
        return fail_again(err, &local);
    }
    if (status == CASK_NOT_FOUND) {
        status = find_segments(v, &has_segments, err);
        if (status != CASK_OK) {
            return status;
        }
    }
    if (has_segments) {
        verify_failure(v, MANIFEST_NAME, &local, NULL);
    }
    return CASK_OK;
}

static cask_status check_files(verification *v, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        store_read_identity(v->dir, v->path, &v->identity, &local);
    bool loaded = false;

    if (status == CASK_CORRUPT) {
        verify_failure(v, IDENTITY_NAME, &local, NULL);
        return CASK_OK;
    }
    if (status != CASK_OK) {
        return fail_again(err, &local);
    }
    v->report.files++;
    (void)v->kernel->ops->list(v->dir, add_size, v);
    status = load_manifest(v, &loaded, err);
    if (status == CASK_OK && loaded) {
        status = check_config(v, err);
    }
    for (size_t i = 0; i < v->manifest.count && status == CASK_OK; i++) {
        status = verify_segment(v, &v->manifest.segments[i], err);
    }
    if (status == CASK_OK && loaded) {
        status = verify_runs(v, err);
    }
    return status == CASK_OK && v->refusals > 0 ? fail_refused(v, err) : status;
}

/* CASK_OK too if nothing but damage keeps it from going to its end. */
static cask_status check_store(verification *v, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = check_files(v, err);

    if (status != CASK_OK) {
        return status;
    }
    status = count_keys(v, &local);
    if (status == CASK_CORRUPT && v->report.problems == 0) {
        verify_failure(v, ".", &local, NULL);
    }
    /* One that waits, or lacks something of the system, is no damage. */
    return status == CASK_OK ||
                   (v->report.problems > 0 &&
                    (status == CASK_NOT_FOUND || is_of_file(&local)))
               ? CASK_OK
               : fail_again(err, &local);
}

/* A message without the path of the store, which stands before it. */
static const char *without_path(const char *message, const char *path)
{
    size_t size = strlen(path);

    return strncmp(message, path, size) == 0 &&
                   strncmp(message + size, ": ", 2) == 0
               ? message + size + 2
               : message;
}

/* What has been told stands, whatever fails afterwards (`why`). */
static cask_status summary(const verification *v, const cask_error *why,
                           cask_error *err)
{
    const cask_verify_report *report = &v->report;
    const char *advice = "restore the files concerned from a backup";

    if (report->problems == 0) {
        return report->complete ? CASK_OK : fail_again(err, why);
    }
    if (!report->complete) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: %" PRIu64
                    " problem%s, and not all could be checked: %s",
                    v->path, report->problems, report->problems == 1 ? "" : "s",
                    without_path(why->message, v->path));
    }
    if (report->readable) {
        advice = report->harmless == report->problems
                     ? "nothing is lost"
                     : "what is undamaged can be read";
    }
    return fail(err, CASK_CORRUPT, 0, "%s: %" PRIu64 " problem%s; %s", v->path,
                report->problems, report->problems == 1 ? "" : "s", advice);
}

cask_status db_verify_on(os *kernel, const char *path,
                         const cask_verify_options *options,
                         cask_verify_report *ret_report, cask_error *err)
{
    static const cask_verify_options none;
    verification v = {.kernel = kernel,
                      .path = path,
                      .options = options == NULL ? &none : options,
                      .notes_refusals = true};
    cask_error why = {CASK_OK, 0, ""};
    int os_errno;

    if (path == NULL || ret_report == NULL) {
        return fail(err, CASK_INVALID, 0, "path or ret_report is missing");
    }
    os_errno = kernel->ops->open_dir(kernel, path, &v.dir);
    if (os_errno == ENOENT) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: no such store", path);
    }
    if (os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, 0, "%s: is not a directory", path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", path);
    }
    v.in_use = verify_is_in_use(&v);
    v.report.complete = check_store(&v, &why) == CASK_OK;
    manifest_free(&v.manifest);
    kernel->ops->close(v.dir);
    if (v.report.complete || v.report.problems > 0) {
        *ret_report = v.report;
    }
    return summary(&v, &why, err);
}

cask_status cask_verify(const char *path, const cask_verify_options *options,
                        cask_verify_report *ret_report, cask_error *err)
{
    return db_verify_on(os_posix(), path, options, ret_report, err);
}
