/*
 * os_sim: the calls that need no disk, most of which go to os_posix(), and
 * the table of all calls.
 */
#include "os/os_sim_internal.h"

static os *host_of(os *self)
{
    return ((os_sim *)self)->host;
}

static int map_private(os *self, size_t size, void **ret_memory)
{
    return host_of(self)->ops->map_private(host_of(self), size, ret_memory);
}

static void do_nothing(os *self, void *memory, size_t size)
{
    /* Faulting in a simulated file would only cost memory. */
    (void)self;
    (void)memory;
    (void)size;
}

static int mutex_init(os *self, os_mutex *mutex)
{
    return host_of(self)->ops->mutex_init(host_of(self), mutex);
}

static int mutex_lock(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    return host_of(self)->ops->mutex_lock(host_of(self), mutex, timeout_ms);
}

static void mutex_consistent(os *self, os_mutex *mutex)
{
    host_of(self)->ops->mutex_consistent(host_of(self), mutex);
}

static void mutex_unlock(os *self, os_mutex *mutex)
{
    host_of(self)->ops->mutex_unlock(host_of(self), mutex);
}

static int futex_wait(os *self, uint32_t *word, uint32_t expected,
                      uint64_t timeout_ms)
{
    return host_of(self)->ops->futex_wait(host_of(self), word, expected,
                                          timeout_ms);
}

static void futex_wake(os *self, uint32_t *word)
{
    host_of(self)->ops->futex_wake(host_of(self), word);
}

static int thread_start(os *self, os_thread_fn run, void *argument,
                        os_thread **ret_thread)
{
    return host_of(self)->ops->thread_start(host_of(self), run, argument,
                                            ret_thread);
}

static void thread_join(os *self, os_thread *thread)
{
    host_of(self)->ops->thread_join(host_of(self), thread);
}

static uint64_t now_ns(os *self)
{
    return host_of(self)->ops->now_ns(host_of(self));
}

static uint64_t wall_ms(os *self)
{
    return atomic_load(&((os_sim *)self)->wall_ms);
}

static uint64_t boot_ms(os *self)
{
    return atomic_load(&((os_sim *)self)->boot_ms);
}

static os_local_time local_time(os *self, uint64_t wall)
{
    const os_sim_zone *zone = &((os_sim *)self)->zone;
    bool is_summer = wall >= zone->summer_from_ms && wall < zone->summer_end_ms;
    int64_t offset =
        is_summer ? zone->summer_offset_minutes : zone->offset_minutes;
    uint64_t minutes = (uint64_t)((int64_t)(wall / 60000) + offset);

    /* The first of January 1970 was a Thursday. */
    return (os_local_time){.weekday = (uint16_t)((minutes / 1440 + 4) % 7),
                           .minute = (uint16_t)(minutes % 1440)};
}

static void sleep_ms(os *self, uint64_t ms)
{
    host_of(self)->ops->sleep_ms(host_of(self), ms);
}

static int fill_random(os *self, void *data, size_t size)
{
    os_sim *sim = (os_sim *)self;
    unsigned char *to = data;

    sim_lock_guard(sim);
    for (size_t i = 0; i < size; i++) {
        to[i] = (unsigned char)sim_random_next(&sim->random);
    }
    sim_unlock_guard(sim);
    return 0;
}

static uint32_t process_id(os *self)
{
    return host_of(self)->ops->pid(host_of(self));
}

static uint32_t user_id(os *self)
{
    return host_of(self)->ops->user(host_of(self));
}

static int boot_id(os *self, uint8_t ret_id[16])
{
    os_sim *sim = (os_sim *)self;

    sim_lock_guard(sim);
    for (size_t i = 0; i < sizeof(sim->boot); i++) {
        ret_id[i] = sim->boot[i];
    }
    sim_unlock_guard(sim);
    return 0;
}

static uint64_t pid_namespace(os *self)
{
    return host_of(self)->ops->pid_namespace(host_of(self));
}

static uint64_t mutex_layout(os *self)
{
    return host_of(self)->ops->mutex_layout(host_of(self));
}

static int fork_word(os *self, uint32_t **ret_word)
{
    return host_of(self)->ops->fork_word(host_of(self), ret_word);
}

static void fork_word_free(os *self, uint32_t *word)
{
    host_of(self)->ops->fork_word_free(host_of(self), word);
}

const os_ops *sim_table(void)
{
    static const os_ops table = {
        .open_dir = sim_open_dir,
        .make_dir = sim_make_dir,
        .remove_dir = sim_remove_dir,
        .list = sim_list,
        .space = sim_space,
        .dir_path = sim_dir_path,
        .sync_dir = sim_sync_dir,
        .stat_name = sim_stat_name,
        .remove = sim_remove,
        .rename = sim_rename,
        .link = sim_link,
        .open = sim_open,
        .close = sim_close,
        .stat = sim_stat,
        .read_at = sim_read_at,
        .write_at = sim_write_at,
        .allocate = sim_allocate,
        .reserve = sim_reserve,
        .truncate = sim_truncate,
        .sync = sim_sync,
        .flush_hint = sim_flush_hint,
        .map = sim_map,
        .map_private = map_private,
        .unmap = sim_unmap,
        .prefault = do_nothing,
        .unfault = do_nothing,
        .blank = do_nothing,
        .collapse = do_nothing,
        .lock = sim_lock_range,
        .is_locked = sim_is_locked,
        .mutex_init = mutex_init,
        .mutex_lock = mutex_lock,
        .mutex_consistent = mutex_consistent,
        .mutex_unlock = mutex_unlock,
        .futex_wait = futex_wait,
        .futex_wake = futex_wake,
        .thread_start = thread_start,
        .thread_join = thread_join,
        .now_ns = now_ns,
        .wall_ms = wall_ms,
        .boot_ms = boot_ms,
        .local_time = local_time,
        .sleep_ms = sleep_ms,
        .random = fill_random,
        .pid = process_id,
        .user = user_id,
        .boot_id = boot_id,
        .pid_namespace = pid_namespace,
        .mutex_layout = mutex_layout,
        .fork_word = fork_word,
        .fork_word_free = fork_word_free,
    };

    return &table;
}
