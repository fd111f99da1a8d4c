/*
 * Files of runs: those that MANIFEST lists, which must be there, and those that
 * it does not, which go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log/segment.h"
#include "store/store_open.h"
#include "store/store_recover.h"

#define NEW ".new"

/* Files that one listing finds to be removed; the next finds more. */
enum { SWEEP_MOST = 64, SWEEP_NAME = SEGMENT_NAME_SIZE + 8 };

typedef struct sweep {
    store_handle *store;
    const manifest_state *manifest;
    bool is_open;
    cask_error *err;
    cask_status status;
    char names[SWEEP_MOST][SWEEP_NAME];
    size_t count;
} sweep;

/* Of "<run's name>.new". */
static bool aside_name_parse(const char *name, uint64_t *ret_id)
{
    char run[SWEEP_NAME];
    size_t size = strlen(name);
    size_t tail = strlen(NEW);

    if (size >= sizeof(run) || size <= tail ||
        strcmp(name + size - tail, NEW) != 0) {
        return false;
    }
    memcpy(run, name, size - tail);
    run[size - tail] = 0;
    return run_name_parse(run, ret_id);
}

static bool is_regular(const store_handle *store, const char *name)
{
    os_stat stat;

    return store->os->ops->stat_name(store->dir, name, &stat) == 0 &&
           stat.kind == OS_REGULAR;
}

/* Whether a whole run was made by this store for itself. What cannot be read
 * stays. */
static bool is_ours(const store_handle *store, const char *name, uint64_t id)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header header;
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    int os_errno;

    if (file_open(store->dir, name, OS_READ, &file, &stat, NULL) != CASK_OK) {
        return false;
    }
    os_errno = store->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got);
    store->os->ops->close(file);
    return os_errno == 0 && got == sizeof(bytes) &&
           segment_header_decode(bytes, name, &header, NULL) == CASK_OK &&
           header.kind == SEGMENT_RUN && header.id == id &&
           memcmp(header.uuid, store->identity.uuid, sizeof(header.uuid)) == 0;
}

static bool is_leftover(sweep *s, const char *name)
{
    uint64_t id;

    if (aside_name_parse(name, &id)) {
        return is_regular(s->store, name);
    }
    if (!run_name_parse(name, &id) ||
        manifest_find_run(s->manifest, id) != NULL ||
        !is_ours(s->store, name, id)) {
        return false;
    }
    if (id < s->manifest->next_id) {
        return true;
    }
    if (!s->is_open) {
        s->status = fail(s->err, CASK_CORRUPT, 0,
                         "%s: is a run of this store, but MANIFEST has given "
                         "out ids below %016" PRIx64 " only; restore MANIFEST, "
                         "or move the file away",
                         name, s->manifest->next_id);
    }
    return false; /* what cannot be judged stays */
}

static bool sweep_name(void *context, const char *name)
{
    sweep *s = context;

    if (is_leftover(s, name)) {
        (void)snprintf(s->names[s->count++], sizeof(s->names[0]), "%s", name);
    }
    return s->status == CASK_OK && s->count < SWEEP_MOST;
}

/* False: some could not be removed. */
static bool remove_found(const sweep *s)
{
    store_handle *store = s->store;
    bool all = true;

    for (size_t i = 0; i < s->count; i++) {
        int os_errno = store->os->ops->remove(store->dir, s->names[i]);

        if (os_errno == 0) {
            store_event(store, CASK_EVENT_LEFTOVER, CASK_OK,
                        "removed %s, which is not part of the tree",
                        s->names[i]);
        }
        all = all && (os_errno == 0 || os_errno == ENOENT);
    }
    return all;
}

cask_status store_sweep_runs(store_handle *store,
                             const manifest_state *manifest, bool is_open,
                             bool *ret_all, cask_error *err)
{
    bool all = true;
    sweep s;
    int os_errno;

    *ret_all = false;
    if (store->identity.engine == CASK_ENGINE_HASH) {
        *ret_all = true;
        return CASK_OK;
    }
    if (store_files_are_kept(store) ||
        (is_open && !store_lock_is_for_all(store))) {
        return CASK_OK;
    }
    do {
        s = (sweep){.store = store,
                    .manifest = manifest,
                    .is_open = is_open,
                    .err = err,
                    .status = CASK_OK};
        os_errno = store->os->ops->list(store->dir, sweep_name, &s);
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot list %s", store->path);
        }
        all = s.status == CASK_OK && remove_found(&s);
    } while (s.count == SWEEP_MOST && all);
    *ret_all = all;
    return s.status;
}

cask_status store_check_runs(const store_handle *store,
                             const manifest_state *manifest, cask_error *err)
{
    for (size_t i = 0; i < manifest->run_count; i++) {
        const manifest_run *run = &manifest->runs[i];
        char name[SEGMENT_NAME_SIZE];
        os_stat stat;
        int os_errno;

        run_name_format(run->id, name);
        os_errno = store->os->ops->stat_name(store->dir, name, &stat);
        if (os_errno == ENOENT) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: is missing, but MANIFEST lists it; restore it "
                        "from a backup",
                        name);
        }
        if (os_errno != 0) {
            return fail_os(err, os_errno, "cannot examine %s", name);
        }
        if (stat.kind != OS_REGULAR || stat.size != run->bytes) {
            return fail(err, CASK_CORRUPT, 0,
                        "%s: has %" PRIu64 " bytes, MANIFEST says %" PRIu64
                        "; restore it from a backup",
                        name, stat.size, run->bytes);
        }
    }
    return CASK_OK;
}
