/*
 * What only the real os can show: links, fifos and sockets in the way,
 * descriptors, limits, signals, and other processes that die.
 */
#define _GNU_SOURCE /* mincore() */

#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { PATH_ROOM = PLACE_PATH + 32 };

static void path_of(const place *at, const char *name, char path[PATH_ROOM])
{
    (void)snprintf(path, PATH_ROOM, "%s/%s", at->path, name);
}

/* --- things that are not regular files ----------------------------------- */

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(descriptor >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(
        bind(descriptor, (const struct sockaddr *)&address, sizeof(address)),
        0);
    close(descriptor);
}

static void test_open_refuses_all_but_regular_files(void **state)
{
    static const char *const names[] = {"fifo", "socket", "dir"};
    static const uint32_t ways[] = {OS_READ, OS_WRITE, OS_READ | OS_WRITE,
                                    OS_READ | OS_WRITE | OS_CREATE};
    place *at = *state;
    char path[PATH_ROOM];
    os_file *file = NULL;

    path_of(at, "fifo", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of(at, "socket", path);
    make_socket(path);
    path_of(at, "dir", path);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t way = 0; way < 4; way++) {
            assert_int_equal(
                at->os->ops->open(at->dir, names[i], ways[way], 0600, &file),
                EINVAL);
        }
    }
    assert_null(file);
}

static void test_links_are_seen_and_not_followed(void **state)
{
    place *at = *state;
    char path[PATH_ROOM];
    os_file *file = NULL;
    os_stat entry;

    at->os->ops->close(create_file(at->dir, "target"));
    path_of(at, "link", path);
    assert_int_equal(symlink("target", path), 0);
    path_of(at, "dangling", path);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(at->os->ops->open(at->dir, "link", OS_READ, 0, &file),
                     ELOOP);
    assert_int_equal(at->os->ops->open(at->dir, "dangling",
                                       OS_WRITE | OS_CREATE, 0600, &file),
                     ELOOP);
    assert_false(name_exists(at->dir, "nowhere"));
    assert_int_equal(at->os->ops->stat_name(at->dir, "link", &entry), 0);
    assert_int_equal(entry.kind, OS_OTHER);
    assert_int_equal(at->os->ops->remove(at->dir, "link"), 0);
    assert_true(name_exists(at->dir, "target"));
}

static void test_open_dir_follows_links(void **state)
{
    place *at = *state;
    char path[PATH_ROOM];
    os_file *dir = NULL;

    path_of(at, "link", path);
    assert_int_equal(symlink(".", path), 0);
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), 0);
    assert_true(name_exists(dir, "link"));
    at->os->ops->close(dir);
}

static void test_the_path_of_a_directory_is_absolute(void **state)
{
    place *at = *state;
    os_stat entry;
    os_file *dir = NULL;
    char path[PATH_ROOM];
    char found[PATH_ROOM];
    char small[4] = "???";

    at->os->ops->dir_path(at->dir, found, sizeof(found));
    assert_int_equal(found[0], '/');
    assert_int_equal(at->os->ops->open_dir(at->os, found, &dir), 0);
    assert_int_equal(at->os->ops->stat(dir, &entry), 0);
    at->os->ops->close(dir);
    path_of(at, "link", path);
    assert_int_equal(symlink(".", path), 0);
    assert_int_equal(at->os->ops->open_dir(at->os, path, &dir), 0);
    at->os->ops->dir_path(dir, path, sizeof(path));
    assert_string_equal(path, found); /* not by way of the link */
    at->os->ops->dir_path(dir, small, sizeof(small));
    assert_string_equal(small, "");
    at->os->ops->close(dir);
}

static uint32_t mode_of(const place *at, const char *name)
{
    os_stat entry;

    assert_int_equal(at->os->ops->stat_name(at->dir, name, &entry), 0);
    return entry.mode;
}

/* What was made has the mode asked for; what was there keeps its own. */
static void test_umask_takes_nothing(void **state)
{
    place *at = *state;
    mode_t before = umask(077);
    char path[PATH_ROOM];
    os_file *file = NULL;

    path_of(at, "inner", path);
    assert_int_equal(at->os->ops->make_dir(at->os, path, 0770), 0);
    assert_int_equal(mode_of(at, "inner"), 0770);
    assert_int_equal(at->os->ops->open(at->dir, "new",
                                       OS_WRITE | OS_CREATE | OS_EXCL, 0664,
                                       &file),
                     0);
    at->os->ops->close(file);
    assert_int_equal(mode_of(at, "new"), 0664);
    for (uint32_t mode = 0660; mode <= 0666; mode += 6) {
        assert_int_equal(at->os->ops->open(at->dir, "again",
                                           OS_WRITE | OS_CREATE, mode, &file),
                         0);
        at->os->ops->close(file);
        assert_int_equal(mode_of(at, "again"), 0660);
    }
    (void)umask(before);
}

static void test_links_are_counted(void **state)
{
    place *at = *state;
    char path[PATH_ROOM];
    char second[PATH_ROOM];
    os_file *file = create_file(at->dir, "f");
    os_stat entry;

    path_of(at, "f", path);
    path_of(at, "g", second);
    assert_int_equal(link(path, second), 0);
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_int_equal(entry.links, 2);
    at->os->ops->close(file);
}

/* --- children ------------------------------------------------------------- */

/* Run `body` in a child; its value is the exit status. */
static int in_child(int (*body)(place *at), place *at)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        _exit(body(at));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool visit_all(void *context, const char *name)
{
    (void)context;
    (void)name;
    return true;
}

/* Nothing of ours may land on 0, 1 or 2. */
static int use_closed_standard(place *at)
{
    os_file *dir = NULL;
    os_file *file = NULL;
    uint8_t boot[16];

    close(0);
    close(1);
    close(2);
    if (at->os->ops->open_dir(at->os, at->path, &dir) != 0 ||
        at->os->ops->open(dir, "f", OS_READ | OS_WRITE | OS_CREATE, 0600,
                          &file) != 0 ||
        at->os->ops->list(dir, visit_all, NULL) != 0 ||
        at->os->ops->boot_id(at->os, boot) != 0) {
        return 1;
    }
    for (int low = 0; low < 3; low++) {
        if (fcntl(low, F_GETFD) != -1) {
            return 2;
        }
    }
    at->os->ops->close(file);
    at->os->ops->close(dir);
    return 0;
}

static void test_descriptors_are_never_0_to_2(void **state)
{
    assert_int_equal(in_child(use_closed_standard, *state), 0);
}

/* Every descriptor from 3 up that is not close-on-exec, by number. */
static int inherited_descriptors(void)
{
    int count = 0;

    for (int descriptor = 3; descriptor < 256; descriptor++) {
        int flags = fcntl(descriptor, F_GETFD);
        if (flags != -1 && (flags & FD_CLOEXEC) == 0) {
            count++;
        }
    }
    return count;
}

static void test_descriptors_close_on_exec(void **state)
{
    place *at = *state;
    int before = inherited_descriptors();
    os_file *file = create_file(at->dir, "f");
    os_file *dir = NULL;

    assert_int_equal(at->os->ops->open_dir(at->os, at->path, &dir), 0);
    assert_int_equal(inherited_descriptors(), before);
    at->os->ops->close(dir);
    at->os->ops->close(file);
}

static int open_too_many(place *at)
{
    struct rlimit limit = {.rlim_cur = 16, .rlim_max = 16};
    os_file *files[16] = {NULL};
    int error = 0;
    size_t count = 0;

    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    while (error == 0 && count < 16) {
        error = at->os->ops->open(at->dir, "f", OS_READ | OS_CREATE, 0600,
                                  &files[count]);
        count += error == 0 ? 1 : 0;
    }
    if (error != EMFILE || count == 0) {
        return 2;
    }
    /* A refused one leaves nothing behind: closing one makes room for one. */
    at->os->ops->close(files[0]);
    error = at->os->ops->open(at->dir, "f", OS_READ, 0, &files[0]);
    for (size_t i = 0; i < count; i++) {
        at->os->ops->close(files[i]);
    }
    return error == 0 ? 0 : 3;
}

static void test_too_many_descriptors_is_emfile(void **state)
{
    assert_int_equal(in_child(open_too_many, *state), 0);
}

/* The kernel writes the part that fits, then refuses: a short write. */
static int write_over_limit(place *at)
{
    static const char data[3000];
    struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
    os_span spans[2] = {{data, 3000}, {data, 3000}};
    os_file *file = create_file(at->dir, "limited");
    os_stat entry;
    int error;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 1;
    }
    error = at->os->ops->write_at(file, spans, 2, 0);
    if (error != EFBIG || at->os->ops->stat(file, &entry) != 0 ||
        entry.size != 4096) {
        return 2;
    }
    if (at->os->ops->allocate(file, 4096, 1) != EFBIG ||
        at->os->ops->truncate(file, 4097) != EFBIG) {
        return 3;
    }
    at->os->ops->close(file);
    return 0;
}

static void test_a_short_write_is_an_error(void **state)
{
    assert_int_equal(in_child(write_over_limit, *state), 0);
}

static void test_allocate_tells_when_memory_is_not_enough(void **state)
{
    place *at = *state;
    char name[64];
    os_file *dir = NULL;
    os_file *file = NULL;
    os_space space;
    os_stat entry;

    assert_int_equal(at->os->ops->open_dir(at->os, "/dev/shm", &dir), 0);
    assert_int_equal(at->os->ops->space(dir, &space), 0);
    if (space.total == 0) {
        at->os->ops->close(dir);
        skip(); /* a tmpfs without limit */
    }
    (void)snprintf(name, sizeof(name), "caskade-os-test-%ld", (long)getpid());
    file = create_file(dir, name);
    assert_int_equal(at->os->ops->remove(dir, name), 0);
    /* More than there is in all, so that nothing is taken in trying. */
    assert_int_equal(at->os->ops->allocate(file, 0, space.total + 64 * MIB),
                     ENOSPC);
    assert_int_equal(at->os->ops->allocate(file, 0, 8192), 0);
    assert_int_equal(at->os->ops->stat(file, &entry), 0);
    assert_true(entry.size >= 8192);
    at->os->ops->close(file);
    at->os->ops->close(dir);
}

/* --- maps ----------------------------------------------------------------- */

static int store_through_read_map(place *at)
{
    char *memory = NULL;
    os_file *file = create_file(at->dir, "f");

    (void)signal(SIGSEGV, SIG_DFL);
    if (at->os->ops->allocate(file, 0, 4096) != 0 ||
        at->os->ops->map(file, 0, 4096, false, (void **)&memory) != 0) {
        return 1;
    }
    *(volatile char *)memory = 1;
    return 0;
}

static void test_a_map_for_reading_cannot_be_stored_to(void **state)
{
    assert_int_equal(in_child(store_through_read_map, *state), 128 + SIGSEGV);
}

static long address_space_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    (void)fclose(file);
    return strtol(line, NULL, 10);
}

static void test_unmap_gives_back_all_addresses(void **state)
{
    static const size_t sizes[] = {4096, 2 * MIB, 2 * MIB + 1, 5 * MIB};
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    void *memory = NULL;
    long before = address_space_pages();

    for (size_t i = 0; i < 2000; i++) {
        size_t size = sizes[i % 4];
        assert_int_equal(at->os->ops->map(file, 0, size, true, &memory), 0);
        at->os->ops->unmap(at->os, memory, size);
        assert_int_equal(at->os->ops->map_private(at->os, size, &memory), 0);
        at->os->ops->unmap(at->os, memory, size);
    }
    /* A leak of one border each would be 4 GiB. */
    assert_in_range(address_space_pages() - before + 65536, 0, 131072);
    at->os->ops->close(file);
}

static size_t count_present(void *memory, size_t size)
{
    unsigned char present[256];
    size_t count = 0;

    assert_true(size / 4096 <= sizeof(present));
    assert_int_equal(mincore(memory, size, present), 0);
    for (size_t i = 0; i < size / 4096; i++) {
        count += present[i] & 1;
    }
    return count;
}

static void test_prefault_makes_pages_present(void **state)
{
    place *at = *state;
    unsigned char *memory = NULL;

    assert_int_equal(at->os->ops->map_private(at->os, MIB, (void **)&memory),
                     0);
    assert_int_equal(count_present(memory, MIB), 0);
    at->os->ops->prefault(at->os, memory + 4096 + 5, 100 * 4096 - 10);
    assert_int_equal(count_present(memory, MIB), 100);
    at->os->ops->unmap(at->os, memory, MIB);
}

/* --- locks and mutexes of processes that die
 * ------------------------------------ */

typedef struct common {
    os_mutex mutex;
    uint32_t ready; /* atomic */
} common;

static void wait_ready(place *at, common *shared)
{
    while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) == 0) {
        assert_int_equal(
            at->os->ops->futex_wait(at->os, &shared->ready, 0, 60000), 0);
    }
}

static common *map_common(place *at, os_file **ret_file)
{
    common *shared = NULL;
    os_file *file = create_file(at->dir, "common");

    assert_int_equal(at->os->ops->allocate(file, 0, sizeof(*shared)), 0);
    assert_int_equal(
        at->os->ops->map(file, 0, sizeof(*shared), true, (void **)&shared), 0);
    assert_int_equal(at->os->ops->mutex_init(at->os, &shared->mutex), 0);
    *ret_file = file;
    return shared;
}

/* Holds a byte and the mutex until it is killed. */
static pid_t start_holder(place *at, common *shared)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child != 0) {
        return child;
    }
    os_file *own = open_file(at->dir, "common");
    if (at->os->ops->lock(own, 7, 1, OS_EXCLUSIVE) != 0 ||
        at->os->ops->mutex_lock(at->os, &shared->mutex, 0) != 0) {
        _exit(1);
    }
    __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
    at->os->ops->futex_wake(at->os, &shared->ready);
    for (;;) {
        pause();
    }
}

static void kill_and_wait(pid_t child)
{
    int status = 0;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_death_frees_byte_and_mutex(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_file *file = NULL;
    common *shared = map_common(at, &file);
    pid_t holder = start_holder(at, shared);
    bool locked = false;

    wait_ready(at, shared); /* woken across processes */
    assert_int_equal(ops->is_locked(file, 7, 1, &locked), 0);
    assert_true(locked);
    assert_int_equal(ops->lock(file, 7, 1, OS_SHARED), EAGAIN);
    assert_int_equal(ops->mutex_lock(at->os, &shared->mutex, 10), ETIMEDOUT);

    kill_and_wait(holder);
    assert_int_equal(ops->lock(file, 7, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(ops->mutex_lock(at->os, &shared->mutex, 10000),
                     EOWNERDEAD);
    ops->mutex_consistent(at->os, &shared->mutex);
    ops->mutex_unlock(at->os, &shared->mutex);
    ops->unmap(at->os, shared, sizeof(*shared));
    ops->close(file);
}

typedef struct waiter {
    place *at;
    common *shared;
    int result;
} waiter;

static void wait_for_mutex(void *argument)
{
    waiter *self = argument;
    os *os_used = self->at->os;

    self->result =
        os_used->ops->mutex_lock(os_used, &self->shared->mutex, 60000);
    if (self->result == EOWNERDEAD) {
        os_used->ops->mutex_consistent(os_used, &self->shared->mutex);
        os_used->ops->mutex_unlock(os_used, &self->shared->mutex);
    }
}

static void test_death_wakes_who_waits_for_the_mutex(void **state)
{
    place *at = *state;
    os_file *file = NULL;
    common *shared = map_common(at, &file);
    pid_t holder = start_holder(at, shared);
    waiter waiting = {.at = at, .shared = shared};
    os_thread *thread = NULL;

    wait_ready(at, shared);
    assert_int_equal(
        at->os->ops->thread_start(at->os, wait_for_mutex, &waiting, &thread),
        0);
    at->os->ops->sleep_ms(at->os, 20);
    kill_and_wait(holder);
    at->os->ops->thread_join(at->os, thread);
    assert_int_equal(waiting.result, EOWNERDEAD);
    at->os->ops->unmap(at->os, shared, sizeof(*shared));
    at->os->ops->close(file);
}

/* With POSIX locks, closing any descriptor of the file would drop them all. */
static int open_and_close_again(place *at)
{
    at->os->ops->close(open_file(at->dir, "f"));
    return 0;
}

static void test_closing_another_handle_keeps_our_locks(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    os_file *other = open_file(at->dir, "f");
    bool locked = false;

    assert_int_equal(at->os->ops->lock(file, 0, 1, OS_EXCLUSIVE), 0);
    assert_int_equal(in_child(open_and_close_again, at), 0);
    assert_int_equal(open_and_close_again(at), 0);
    assert_int_equal(at->os->ops->is_locked(other, 0, 1, &locked), 0);
    assert_true(locked);
    at->os->ops->close(file);
    at->os->ops->close(other);
}

static uint32_t *fork_word;

static int read_fork_word(place *at)
{
    (void)at;
    return (int)*fork_word;
}

static void test_the_fork_word_is_0_in_a_child(void **state)
{
    place *at = *state;

    assert_int_equal(at->os->ops->fork_word(at->os, &fork_word), 0);
    assert_int_equal(*fork_word, 1);
    assert_int_equal(in_child(read_fork_word, at), 0);
    assert_int_equal(*fork_word, 1);
    at->os->ops->fork_word_free(at->os, fork_word);
    at->os->ops->fork_word_free(at->os, NULL);
}

/* --- signals and threads
 * ---------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

/* SIGALRM every 2 ms, without SA_RESTART, so that calls are interrupted. */
static void start_alarms(void)
{
    struct sigaction action = {.sa_handler = count_alarm};
    struct itimerval every = {{0, 2000}, {0, 2000}};

    alarms = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void stop_alarms(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};

    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    (void)signal(SIGALRM, SIG_DFL);
}

static void test_signals_do_not_cut_waits(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    os_mutex mutex;
    uint32_t word = 0;
    uint64_t times[4];

    assert_int_equal(ops->mutex_init(at->os, &mutex), 0);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, 0), 0);
    start_alarms();
    times[0] = ops->now_ns(at->os);
    ops->sleep_ms(at->os, 40);
    times[1] = ops->now_ns(at->os);
    assert_int_equal(ops->futex_wait(at->os, &word, 0, 40), ETIMEDOUT);
    times[2] = ops->now_ns(at->os);
    assert_int_equal(ops->mutex_lock(at->os, &mutex, 40), ETIMEDOUT);
    times[3] = ops->now_ns(at->os);
    stop_alarms();
    for (size_t i = 0; i < 3; i++) {
        assert_true(times[i + 1] - times[i] >= 40 * 1000000ULL);
        assert_true(times[i + 1] - times[i] < 10 * 1000000000ULL);
    }
    assert_true(alarms > 0);
    ops->mutex_unlock(at->os, &mutex);
}

static void ask_mask(void *argument)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, argument);
}

static void test_threads_have_all_signals_blocked(void **state)
{
    static const int some[] = {SIGINT,  SIGTERM, SIGHUP,  SIGALRM,
                               SIGCHLD, SIGUSR1, SIGPIPE, SIGPROF};
    place *at = *state;
    sigset_t inside;
    sigset_t ours;
    os_thread *thread = NULL;

    (void)sigemptyset(&inside);
    assert_int_equal(
        at->os->ops->thread_start(at->os, ask_mask, &inside, &thread), 0);
    at->os->ops->thread_join(at->os, thread);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &ours), 0);
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        assert_int_equal(sigismember(&inside, some[i]), 1);
        assert_int_equal(sigismember(&ours, some[i]), 0);
    }
}

/* --- identity
 * ----------------------------------------------------------------------- */

static void test_identity_is_the_kernels(void **state)
{
    place *at = *state;
    const os_ops *ops = at->os->ops;
    char expected[64] = "";
    char actual[64] = "";
    uint8_t boot[16];
    struct stat entry;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    int used = 0;

    assert_non_null(file);
    assert_non_null(fgets(expected, sizeof(expected), file));
    (void)fclose(file);
    assert_int_equal(ops->boot_id(at->os, boot), 0);
    for (size_t i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        used += snprintf(actual + used, sizeof(actual) - (size_t)used, "%s%02x",
                         dash ? "-" : "", boot[i]);
    }
    expected[36] = '\0';
    assert_string_equal(actual, expected);
    assert_int_equal(ops->pid(at->os), getpid());
    assert_int_equal(ops->user(at->os), geteuid());
    assert_int_equal(stat("/proc/self/ns/pid", &entry), 0);
    assert_true(ops->pid_namespace(at->os) == entry.st_ino);
}

static void test_the_wall_clock_is_close(void **state)
{
    place *at = *state;
    struct timespec now;
    int64_t difference;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    difference = (int64_t)at->os->ops->wall_ms(at->os) -
                 ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    assert_true(difference >= -100 && difference <= 10000);
}

static void check_local(place *at, const char *zone, uint64_t wall_s,
                        unsigned weekday, unsigned minute)
{
    os_local_time local;

    assert_int_equal(setenv("TZ", zone, 1), 0);
    local = at->os->ops->local_time(at->os, wall_s * 1000 + 999);
    assert_int_equal(local.weekday, weekday);
    assert_int_equal(local.minute, minute);
}

/* Zones written out, so that no list of them is needed. */
static void test_local_time_is_that_of_the_zone(void **state)
{
    static const char europe[] = "CET-1CEST,M3.5.0,M10.5.0/3";
    place *at = *state;
    const char *own = getenv("TZ");
    char *saved = own == NULL ? NULL : strdup(own);

    check_local(at, "UTC0", 0, 4, 0);
    check_local(at, "UTC0", 86400 + 3599, 5, 59);
    check_local(at, "EST5", 0, 3, 19 * 60);
    /* The last second before and the first of summer, and of winter. */
    check_local(at, europe, 1711846799, 0, 119);
    check_local(at, europe, 1711846800, 0, 180);
    check_local(at, europe, 1729990799, 0, 179);
    check_local(at, europe, 1729990800, 0, 120);
    if (saved == NULL) {
        (void)unsetenv("TZ");
    } else {
        (void)setenv("TZ", saved, 1);
    }
    free(saved);
    tzset();
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, place_setup_posix, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_refuses_all_but_regular_files),
        TEST(test_links_are_seen_and_not_followed),
        TEST(test_open_dir_follows_links),
        TEST(test_the_path_of_a_directory_is_absolute),
        TEST(test_umask_takes_nothing),
        TEST(test_links_are_counted),
        TEST(test_descriptors_are_never_0_to_2),
        TEST(test_descriptors_close_on_exec),
        TEST(test_too_many_descriptors_is_emfile),
        TEST(test_a_short_write_is_an_error),
        TEST(test_allocate_tells_when_memory_is_not_enough),
        TEST(test_a_map_for_reading_cannot_be_stored_to),
        TEST(test_unmap_gives_back_all_addresses),
        TEST(test_prefault_makes_pages_present),
        TEST(test_death_frees_byte_and_mutex),
        TEST(test_death_wakes_who_waits_for_the_mutex),
        TEST(test_closing_another_handle_keeps_our_locks),
        TEST(test_the_fork_word_is_0_in_a_child),
        TEST(test_signals_do_not_cut_waits),
        TEST(test_threads_have_all_signals_blocked),
        TEST(test_identity_is_the_kernels),
        TEST(test_the_wall_clock_is_close),
        TEST(test_local_time_is_that_of_the_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
