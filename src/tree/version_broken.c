/*
 * Runs that are damaged. One that cannot be opened stays part of the tree: what
 * newer runs have is answered, and so are keys that it cannot have.
 *
 * No compaction takes what is damaged, nor what is older: nothing newer may get
 * below it, and nobody knows what is hidden there. What is newer goes on as a
 * tree of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/key_order.h"
#include "tree/version_work.h"

/* ---- Opening ------------------------------------------------------------- */

cask_status version_check_run(store_handle *store, const manifest_run *listed,
                              cask_error *err)
{
    cask_run *run = NULL;
    cask_status status = versions_open_file(store, listed, RUN_ENDS, &run, err);

    if (status == CASK_OK) {
        run_close(run);
    }
    return status;
}

cask_status versions_break(const store_handle *store,
                           const manifest_run *listed, const cask_error *why,
                           open_run *run, cask_error *err)
{
    run->damage = strdup(why->message);
    if (run->damage == NULL) {
        return fail_memory(err, sizeof(why->message));
    }
    if (versions_open_file(store, listed, RUN_BOUNDED, &run->bounds, NULL) !=
        CASK_OK) {
        run->bounds = NULL;
    }
    return CASK_OK;
}

/* ---- Order --------------------------------------------------------------- */

/* Whether runs of level and number `a` come before those of `b`: 0 if they are
 * parts of one. */
static int order(uint32_t level_a, uint32_t run_a, uint32_t level_b,
                 uint32_t run_b)
{
    if (level_a != level_b) {
        return level_a < level_b ? -1 : 1;
    }
    return run_a > run_b ? -1 : run_a < run_b ? 1 : 0;
}

static int compare_broken(const void *left, const void *right)
{
    const version_broken *a = left;
    const version_broken *b = right;

    return order(a->level, a->run, b->level, b->run);
}

static size_t groups_up_to(const version *made, const version_broken *broken)
{
    size_t count = 0;

    while (count < made->group_count &&
           order(made->groups[count].parts->level,
                 made->groups[count].parts->run, broken->level,
                 broken->run) <= 0) {
        count++;
    }
    return count;
}

static bool is_held(const versions *self, uint64_t id)
{
    return self->opened[versions_place_of(self, id)]->is_held;
}

void versions_note_damage(const versions *self, version_slot *slot)
{
    version *made = &slot->version;
    size_t newest = 0; /* the first run that is damaged */
    size_t first;      /* that is not newer than all that are */

    qsort(slot->broken, made->broken_count, sizeof(*slot->broken),
          compare_broken);
    for (size_t i = 0; i < made->broken_count; i++) {
        slot->broken[i].groups = groups_up_to(made, &slot->broken[i]);
    }
    while (newest < made->count && !is_held(self, made->runs[newest].id)) {
        newest++;
    }
    first = newest;
    while (first > 0 && newest < made->count &&
           order(made->runs[first - 1].level, made->runs[first - 1].run,
                 made->runs[newest].level, made->runs[newest].run) == 0) {
        first--;
    }
    if (newest < made->count) {
        made->held_level = made->runs[newest].level;
    }
    if (made->broken_count > 0) {
        const version_broken *broken = &made->broken[0];

        while (first > 0 &&
               order(made->runs[first - 1].level, made->runs[first - 1].run,
                     broken->level, broken->run) >= 0) {
            first--;
        }
        if (newest == made->count || broken->level < made->held_level) {
            made->held_level = broken->level;
        }
    }
    made->held = made->count - first;
}

/* ---- Reading ------------------------------------------------------------- */

/* Whether another part of the same run has the place where the key is. */
static bool is_elsewhere(const version *pinned, const version_broken *broken,
                         cask_slice key)
{
    const version_group *group;

    if (broken->groups == 0) {
        return false;
    }
    group = &pinned->groups[broken->groups - 1];
    return group->parts->level == broken->level &&
           group->parts->run == broken->run && version_find(group, key) != NULL;
}

bool version_may_break(const version *pinned, const version_broken *broken,
                       cask_slice key)
{
    const cask_run *bounds = broken->bounds;

    if (key_compare(key, broken->begin) < 0) {
        return false;
    }
    if (bounds != NULL) {
        return key_compare(key, bounds->smallest) >= 0 &&
               (key_compare(key, bounds->largest) <= 0 ||
                key_compare(key, bounds->end) < 0);
    }
    return !is_elsewhere(pinned, broken, key);
}

bool version_may_break_within(const version_broken *broken, cask_slice lower,
                              cask_slice upper)
{
    const cask_run *bounds = broken->bounds;
    cask_slice from = broken->begin;

    if (bounds != NULL && key_compare(from, bounds->smallest) < 0) {
        from = bounds->smallest;
    }
    return (upper.data == NULL || key_compare(from, upper) < 0) &&
           (bounds == NULL || lower.data == NULL ||
            key_compare(lower, bounds->largest) <= 0 ||
            key_compare(lower, bounds->end) < 0);
}

cask_status version_fail_broken(const version_broken *broken, cask_error *err)
{
    return fail(err, CASK_CORRUPT, 0,
                "%s; what it says of keys is not known: restore it from a "
                "backup, or see 'caskade repair'",
                broken->damage);
}
