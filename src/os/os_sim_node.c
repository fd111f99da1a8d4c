/*
 * os_sim: memory of files, nodes, and the space they take on their volume.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of a range that is used again no more than this is zeroed by hand. */
enum { SPARE_BYTES = 256 * 1024 };

/* --- memory ------------------------------------------------------------ */

int sim_memory_new(os_sim *sim, sim_memory **ret_memory)
{
    sim_memory *memory = sim->spare;
    void *start = NULL;
    int error;

    if (memory != NULL) {
        sim->spare = memory->next;
        memory->next = NULL;
        memory->references = 1;
        *ret_memory = memory;
        return 0;
    }
    memory = calloc(1, sizeof(*memory));
    if (memory == NULL) {
        return ENOMEM;
    }
    error = sim->host->ops->map_private(sim->host, sim->options.max_file_bytes,
                                        &start);
    if (error != 0) {
        free(memory);
        return ENOMEM;
    }
    memory->start = start;
    memory->references = 1;
    *ret_memory = memory;
    return 0;
}

static void free_memory(os_sim *sim, sim_memory *memory)
{
    sim->host->ops->unmap(sim->host, memory->start,
                          sim->options.max_file_bytes);
    free(memory);
}

void sim_memory_release(os_sim *sim, sim_memory *memory)
{
    if (memory == NULL || --memory->references > 0) {
        return;
    }
    if (memory->touched > SPARE_BYTES) {
        /* Memory without a file: what is taken out comes back as zeros. */
        sim->host->ops->unfault(sim->host, memory->start,
                                (size_t)memory->touched);
    } else {
        sim_zero(memory->start, (size_t)memory->touched);
    }
    memory->touched = 0;
    memory->next = sim->spare;
    sim->spare = memory;
}

void sim_memory_free_spare(os_sim *sim)
{
    while (sim->spare != NULL) {
        sim_memory *memory = sim->spare;
        sim->spare = memory->next;
        free_memory(sim, memory);
    }
}

/* --- nodes ------------------------------------------------------------- */

static int make_content(os_sim *sim, sim_node *node)
{
    int error;

    if (node->kind != OS_REGULAR) {
        return 0;
    }
    error = sim_memory_new(sim, &node->content.cache);
    if (error == 0 && !node->volume->vanishes) {
        error = sim_memory_new(sim, &node->content.device);
    }
    if (error != 0) {
        sim_memory_release(sim, node->content.cache);
    }
    return error;
}

int sim_node_new(os_sim *sim, sim_volume *volume, os_kind kind,
                 sim_node **ret_node)
{
    sim_node *node = calloc(1, sizeof(*node));
    int error;

    if (node == NULL) {
        return ENOMEM;
    }
    node->volume = volume;
    node->kind = kind;
    node->content.dirty_low = UINT64_MAX;
    error = make_content(sim, node);
    if (error != 0) {
        free(node);
        return error;
    }
    node->inode = sim->next_inode++;
    node->references = 1;
    node->previous = sim->newest;
    if (sim->newest != NULL) {
        sim->newest->next = node;
    } else {
        sim->oldest = node;
    }
    sim->newest = node;
    *ret_node = node;
    return 0;
}

void sim_node_acquire(sim_node *node)
{
    node->references++;
}

static void unlist(os_sim *sim, sim_node *node)
{
    if (node->previous != NULL) {
        node->previous->next = node->next;
    } else {
        sim->oldest = node->next;
    }
    if (node->next != NULL) {
        node->next->previous = node->previous;
    } else {
        sim->newest = node->previous;
    }
}

void sim_node_release(os_sim *sim, sim_node *node)
{
    if (node == NULL || --node->references > 0) {
        return;
    }
    unlist(sim, node);
    sim_node_shrink(node, 0);
    sim_memory_release(sim, node->content.cache);
    sim_memory_release(sim, node->content.device);
    sim_sectors_done(&node->content.lies);
    sim_sectors_done(&node->content.frozen);
    free(node->content.blocks);
    sim_names_done(sim, &node->names);
    free(node);
}

/* --- space ------------------------------------------------------------- */

static bool has_block(const sim_content *content, uint64_t block)
{
    return block / 8 < content->block_bytes &&
           (content->blocks[block / 8] >> (block % 8) & 1) != 0;
}

/* Have a bit for each block below `end`. */
static int grow_blocks(sim_content *content, uint64_t end)
{
    size_t bytes = (size_t)(end / 8 + 1);
    unsigned char *blocks;

    if (bytes <= content->block_bytes) {
        return 0;
    }
    bytes *= 2;
    blocks = realloc(content->blocks, bytes);
    if (blocks == NULL) {
        return ENOMEM;
    }
    memset(blocks + content->block_bytes, 0, bytes - content->block_bytes);
    content->blocks = blocks;
    content->block_bytes = bytes;
    return 0;
}

int sim_node_reserve(sim_node *node, uint64_t offset, uint64_t size)
{
    sim_content *content = &node->content;
    uint64_t first = offset / SIM_BLOCK;
    uint64_t end = (offset + size + SIM_BLOCK - 1) / SIM_BLOCK;
    uint64_t missing = 0;
    int error;

    if (size == 0) {
        return 0;
    }
    error = grow_blocks(content, end);
    if (error != 0) {
        return error;
    }
    for (uint64_t block = first; block < end; block++) {
        missing += has_block(content, block) ? 0 : 1;
    }
    if (missing > 0 &&
        (node->volume->used > node->volume->capacity ||
         missing > node->volume->capacity - node->volume->used)) {
        return ENOSPC;
    }
    for (uint64_t block = first; block < end; block++) {
        content->blocks[block / 8] |= (unsigned char)(1U << (block % 8));
    }
    content->allocated += missing;
    node->volume->used += missing;
    return 0;
}

void sim_node_shrink(sim_node *node, uint64_t size)
{
    sim_content *content = &node->content;
    uint64_t block = (size + SIM_BLOCK - 1) / SIM_BLOCK;

    for (; block / 8 < content->block_bytes; block++) {
        if (has_block(content, block)) {
            content->blocks[block / 8] &= (unsigned char)~(1U << (block % 8));
            content->allocated--;
            node->volume->used--;
        }
    }
}
