/*
 * Backups: the segments of one moment, linked or copied to a directory of their
 * own, read once more, and then listed by a MANIFEST of its own. CASKADE is
 * written last, so that nothing before that is a store.
 *
 * Of a tree the segments are taken first, then the runs. What was flushed in
 * between is in both, and is not read from the segments then; if the runs hold
 * more than the segments do, theirs is the moment.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/backup_runs.h"
#include "db/verification.h"
#include "store/store_cut.h"
#include "store/store_open.h"
#include "store/store_target.h"

/* One run of cask_backup(). */
typedef struct backup {
    store_handle *store;
    const cask_backup_options *options;
    store_cut cut;
    const version *runs;     /* of a tree, pinned; NULL: of another engine */
    manifest_state manifest; /* of the backup */
    manifest_state earlier_manifest;
    store_earlier earlier;
    store_target target;
    cask_backup_report report;
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool is_stopped;
    verification check;
    cask_error *err; /* of the check */
} backup;

/* ---- Progress ---- */

static bool go_on(void *context, uint64_t bytes)
{
    backup *b = context;

    b->bytes_done += bytes;
    if (b->options->on_progress != NULL && !b->is_stopped) {
        b->is_stopped = !b->options->on_progress(b->options->context,
                                                 b->bytes_done, b->bytes_total);
    }
    return !b->is_stopped;
}

static cask_status fail_stopped(const backup *b, cask_error *err)
{
    return fail(err, CASK_TIMEOUT, 0,
                "%s: the backup was stopped; nothing of it is left",
                b->target.path);
}

/* ---- An earlier backup ---- */

static cask_status read_earlier(backup *b, cask_error *err)
{
    const char *path = b->options->earlier;
    store_identity identity;
    cask_status status =
        store_read_identity(b->earlier.dir, path, &identity, err);

    if (status != CASK_OK) {
        return status;
    }
    if (memcmp(identity.uuid, b->store->identity.uuid, 16) != 0 ||
        memcmp(&identity.hash_key, &b->store->identity.hash_key,
               sizeof(identity.hash_key)) != 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: is not of this store; name an earlier backup of %s",
                    path, b->store->path);
    }
    return manifest_load(b->earlier.dir, identity.uuid, &b->earlier_manifest,
                         err);
}

static cask_status open_earlier(backup *b, cask_error *err)
{
    const os_ops *ops = b->store->os->ops;
    const char *path = b->options->earlier;
    int os_errno;

    if (path == NULL) {
        return CASK_OK;
    }
    os_errno = ops->open_dir(b->store->os, path, &b->earlier.dir);
    if (os_errno != 0) {
        b->earlier.dir = NULL;
    }
    if (os_errno == ENOENT || os_errno == ENOTDIR) {
        return fail(err, CASK_INVALID, os_errno,
                    "%s: there is no earlier backup; name its directory", path);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot open the earlier backup %s",
                       path);
    }
    b->earlier.manifest = &b->earlier_manifest;
    return read_earlier(b, err);
}

/* ---- The files ---- */

static cask_status place_segment(backup *b, const store_placing *placing,
                                 const store_cut_part *part, cask_error *err)
{
    bool linked = false;
    cask_status status = store_place(placing, part, &linked, err);

    if (status == CASK_OK) {
        b->report.segments++;
        b->report.linked_segments += linked ? 1 : 0;
        *(linked ? &b->report.linked_bytes : &b->report.copied_bytes) +=
            part->segment.length;
        status = manifest_add(&b->manifest, &part->segment, err);
    }
    return status;
}

static cask_status place_all(backup *b, cask_error *err)
{
    const store_placing placing = {.store = b->store,
                                   .earlier = b->earlier,
                                   .to = b->target.dir,
                                   .progress = go_on,
                                   .context = b};
    cask_status status = backup_runs_place(&placing, b->runs, &b->report, err);

    for (size_t i = 0; i < b->cut.count && status == CASK_OK; i++) {
        const store_cut_part *part = &b->cut.parts[i];

        if (backup_runs_have(b->runs, part)) {
            b->manifest.header.past_log_bytes +=
                part->segment.length - SEGMENT_HEADER_SIZE;
        } else {
            status = place_segment(b, &placing, part, err);
        }
    }
    if (status == CASK_OK) {
        status = backup_runs_list(b->runs, &b->manifest, err);
    }
    return b->is_stopped ? fail_stopped(b, err) : status;
}

/* Of a CONFIG that is damaged, or a link or directory in its place: the store
 * works without it, and so does its backup. */
static bool is_unusable(const cask_error *why)
{
    return why->status == CASK_CORRUPT ||
           (why->status == CASK_IO &&
            (why->os_errno == 0 || why->os_errno == ELOOP));
}

static cask_status copy_settings(backup *b, cask_error *err)
{
    cask_error why = {CASK_OK, 0, ""};
    config_file file;
    cask_status status = config_file_read(b->store->dir, &file, &why);

    /* A newer version knows what to make of its own. */
    if (status == CASK_OK || status == CASK_UNSUPPORTED ||
        (status == CASK_CORRUPT && b->options->skip_verify)) {
        status = store_target_put_config(&b->target, &file, err);
    } else if (is_unusable(&why)) {
        b->report.without_config = true;
        status = CASK_OK;
    } else {
        status = fail_again(err, &why);
    }
    config_file_free(&file);
    return status;
}

/* ---- The check ---- */

static void on_checked(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    (void)done;
    (void)total; /* bytes are counted by segment */
}

/* The first loss is the reason to fail. */
static void on_problem(void *context, const cask_problem *problem)
{
    backup *b = context;
    const cask_verify_report *found = &b->check.report;

    if (found->problems - found->harmless == 1) {
        (void)fail(b->err, CASK_CORRUPT, 0,
                   "%s/%s: offset %" PRIu64 ": %s; look for it in the store, "
                   "or in the earlier backup, by 'caskade verify'",
                   b->target.path, problem->file, problem->offset,
                   problem->reason);
    }
}

/* After a file of so many bytes was read. */
static cask_status judge(backup *b, uint64_t bytes, cask_status status,
                         cask_error *err)
{
    if (b->check.report.problems > b->check.report.harmless) {
        return CASK_CORRUPT; /* it was told */
    }
    return status != CASK_OK || go_on(b, bytes) ? status : fail_stopped(b, err);
}

static cask_status check_runs(backup *b, cask_error *err)
{
    verify_bounds bounds = {.of = NULL};
    cask_status status = CASK_OK;

    for (size_t i = 0; i < b->manifest.run_count && status == CASK_OK; i++) {
        const manifest_run *run = &b->manifest.runs[i];

        status = verify_run(&b->check, &b->manifest, run, verify_bounds_note,
                            &bounds, err);
        status = judge(b, run->bytes, status, err);
    }
    if (status == CASK_OK) {
        verify_bounds_check(&b->check, &bounds, &b->manifest);
        status = judge(b, 0, CASK_OK, err);
    }
    verify_bounds_free(&bounds);
    return status;
}

static cask_status check_each(backup *b, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < b->manifest.count && status == CASK_OK; i++) {
        const manifest_segment *segment = &b->manifest.segments[i];

        status = verify_segment(&b->check, segment, err);
        status = judge(b, segment->length, status, err);
    }
    return status == CASK_OK ? check_runs(b, err) : status;
}

static cask_status check_all(backup *b, cask_error *err)
{
    const cask_verify_options options = {on_problem, on_checked, b};
    cask_status status;

    b->err = err;
    b->check = (verification){.kernel = b->store->os,
                              .dir = b->target.dir,
                              .path = b->target.path,
                              .options = &options,
                              .identity = b->store->identity,
                              .manifest = b->manifest};
    status = check_each(b, err);
    b->check.options = NULL;
    return status;
}

/* ---- The whole ---- */

static void count_bytes(backup *b)
{
    b->bytes_total = backup_runs_bytes(b->runs);
    for (size_t i = 0; i < b->cut.count; i++) {
        const store_cut_part *part = &b->cut.parts[i];

        b->bytes_total +=
            backup_runs_have(b->runs, part) ? 0 : part->segment.length;
    }
    if (!b->options->skip_verify) {
        b->bytes_total *= 2;
    }
}

static void begin_manifest(backup *b)
{
    manifest_state *manifest = &b->manifest;
    const store_cut *cut = &b->cut;

    manifest->header.engine = b->store->identity.engine;
    memcpy(manifest->header.uuid, b->store->identity.uuid, 16);
    manifest->header.past_log_bytes = cut->past_log_bytes;
    manifest->header.past_merge_bytes = cut->past_merge_bytes;
    manifest->next_id = cut->next_id;
    manifest->next_sequence = cut->next_sequence;
    if (b->runs != NULL && manifest->next_sequence <= b->runs->flushed) {
        manifest->next_sequence = b->runs->flushed + 1;
    }
    b->report.sequence = manifest->next_sequence - 1;
}

/* The files of the moment are in the target afterwards, or a failure. */
static cask_status take(backup *b, cask_error *err)
{
    cask_status status = store_cut_begin(b->store, &b->cut, err);

    if (status != CASK_OK) {
        return status;
    }
    status = backup_runs_begin(b->store, &b->runs, err);
    if (status == CASK_OK) {
        begin_manifest(b);
        count_bytes(b);
        status = place_all(b, err);
        backup_runs_end(b->store, b->runs);
    }
    store_cut_unpin(b->store);
    store_cut_free(&b->cut);
    return status;
}

static cask_status fill(backup *b, cask_error *err)
{
    cask_status status = take(b, err);

    if (status == CASK_OK) {
        status = copy_settings(b, err);
    }
    if (status == CASK_OK && !b->options->skip_verify) {
        status = check_all(b, err);
    }
    return status == CASK_OK
               ? store_target_publish(&b->target, &b->store->identity,
                                      &b->manifest, err)
               : status;
}

static cask_status run(backup *b, const char *out_dir, cask_error *err)
{
    cask_status status = open_earlier(b, err);

    if (status == CASK_OK) {
        status =
            store_target_begin(b->store->os, out_dir, b->store->dir,
                               b->store->options.file_mode, &b->target, err);
    }
    if (status == CASK_OK) {
        status = fill(b, err);
        store_target_end(&b->target, status == CASK_OK);
    }
    manifest_free(&b->manifest);
    manifest_free(&b->earlier_manifest);
    b->store->os->ops->close(b->earlier.dir);
    return status;
}

cask_status cask_backup(cask_db *db, const char *out_dir,
                        const cask_backup_options *options,
                        cask_backup_report *ret_report, cask_error *err)
{
    static const cask_backup_options defaults;
    cask_status status = db_check(db, err);
    backup b = {.options = options == NULL ? &defaults : options};

    if (status != CASK_OK) {
        return status;
    }
    if (out_dir == NULL || out_dir[0] == 0) {
        return fail(err, CASK_INVALID, 0, "out_dir is missing");
    }
    b.store = db->store;
    status = run(&b, out_dir, err);
    if (status == CASK_OK && ret_report != NULL) {
        *ret_report = b.report;
    }
    return status;
}
