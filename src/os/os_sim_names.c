/*
 * os_sim: the names in one directory, in the cache and on the device, and the
 * changes between the two that sync_dir has not seen.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* --- lists of names ---------------------------------------------------- */

static sim_entry *find_entry(const sim_entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i].name, name) == 0) {
            return &entries->items[i];
        }
    }
    return NULL;
}

sim_node *sim_entries_find(const sim_entries *entries, const char *name)
{
    const sim_entry *entry = find_entry(entries, name);

    return entry == NULL ? NULL : entry->node;
}

static int add_entry(sim_entries *entries, const char *name, sim_node *node)
{
    sim_entry *items = array_grow(entries->items, entries->count,
                                  &entries->capacity, sizeof(*items), NULL);
    char *copy;

    if (items == NULL) {
        return ENOMEM;
    }
    entries->items = items;
    copy = strdup(name);
    if (copy == NULL) {
        return ENOMEM;
    }
    items[entries->count++] = (sim_entry){.name = copy, .node = node};
    sim_node_acquire(node);
    return 0;
}

int sim_entries_put(os_sim *sim, sim_entries *entries, const char *name,
                    sim_node *node)
{
    sim_entry *entry = find_entry(entries, name);
    sim_node *old;

    if (entry == NULL) {
        return add_entry(entries, name, node);
    }
    old = entry->node;
    sim_node_acquire(node);
    entry->node = node;
    sim_node_release(sim, old);
    return 0;
}

static void remove_entry(os_sim *sim, sim_entries *entries, const char *name)
{
    sim_entry *entry = find_entry(entries, name);
    sim_node *node;

    if (entry == NULL) {
        return;
    }
    node = entry->node;
    free(entry->name);
    *entry = entries->items[--entries->count];
    sim_node_release(sim, node);
}

void sim_entries_done(os_sim *sim, sim_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->items[i].name);
        sim_node_release(sim, entries->items[i].node);
    }
    free(entries->items);
    *entries = (sim_entries){0};
}

int sim_entries_copy(os_sim *sim, const sim_entries *from, sim_entries *to)
{
    int error = 0;

    sim_entries_done(sim, to);
    for (size_t i = 0; error == 0 && i < from->count; i++) {
        error = add_entry(to, from->items[i].name, from->items[i].node);
    }
    return error;
}

/* --- changes that are not durable yet ---------------------------------- */

static void change_done(os_sim *sim, sim_change *change)
{
    free(change->name);
    free(change->from);
    sim_node_release(sim, change->node);
}

int sim_names_note(sim_names *names, const sim_change *change)
{
    sim_change *items =
        array_grow(names->changes, names->change_count, &names->change_capacity,
                   sizeof(*items), NULL);
    sim_change copy = *change;

    if (items == NULL) {
        return ENOMEM;
    }
    names->changes = items;
    copy.name = strdup(change->name);
    copy.from = change->from == NULL ? NULL : strdup(change->from);
    if (copy.name == NULL || (change->from != NULL && copy.from == NULL)) {
        free(copy.name);
        free(copy.from);
        return ENOMEM;
    }
    if (copy.node != NULL) {
        sim_node_acquire(copy.node);
    }
    items[names->change_count++] = copy;
    return 0;
}

int sim_names_apply(os_sim *sim, sim_names *names, const sim_change *change)
{
    if (change->kind == SIM_UNLINK) {
        remove_entry(sim, &names->device, change->name);
        return 0;
    }
    if (change->kind == SIM_RENAME &&
        sim_entries_find(&names->device, change->from) == change->node) {
        remove_entry(sim, &names->device, change->from);
    }
    return sim_entries_put(sim, &names->device, change->name, change->node);
}

int sim_names_commit(os_sim *sim, sim_names *names, size_t count)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        error = sim_names_apply(sim, names, &names->changes[i]);
    }
    if (error != 0) {
        return error; /* applying them again does no harm */
    }
    for (size_t i = 0; i < count; i++) {
        change_done(sim, &names->changes[i]);
    }
    names->change_count -= count;
    if (names->change_count > 0) {
        memmove(names->changes, names->changes + count,
                names->change_count * sizeof(*names->changes));
    }
    return 0;
}

void sim_names_forget(os_sim *sim, sim_names *names)
{
    for (size_t i = 0; i < names->change_count; i++) {
        change_done(sim, &names->changes[i]);
    }
    names->change_count = 0;
}

void sim_names_done(os_sim *sim, sim_names *names)
{
    sim_names_forget(sim, names);
    free(names->changes);
    sim_entries_done(sim, &names->cache);
    sim_entries_done(sim, &names->device);
    *names = (sim_names){0};
}

/* --- changes by the program -------------------------------------------- */

static int note_change(sim_node *dir, sim_change_kind kind, const char *name,
                       const char *from, sim_node *node)
{
    /* Copied by sim_names_note(), which changes neither name. */
    sim_change change = {
        .kind = kind,
        .name = (char *)(uintptr_t)name,
        .from = (char *)(uintptr_t)from,
        .node = node,
    };

    return dir->volume->vanishes ? 0 : sim_names_note(&dir->names, &change);
}

int sim_names_link(os_sim *sim, sim_node *dir, const char *name, sim_node *node)
{
    int error = sim_entries_put(sim, &dir->names.cache, name, node);

    if (error != 0) {
        return error;
    }
    error = note_change(dir, SIM_LINK, name, NULL, node);
    if (error != 0) {
        remove_entry(sim, &dir->names.cache, name);
        return error;
    }
    node->links++;
    return 0;
}

int sim_names_unlink(os_sim *sim, sim_node *dir, const char *name)
{
    sim_node *node = sim_entries_find(&dir->names.cache, name);
    int error;

    if (node == NULL) {
        return ENOENT;
    }
    error = note_change(dir, SIM_UNLINK, name, NULL, NULL);
    if (error != 0) {
        return error;
    }
    node->links--;
    remove_entry(sim, &dir->names.cache, name);
    return 0;
}

int sim_names_rename(os_sim *sim, sim_node *dir, const char *from,
                     const char *to)
{
    sim_node *node = sim_entries_find(&dir->names.cache, from);
    sim_node *old = sim_entries_find(&dir->names.cache, to);
    int error;

    if (node == old) {
        return 0;
    }
    error = note_change(dir, SIM_RENAME, to, from, node);
    if (error != 0) {
        return error;
    }
    if (old != NULL) {
        old->links--;
    }
    error = sim_entries_put(sim, &dir->names.cache, to, node);
    if (error == 0) {
        remove_entry(sim, &dir->names.cache, from);
    }
    return error;
}
