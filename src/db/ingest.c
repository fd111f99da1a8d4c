/*
 * Taking runs into a store: cask_ingest(). Arguments are checked here, and the
 * files found; the rest is in src/tree.
 */
#include <stdlib.h>

#include "db/db.h"
#include "db/parent.h"
#include "tree/tree_ingest.h"

static cask_status check(const cask_db *db, const char *const *paths,
                         size_t count, cask_error *err)
{
    cask_status status = db_check_writable(db, err);

    if (status == CASK_OK) {
        status = db_check_tree(db, "runs", err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (paths == NULL && count > 0) {
        return fail(err, CASK_INVALID, 0, "paths is NULL");
    }
    return CASK_OK;
}

static cask_status open_all(os *kernel, const char *const *paths, size_t count,
                            ingest_source *sources, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        sources[i].path = paths[i];
        status = db_open_parent_on(kernel, paths[i], &sources[i].dir,
                                   &sources[i].name, err);
    }
    return status;
}

static void close_all(const os *kernel, ingest_source *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sources[i].dir != NULL) {
            kernel->ops->close(sources[i].dir);
        }
    }
}

/* Those that could not be removed. */
static uint64_t remove_all(const os *kernel, const ingest_source *sources,
                           size_t count)
{
    uint64_t left = 0;

    for (size_t i = 0; i < count; i++) {
        left += kernel->ops->remove(sources[i].dir, sources[i].name) != 0;
    }
    return left;
}

static cask_status ingest(cask_db *db, ingest_source *sources, size_t count,
                          const cask_ingest_options *options,
                          cask_ingest_report *ret_report, cask_error *err)
{
    const tree_ingest_job job = {.sources = sources,
                                 .count = count,
                                 .on_progress = options->on_progress,
                                 .context = options->context};
    tree_ingested did;
    cask_status status = tree_ingest(db->store, &job, &did, err);

    if (status == CASK_OK) {
        *ret_report = (cask_ingest_report){.runs = did.runs,
                                           .records = did.records,
                                           .keys = did.keys,
                                           .bytes = did.bytes,
                                           .sequence = did.sequence};
        if (options->move) {
            ret_report->unmoved = remove_all(db->store->os, sources, count);
        }
    }
    return status;
}

cask_status cask_ingest(cask_db *db, const char *const *paths, size_t count,
                        const cask_ingest_options *options,
                        cask_ingest_report *ret_report, cask_error *err)
{
    static const cask_ingest_options defaults;
    cask_ingest_report unwanted = {.runs = 0};
    ingest_source *sources = NULL;
    cask_status status = check(db, paths, count, err);

    if (status != CASK_OK) {
        return status;
    }
    options = options == NULL ? &defaults : options;
    ret_report = ret_report == NULL ? &unwanted : ret_report;
    sources = calloc(count + 1, sizeof(*sources));
    if (sources == NULL) {
        return fail_memory(err, count * sizeof(*sources));
    }
    status = open_all(db->store->os, paths, count, sources, err);
    if (status == CASK_OK) {
        status = ingest(db, sources, count, options, ret_report, err);
    }
    close_all(db->store->os, sources, count);
    free(sources);
    return status;
}
