/*
 * os_sim: what is left after a power failure.
 *
 * Three steps: sim_freeze() notes at the moment of the cut which sectors are
 * dirty; os_sim_crash() chooses by the seed what of it reached the device,
 * and of the changes to names; then the cache is made equal to the device.
 * All choices are made in the order in which nodes were created, so that one
 * seed always gives one result.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <string.h>

/* --- freezing ---------------------------------------------------------- */

void sim_freeze(os_sim *sim)
{
    sim->is_cut = true;
    for (sim_node *node = sim->oldest; node != NULL; node = node->next) {
        int error = sim_content_dirty(&node->content, &node->content.frozen);
        if (error != 0) {
            sim->freeze_error = error;
        }
    }
}

/* --- patterns ---------------------------------------------------------- */

typedef enum pattern_kind {
    PATTERN_NONE,
    PATTERN_ALL,
    PATTERN_FIRST, /* the first part survives */
    PATTERN_LAST,  /* the last part: the kernel wrote back in any order */
    PATTERN_FEW,   /* each with 1/8 */
    PATTERN_HALF,  /* each with 1/2 */
    PATTERN_MOST,  /* each with 7/8 */
    PATTERN_RUNS,  /* runs of random length */
    PATTERN_COUNT
} pattern_kind;

/* Which of `count` items, asked for in order, reached the device. */
typedef struct sim_pattern {
    pattern_kind kind;
    uint64_t border; /* of FIRST, LAST; end of the run, of RUNS */
    uint64_t count;
    bool in_run;
} sim_pattern;

static sim_pattern choose_pattern(sim_random *random, uint64_t count)
{
    return (sim_pattern){
        .kind = (pattern_kind)sim_random_below(random, PATTERN_COUNT),
        .border = sim_random_below(random, count + 1),
        .count = count,
        .in_run = sim_random_chance(random, 50),
    };
}

static bool next_of_run(sim_pattern *pattern, sim_random *random,
                        uint64_t index)
{
    if (index == pattern->border) {
        pattern->in_run = !pattern->in_run;
        pattern->border += 1 + sim_random_below(random, pattern->count / 2 + 1);
    }
    return pattern->in_run;
}

static bool survives(sim_pattern *pattern, sim_random *random, uint64_t index)
{
    switch (pattern->kind) {
    case PATTERN_NONE:
        return false;
    case PATTERN_FIRST:
        return index < pattern->border;
    case PATTERN_LAST:
        return index >= pattern->border;
    case PATTERN_FEW:
        return sim_random_below(random, 8) == 0;
    case PATTERN_HALF:
        return sim_random_chance(random, 50);
    case PATTERN_MOST:
        return sim_random_below(random, 8) != 0;
    case PATTERN_RUNS:
        return next_of_run(pattern, random, index);
    case PATTERN_ALL:
    case PATTERN_COUNT:
        break;
    }
    return true;
}

/* --- files ------------------------------------------------------------- */

/* Sectors that another file has at this offset, for a lost one. */
static void find_stale(const os_sim *sim, const sim_node *not_this,
                       sim_random *random, sim_sector *sector)
{
    uint64_t end = (sector->index + 1) * SIM_SECTOR;
    uint64_t found = 0;

    memset(sector->bytes, 0, SIM_SECTOR);
    for (const sim_node *node = sim->oldest; node != NULL; node = node->next) {
        if (node == not_this || node->content.device == NULL ||
            node->content.device_size < end) {
            continue;
        }
        found++;
        if (sim_random_below(random, found) == 0) {
            memcpy(sector->bytes,
                   node->content.device->start + end - SIM_SECTOR, SIM_SECTOR);
        }
    }
}

/* `sector` did not survive: what does the device show instead? */
static void lose_sector(os_sim *sim, sim_node *node, sim_random *random,
                        const sim_sector *sector)
{
    sim_content *content = &node->content;
    uint64_t offset = sector->index * SIM_SECTOR;
    sim_sector result = *sector;

    if (offset >= content->synced_size) {
        if (sim->options.stale_sectors && sim_random_chance(random, 50)) {
            find_stale(sim, node, random, &result);
            sim_content_put(content, &result);
        }
        return;
    }
    if (sim->options.torn_sectors && sim_random_chance(random, 50)) {
        size_t border = (size_t)sim_random_below(random, SIM_SECTOR);
        memcpy(result.bytes + border, content->device->start + offset + border,
               SIM_SECTOR - border);
        sim_content_put(content, &result);
    }
}

/* The file was shortened, and the device never heard of it. */
static void crash_not_shortened(os_sim *sim, sim_node *node, sim_random *random)
{
    sim_content *content = &node->content;
    const sim_sectors *frozen = &content->frozen;
    sim_pattern pattern = choose_pattern(random, frozen->count);

    for (size_t i = 0; i < frozen->count; i++) {
        const sim_sector *sector = &frozen->items[i];
        bool put = survives(&pattern, random, i);
        if ((sector->index + 1) * SIM_SECTOR > content->kept_size) {
            break;
        }
        if (put) {
            sim_content_put(content, sector);
        } else {
            lose_sector(sim, node, random, sector);
        }
    }
    content->size = content->device_size;
    /* Its room as well, even if others have taken it meanwhile. */
    (void)sim_node_reserve(node, content->kept_size,
                           content->device_size - content->kept_size);
}

static void zero_device(sim_content *content, uint64_t low, uint64_t high)
{
    if (low < high) {
        memset(content->device->start + low, 0, (size_t)(high - low));
    }
}

static uint64_t choose_size(const sim_content *content, sim_random *random)
{
    uint64_t grown = content->size - content->device_size;

    switch (sim_random_below(random, 3)) {
    case 0:
        return content->device_size;
    case 1:
        return content->size;
    default:
        return content->device_size + sim_random_below(random, grown + 1);
    }
}

static void crash_grown(os_sim *sim, sim_node *node, sim_random *random)
{
    sim_content *content = &node->content;
    const sim_sectors *frozen = &content->frozen;
    sim_pattern pattern = choose_pattern(random, frozen->count);
    uint64_t size;

    if (content->kept_size < content->device_size) {
        zero_device(content, content->kept_size, content->device_size);
        content->device_size = content->kept_size;
    }
    if (content->synced_size > content->device_size) {
        content->synced_size = content->device_size;
    }
    size = choose_size(content, random);
    for (size_t i = 0; i < frozen->count; i++) {
        if (survives(&pattern, random, i)) {
            sim_content_put(content, &frozen->items[i]);
        } else {
            lose_sector(sim, node, random, &frozen->items[i]);
        }
    }
    zero_device(content, size, content->device->touched);
    content->size = size;
}

/* Make the cache equal to the device. */
static int reload(os_sim *sim, sim_content *content)
{
    sim_memory *cache = content->cache;
    uint64_t end = cache->touched > content->device->touched
                       ? cache->touched
                       : content->device->touched;
    int error;

    if (cache->references > 1) { /* mapped: leave that memory to its maps */
        error = sim_memory_new(sim, &cache);
        if (error != 0) {
            return error;
        }
        sim_memory_release(sim, content->cache);
        content->cache = cache;
        end = content->device->touched;
    }
    for (uint64_t at = 0; at < end; at += SIM_SECTOR) {
        if (!sim_sector_equal(cache->start + at, content->device->start + at)) {
            memcpy(cache->start + at, content->device->start + at, SIM_SECTOR);
        }
    }
    if (cache->touched < end) {
        cache->touched = end;
    }
    return 0;
}

static int crash_file(os_sim *sim, sim_node *node, sim_random *random)
{
    sim_content *content = &node->content;
    bool shortened = content->kept_size < content->device_size;
    int error;

    if (content->device == NULL) {
        return 0;
    }
    if (shortened && sim_random_chance(random, 50)) {
        crash_not_shortened(sim, node, random);
    } else {
        crash_grown(sim, node, random);
    }
    content->device_size = content->size;
    content->synced_size = content->size;
    content->kept_size = content->size;
    content->dirty_low = UINT64_MAX;
    content->dirty_high = 0;
    content->write_maps = 0;
    content->was_mapped = false;
    sim_sectors_done(&content->frozen);
    sim_sectors_done(&content->lies);
    error = reload(sim, content);
    sim_node_shrink(node, content->size);
    return error;
}

/* --- names ------------------------------------------------------------- */

static int crash_changes(os_sim *sim, sim_names *names, sim_random *random)
{
    sim_pattern pattern = choose_pattern(random, names->change_count);
    int error = 0;

    for (size_t i = 0; error == 0 && i < names->change_count; i++) {
        if (survives(&pattern, random, i)) {
            error = sim_names_apply(sim, names, &names->changes[i]);
        }
    }
    sim_names_forget(sim, names);
    return error;
}

static int crash_names(os_sim *sim, sim_node *dir, sim_random *random)
{
    int error;

    if (dir->kind != OS_DIRECTORY) {
        return 0;
    }
    if (dir->volume->vanishes) {
        if (!sim->options.boot_survives) {
            sim_entries_done(sim, &dir->names.cache);
        }
        return 0;
    }
    error = crash_changes(sim, &dir->names, random);
    if (error == 0) {
        error = sim_entries_copy(sim, &dir->names.device, &dir->names.cache);
    }
    return error;
}

static void count_links(os_sim *sim)
{
    for (sim_node *node = sim->oldest; node != NULL; node = node->next) {
        node->links = 0;
    }
    for (sim_node *dir = sim->oldest; dir != NULL; dir = dir->next) {
        for (size_t i = 0; i < dir->names.cache.count; i++) {
            dir->names.cache.items[i].node->links++;
        }
    }
}

/* --- the whole disk ---------------------------------------------------- */

/* Files and maps from before are nobody's any more. */
static void detach(os_sim *sim)
{
    sim->epoch++;
    sim_locks_drop(sim, NULL);
    for (sim_mapping *map = sim->maps; map != NULL; map = map->next) {
        map->counted = false;
    }
}

static int crash_nodes(os_sim *sim, sim_random *random)
{
    sim_node *next;
    int error = 0;

    /* Held while we walk: names that are lost would free nodes. */
    for (sim_node *node = sim->oldest; node != NULL; node = node->next) {
        sim_node_acquire(node);
    }
    for (sim_node *node = sim->oldest; error == 0 && node != NULL;
         node = node->next) {
        error = crash_file(sim, node, random);
    }
    for (sim_node *node = sim->oldest; error == 0 && node != NULL;
         node = node->next) {
        error = crash_names(sim, node, random);
    }
    count_links(sim);
    for (sim_node *node = sim->oldest; node != NULL; node = next) {
        next = node->next; /* held still, so it outlives this one */
        sim_node_release(sim, node);
    }
    return error;
}

int os_sim_crash(os_sim *sim, uint64_t seed)
{
    sim_random random = {seed};
    int error;

    sim_lock_guard(sim);
    if (!sim->is_cut) {
        sim_freeze(sim);
    }
    detach(sim);
    error = sim->freeze_error;
    if (error == 0) {
        error = crash_nodes(sim, &random);
    }
    if (!sim->options.boot_survives) {
        atomic_store(&sim->boot_ms, 0);
        for (size_t i = 0; i < sizeof(sim->boot); i++) {
            sim->boot[i] = (uint8_t)sim_random_next(&sim->random);
        }
    }
    sim->is_cut = error != 0;
    sim->cut_at = UINT64_MAX;
    sim_unlock_guard(sim);
    return error;
}
