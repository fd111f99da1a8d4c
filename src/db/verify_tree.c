/*
 * Verify: the runs of a tree. Whoever compacts the tree meanwhile removes runs
 * whose records are in new ones then; so these are read when all others were,
 * until none is missed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/key_order.h"
#include "db/verification.h"
#include "run/run_read.h"

/* How often new runs are looked for, and what is being written is waited for.
 * Each time there is much less to be read. */
enum { ROUNDS = 8, ATTEMPTS = 20, PAUSE_MS = 50 };

/* A run that was read. */
typedef struct run_bounds {
    uint64_t id;
    uint32_t level; /* as MANIFEST has it when they are compared */
    uint32_t run;
    bool is_listed;
    uint8_t *keys; /* owned: the bytes of the three */
    cask_slice smallest;
    cask_slice largest;
    cask_slice end;
} run_bounds;

/* ---- Bounds -------------------------------------------------------------- */

static cask_slice copy(uint8_t **at, cask_slice key)
{
    cask_slice made = {*at, key.size};

    if (key.size > 0) {
        memcpy(*at, key.data, key.size);
        *at += key.size;
    }
    return made;
}

cask_status verify_bounds_note(void *context, const manifest_run *listed,
                               const cask_run *run, cask_error *err)
{
    verify_bounds *bounds = context;
    size_t size = run->smallest.size + run->largest.size + run->end.size;
    run_bounds noted = {.id = listed->id};
    run_bounds *of;
    uint8_t *at;

    if (listed->level == MANIFEST_VALUES) {
        return CASK_OK; /* nobody looks for keys in them */
    }
    of = array_grow(bounds->of, bounds->count, &bounds->capacity, sizeof(*of),
                    err);
    if (of == NULL) {
        return CASK_NO_MEMORY;
    }
    bounds->of = of;
    at = malloc(size + 1);
    if (at == NULL) {
        return fail_memory(err, size);
    }
    noted.keys = at;
    noted.smallest = copy(&at, run->smallest);
    noted.largest = copy(&at, run->largest);
    noted.end = copy(&at, run->end);
    bounds->of[bounds->count++] = noted;
    return CASK_OK;
}

void verify_bounds_free(verify_bounds *bounds)
{
    for (size_t i = 0; i < bounds->count; i++) {
        free(bounds->of[i].keys);
    }
    free(bounds->of);
    *bounds = (verify_bounds){.of = NULL};
}

/* Those that are in the tree first, parts of one side by side. */
static int by_place(const void *left, const void *right)
{
    const run_bounds *a = left;
    const run_bounds *b = right;

    if (a->is_listed != b->is_listed) {
        return a->is_listed ? -1 : 1;
    }
    if (a->level != b->level) {
        return a->level < b->level ? -1 : 1;
    }
    if (a->run != b->run) {
        return a->run < b->run ? -1 : 1;
    }
    return key_compare(a->smallest, b->smallest);
}

static bool are_apart(const run_bounds *a, const run_bounds *b)
{
    return a->level != b->level || a->run != b->run ||
           (key_compare(a->largest, b->smallest) < 0 &&
            key_compare(a->end, b->smallest) <= 0);
}

void verify_bounds_check(verification *v, verify_bounds *bounds,
                         const manifest_state *manifest)
{
    char name[SEGMENT_NAME_SIZE];
    char text[160];

    for (size_t i = 0; i < bounds->count; i++) {
        run_bounds *one = &bounds->of[i];
        const manifest_run *listed = manifest_find_run(manifest, one->id);

        one->is_listed = listed != NULL;
        one->level = listed != NULL ? listed->level : 0;
        one->run = listed != NULL ? listed->run : 0;
    }
    if (bounds->count > 1) {
        qsort(bounds->of, bounds->count, sizeof(*bounds->of), by_place);
    }
    for (size_t i = 1; i < bounds->count && bounds->of[i].is_listed; i++) {
        const run_bounds *one = &bounds->of[i];

        if (!are_apart(one - 1, one)) {
            run_name_format(one->id, name);
            (void)snprintf(text, sizeof(text),
                           "its keys overlap with those of run %016" PRIx64
                           ", though MANIFEST has both as parts of run "
                           "%" PRIu32 " in level %" PRIu32,
                           one[-1].id, one->run, one->level);
            verify_problem(v, name, 0, 0, text);
        }
    }
}

/* ---- MANIFEST ------------------------------------------------------------ */

cask_status verify_load_manifest(const verification *v,
                                 manifest_state *ret_manifest, cask_error *err)
{
    const os_ops *ops = v->kernel->ops;

    for (int i = 0;; i++) {
        cask_status status =
            manifest_load(v->dir, v->identity.uuid, ret_manifest, err);

        if (status != CASK_CORRUPT || !v->in_use ||
            v->identity.engine != CASK_ENGINE_TREE || i == ATTEMPTS) {
            return status;
        }
        manifest_free(ret_manifest);
        ops->sleep_ms(v->kernel, PAUSE_MS);
    }
}

/* ---- Runs ---------------------------------------------------------------- */

typedef struct reading {
    verification *v;
    verify_bounds bounds;
    uint64_t *ids; /* that were read; owned */
    size_t count;
    size_t capacity;
    bool is_missing; /* one was, in this round */
} reading;

static bool was_read(const reading *now, uint64_t id)
{
    for (size_t i = now->count; i > 0; i--) {
        if (now->ids[i - 1] == id) {
            return true;
        }
    }
    return false;
}

static cask_status note_read(reading *now, uint64_t id, cask_error *err)
{
    uint64_t *ids =
        array_grow(now->ids, now->count, &now->capacity, sizeof(*ids), err);

    if (ids == NULL) {
        return CASK_NO_MEMORY;
    }
    now->ids = ids;
    ids[now->count++] = id;
    return CASK_OK;
}

static cask_status read_all(reading *now, const manifest_state *manifest,
                            cask_error *err)
{
    cask_status status = CASK_OK;

    now->is_missing = false;
    for (size_t i = 0; i < manifest->run_count && status == CASK_OK; i++) {
        const manifest_run *listed = &manifest->runs[i];

        if (was_read(now, listed->id)) {
            continue;
        }
        status = verify_run(now->v, manifest, listed, verify_bounds_note,
                            &now->bounds, err);
        if (status == CASK_NOT_FOUND) {
            now->is_missing = true;
            status = CASK_OK;
        } else if (status == CASK_OK) {
            status = note_read(now, listed->id, err);
        }
    }
    return status;
}

/* Of a MANIFEST that nobody has changed since the runs were looked for. */
static void tell_missing(const reading *now, const manifest_state *manifest)
{
    char name[SEGMENT_NAME_SIZE];

    for (size_t i = 0; i < manifest->run_count; i++) {
        const manifest_run *listed = &manifest->runs[i];

        if (!was_read(now, listed->id)) {
            run_name_format(listed->id, name);
            verify_problem(now->v, name, 0, listed->bytes,
                           "is missing, but MANIFEST lists it");
        }
    }
}

/*
 * Read what is missing of the newest version. `manifest`: the version of the
 * last round in, that of this one out; *ret_done: it is the same.
 */
static cask_status read_again(reading *now, manifest_state *manifest,
                              bool *ret_done, cask_error *err)
{
    manifest_state newer;
    cask_status status = verify_load_manifest(now->v, &newer, err);

    *ret_done = status == CASK_CORRUPT || status == CASK_NOT_FOUND ||
                (status == CASK_OK && newer.version == manifest->version);
    if (*ret_done) {
        manifest_free(&newer);
        return CASK_OK;
    }
    manifest_free(manifest);
    *manifest = newer;
    return status == CASK_OK ? read_all(now, manifest, err) : status;
}

static cask_status read_runs(reading *now, cask_error *err)
{
    verification *v = now->v;
    manifest_state manifest = {.version = v->manifest.version};
    cask_status status = read_all(now, &v->manifest, err);
    bool is_done = false;

    for (int i = 0;
         i < ROUNDS && status == CASK_OK && now->is_missing && !is_done; i++) {
        status = read_again(now, &manifest, &is_done, err);
    }
    if (status == CASK_OK) {
        const manifest_state *last =
            manifest.version != v->manifest.version ? &manifest : &v->manifest;

        if (is_done) {
            tell_missing(now, last);
        }
        verify_bounds_check(v, &now->bounds, last);
    }
    manifest_free(&manifest);
    return status;
}

/* ---- Lost records -------------------------------------------------------- */

/* What is wrong now with the files that they were in was told by itself. */
static void tell_lost(verification *v)
{
    for (size_t i = 0; i < v->manifest.lost_count; i++) {
        const manifest_lost *lost = &v->manifest.losts[i];
        char name[SEGMENT_NAME_SIZE];

        segment_name_format(lost->segment_id, name);
        verify_problem(v, name, lost->offset, 0,
                       "a record was damaged before it was in a run: keys that "
                       "it may be of, and walks over them, answer 'corrupt' "
                       "until the store is repaired");
    }
}

/* ---- Leftovers ----------------------------------------------------------- */

static bool count_leftover(void *context, const char *name)
{
    verification *v = context;
    uint64_t id;
    os_stat stat;

    if (run_name_parse(name, &id) &&
        manifest_find_run(&v->manifest, id) == NULL &&
        v->kernel->ops->stat_name(v->dir, name, &stat) == 0 &&
        stat.kind == OS_REGULAR) {
        v->report.leftovers++;
    }
    return true;
}

/* One that is being written is none. */
static cask_status count_leftovers(verification *v, cask_error *err)
{
    int os_errno;

    if (v->in_use) {
        return CASK_OK;
    }
    os_errno = v->kernel->ops->list(v->dir, count_leftover, v);
    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno, "cannot list %s", v->path);
}

cask_status verify_runs(verification *v, cask_error *err)
{
    reading now = {.v = v};
    cask_status status = read_runs(&now, err);

    verify_bounds_free(&now.bounds);
    free(now.ids);
    tell_lost(v);
    return status == CASK_OK ? count_leftovers(v, err) : status;
}
