/*
 * The real os: its table, its clocks, randomness and identity. Directories,
 * files, maps, locks and threads are in os_posix_dir.c, _file.c, _map.c,
 * _lock.c and _thread.c.
 *
 * It has no state: every function may be called by any thread at any time.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MS_PER_S = 1000,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000,
    S_PER_MINUTE = 60,
    HOUR_MINUTES = 60,
    DAY_MINUTES = 24 * 60,
    WEEK_DAYS = 7,
    UUID_BYTES = 16,
    UUID_TEXT = 36,      /* 8-4-4-4-12 hexadecimal digits */
    MAX_WAIT_S = 1 << 30 /* 34 years: for ever, and safe to add to now */
};

/* --- clocks ------------------------------------------------------------ */

struct timespec posix_deadline(uint64_t timeout_ms)
{
    uint64_t seconds = timeout_ms / MS_PER_S;
    struct timespec deadline;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    if (seconds > MAX_WAIT_S) {
        seconds = MAX_WAIT_S;
    }
    deadline.tv_sec += (time_t)seconds;
    deadline.tv_nsec += (long)(timeout_ms % MS_PER_S) * NS_PER_MS;
    if (deadline.tv_nsec >= NS_PER_S) {
        deadline.tv_nsec -= NS_PER_S;
        deadline.tv_sec++;
    }
    return deadline;
}

static uint64_t now_ns(os *self)
{
    struct timespec now;

    (void)self;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t wall_ms(os *self)
{
    struct timespec now;

    (void)self;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec < 0) {
        return 0; /* a clock set before 1970 */
    }
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static uint64_t boot_ms(os *self)
{
    struct timespec now;

    (void)self;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static os_local_time local_time(os *self, uint64_t wall)
{
    time_t seconds = (time_t)(wall / MS_PER_S);
    struct tm fields;

    (void)self;
    /* The zone may be changed while the process runs. */
    tzset();
    if (localtime_r(&seconds, &fields) == NULL) {
        uint64_t minutes = wall / MS_PER_S / S_PER_MINUTE;

        /* The first of January 1970 was a Thursday. */
        return (os_local_time){
            .weekday = (uint16_t)((minutes / DAY_MINUTES + 4) % WEEK_DAYS),
            .minute = (uint16_t)(minutes % DAY_MINUTES)};
    }
    return (os_local_time){
        .weekday = (uint16_t)fields.tm_wday,
        .minute = (uint16_t)(fields.tm_hour * HOUR_MINUTES + fields.tm_min)};
}

static void sleep_ms(os *self, uint64_t ms)
{
    struct timespec until = posix_deadline(ms);

    (void)self;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
           EINTR) {
    }
}

/* --- randomness and identity ------------------------------------------- */

static int fill_random(os *self, void *data, size_t size)
{
    unsigned char *to = data;

    (void)self;
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        to += got;
        size -= (size_t)got;
    }
    return 0;
}

static uint32_t process_id(os *self)
{
    (void)self;
    return (uint32_t)getpid();
}

static uint32_t user_id(os *self)
{
    (void)self;
    return (uint32_t)geteuid();
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return -1;
}

static int parse_uuid(const char *text, size_t size, uint8_t ret_id[UUID_BYTES])
{
    size_t digits = 0;
    uint8_t id[UUID_BYTES] = {0};

    for (size_t i = 0; i < size && digits < (size_t)2 * UUID_BYTES; i++) {
        if (text[i] == '-') {
            continue;
        }
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return EINVAL;
        }
        id[digits / 2] = (uint8_t)(id[digits / 2] * 16 + digit);
        digits++;
    }
    if (digits != (size_t)2 * UUID_BYTES) {
        return EINVAL;
    }
    for (size_t i = 0; i < UUID_BYTES; i++) {
        ret_id[i] = id[i];
    }
    return 0;
}

static int boot_id(os *self, uint8_t ret_id[16])
{
    os_file *file = NULL;
    char text[UUID_TEXT];
    size_t size = 0;
    int descriptor;
    int error;

    do {
        descriptor = open("/proc/sys/kernel/random/boot_id",
                          O_RDONLY | O_CLOEXEC | O_NOCTTY);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) {
        return errno;
    }
    error = posix_file_wrap(self, descriptor, &file);
    if (error != 0) {
        return error;
    }
    error = posix_read_at(file, text, sizeof(text), 0, &size);
    posix_close(file);
    return error != 0 ? error : parse_uuid(text, size, ret_id);
}

static uint64_t pid_namespace(os *self)
{
    struct stat entry;

    (void)self;
    if (stat("/proc/self/ns/pid", &entry) != 0) {
        return 0;
    }
    return entry.st_ino;
}

/* --- the table --------------------------------------------------------- */

os *os_posix(void)
{
    static const os_ops table = {
        .open_dir = posix_open_dir,
        .make_dir = posix_make_dir,
        .remove_dir = posix_remove_dir,
        .list = posix_list,
        .space = posix_space,
        .dir_path = posix_dir_path,
        .sync_dir = posix_sync_dir,
        .stat_name = posix_stat_name,
        .remove = posix_remove,
        .rename = posix_rename,
        .link = posix_link,
        .open = posix_open,
        .close = posix_close,
        .stat = posix_stat,
        .read_at = posix_read_at,
        .write_at = posix_write_at,
        .allocate = posix_allocate,
        .reserve = posix_reserve,
        .truncate = posix_truncate,
        .sync = posix_sync,
        .flush_hint = posix_flush_hint,
        .map = posix_map,
        .map_private = posix_map_private,
        .unmap = posix_unmap,
        .prefault = posix_prefault,
        .unfault = posix_unfault,
        .blank = posix_blank,
        .collapse = posix_collapse,
        .lock = posix_lock,
        .is_locked = posix_is_locked,
        .mutex_init = posix_mutex_init,
        .mutex_lock = posix_mutex_lock,
        .mutex_consistent = posix_mutex_consistent,
        .mutex_unlock = posix_mutex_unlock,
        .futex_wait = posix_futex_wait,
        .futex_wake = posix_futex_wake,
        .thread_start = posix_thread_start,
        .thread_join = posix_thread_join,
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
        .mutex_layout = posix_mutex_layout,
        .fork_word = posix_fork_word,
        .fork_word_free = posix_fork_word_free,
    };
    static os posix = {.ops = &table};

    return &posix;
}
