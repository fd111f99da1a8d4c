/*
 * Repair: save what can be read of a damaged store in a new one.
 */
#include "db/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "db/place.h"
#include "db/repair_tree.h"
#include "log/config_format.h"
#include "log/segment.h"
#include "store/store_open.h"

/* ---- Telling ---- */

void repair_tell(repair *r, const cask_lost *lost)
{
    r->report.lost++;
    r->report.harmless += lost->harmless ? 1 : 0;
    if (r->options->on_lost != NULL) {
        r->options->on_lost(r->options->context, lost);
    }
}

cask_status repair_progress(repair *r, uint64_t bytes, cask_error *err)
{
    r->bytes_done += bytes;
    if (r->bytes_done > r->bytes_total) {
        r->bytes_total = r->bytes_done; /* a file was read once more */
    }
    if (r->options->on_progress != NULL &&
        !r->options->on_progress(r->options->context, r->bytes_done,
                                 r->bytes_total)) {
        return fail(err, CASK_TIMEOUT, 0,
                    "%s: the repair was stopped; nothing of it is left",
                    r->out_dir);
    }
    return CASK_OK;
}

/* ---- The damaged store ---- */

/* Of testing a lock: this file system has none, so nobody holds one. */
static bool has_no_locks(int os_errno)
{
    return os_errno == ENOLCK || os_errno == ENOSYS || os_errno == EOPNOTSUPP ||
           os_errno == EINVAL;
}

/* Somebody who writes to it would make nonsense of what is read. */
static cask_status check_unused(const repair *r, cask_error *err)
{
    const os_ops *ops = r->kernel->ops;
    os_file *lock = NULL;
    bool locked = false;
    os_stat stat;
    cask_error local = {CASK_OK, 0, ""};
    cask_status status =
        file_open(r->dir, LOCK_NAME, OS_READ, &lock, &stat, &local);

    if (status == CASK_OK) {
        int os_errno =
            ops->is_locked(lock, LOCK_PROCESSES, REGION_PROCESSES, &locked);

        ops->close(lock);
        if (os_errno != 0 && !has_no_locks(os_errno)) {
            return fail_os(err, os_errno, "cannot test the locks of %s/%s",
                           r->path, LOCK_NAME);
        }
    } else if (!repair_is_loss(&local)) {
        return fail_again(err, &local);
    }
    return locked ? fail(err, CASK_BUSY, 0,
                         "%s: a process has it open; close it first", r->path)
                  : CASK_OK;
}

static cask_status open_source(repair *r, cask_error *err)
{
    const os_ops *ops = r->kernel->ops;
    int os_errno = ops->open_dir(r->kernel, r->path, &r->dir);
    os_stat stat;

    if (os_errno != 0) {
        r->dir = NULL;
    }
    if (os_errno == ENOENT) {
        return fail(err, CASK_NOT_FOUND, 0, "%s: no such store", r->path);
    }
    if (os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, 0, "%s: is not a directory", r->path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open %s", r->path);
    }
    if (ops->stat_name(r->dir, IDENTITY_NAME, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        r->file_mode = (stat.mode & 0777) | 0600;
    }
    return check_unused(r, err);
}

static void count_bytes(repair *r)
{
    for (size_t i = 0; i < r->source_count; i++) {
        r->bytes_total += 2 * r->sources[i].size;
    }
}

/* ---- The whole ---- */

/* The sizes that are by default say so by 0. */
static void take_settings(repair *r, const store_settings *settings)
{
    r->settings = *settings;
    if (settings->segment_max_bytes == 0) {
        r->settings.segment_max_bytes = SETTINGS_SEGMENT_BYTES;
    }
    if (settings->memtable_bytes == 0) {
        r->settings.memtable_bytes = SETTINGS_MEMTABLE_BYTES;
    }
}

/* Without them the new store has the defaults. */
static cask_status copy_settings(repair *r, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    config_file file;
    cask_status status = config_file_read(r->dir, &file, &local);

    take_settings(r, &file.settings);
    if (status == CASK_OK || status == CASK_UNSUPPORTED) {
        /* A newer version knows what to make of its own. */
        status = store_target_put_config(&r->target, &file, err);
    } else if (repair_is_loss(&local)) {
        message_place place =
            place_in_message(local.message, r->path, CONFIG_NAME);

        repair_tell(r, &(cask_lost){.at = {.file = CONFIG_NAME,
                                           .offset = place.offset,
                                           .reason = place.reason},
                                    .harmless = true});
        status = CASK_OK;
    } else {
        status = fail_again(err, &local);
    }
    config_file_free(&file);
    return status;
}

static cask_status fill_tree(repair *r, cask_error *err)
{
    cask_status status = repair_tree_begin(r, err);

    if (status == CASK_OK) {
        status = repair_read_all(r, err);
    }
    return status == CASK_OK ? repair_tree_write(r, err) : status;
}

static cask_status fill(repair *r, cask_error *err)
{
    cask_status status;

    count_bytes(r);
    status = copy_settings(r, err);
    if (status == CASK_OK && r->identity.engine == CASK_ENGINE_TREE) {
        status = fill_tree(r, err);
        repair_tree_end(r);
        return status;
    }
    if (status == CASK_OK) {
        status = repair_read_all(r, err);
    }
    if (status == CASK_OK) {
        repair_judge(r);
        status = repair_write(r, err);
    }
    return status;
}

static cask_status run(repair *r, const char *out_dir, cask_error *err)
{
    cask_status status = open_source(r, err);

    if (status == CASK_OK) {
        status = repair_find_sources(r, err);
    }
    if (status == CASK_OK) {
        status = store_target_begin(r->kernel, out_dir, r->dir, r->file_mode,
                                    &r->target, err);
    }
    if (status == CASK_OK) {
        status = fill(r, err);
        store_target_end(&r->target, status == CASK_OK);
    }
    return status;
}

static void free_all(repair *r)
{
    for (size_t i = 0; i < r->gap_count; i++) {
        free(r->gaps[i].key);
    }
    free(r->gaps);
    for (size_t i = 0; i < r->source_count; i++) {
        free(r->sources[i].bad.items);
    }
    free(r->sources);
    repair_table_free(&r->table);
    free(r->lost_is_met);
    manifest_free(&r->manifest);
    r->kernel->ops->close(r->dir);
}

cask_status db_repair_on(os *kernel, const char *path, const char *out_dir,
                         const cask_repair_options *options,
                         cask_repair_report *ret_report, cask_error *err)
{
    static const cask_repair_options none;
    repair r = {.kernel = kernel,
                .path = path,
                .out_dir = out_dir,
                .options = options == NULL ? &none : options,
                .file_mode = 0600};
    cask_status status;

    if (path == NULL || out_dir == NULL || ret_report == NULL) {
        return fail(err, CASK_INVALID, 0,
                    "path, out_dir or ret_report is missing");
    }
    status = run(&r, out_dir, err);
    free_all(&r);
    if (status != CASK_OK) {
        return status;
    }
    *ret_report = r.report;
    if (r.report.lost > r.report.harmless) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: %" PRIu64 " losses; what could be read is in %s: "
                    "%" PRIu64 " keys",
                    path, r.report.lost - r.report.harmless, out_dir,
                    r.report.keys);
    }
    return CASK_OK;
}

cask_status cask_repair(const char *path, const char *out_dir,
                        const cask_repair_options *options,
                        cask_repair_report *ret_report, cask_error *err)
{
    return db_repair_on(os_posix(), path, out_dir, options, ret_report, err);
}
