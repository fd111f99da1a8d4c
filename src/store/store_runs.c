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
           (header.kind == SEGMENT_RUN || header.kind == SEGMENT_VALUES) &&
           header.id == id &&
           memcmp(header.uuid, store->identity.uuid, sizeof(header.uuid)) == 0;
}

static bool is_leftover(sweep *s, const char *name)
{
    uint64_t id;

    if (run_aside_name_parse(name, &id)) {
        return file_is_regular(s->store->dir, name);
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

/* That it is there, is as long as MANIFEST says, and what else can be seen at
 * once. */
static cask_status check_run(store_handle *store, const manifest_run *run,
                             cask_error *err)
{
    char name[SEGMENT_NAME_SIZE];
    os_stat stat;
    int os_errno;

    run_name_format(run->id, name);
    os_errno = store->os->ops->stat_name(store->dir, name, &stat);
    if (os_errno == ENOENT) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: is missing, but MANIFEST lists it", name);
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot examine %s", name);
    }
    if (stat.kind != OS_REGULAR || stat.size != run->bytes) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: has %" PRIu64 " bytes, MANIFEST says %" PRIu64, name,
                    stat.size, run->bytes);
    }
    return store->engine->check_run == NULL
               ? CASK_OK
               : store->engine->check_run(store, run, err);
}

cask_status store_check_runs(store_handle *store,
                             const manifest_state *manifest, cask_error *err)
{
    cask_status status = CASK_OK;

    for (size_t i = 0; i < manifest->run_count && status == CASK_OK; i++) {
        cask_error found = {CASK_OK, 0, ""};

        status = check_run(store, &manifest->runs[i], &found);
        if (status == CASK_CORRUPT &&
            store->options.damage == CASK_DAMAGE_SERVE) {
            store->region.header->damaged_bytes += manifest->runs[i].bytes;
            store_event(store, CASK_EVENT_DAMAGE, status, "%s", found.message);
            status = CASK_OK;
        } else if (status == CASK_CORRUPT) {
            status = fail(err, status, 0,
                          "%s; restore it from a backup, see 'caskade "
                          "repair', or open with damage = CASK_DAMAGE_SERVE "
                          "(--damage serve) to read the rest",
                          found.message);
        } else if (status != CASK_OK) {
            status = fail_again(err, &found);
        }
    }
    return status;
}
