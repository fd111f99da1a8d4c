/*
 * os_sim: operations on directories and the paths that lead to them.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- paths ------------------------------------------------------------- */

/*
 * Walk to the directory that holds the last component of `path`, and copy
 * that component to `ret_last`; it is "" for the root itself.
 */
static int walk(os_sim *sim, const char *path, sim_node **ret_dir,
                char ret_last[SIM_NAME_MAX + 1])
{
    sim_node *dir = sim->root;

    ret_last[0] = '\0';
    for (;;) {
        size_t length;
        path += strspn(path, "/");
        length = strcspn(path, "/");
        if (length == 0) {
            *ret_dir = dir;
            return 0;
        }
        if (length > SIM_NAME_MAX) {
            return ENAMETOOLONG;
        }
        if (ret_last[0] != '\0') {
            dir = sim_entries_find(&dir->names.cache, ret_last);
            if (dir == NULL) {
                return ENOENT;
            }
            if (dir->kind != OS_DIRECTORY) {
                return ENOTDIR;
            }
        }
        memcpy(ret_last, path, length);
        ret_last[length] = '\0';
        path += length;
    }
}

static int open_path(os_sim *sim, const char *path, os_file **ret_dir)
{
    char last[SIM_NAME_MAX + 1];
    sim_node *node = NULL;
    int error = walk(sim, path, &node, last);

    if (error != 0) {
        return error;
    }
    if (last[0] != '\0') {
        node = sim_entries_find(&node->names.cache, last);
    }
    if (node == NULL) {
        return ENOENT;
    }
    if (node->kind != OS_DIRECTORY) {
        return ENOTDIR;
    }
    return sim_handle_new(sim, node, OS_READ, ret_dir);
}

int sim_open_dir(os *self, const char *path, os_file **ret_dir)
{
    os_sim *sim = (os_sim *)self;
    int error = sim_begin(sim, NULL);

    if (error != 0) {
        return error;
    }
    error = open_path(sim, path, ret_dir);
    sim_unlock_guard(sim);
    return error;
}

static int make_path(os_sim *sim, const char *path, uint32_t mode)
{
    char last[SIM_NAME_MAX + 1];
    sim_node *parent = NULL;
    sim_node *node = NULL;
    int error = walk(sim, path, &parent, last);

    if (error != 0) {
        return error;
    }
    if (last[0] == '\0' ||
        sim_entries_find(&parent->names.cache, last) != NULL) {
        return EEXIST;
    }
    error = sim_node_new(sim, parent->volume, OS_DIRECTORY, &node);
    if (error != 0) {
        return error;
    }
    node->mode = mode & (uint32_t)07777;
    error = sim_names_link(sim, parent, last, node);
    sim_node_release(sim, node);
    return error;
}

int sim_make_dir(os *self, const char *path, uint32_t mode)
{
    os_sim *sim = (os_sim *)self;
    int error = sim_begin_change(sim, NULL);

    if (error != 0) {
        return error;
    }
    error = make_path(sim, path, mode);
    sim_unlock_guard(sim);
    return error;
}

static int remove_path(os_sim *sim, const char *path)
{
    char last[SIM_NAME_MAX + 1];
    sim_node *parent = NULL;
    const sim_node *node;
    int error = walk(sim, path, &parent, last);

    if (error != 0) {
        return error;
    }
    if (last[0] == '\0') {
        return EBUSY;
    }
    node = sim_entries_find(&parent->names.cache, last);
    if (node == NULL) {
        return ENOENT;
    }
    if (node->kind != OS_DIRECTORY) {
        return ENOTDIR;
    }
    return node->names.cache.count > 0 ? ENOTEMPTY
                                       : sim_names_unlink(sim, parent, last);
}

int sim_remove_dir(os *self, const char *path)
{
    os_sim *sim = (os_sim *)self;
    int error = sim_begin_change(sim, NULL);

    if (error != 0) {
        return error;
    }
    error = remove_path(sim, path);
    sim_unlock_guard(sim);
    return error;
}

/* --- names ------------------------------------------------------------- */

int sim_check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL) {
        return EINVAL;
    }
    return strlen(name) > SIM_NAME_MAX ? ENAMETOOLONG : 0;
}

static int copy_names(const sim_entries *entries, char ***ret_names)
{
    char **names = calloc(entries->count + 1, sizeof(*names));

    if (names == NULL) {
        return ENOMEM;
    }
    *ret_names = names;
    for (size_t i = 0; i < entries->count; i++) {
        names[i] = strdup(entries->items[i].name);
        if (names[i] == NULL) {
            return ENOMEM;
        }
    }
    return 0;
}

int sim_list(os_file *dir, os_list_fn visit, void *context)
{
    os_sim *sim = sim_of(dir);
    char **names = NULL;
    bool more = true;
    int error = sim_begin(sim, dir);

    if (error != 0) {
        return error;
    }
    error = copy_names(&sim_handle_of(dir)->node->names.cache, &names);
    sim_unlock_guard(sim);
    /* Without the guard: the visitor may use the os. */
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (error == 0 && more) {
            more = visit(context, names[i]);
        }
        free(names[i]);
    }
    free(names);
    return error;
}

int sim_stat_name(os_file *dir, const char *name, os_stat *ret_stat)
{
    os_sim *sim = sim_of(dir);
    const sim_node *node;
    int error = sim_check_name(name);

    if (error == 0) {
        error = sim_begin(sim, dir);
    }
    if (error != 0) {
        return error;
    }
    node = sim_entries_find(&sim_handle_of(dir)->node->names.cache, name);
    if (node != NULL) {
        sim_fill_stat(node, ret_stat);
    } else {
        error = ENOENT;
    }
    sim_unlock_guard(sim);
    return error;
}

int sim_remove(os_file *dir, const char *name)
{
    os_sim *sim = sim_of(dir);
    sim_node *parent = sim_handle_of(dir)->node;
    const sim_node *node;
    int error = sim_check_name(name);

    if (error == 0) {
        error = sim_begin_change(sim, dir);
    }
    if (error != 0) {
        return error;
    }
    node = sim_entries_find(&parent->names.cache, name);
    if (node == NULL) {
        error = ENOENT;
    } else if (node->kind == OS_DIRECTORY) {
        error = EISDIR;
    } else {
        error = sim_names_unlink(sim, parent, name);
    }
    sim_unlock_guard(sim);
    return error;
}

static int rename_entry(os_sim *sim, sim_node *dir, const char *from,
                        const char *to)
{
    const sim_node *node = sim_entries_find(&dir->names.cache, from);
    const sim_node *old = sim_entries_find(&dir->names.cache, to);

    if (node == NULL) {
        return ENOENT;
    }
    if (old != NULL && old->kind != node->kind) {
        return old->kind == OS_DIRECTORY ? EISDIR : ENOTDIR;
    }
    if (old != NULL && old != node && old->kind == OS_DIRECTORY &&
        old->names.cache.count > 0) {
        return ENOTEMPTY;
    }
    return sim_names_rename(sim, dir, from, to);
}

int sim_rename(os_file *dir, const char *from, const char *to)
{
    os_sim *sim = sim_of(dir);
    int error = sim_check_name(from);

    if (error == 0) {
        error = sim_check_name(to);
    }
    if (error == 0) {
        error = sim_begin_change(sim, dir);
    }
    if (error != 0) {
        return error;
    }
    error = rename_entry(sim, sim_handle_of(dir)->node, from, to);
    sim_unlock_guard(sim);
    return error;
}

static int link_entry(os_sim *sim, const sim_node *from, const char *name,
                      sim_node *to, const char *to_name)
{
    sim_node *node = sim_entries_find(&from->names.cache, name);

    if (node == NULL) {
        return ENOENT;
    }
    if (sim_entries_find(&to->names.cache, to_name) != NULL) {
        return EEXIST;
    }
    if (from->volume != to->volume) {
        return EXDEV;
    }
    return node->kind == OS_DIRECTORY ? EPERM
                                      : sim_names_link(sim, to, to_name, node);
}

int sim_link(os_file *dir, const char *name, os_file *to_dir,
             const char *to_name)
{
    os_sim *sim = sim_of(dir);
    int error = sim_check_name(name);

    if (error == 0) {
        error = sim_check_name(to_name);
    }
    if (error == 0) {
        error = sim_begin_change(sim, to_dir);
    }
    if (error != 0) {
        return error;
    }
    error = link_entry(sim, sim_handle_of(dir)->node, name,
                       sim_handle_of(to_dir)->node, to_name);
    sim_unlock_guard(sim);
    return error;
}

/* --- space and sync ---------------------------------------------------- */

int sim_space(os_file *dir, os_space *ret_space)
{
    os_sim *sim = sim_of(dir);
    const sim_volume *volume;
    int error = sim_begin(sim, dir);

    if (error != 0) {
        return error;
    }
    volume = sim_handle_of(dir)->node->volume;
    ret_space->total = volume->capacity * SIM_BLOCK;
    ret_space->free = volume->used < volume->capacity
                          ? (volume->capacity - volume->used) * SIM_BLOCK
                          : 0;
    ret_space->remote = false;
    sim_unlock_guard(sim);
    return 0;
}

/* A node does not know its names; and no person looks for this directory. */
void sim_dir_path(os_file *dir, char *ret_path, size_t size)
{
    (void)dir;
    (void)size;
    ret_path[0] = '\0';
}

/* The journal breaks off somewhere; what is after it never gets there. */
static int fail_sync_dir(os_sim *sim, sim_names *names)
{
    uint64_t count = sim_random_below(&sim->random, names->change_count + 1);
    int error = sim_names_commit(sim, names, (size_t)count);

    sim_names_forget(sim, names);
    return error != 0 ? error : EIO;
}

int sim_sync_dir(os_file *dir)
{
    os_sim *sim = sim_of(dir);
    sim_names *names = &sim_handle_of(dir)->node->names;
    int error = sim_begin_change(sim, dir);

    if (error != 0) {
        return error;
    }
    if (sim_sync_fails(sim)) {
        error = fail_sync_dir(sim, names);
    } else {
        error = sim_names_commit(sim, names, names->change_count);
    }
    sim_unlock_guard(sim);
    return error;
}
