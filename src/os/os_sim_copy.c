/*
 * os_sim: copies of a disk as the power failure leaves it.
 *
 * What the cache of the original has is not copied, but for /dev/shm: the
 * crash that follows fills the cache from the device.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void copy_memory(const sim_memory *from, sim_memory *to)
{
    static const unsigned char zeros[SIM_SECTOR];
    unsigned char bytes[SIM_SECTOR];

    for (uint64_t at = 0; at < from->touched; at += SIM_SECTOR) {
        sim_copy(bytes, from->start + at, SIM_SECTOR);
        if (memcmp(bytes, zeros, SIM_SECTOR) != 0) {
            memcpy(to->start + at, bytes, SIM_SECTOR);
        }
    }
    to->touched = from->touched;
}

static int copy_sectors(const sim_sectors *from, sim_sectors *to)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < from->count; i++) {
        error = sim_sectors_add(to, from->items[i].index, from->items[i].bytes);
    }
    return error;
}

static int copy_blocks(const sim_node *from, sim_node *to)
{
    const sim_content *old = &from->content;

    if (old->block_bytes == 0) {
        return 0;
    }
    to->content.blocks = malloc(old->block_bytes);
    if (to->content.blocks == NULL) {
        return ENOMEM;
    }
    memcpy(to->content.blocks, old->blocks, old->block_bytes);
    to->content.block_bytes = old->block_bytes;
    to->content.allocated = old->allocated;
    to->volume->used += old->allocated;
    return 0;
}

static int copy_content(const os_sim *from, const sim_node *node)
{
    const sim_content *old = &node->content;
    sim_content *new = &node->twin->content;
    int error;

    new->size = old->size;
    new->device_size = old->device_size;
    new->synced_size = old->synced_size;
    new->kept_size = old->kept_size;
    if (old->device == NULL) {
        copy_memory(old->cache, new->cache);
    } else {
        copy_memory(old->device, new->device);
    }
    error = copy_blocks(node, node->twin);
    if (error != 0) {
        return error;
    }
    if (from->is_cut) {
        return copy_sectors(&old->frozen, &new->frozen);
    }
    return sim_content_dirty(old, &new->frozen);
}

static int copy_node(const os_sim *from, sim_node *node, os_sim *to)
{
    sim_volume *volume = node->volume == &from->disk ? &to->disk : &to->shm;
    sim_node *twin = NULL;
    int error = sim_node_new(to, volume, node->kind, &twin);

    if (error != 0) {
        return error;
    }
    node->twin = twin;
    twin->inode = node->inode;
    twin->mode = node->mode;
    if (node->kind == OS_REGULAR) {
        error = copy_content(from, node);
    }
    return error;
}

static int copy_entries(os_sim *to, const sim_entries *from,
                        sim_entries *ret_entries)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < from->count; i++) {
        error = sim_entries_put(to, ret_entries, from->items[i].name,
                                from->items[i].node->twin);
    }
    return error;
}

static int copy_names(const sim_node *dir, os_sim *to)
{
    const sim_names *old = &dir->names;
    sim_names *new = &dir->twin->names;
    int error = copy_entries(to, &old->cache, &new->cache);

    if (error == 0) {
        error = copy_entries(to, &old->device, &new->device);
    }
    for (size_t i = 0; error == 0 && i < old->change_count; i++) {
        sim_change change = old->changes[i];
        change.node = change.node == NULL ? NULL : change.node->twin;
        error = sim_names_note(new, &change);
    }
    return error;
}

static int copy_nodes(os_sim *from, os_sim *to)
{
    int error = 0;

    for (sim_node *node = from->oldest; error == 0 && node != NULL;
         node = node->next) {
        error = copy_node(from, node, to);
    }
    for (sim_node *node = from->oldest; error == 0 && node != NULL;
         node = node->next) {
        error = copy_names(node, to);
    }
    to->root = from->root->twin;
    to->shm_root = from->shm_root->twin;
    /* Names hold the twins now; what has none (open and removed) goes. */
    for (sim_node *node = from->oldest; node != NULL; node = node->next) {
        if (node != from->root) {
            sim_node_release(to, node->twin);
        }
        node->twin = NULL;
    }
    return error;
}

int os_sim_copy(os_sim *from, os_sim *to)
{
    int error = EBUSY;

    if (from->options.max_file_bytes != to->options.max_file_bytes) {
        return EINVAL;
    }
    sim_lock_guard(from);
    sim_lock_guard(to);
    if (to->handles == 0 && to->maps == NULL) {
        sim_node_release(to, to->root);
        to->disk = from->disk;
        to->shm = from->shm;
        to->disk.used = 0;
        to->shm.used = 0;
        error = copy_nodes(from, to);
        to->next_inode = from->next_inode;
        to->random = from->random;
        memcpy(to->boot, from->boot, sizeof(to->boot));
        atomic_store(&to->wall_ms, atomic_load(&from->wall_ms));
        atomic_store(&to->boot_ms, atomic_load(&from->boot_ms));
        to->zone = from->zone;
        to->freeze_error = error != 0 ? error : from->freeze_error;
        to->is_cut = true;
    }
    sim_unlock_guard(to);
    sim_unlock_guard(from);
    return error;
}
