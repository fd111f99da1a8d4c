#include "unit/tree/offline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "run/run_writer.h"

enum { MOST = 8 };

cask_run_entry offline_put(const char *key, const char *value,
                           uint64_t sequence)
{
    return (cask_run_entry){.kind = CASK_RUN_PUT,
                            .key = cask_slice_of(key),
                            .value = cask_slice_of(value),
                            .info = {.sequence = sequence}};
}

cask_run_entry offline_delete(const char *key, uint64_t sequence)
{
    return (cask_run_entry){.kind = CASK_RUN_DELETE,
                            .key = cask_slice_of(key),
                            .info = {.sequence = sequence}};
}

cask_run_entry offline_range(const char *from, const char *to,
                             uint64_t sequence)
{
    return (cask_run_entry){.kind = CASK_RUN_DELETE_RANGE,
                            .key = cask_slice_of(from),
                            .value = cask_slice_of(to),
                            .info = {.sequence = sequence}};
}

static void require(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), err->message);
    }
}

void offline_build(os *kernel, const char *name, const cask_run_entry *entries,
                   size_t count)
{
    const run_writer_options options = {.run.file_mode = 0600};
    cask_run_writer *writer = NULL;
    cask_error err = {CASK_OK, 0, ""};
    os_file *dir = NULL;
    int os_errno = kernel->ops->make_dir(kernel, OFFLINE_DIR, 0700);

    assert_true(os_errno == 0 || os_errno == EEXIST);
    assert_int_equal(kernel->ops->open_dir(kernel, OFFLINE_DIR, &dir), 0);
    (void)kernel->ops->remove(dir, name);
    require(run_writer_create(dir, name, &options, &writer, &err), &err);
    for (size_t i = 0; i < count; i++) {
        cask_run_entry entry = entries[i];

        entry.info.sequence =
            entry.info.sequence == 0 ? 1 : entry.info.sequence;
        require(run_writer_add(writer, &entry, &err), &err);
    }
    require(run_writer_finish(writer, &err), &err);
}

cask_status offline_ingest(cask_db *db, const char *const *names, size_t count,
                           cask_ingest_report *ret_report, cask_error *err)
{
    char paths[MOST][OFFLINE_PATH];
    const char *list[MOST];

    assert_true(count <= MOST);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), OFFLINE_DIR "/%s", names[i]);
        list[i] = paths[i];
    }
    return cask_ingest(db, list, count, NULL, ret_report, err);
}

cask_ingest_report offline_take(cask_db *db, const char *name)
{
    cask_ingest_report report = {.runs = 99};
    cask_error err = {CASK_OK, 0, ""};

    require(offline_ingest(db, &name, 1, &report, &err), &err);
    return report;
}
