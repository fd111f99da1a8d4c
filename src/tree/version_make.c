/*
 * Making and closing versions: files of runs are opened once, and closed with
 * the last version that has them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/key_order.h"
#include "tree/version_work.h"

enum { POINTER_BYTES = sizeof(void *) };

/* ---- Open runs ----------------------------------------------------------- */

/* Index of the first whose id is not less. */
static size_t place_of(const versions *self, uint64_t id)
{
    size_t from = 0;
    size_t to = self->opened_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (self->opened[middle]->id < id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static cask_status insert(versions *self, size_t at, open_run *run,
                          cask_error *err)
{
    if (self->opened_count == self->opened_capacity) {
        size_t capacity =
            self->opened_capacity == 0 ? 16 : self->opened_capacity * 2;
        void *grown = realloc(self->opened, capacity * POINTER_BYTES);

        if (grown == NULL) {
            return fail_memory(err, capacity * POINTER_BYTES);
        }
        self->opened = grown;
        self->opened_capacity = capacity;
    }
    memmove(&self->opened[at + 1], &self->opened[at],
            (self->opened_count - at) * POINTER_BYTES);
    self->opened[at] = run;
    self->opened_count++;
    return CASK_OK;
}

static void dereference(versions *self, open_run *run)
{
    size_t at;

    run->references--;
    if (run->references > 0) {
        return;
    }
    at = place_of(self, run->id);
    self->opened_count--;
    memmove(&self->opened[at], &self->opened[at + 1],
            (self->opened_count - at) * POINTER_BYTES);
    run_close(run->file);
    free(run);
}

/* CASK_NOT_FOUND: there is no such file. */
static cask_status open_file(const store_handle *store,
                             const manifest_run *listed, cask_run **ret_file,
                             cask_error *err)
{
    segment_header expected = {
        .kind = SEGMENT_RUN, .id = listed->id, .nonce = listed->nonce};
    const run_open_options options = {.expected = &expected};
    char name[SEGMENT_NAME_SIZE];
    cask_run *file = NULL;
    cask_status status;

    memcpy(expected.uuid, store->identity.uuid, sizeof(expected.uuid));
    run_name_format(listed->id, name);
    status = run_open(store->dir, name, &options, &file, err);
    if (status == CASK_OK && file->size != listed->bytes) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%s: has %" PRIu64 " bytes, MANIFEST says %" PRIu64
                      "; restore it from a backup",
                      name, file->size, listed->bytes);
        run_close(file);
    }
    if (status == CASK_OK) {
        *ret_file = file;
    }
    return status;
}

/* Reference a run that is open, or open it. */
static cask_status reference(versions *self, const manifest_run *listed,
                             open_run **ret_run, cask_error *err)
{
    size_t at = place_of(self, listed->id);
    open_run *run;
    cask_status status;

    if (at < self->opened_count && self->opened[at]->id == listed->id) {
        *ret_run = self->opened[at];
        (*ret_run)->references++;
        return CASK_OK;
    }
    run = calloc(1, sizeof(*run));
    if (run == NULL) {
        (void)fail_memory(err, sizeof(*run));
        return CASK_NO_MEMORY;
    }
    run->id = listed->id;
    run->references = 1;
    status = open_file(self->store, listed, &run->file, err);
    if (status == CASK_OK) {
        status = insert(self, at, run, err);
    }
    if (status != CASK_OK) {
        run_close(run->file);
        free(run);
        return status;
    }
    *ret_run = run;
    return CASK_OK;
}

/* ---- Slots --------------------------------------------------------------- */

void versions_empty_slot(versions *self, version_slot *slot)
{
    for (size_t i = 0; i < slot->opened_count; i++) {
        dereference(self, slot->opened[i]);
    }
    free(slot->opened);
    free(slot->runs);
    free(slot->groups);
    free(slot->keys);
    slot->opened = NULL;
    slot->runs = NULL;
    slot->groups = NULL;
    slot->keys = NULL;
    slot->opened_count = 0;
    slot->is_used = false;
}

static bool is_pinned(version_slot *slot)
{
    int64_t sum = 0;

    for (size_t i = 0; i < STORE_STRIPES; i++) {
        sum += atomic_load(&slot->stripes[i].pins);
    }
    return sum != 0;
}

void versions_close_unused(versions *self)
{
    version_slot *current = atomic_load(&self->current);

    for (version_slot *slot = self->slots; slot != NULL; slot = slot->next) {
        if (slot->is_used && slot != current && !is_pinned(slot)) {
            versions_empty_slot(self, slot);
        }
    }
}

static version_slot *take_slot(versions *self)
{
    version_slot *slot = self->slots;

    while (slot != NULL && slot->is_used) {
        slot = slot->next;
    }
    if (slot == NULL) {
        slot = aligned_alloc(alignof(version_slot), sizeof(*slot));
        if (slot == NULL) {
            return NULL;
        }
        memset(slot, 0, sizeof(*slot));
        slot->next = self->slots;
        self->slots = slot;
    }
    slot->is_used = true;
    return slot;
}

/* ---- Making a version ---------------------------------------------------- */

static int compare_runs(const void *left, const void *right)
{
    const version_run *a = left;
    const version_run *b = right;

    if (a->level != b->level) {
        return a->level < b->level ? -1 : 1;
    }
    if (a->run != b->run) {
        return a->run > b->run ? -1 : 1;
    }
    return key_compare(a->file->smallest, b->file->smallest);
}

static bool is_one_run(const version_run *a, const version_run *b)
{
    return a->level == b->level && a->run == b->run;
}

/* A look-up goes to one part only. */
static cask_status check_apart(const version_run *a, const version_run *b,
                               cask_error *err)
{
    if (key_compare(a->file->largest, b->file->smallest) < 0 &&
        key_compare(a->file->end, b->file->smallest) <= 0) {
        return CASK_OK;
    }
    return fail(err, CASK_CORRUPT, 0,
                MANIFEST_NAME ": runs %016" PRIx64 " and %016" PRIx64
                              " are parts of one, and overlap",
                a->id, b->id);
}

static cask_status make_groups(version_slot *slot, cask_error *err)
{
    version *made = &slot->version;
    const version_run *runs = slot->runs;

    for (size_t i = 0; i < made->count; i++) {
        version_group *group;

        if (i > 0 && is_one_run(&runs[i - 1], &runs[i])) {
            cask_status status = check_apart(&runs[i - 1], &runs[i], err);

            if (status != CASK_OK) {
                return status;
            }
        } else {
            slot->groups[made->group_count++].parts = &runs[i];
        }
        group = &slot->groups[made->group_count - 1];
        group->count++;
        made->next_run =
            runs[i].run >= made->next_run ? runs[i].run + 1 : made->next_run;
    }
    return CASK_OK;
}

/* Keys of a manifest_state are its own. */
static cask_status copy_begins(version_slot *slot,
                               const manifest_state *manifest, cask_error *err)
{
    size_t bytes = 1;

    for (size_t i = 0; i < manifest->run_count; i++) {
        bytes += manifest->runs[i].begin.size;
    }
    slot->keys = malloc(bytes);
    if (slot->keys == NULL) {
        return fail_memory(err, bytes);
    }
    bytes = 0;
    for (size_t i = 0; i < manifest->run_count; i++) {
        cask_slice begin = manifest->runs[i].begin;

        if (begin.size > 0) {
            memcpy(slot->keys + bytes, begin.data, begin.size);
            slot->runs[i].begin = (cask_slice){slot->keys + bytes, begin.size};
            bytes += begin.size;
        }
    }
    return CASK_OK;
}

/* All but the order. */
static cask_status open_runs(versions *self, version_slot *slot,
                             const manifest_state *manifest, cask_error *err)
{
    size_t count = manifest->run_count;
    cask_status status;

    slot->opened_count = 0;
    slot->runs = calloc(count + 1, sizeof(*slot->runs));
    slot->groups = calloc(count + 1, sizeof(*slot->groups));
    slot->opened = calloc(count + 1, POINTER_BYTES);
    if (slot->runs == NULL || slot->groups == NULL || slot->opened == NULL) {
        (void)fail_memory(err, (count + 1) * sizeof(*slot->runs));
        return CASK_NO_MEMORY;
    }
    status = copy_begins(slot, manifest, err);
    for (size_t i = 0; i < count && status == CASK_OK; i++) {
        const manifest_run *listed = &manifest->runs[i];
        version_run *run = &slot->runs[i];

        status = reference(self, listed, &slot->opened[i], err);
        if (status == CASK_OK) {
            slot->opened_count++;
            run->id = listed->id;
            run->level = listed->level;
            run->run = listed->run;
            run->file = slot->opened[i]->file;
        }
    }
    return status;
}

cask_status versions_make(versions *self, const manifest_state *manifest,
                          version_slot **ret_slot, cask_error *err)
{
    version_slot *slot = take_slot(self);
    cask_status status;

    if (slot == NULL) {
        return fail_memory(err, sizeof(*slot));
    }
    status = open_runs(self, slot, manifest, err);
    if (status == CASK_OK) {
        qsort(slot->runs, manifest->run_count, sizeof(*slot->runs),
              compare_runs);
        slot->version = (version){.slot = slot,
                                  .number = manifest->version,
                                  .flushed = manifest->flushed,
                                  .runs = slot->runs,
                                  .count = manifest->run_count,
                                  .groups = slot->groups,
                                  .next_run = 1};
        status = make_groups(slot, err);
    }
    if (status != CASK_OK) {
        versions_empty_slot(self, slot);
        return status;
    }
    *ret_slot = slot;
    return CASK_OK;
}
