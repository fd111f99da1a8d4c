/*
 * Runs never change, so a link is as good as a copy. One that was taken out of
 * the tree meanwhile has lost its name, and is copied from the open file.
 */
#include "db/backup_runs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "tree/tree.h"

/* All files of a version: runs, and behind them runs of values. */
static size_t count_of(const version *runs)
{
    return runs->count + runs->values_count;
}

static version_run run_at(const version *runs, size_t index)
{
    const version_values *values;

    if (index < runs->count) {
        return runs->runs[index];
    }
    values = &runs->values[index - runs->count];
    return (version_run){
        .id = values->id, .level = MANIFEST_VALUES, .file = values->file};
}

/* The first run of values that cannot be read; NULL: all can be. */
static const version_values *broken_values(const version *runs)
{
    for (size_t i = 0; i < runs->values_count; i++) {
        if (runs->values[i].file == NULL) {
            return &runs->values[i];
        }
    }
    return NULL;
}

/* Whether all of it can be read: no backup lacks anything. */
static cask_status check_whole(const version *runs, cask_error *err)
{
    const version_values *values = broken_values(runs);

    if (runs->broken_count > 0) {
        return version_fail_broken(&runs->broken[0], err);
    }
    return values == NULL
               ? CASK_OK
               : fail(err, CASK_CORRUPT, 0,
                      "%s; restore it from an earlier backup, or see 'caskade "
                      "repair'",
                      values->damage);
}

cask_status backup_runs_begin(store_handle *store, const version **ret_runs,
                              cask_error *err)
{
    const version *pinned = NULL;
    cask_status status;

    *ret_runs = NULL;
    if (store->identity.engine != CASK_ENGINE_TREE) {
        return CASK_OK;
    }
    status = version_pin(tree_state_of(store)->versions, &pinned, err);
    if (status != CASK_OK) {
        return status;
    }
    status = check_whole(pinned, err);
    if (status != CASK_OK) {
        backup_runs_end(store, pinned);
    } else {
        *ret_runs = pinned;
    }
    return status;
}

void backup_runs_end(store_handle *store, const version *runs)
{
    if (runs != NULL) {
        version_unpin(tree_state_of(store)->versions, runs);
    }
}

uint64_t backup_runs_bytes(const version *runs)
{
    uint64_t bytes = 0;

    for (size_t i = 0; runs != NULL && i < count_of(runs); i++) {
        bytes += run_at(runs, i).file->size;
    }
    return bytes;
}

static bool has_lost(const version *runs, uint64_t segment_id)
{
    for (size_t i = 0; i < runs->lost_count; i++) {
        if (runs->losts[i].segment_id == segment_id) {
            return true;
        }
    }
    return false;
}

/* One that is being written has no last sequence for certain; of one that is
 * damaged nobody knows what was in it, and of a lost record it is read in the
 * segment whether it was restored. */
bool backup_runs_have(const version *runs, const store_cut_part *part)
{
    return runs != NULL && part->is_final && part->segment.damaged_bytes == 0 &&
           part->segment.last_sequence <= runs->flushed &&
           !has_lost(runs, part->segment.id);
}

/* ---- MANIFEST ------------------------------------------------------------ */

static cask_status list(const version *runs, manifest_run *adds,
                        manifest_begin *begins, manifest_state *manifest,
                        cask_error *err)
{
    manifest_change change = {.adds = adds,
                              .add_count = count_of(runs),
                              .begins = begins,
                              .losts = runs->losts,
                              .lost_count = runs->lost_count,
                              .version = runs->number,
                              .flushed = runs->flushed};

    for (size_t i = 0; i < count_of(runs); i++) {
        const version_run run = run_at(runs, i);

        adds[i] = (manifest_run){.id = run.id,
                                 .nonce = run.file->footer.nonce,
                                 .bytes = run.file->size,
                                 .level = run.level,
                                 .run = run.run,
                                 .added = (int64_t)run.file->added_sequence};
        if (run.begin.size > 0) {
            begins[change.begin_count++] = (manifest_begin){run.id, run.begin};
        }
    }
    return manifest_change_runs(manifest, &change, err);
}

cask_status backup_runs_list(const version *runs, manifest_state *manifest,
                             cask_error *err)
{
    cask_status status;
    manifest_run *adds;
    manifest_begin *begins;

    if (runs == NULL || runs->number == 0) {
        return CASK_OK;
    }
    adds = calloc(count_of(runs) + 1, sizeof(*adds));
    begins = calloc(count_of(runs) + 1, sizeof(*begins));
    status = adds == NULL || begins == NULL
                 ? fail_memory(err, (count_of(runs) + 1) * sizeof(*adds))
                 : list(runs, adds, begins, manifest, err);
    free(adds);
    free(begins);
    return status;
}

/* ---- Files --------------------------------------------------------------- */

/* Whether a file of an earlier backup is the one that is open: its header has
 * the id and the nonce, and nothing of such a file ever changes. */
static bool is_same(os_file *dir, const char *name, const cask_run *run)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    int os_errno;

    if (file_open(dir, name, OS_READ, &file, &stat, NULL) != CASK_OK) {
        return false;
    }
    os_errno = dir->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got);
    dir->os->ops->close(file);
    return os_errno == 0 && got == sizeof(bytes) && stat.size == run->size &&
           memcmp(bytes, run->bytes, sizeof(bytes)) == 0;
}

static bool link_from(const store_placing *placing, os_file *dir,
                      const char *name, const cask_run *run)
{
    return is_same(dir, name, run) &&
           dir->os->ops->link(dir, name, placing->to, name) == 0;
}

static bool earlier_has(const store_earlier *earlier, const version_run *run)
{
    const manifest_run *other =
        earlier->dir == NULL ? NULL
                             : manifest_find_run(earlier->manifest, run->id);

    return other != NULL && other->nonce == run->file->footer.nonce &&
           other->bytes == run->file->size;
}

static bool link_run(const store_placing *placing, const version_run *run)
{
    char name[SEGMENT_NAME_SIZE];

    run_name_format(run->id, name);
    return link_from(placing, placing->store->dir, name, run->file) ||
           (earlier_has(&placing->earlier, run) &&
            link_from(placing, placing->earlier.dir, name, run->file));
}

static cask_status place_run(const store_placing *placing,
                             const version_run *run, bool is_linked,
                             cask_backup_report *report, cask_error *err)
{
    uint64_t size = run->file->size;
    char name[SEGMENT_NAME_SIZE];

    report->runs++;
    if (!is_linked) {
        report->copied_bytes += size;
        run_name_format(run->id, name);
        return store_place_bytes(placing, name, run->file->bytes, size, err);
    }
    report->linked_runs++;
    report->linked_bytes += size;
    return placing->progress(placing->context, size)
               ? CASK_OK
               : fail(err, CASK_TIMEOUT, 0, "stopped on request");
}

/* All links first: the longer it takes, the more names are gone. */
cask_status backup_runs_place(const store_placing *placing, const version *runs,
                              cask_backup_report *report, cask_error *err)
{
    cask_status status = CASK_OK;
    bool *linked;

    if (runs == NULL || count_of(runs) == 0) {
        return CASK_OK;
    }
    linked = calloc(count_of(runs), sizeof(*linked));
    if (linked == NULL) {
        return fail_memory(err, count_of(runs) * sizeof(*linked));
    }
    for (size_t i = 0; i < count_of(runs); i++) {
        const version_run run = run_at(runs, i);

        linked[i] = link_run(placing, &run);
    }
    for (size_t i = 0; i < count_of(runs) && status == CASK_OK; i++) {
        const version_run run = run_at(runs, i);

        status = place_run(placing, &run, linked[i], report, err);
    }
    free(linked);
    return status;
}
