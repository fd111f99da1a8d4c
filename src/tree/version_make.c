/*
 * Making and closing versions: files of runs are opened once, and closed with
 * the last version that has them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/key_order.h"
#include "tree/version_work.h"

enum { POINTER_BYTES = sizeof(void *) };

/* ---- Open runs ----------------------------------------------------------- */

size_t versions_place_of(const versions *self, uint64_t id)
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
    open_run **opened = array_grow(self->opened, self->opened_count,
                                   &self->opened_capacity, POINTER_BYTES, err);

    if (opened == NULL) {
        return CASK_NO_MEMORY;
    }
    self->opened = opened;
    memmove(&self->opened[at + 1], &self->opened[at],
            (self->opened_count - at) * POINTER_BYTES);
    self->opened[at] = run;
    self->opened_count++;
    return CASK_OK;
}

static void free_run(open_run *run)
{
    run_close(run->file);
    run_close(run->bounds);
    free(run->damage);
    free(run);
}

static void dereference(versions *self, open_run *run)
{
    size_t at;

    run->references--;
    if (run->references > 0) {
        return;
    }
    self->untold -= run->damage != NULL && !run->is_told ? 1 : 0;
    at = versions_place_of(self, run->id);
    self->opened_count--;
    memmove(&self->opened[at], &self->opened[at + 1],
            (self->opened_count - at) * POINTER_BYTES);
    free_run(run);
}

cask_status versions_open_file(const store_handle *store,
                               const manifest_run *listed, run_extent extent,
                               cask_run **ret_file, cask_error *err)
{
    segment_header expected = {
        .kind = listed->level == MANIFEST_VALUES ? SEGMENT_VALUES : SEGMENT_RUN,
        .id = listed->id,
        .nonce = listed->nonce};
    const run_open_options options = {.extent = extent,
                                      .added_sequence = listed->added,
                                      .expected = &expected};
    char name[SEGMENT_NAME_SIZE];

    memcpy(expected.uuid, store->identity.uuid, sizeof(expected.uuid));
    run_name_format(listed->id, name);
    return run_open(store->dir, name, &options, ret_file, err);
}

/* CASK_NOT_FOUND: there is no such file. */
static cask_status open_listed(const store_handle *store,
                               const manifest_run *listed, cask_run **ret_file,
                               cask_error *err)
{
    cask_run *file = NULL;
    cask_status status =
        versions_open_file(store, listed, RUN_WHOLE, &file, err);

    if (status == CASK_OK && file->size != listed->bytes) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%s: has %" PRIu64 " bytes, MANIFEST says %" PRIu64,
                      file->name, file->size, listed->bytes);
        run_close(file);
    }
    if (status == CASK_OK) {
        *ret_file = file;
    }
    return status;
}

static cask_status open_or_break(const store_handle *store,
                                 const manifest_run *listed, bool all,
                                 open_run *run, cask_error *err)
{
    cask_error why = {CASK_OK, 0, ""};
    cask_status status = open_listed(store, listed, &run->file, &why);

    if (status == CASK_NOT_FOUND && all) {
        const cask_error found = why;

        status = fail(&why, CASK_CORRUPT, 0, "%s, but MANIFEST lists it",
                      found.message);
    }
    if (status == CASK_CORRUPT) {
        return versions_break(store, listed, &why, run, err);
    }
    return status == CASK_OK ? CASK_OK : fail_again(err, &why);
}

/* Reference a run that is open, or open it. */
static cask_status reference(versions *self, const manifest_run *listed,
                             bool all, open_run **ret_run, cask_error *err)
{
    size_t at = versions_place_of(self, listed->id);
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
    run->bytes = listed->bytes;
    run->references = 1;
    status = open_or_break(self->store, listed, all, run, err);
    if (status == CASK_OK) {
        status = insert(self, at, run, err);
    }
    if (status != CASK_OK) {
        free_run(run);
        return status;
    }
    self->untold += run->damage != NULL ? 1 : 0;
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
    free(slot->broken);
    free(slot->losts);
    free(slot->values);
    free(slot->keys);
    slot->opened = NULL;
    slot->runs = NULL;
    slot->groups = NULL;
    slot->broken = NULL;
    slot->losts = NULL;
    slot->values = NULL;
    slot->keys = NULL;
    slot->opened_count = 0;
    slot->is_used = false;
}

void versions_close_unused(versions *self)
{
    version_slot *current = atomic_load(&self->current);

    for (version_slot *slot = self->slots; slot != NULL; slot = slot->next) {
        if (slot->is_used && slot != current &&
            !tree_pins_are_held(&slot->pins)) {
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

int version_run_compare(const void *left, const void *right)
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
    }
    return CASK_OK;
}

/* Room for all. Keys of a manifest_state are its own. */
static cask_status allocate(version_slot *slot, const manifest_state *manifest,
                            cask_error *err)
{
    size_t count = manifest->run_count + 1;
    size_t bytes = 1;

    for (size_t i = 0; i < manifest->run_count; i++) {
        bytes += manifest->runs[i].begin.size;
    }
    slot->opened_count = 0;
    slot->runs = calloc(count, sizeof(*slot->runs));
    slot->groups = calloc(count, sizeof(*slot->groups));
    slot->broken = calloc(count, sizeof(*slot->broken));
    slot->opened = calloc(count, POINTER_BYTES);
    slot->keys = malloc(bytes);
    slot->losts = calloc(manifest->lost_count + 1, sizeof(*slot->losts));
    slot->values = calloc(count, sizeof(*slot->values));
    return slot->losts != NULL && slot->runs != NULL && slot->groups != NULL &&
                   slot->broken != NULL && slot->opened != NULL &&
                   slot->keys != NULL && slot->values != NULL
               ? CASK_OK
               : fail_memory(err, count * sizeof(*slot->runs) + bytes);
}

static void add_run(version_slot *slot, const manifest_run *listed,
                    cask_slice begin)
{
    const open_run *run = slot->opened[slot->opened_count - 1];
    version *made = &slot->version;

    made->next_run =
        listed->run >= made->next_run ? listed->run + 1 : made->next_run;
    if (listed->level == MANIFEST_VALUES) {
        slot->values[made->values_count++] =
            (version_values){.id = listed->id,
                             .file = run->file,
                             .damage = run->damage,
                             .is_held = run->is_held};
    } else if (run->file == NULL) {
        slot->broken[made->broken_count++] =
            (version_broken){.id = listed->id,
                             .level = listed->level,
                             .run = listed->run,
                             .begin = begin,
                             .bounds = run->bounds,
                             .damage = run->damage};
    } else {
        slot->runs[made->count++] = (version_run){.id = listed->id,
                                                  .level = listed->level,
                                                  .run = listed->run,
                                                  .begin = begin,
                                                  .file = run->file};
    }
}

static bool is_hidden(const open_run *run, uint64_t hidden_from)
{
    return run->file != NULL && run_first_sequence(run->file) >= hidden_from;
}

/*
 * All but the order. Runs whose records nobody is to see yet came with this
 * version alone: without them it is the one before.
 */
static cask_status open_runs(versions *self, version_slot *slot,
                             const manifest_state *manifest, bool all,
                             cask_error *err)
{
    uint64_t hidden_from =
        region_tree_hidden_from(&self->store->region.header->tree);
    cask_status status = allocate(slot, manifest, err);
    size_t bytes = 0;

    if (status == CASK_OK && manifest->lost_count > 0) {
        memcpy(slot->losts, manifest->losts,
               manifest->lost_count * sizeof(*slot->losts));
    }
    for (size_t i = 0; i < manifest->run_count && status == CASK_OK; i++) {
        const manifest_run *listed = &manifest->runs[i];
        cask_slice begin = {NULL, 0};

        if (listed->begin.size > 0) {
            begin = (cask_slice){slot->keys + bytes, listed->begin.size};
            memcpy(slot->keys + bytes, listed->begin.data, begin.size);
            bytes += begin.size;
        }
        status = reference(self, listed, all, &slot->opened[i], err);
        if (status != CASK_OK) {
            break;
        }
        slot->opened_count++;
        if (is_hidden(slot->opened[i], hidden_from)) {
            slot->version.number = manifest->version - 1;
        } else {
            add_run(slot, listed, begin);
        }
    }
    return status;
}

cask_status versions_make(versions *self, const manifest_state *manifest,
                          bool all, version_slot **ret_slot, cask_error *err)
{
    version_slot *slot = take_slot(self);
    cask_status status;

    if (slot == NULL) {
        return fail_memory(err, sizeof(*slot));
    }
    slot->version = (version){.slot = slot,
                              .number = manifest->version,
                              .flushed = manifest->flushed,
                              .next_run = 1};
    status = open_runs(self, slot, manifest, all, err);
    if (status == CASK_OK) {
        slot->version.runs = slot->runs;
        slot->version.groups = slot->groups;
        slot->version.broken = slot->broken;
        slot->version.losts = slot->losts;
        slot->version.lost_count = manifest->lost_count;
        slot->version.values = slot->values;
        qsort(slot->values, slot->version.values_count, sizeof(*slot->values),
              version_values_compare);
        qsort(slot->runs, slot->version.count, sizeof(*slot->runs),
              version_run_compare);
        status = make_groups(slot, err);
    }
    if (status != CASK_OK) {
        versions_empty_slot(self, slot);
        return status;
    }
    versions_note_damage(self, slot);
    *ret_slot = slot;
    return CASK_OK;
}
