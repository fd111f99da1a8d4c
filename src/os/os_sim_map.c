/*
 * os_sim: maps of files.
 *
 * A map is a pointer into the cache of its file: stores through it are seen
 * by read_at() and by other maps at once, as with the kernel's.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { MAP_UNIT = 2 * 1024 * 1024 }; /* bytes: what offsets are multiples of */

static void map_content(os_sim *sim, sim_node *node, sim_mapping *map,
                        bool write)
{
    sim_content *content = &node->content;
    uint64_t end =
        (uint64_t)((unsigned char *)map->start - content->cache->start) +
        map->size;

    map->node = node;
    map->memory = content->cache;
    map->memory->references++;
    map->counted = write;
    sim_node_acquire(node);
    if (write) {
        content->write_maps++;
        content->was_mapped = true;
        if (content->cache->touched < end) {
            content->cache->touched = end;
        }
    }
    map->next = sim->maps;
    sim->maps = map;
}

static int check_map(os_file *file, uint64_t offset, size_t size, bool write)
{
    const sim_handle *handle = sim_handle_of(file);
    int error = sim_check_access(handle, OS_READ);

    if (error == 0 && write) {
        error = sim_check_access(handle, OS_WRITE);
    }
    if (error != 0) {
        return error == EBADF ? EACCES : error;
    }
    if (size == 0 || offset % MAP_UNIT != 0) {
        return EINVAL;
    }
    return sim_range_fits(sim_of(file), offset, size) ? 0 : ENOMEM;
}

int sim_map(os_file *file, uint64_t offset, size_t size, bool write,
            void **ret_memory)
{
    os_sim *sim = sim_of(file);
    sim_node *node = sim_handle_of(file)->node;
    sim_mapping *map = calloc(1, sizeof(*map));
    int error;

    if (map == NULL) {
        return ENOMEM;
    }
    error = sim_begin(sim, file);
    if (error != 0) {
        free(map);
        return error;
    }
    error = check_map(file, offset, size, write);
    if (error == 0) {
        map->start = node->content.cache->start + offset;
        map->size = size;
        map_content(sim, node, map, write);
        *ret_memory = map->start;
    } else {
        free(map);
    }
    sim_unlock_guard(sim);
    return error;
}

/*
 * The link to the map of this range. Maps of one range are alike but for
 * being writable; the writable one goes last, so that no store is overlooked.
 */
static sim_mapping **find_map(os_sim *sim, const void *memory, size_t size)
{
    sim_mapping **found = NULL;

    for (sim_mapping **link = &sim->maps; *link != NULL;
         link = &(*link)->next) {
        bool fits = (*link)->start == memory && (*link)->size == size;
        if (fits && (found == NULL || !(*link)->counted)) {
            found = link;
        }
    }
    return found;
}

void sim_unmap(os *self, void *memory, size_t size)
{
    os_sim *sim = (os_sim *)self;
    sim_mapping **link;
    sim_mapping *map;

    if (memory == NULL) {
        return;
    }
    sim_lock_guard(sim);
    link = find_map(sim, memory, size);
    if (link == NULL) { /* from map_private() */
        sim_unlock_guard(sim);
        sim->host->ops->unmap(sim->host, memory, size);
        return;
    }
    map = *link;
    *link = map->next;
    if (map->counted) {
        map->node->content.write_maps--;
    }
    sim_memory_release(sim, map->memory);
    sim_node_release(sim, map->node);
    sim_unlock_guard(sim);
    free(map);
}
