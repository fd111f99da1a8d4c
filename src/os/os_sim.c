/*
 * os_sim: life of a simulated disk, its options, and how every operation
 * begins.
 */
#include "os/os_sim_internal.h"

#include <errno.h>
#include <stdlib.h>

#define SIM_DEFAULT_CAPACITY ((uint64_t)1 << 40) /* bytes */
#define SIM_DEFAULT_FILE ((size_t)256 << 20)     /* bytes */
#define SIM_START_MS ((uint64_t)1600000000000)   /* September 2020 */

enum { GUARD_WAIT_MS = 600000 };

/* --- guard, operations ------------------------------------------------- */

void sim_lock_guard(os_sim *sim)
{
    while (sim->host->ops->mutex_lock(sim->host, &sim->guard, GUARD_WAIT_MS) ==
           ETIMEDOUT) {
    }
}

void sim_unlock_guard(os_sim *sim)
{
    sim->host->ops->mutex_unlock(sim->host, &sim->guard);
}

os_sim *sim_of(os_file *file)
{
    return (os_sim *)file->os;
}

sim_handle *sim_handle_of(os_file *file)
{
    return (sim_handle *)file;
}

int sim_begin(os_sim *sim, os_file *file)
{
    sim_lock_guard(sim);
    if (sim->is_cut ||
        (file != NULL && sim_handle_of(file)->epoch != sim->epoch)) {
        sim_unlock_guard(sim);
        return EIO;
    }
    return 0;
}

/* The kernel writes back something by itself. */
static void write_back(os_sim *sim)
{
    uint64_t count = 0;
    sim_node *chosen = sim->root;

    for (sim_node *node = sim->oldest; node != NULL; node = node->next) {
        if (node->volume->vanishes) {
            continue;
        }
        count++;
        if (sim_random_below(&sim->random, count) == 0) {
            chosen = node;
        }
    }
    /* Without memory it does not happen: nothing was promised. */
    if (chosen->kind == OS_REGULAR) {
        (void)sim_content_write_back(&chosen->content, &sim->random);
    } else {
        uint64_t changes = chosen->names.change_count;
        (void)sim_names_commit(
            sim, &chosen->names,
            (size_t)sim_random_below(&sim->random, changes + 1));
    }
}

int sim_begin_change(os_sim *sim, os_file *file)
{
    os_sim_hook hook;
    void *context;
    int error;

    sim_lock_guard(sim);
    hook = sim->hook;
    context = sim->hook_context;
    sim_unlock_guard(sim);
    if (hook != NULL) {
        hook(context, sim);
    }
    error = sim_begin(sim, file);
    if (error != 0) {
        return error;
    }
    if (sim->operations >= sim->cut_at) {
        sim_freeze(sim);
        sim_unlock_guard(sim);
        return EIO;
    }
    sim->operations++;
    if (sim->options.writeback_percent > 0 &&
        sim_random_chance(&sim->random, sim->options.writeback_percent)) {
        write_back(sim);
    }
    return 0;
}

bool sim_sync_fails(os_sim *sim)
{
    uint64_t index = sim->syncs++;

    return index >= sim->fail_from && index - sim->fail_from < sim->fail_count;
}

/* --- randomness, lists ------------------------------------------------- */

/* SplitMix64: Steele, Lea & Flood, Fast splittable generators (2014). */
uint64_t sim_random_next(sim_random *random)
{
    uint64_t value = random->state += 0x9e3779b97f4a7c15;

    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

uint64_t sim_random_below(sim_random *random, uint64_t limit)
{
    return sim_random_next(random) % limit;
}

bool sim_random_chance(sim_random *random, unsigned percent)
{
    return sim_random_below(random, 100) < percent;
}

/* --- life -------------------------------------------------------------- */

static void set_defaults(os_sim *sim, const os_sim_options *options)
{
    os_sim_options *own = &sim->options;

    *own = *options;
    if (own->capacity_bytes == 0) {
        own->capacity_bytes = SIM_DEFAULT_CAPACITY;
    }
    if (own->shm_bytes == 0) {
        own->shm_bytes = SIM_DEFAULT_CAPACITY;
    }
    if (own->max_file_bytes == 0) {
        own->max_file_bytes = SIM_DEFAULT_FILE;
    }
    /* Whole sectors, so that the last one can be copied as a whole. */
    own->max_file_bytes += SIM_BLOCK - 1;
    own->max_file_bytes -= own->max_file_bytes % SIM_BLOCK;
    sim->random.state = own->seed;
    sim->disk =
        (sim_volume){.device = 1, .capacity = own->capacity_bytes / SIM_BLOCK};
    sim->shm = (sim_volume){
        .device = 2, .capacity = own->shm_bytes / SIM_BLOCK, .vanishes = true};
    sim->next_inode = 1;
    sim->cut_at = UINT64_MAX;
    sim->fail_from = UINT64_MAX;
    atomic_init(&sim->wall_ms, SIM_START_MS);
    atomic_init(&sim->boot_ms, 0);
    for (size_t i = 0; i < sizeof(sim->boot); i++) {
        sim->boot[i] = (uint8_t)sim_random_next(&sim->random);
    }
}

static int add_dir(os_sim *sim, sim_node *parent, sim_volume *volume,
                   const char *name, sim_node **ret_node)
{
    sim_node *node = NULL;
    int error = sim_node_new(sim, volume, OS_DIRECTORY, &node);

    if (error != 0) {
        return error;
    }
    node->mode = 0755;
    error = sim_names_link(sim, parent, name, node);
    sim_node_release(sim, node);
    if (error == 0) {
        *ret_node = node;
    }
    return error;
}

static int make_tree(os_sim *sim)
{
    sim_node *dev = NULL;
    int error = sim_node_new(sim, &sim->disk, OS_DIRECTORY, &sim->root);

    if (error == 0) {
        sim->root->mode = 0755;
        error = add_dir(sim, sim->root, &sim->disk, "dev", &dev);
    }
    if (error == 0) {
        error = add_dir(sim, dev, &sim->shm, "shm", &sim->shm_root);
    }
    return error;
}

int os_sim_create(const os_sim_options *options, os_sim **ret_sim)
{
    os *host = os_posix();
    os_sim *sim;
    int error;

    sim = aligned_alloc(_Alignof(os_sim), sizeof(*sim));
    if (sim == NULL) {
        return ENOMEM;
    }
    *sim = (os_sim){.base.ops = sim_table(), .host = host};
    set_defaults(sim, options);
    error = host->ops->mutex_init(host, &sim->guard);
    if (error == 0) {
        error = make_tree(sim);
    }
    if (error == 0) {
        error = os_sim_sync_all(sim);
    }
    if (error != 0) {
        os_sim_free(sim);
        return error;
    }
    *ret_sim = sim;
    return 0;
}

void os_sim_free(os_sim *sim)
{
    if (sim == NULL) {
        return;
    }
    sim_node_release(sim, sim->root);
    sim_memory_free_spare(sim);
    free(sim->locks);
    free(sim);
}

os *os_sim_os(os_sim *sim)
{
    return &sim->base;
}

/* --- what a test sets and asks ----------------------------------------- */

uint64_t os_sim_operations(os_sim *sim)
{
    uint64_t operations;

    sim_lock_guard(sim);
    operations = sim->operations;
    sim_unlock_guard(sim);
    return operations;
}

void os_sim_set_hook(os_sim *sim, os_sim_hook hook, void *context)
{
    sim_lock_guard(sim);
    sim->hook = hook;
    sim->hook_context = context;
    sim_unlock_guard(sim);
}

void os_sim_cut_at(os_sim *sim, uint64_t operation)
{
    sim_lock_guard(sim);
    sim->cut_at = operation;
    sim_unlock_guard(sim);
}

void os_sim_cut(os_sim *sim)
{
    sim_lock_guard(sim);
    if (!sim->is_cut) {
        sim_freeze(sim);
    }
    sim_unlock_guard(sim);
}

bool os_sim_is_cut(os_sim *sim)
{
    bool is_cut;

    sim_lock_guard(sim);
    is_cut = sim->is_cut;
    sim_unlock_guard(sim);
    return is_cut;
}

void os_sim_fail_syncs(os_sim *sim, uint64_t from, uint64_t count)
{
    sim_lock_guard(sim);
    sim->syncs = 0;
    sim->fail_from = from;
    sim->fail_count = count;
    sim_unlock_guard(sim);
}

void os_sim_set_wall_ms(os_sim *sim, uint64_t wall)
{
    atomic_store(&sim->wall_ms, wall);
}

void os_sim_advance_ms(os_sim *sim, uint64_t ms)
{
    atomic_fetch_add(&sim->wall_ms, ms);
    atomic_fetch_add(&sim->boot_ms, ms);
}

void os_sim_set_zone(os_sim *sim, const os_sim_zone *zone)
{
    sim->zone = *zone;
}

void os_sim_set_capacity(os_sim *sim, uint64_t bytes)
{
    sim_lock_guard(sim);
    sim->disk.capacity = bytes / SIM_BLOCK;
    sim_unlock_guard(sim);
}

int os_sim_sync_all(os_sim *sim)
{
    int error = 0;

    sim_lock_guard(sim);
    for (sim_node *node = sim->oldest; error == 0 && node != NULL;
         node = node->next) {
        error = sim_content_sync(&node->content);
        if (error == 0) {
            error =
                sim_names_commit(sim, &node->names, node->names.change_count);
        }
    }
    sim_unlock_guard(sim);
    return error;
}
