/*
 * os_sim: operations on files.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>

/* --- open and close ---------------------------------------------------- */

int sim_handle_new(os_sim *sim, sim_node *node, uint32_t flags,
                   os_file **ret_file)
{
    sim_handle *handle = calloc(1, sizeof(*handle));

    if (handle == NULL) {
        return ENOMEM;
    }
    handle->base.os = &sim->base;
    handle->node = node;
    handle->epoch = sim->epoch;
    handle->flags = flags;
    sim_node_acquire(node);
    sim->handles++;
    *ret_file = &handle->base;
    return 0;
}

static int create_file(os_sim *sim, sim_node *dir, const char *name,
                       sim_node **ret_node)
{
    sim_node *node = NULL;
    int error = sim_node_new(sim, dir->volume, OS_REGULAR, &node);

    if (error != 0) {
        return error;
    }
    error = sim_names_link(sim, dir, name, node);
    sim_node_release(sim, node); /* its name keeps it */
    if (error == 0) {
        *ret_node = node;
    }
    return error;
}

static int open_existing(os_sim *sim, sim_node *node, uint32_t flags,
                         os_file **ret_file)
{
    if ((flags & OS_CREATE) != 0 && (flags & OS_EXCL) != 0) {
        return EEXIST;
    }
    if (node->kind != OS_REGULAR) {
        return EINVAL;
    }
    return sim_handle_new(sim, node, flags, ret_file);
}

static int open_missing(os_sim *sim, os_file *dir, const char *name,
                        uint32_t flags, os_file **ret_file)
{
    sim_node *node = NULL;
    int error = create_file(sim, sim_handle_of(dir)->node, name, &node);

    return error != 0 ? error : sim_handle_new(sim, node, flags, ret_file);
}

static sim_node *find_name(os_file *dir, const char *name)
{
    return sim_entries_find(&sim_handle_of(dir)->node->names.cache, name);
}

int sim_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
             os_file **ret_file)
{
    os_sim *sim = sim_of(dir);
    sim_node *node;
    int error = sim_check_name(name);

    if (error == 0) {
        error = sim_begin(sim, dir);
    }
    if (error != 0) {
        return error;
    }
    node = find_name(dir, name);
    if (node == NULL && (flags & OS_CREATE) != 0) {
        /* A mutating operation after all: begin again as such. */
        sim_unlock_guard(sim);
        error = sim_begin_change(sim, dir);
        if (error != 0) {
            return error;
        }
        node = find_name(dir, name);
    }
    if (node != NULL) {
        error = open_existing(sim, node, flags, ret_file);
    } else if ((flags & OS_CREATE) == 0) {
        error = ENOENT;
    } else {
        error = open_missing(sim, dir, name, flags, ret_file);
    }
    if (error == 0 && node == NULL) {
        sim_handle_of(*ret_file)->node->mode = mode & (uint32_t)07777;
    }
    sim_unlock_guard(sim);
    return error;
}

void sim_close(os_file *file)
{
    os_sim *sim;
    sim_handle *handle;

    if (file == NULL) {
        return;
    }
    sim = sim_of(file);
    handle = sim_handle_of(file);
    sim_lock_guard(sim);
    sim_locks_drop(sim, handle);
    sim_node_release(sim, handle->node);
    sim->handles--;
    sim_unlock_guard(sim);
    free(handle);
}

/* --- metadata ---------------------------------------------------------- */

void sim_fill_stat(const sim_node *node, os_stat *ret_stat)
{
    *ret_stat = (os_stat){
        .device = node->volume->device,
        .inode = node->inode,
        .size = node->content.size,
        .allocated = node->content.allocated * SIM_BLOCK,
        .links = node->links,
        .mode = node->mode,
        .kind = node->kind,
    };
}

int sim_stat(os_file *file, os_stat *ret_stat)
{
    os_sim *sim = sim_of(file);
    int error = sim_begin(sim, file);

    if (error != 0) {
        return error;
    }
    sim_fill_stat(sim_handle_of(file)->node, ret_stat);
    ret_stat->owner = sim->host->ops->user(sim->host);
    sim_unlock_guard(sim);
    return 0;
}

/* --- content ----------------------------------------------------------- */

int sim_check_access(const sim_handle *handle, uint32_t access)
{
    if (handle->node->kind != OS_REGULAR) {
        return EINVAL;
    }
    return (handle->flags & access) == 0 ? EBADF : 0;
}

bool sim_range_fits(const os_sim *sim, uint64_t offset, uint64_t size)
{
    uint64_t limit = sim->options.max_file_bytes;

    return offset <= limit && size <= limit - offset;
}

int sim_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                size_t *ret_read)
{
    os_sim *sim = sim_of(file);
    const sim_content *content = &sim_handle_of(file)->node->content;
    int error = sim_begin(sim, file);

    if (error != 0) {
        return error;
    }
    error = sim_check_access(sim_handle_of(file), OS_READ);
    if (error == 0) {
        uint64_t left = offset < content->size ? content->size - offset : 0;
        *ret_read = left < size ? (size_t)left : size;
        if (*ret_read > 0) {
            sim_copy(data, content->cache->start + offset, *ret_read);
        }
    }
    sim_unlock_guard(sim);
    return error;
}

static int write_spans(sim_node *node, const os_span *spans, size_t count,
                       uint64_t offset)
{
    sim_content *content = &node->content;
    uint64_t end = offset;
    int error;

    for (size_t i = 0; i < count; i++) {
        end += spans[i].size;
    }
    if (end == offset) {
        return 0; /* nothing written does not grow a file */
    }
    error = sim_node_reserve(node, offset, end - offset);
    if (error != 0) {
        return error;
    }
    if (end > content->size) {
        sim_content_resize(content, end);
    }
    sim_content_forget_lies(content, offset, end);
    if (offset < content->dirty_low) {
        content->dirty_low = offset;
    }
    if (end > content->dirty_high) {
        content->dirty_high = end;
    }
    for (size_t i = 0; i < count; i++) {
        if (spans[i].size > 0) {
            sim_copy(content->cache->start + offset, spans[i].data,
                     spans[i].size);
        }
        offset += spans[i].size;
    }
    return 0;
}

static int check_write(os_file *file, const os_span *spans, size_t count,
                       uint64_t offset)
{
    uint64_t size = 0;

    if (count > OS_SPANS) {
        return EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (spans[i].size > UINT64_MAX - size) {
            return EINVAL;
        }
        size += spans[i].size;
    }
    if (!sim_range_fits(sim_of(file), offset, size)) {
        return EFBIG;
    }
    return sim_check_access(sim_handle_of(file), OS_WRITE);
}

int sim_write_at(os_file *file, const os_span *spans, size_t count,
                 uint64_t offset)
{
    os_sim *sim = sim_of(file);
    int error = sim_begin_change(sim, file);

    if (error != 0) {
        return error;
    }
    error = check_write(file, spans, count, offset);
    if (error == 0) {
        error = write_spans(sim_handle_of(file)->node, spans, count, offset);
    }
    sim_unlock_guard(sim);
    return error;
}

static int add_room(os_file *file, uint64_t offset, uint64_t size, bool grows)
{
    os_sim *sim = sim_of(file);
    sim_node *node = sim_handle_of(file)->node;
    int error = sim_begin_change(sim, file);

    if (error != 0) {
        return error;
    }
    error = sim_check_access(sim_handle_of(file), OS_WRITE);
    if (error == 0 && !sim_range_fits(sim, offset, size)) {
        error = EFBIG;
    }
    if (error == 0) {
        error = sim_node_reserve(node, offset, size);
    }
    if (error == 0 && grows && size > 0 && offset + size > node->content.size) {
        sim_content_resize(&node->content, offset + size);
    }
    sim_unlock_guard(sim);
    return error;
}

int sim_allocate(os_file *file, uint64_t offset, uint64_t size)
{
    return add_room(file, offset, size, true);
}

int sim_reserve(os_file *file, uint64_t offset, uint64_t size)
{
    return add_room(file, offset, size, false);
}

int sim_truncate(os_file *file, uint64_t size)
{
    os_sim *sim = sim_of(file);
    sim_node *node = sim_handle_of(file)->node;
    int error = sim_begin_change(sim, file);

    if (error != 0) {
        return error;
    }
    error = sim_check_access(sim_handle_of(file), OS_WRITE);
    if (error == 0 && !sim_range_fits(sim, 0, size)) {
        error = EFBIG;
    }
    if (error == 0) {
        sim_node_shrink(node, size);
        sim_content_resize(&node->content, size);
    }
    sim_unlock_guard(sim);
    return error;
}

int sim_sync(os_file *file)
{
    os_sim *sim = sim_of(file);
    sim_content *content = &sim_handle_of(file)->node->content;
    int error = sim_begin_change(sim, file);

    if (error != 0) {
        return error;
    }
    if (sim_handle_of(file)->node->kind != OS_REGULAR) {
        error = EINVAL;
    } else if (sim_sync_fails(sim)) {
        error = sim_content_fail_sync(content, &sim->random);
        error = error != 0 ? error : EIO;
    } else {
        error = sim_content_sync(content);
    }
    sim_unlock_guard(sim);
    return error;
}

void sim_flush_hint(os_file *file, uint64_t offset, uint64_t size)
{
    /* It promises nothing; writeback_percent does what may happen. */
    (void)file;
    (void)offset;
    (void)size;
}
