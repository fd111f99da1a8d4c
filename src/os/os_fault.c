/*
 * os_fault: the plan, the counters, the trace, and the calls that take no
 * file. Those that do are in os_fault_file.c.
 */
#include "os/os_fault.h"

#include "os/os_fault_internal.h"

#include <string.h>

static const char *const call_names[OS_CALL_COUNT] = {
    [OS_CALL_ANY] = "any",
    [OS_CALL_OPEN_DIR] = "open_dir",
    [OS_CALL_MAKE_DIR] = "make_dir",
    [OS_CALL_REMOVE_DIR] = "remove_dir",
    [OS_CALL_LIST] = "list",
    [OS_CALL_SPACE] = "space",
    [OS_CALL_SYNC_DIR] = "sync_dir",
    [OS_CALL_STAT_NAME] = "stat_name",
    [OS_CALL_REMOVE] = "remove",
    [OS_CALL_RENAME] = "rename",
    [OS_CALL_LINK] = "link",
    [OS_CALL_OPEN] = "open",
    [OS_CALL_STAT] = "stat",
    [OS_CALL_READ_AT] = "read_at",
    [OS_CALL_WRITE_AT] = "write_at",
    [OS_CALL_ALLOCATE] = "allocate",
    [OS_CALL_RESERVE] = "reserve",
    [OS_CALL_TRUNCATE] = "truncate",
    [OS_CALL_SYNC] = "sync",
    [OS_CALL_MAP] = "map",
    [OS_CALL_MAP_PRIVATE] = "map_private",
    [OS_CALL_LOCK] = "lock",
    [OS_CALL_IS_LOCKED] = "is_locked",
    [OS_CALL_MUTEX_INIT] = "mutex_init",
    [OS_CALL_THREAD_START] = "thread_start",
    [OS_CALL_RANDOM] = "random",
    [OS_CALL_BOOT_ID] = "boot_id",
    [OS_CALL_FORK_WORD] = "fork_word",
    [OS_CALL_MUTEX_LOCK] = "mutex_lock",
    [OS_CALL_FUTEX_WAIT] = "futex_wait",
};

const char *os_call_name(os_call call)
{
    return call_names[call];
}

/* --- the plan ---------------------------------------------------------- */

static bool plan_counts(const os_fault_plan *plan, os_call call)
{
    if (plan->only != OS_CALL_ANY) {
        return plan->only == call;
    }
    return call != OS_CALL_MUTEX_LOCK && call != OS_CALL_FUTEX_WAIT;
}

static void remember(os_fault *fault, os_call call)
{
    uint64_t index = atomic_fetch_add(&fault->total, 1);

    atomic_fetch_add(&fault->count_of[call], 1);
    if (index < OS_FAULT_TRACE_SIZE) {
        atomic_store(&fault->trace[index], (uint8_t)call);
    }
}

static void take_guard(os_fault *fault)
{
    while (atomic_flag_test_and_set(&fault->guard)) {
    }
}

static void drop_guard(os_fault *fault)
{
    atomic_flag_clear(&fault->guard);
}

os_fault_plan fault_plan(os_fault *fault)
{
    os_fault_plan plan;

    take_guard(fault);
    plan = fault->plan;
    drop_guard(fault);
    return plan;
}

int fault_take(os *self, os_call call)
{
    os_fault *fault = (os_fault *)self;
    os_fault_plan plan = fault_plan(fault);
    uint64_t index;

    remember(fault, call);
    if (!plan_counts(&plan, call)) {
        return 0;
    }
    index = atomic_fetch_add(&fault->counted, 1);
    if (index < plan.fail_at || (index > plan.fail_at && !plan.for_ever)) {
        return 0;
    }
    atomic_fetch_add(&fault->fired, 1);
    return plan.error;
}

void os_fault_arm(os_fault *fault, const os_fault_plan *plan)
{
    take_guard(fault);
    fault->plan = *plan;
    drop_guard(fault);
    atomic_store(&fault->counted, 0);
    atomic_store(&fault->total, 0);
    atomic_store(&fault->fired, 0);
    for (size_t i = 0; i < OS_CALL_COUNT; i++) {
        atomic_store(&fault->count_of[i], 0);
    }
}

/* --- reports ----------------------------------------------------------- */

uint64_t os_fault_fired(const os_fault *fault)
{
    return atomic_load(&fault->fired);
}

uint64_t os_fault_counted(const os_fault *fault)
{
    return atomic_load(&fault->counted);
}

uint64_t os_fault_count_of(const os_fault *fault, os_call call)
{
    if (call == OS_CALL_ANY) {
        return atomic_load(&fault->total);
    }
    return atomic_load(&fault->count_of[call]);
}

char *os_fault_describe(const os_fault *fault, char *text, size_t size)
{
    uint64_t count = atomic_load(&fault->total);
    size_t used = 0;

    if (count > OS_FAULT_TRACE_SIZE) {
        count = OS_FAULT_TRACE_SIZE;
    }
    text[0] = '\0';
    for (uint64_t i = 0; i < count; i++) {
        const char *name = call_names[atomic_load(&fault->trace[i])];
        size_t space = used > 0 ? 1 : 0;
        size_t length = strlen(name);
        if (length + space >= size - used) {
            break;
        }
        if (space > 0) {
            text[used] = ' ';
        }
        memcpy(text + used + space, name, length + 1);
        used += space + length;
    }
    return text;
}

/* --- calls without a file ---------------------------------------------- */

static os *inner_of(os *self)
{
    return ((os_fault *)self)->inner;
}

static int open_dir(os *self, const char *path, os_file **ret_dir)
{
    os *inner = inner_of(self);
    os_file *dir = NULL;
    int error = fault_take(self, OS_CALL_OPEN_DIR);

    if (error == 0) {
        error = inner->ops->open_dir(inner, path, &dir);
    }
    return error != 0 ? error : fault_file_wrap(self, dir, ret_dir);
}

static int make_dir(os *self, const char *path, uint32_t mode)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_MAKE_DIR);

    return error != 0 ? error : inner->ops->make_dir(inner, path, mode);
}

static int remove_dir(os *self, const char *path)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_REMOVE_DIR);

    return error != 0 ? error : inner->ops->remove_dir(inner, path);
}

static int map_private(os *self, size_t size, void **ret_memory)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_MAP_PRIVATE);

    return error != 0 ? error
                      : inner->ops->map_private(inner, size, ret_memory);
}

static void unmap(os *self, void *memory, size_t size)
{
    inner_of(self)->ops->unmap(inner_of(self), memory, size);
}

static void unfault(os *self, void *memory, size_t size)
{
    inner_of(self)->ops->unfault(inner_of(self), memory, size);
}

static void prefault(os *self, void *memory, size_t size)
{
    inner_of(self)->ops->prefault(inner_of(self), memory, size);
}

static void blank(os *self, void *memory, size_t size)
{
    inner_of(self)->ops->blank(inner_of(self), memory, size);
}

static void collapse(os *self, void *memory, size_t size)
{
    inner_of(self)->ops->collapse(inner_of(self), memory, size);
}

static int mutex_init(os *self, os_mutex *mutex)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_MUTEX_INIT);

    return error != 0 ? error : inner->ops->mutex_init(inner, mutex);
}

static int mutex_lock(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_MUTEX_LOCK);

    return error != 0 ? error
                      : inner->ops->mutex_lock(inner, mutex, timeout_ms);
}

static void mutex_consistent(os *self, os_mutex *mutex)
{
    inner_of(self)->ops->mutex_consistent(inner_of(self), mutex);
}

static void mutex_unlock(os *self, os_mutex *mutex)
{
    inner_of(self)->ops->mutex_unlock(inner_of(self), mutex);
}

static int futex_wait(os *self, uint32_t *word, uint32_t expected,
                      uint64_t timeout_ms)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_FUTEX_WAIT);

    if (error != 0) {
        return error;
    }
    return inner->ops->futex_wait(inner, word, expected, timeout_ms);
}

static void futex_wake(os *self, uint32_t *word)
{
    inner_of(self)->ops->futex_wake(inner_of(self), word);
}

static int thread_start(os *self, os_thread_fn run, void *argument,
                        os_thread **ret_thread)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_THREAD_START);

    if (error != 0) {
        return error;
    }
    return inner->ops->thread_start(inner, run, argument, ret_thread);
}

static void thread_join(os *self, os_thread *thread)
{
    inner_of(self)->ops->thread_join(inner_of(self), thread);
}

static uint64_t now_ns(os *self)
{
    return inner_of(self)->ops->now_ns(inner_of(self));
}

static uint64_t wall_ms(os *self)
{
    return inner_of(self)->ops->wall_ms(inner_of(self));
}

static uint64_t boot_ms(os *self)
{
    return inner_of(self)->ops->boot_ms(inner_of(self));
}

static os_local_time local_time(os *self, uint64_t wall)
{
    return inner_of(self)->ops->local_time(inner_of(self), wall);
}

static void sleep_ms(os *self, uint64_t ms)
{
    inner_of(self)->ops->sleep_ms(inner_of(self), ms);
}

static int fill_random(os *self, void *data, size_t size)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_RANDOM);

    return error != 0 ? error : inner->ops->random(inner, data, size);
}

static uint32_t process_id(os *self)
{
    return inner_of(self)->ops->pid(inner_of(self));
}

static uint32_t user_id(os *self)
{
    return inner_of(self)->ops->user(inner_of(self));
}

static int boot_id(os *self, uint8_t ret_id[16])
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_BOOT_ID);

    return error != 0 ? error : inner->ops->boot_id(inner, ret_id);
}

static uint64_t pid_namespace(os *self)
{
    return inner_of(self)->ops->pid_namespace(inner_of(self));
}

static uint64_t mutex_layout(os *self)
{
    return inner_of(self)->ops->mutex_layout(inner_of(self));
}

static int fork_word(os *self, uint32_t **ret_word)
{
    os *inner = inner_of(self);
    int error = fault_take(self, OS_CALL_FORK_WORD);

    return error != 0 ? error : inner->ops->fork_word(inner, ret_word);
}

static void fork_word_free(os *self, uint32_t *word)
{
    inner_of(self)->ops->fork_word_free(inner_of(self), word);
}

/* --- the table --------------------------------------------------------- */

static const os_ops table = {
    .open_dir = open_dir,
    .make_dir = make_dir,
    .remove_dir = remove_dir,
    .list = fault_list,
    .space = fault_space,
    .dir_path = fault_dir_path,
    .sync_dir = fault_sync_dir,
    .stat_name = fault_stat_name,
    .remove = fault_remove,
    .rename = fault_rename,
    .link = fault_link,
    .open = fault_open,
    .close = fault_close,
    .stat = fault_stat,
    .read_at = fault_read_at,
    .write_at = fault_write_at,
    .allocate = fault_allocate,
    .reserve = fault_reserve,
    .truncate = fault_truncate,
    .sync = fault_sync,
    .flush_hint = fault_flush_hint,
    .map = fault_map,
    .map_private = map_private,
    .unmap = unmap,
    .prefault = prefault,
    .unfault = unfault,
    .blank = blank,
    .collapse = collapse,
    .lock = fault_lock,
    .is_locked = fault_is_locked,
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

void os_fault_init(os_fault *fault, os *inner)
{
    fault->base.ops = &table;
    fault->inner = inner;
    atomic_flag_clear(&fault->guard);
    os_fault_arm(fault, &OS_FAULT_NOTHING);
}
