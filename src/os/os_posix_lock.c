/*
 * The real os: byte locks of open file descriptions, robust mutexes, futexes.
 *
 * None of them is ever stolen: the kernel releases a lock when its holder
 * dies, and nothing else does.
 */
#define _GNU_SOURCE

#include "os/os_posix_internal.h"

#include "base/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(os_mutex),
               "os_mutex has room for the C library's mutex");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(os_mutex),
               "os_mutex is aligned for the C library's mutex");

/* --- byte locks ----------------------------------------------------------- */

static int prepare_range(uint64_t offset, uint64_t size, struct flock *range)
{
    /* A size of 0 would mean: to the end of all files. */
    if (size == 0 || offset > INT64_MAX || size > INT64_MAX - offset) {
        return EINVAL;
    }
    memset(range, 0, sizeof(*range)); /* l_pid must be 0 for OFD locks */
    range->l_whence = SEEK_SET;
    range->l_start = (off_t)offset;
    range->l_len = (off_t)size;
    return 0;
}

static int control_lock(os_file *file, int command, struct flock *range)
{
    int status;

    do {
        status = fcntl(posix_descriptor(file), command, range);
    } while (status != 0 && errno == EINTR);
    if (status == 0) {
        return 0;
    }
    return errno == EACCES ? EAGAIN : errno;
}

int posix_lock(os_file *file, uint64_t offset, uint64_t size, os_lock kind)
{
    struct flock range;
    int error = prepare_range(offset, size, &range);

    if (error != 0) {
        return error;
    }
    range.l_type = F_UNLCK;
    if (kind == OS_SHARED) {
        range.l_type = F_RDLCK;
    } else if (kind == OS_EXCLUSIVE) {
        range.l_type = F_WRLCK;
    }
    return control_lock(file, F_OFD_SETLK, &range);
}

int posix_is_locked(os_file *file, uint64_t offset, uint64_t size,
                    bool *ret_locked)
{
    struct flock range;
    int error = prepare_range(offset, size, &range);

    if (error != 0) {
        return error;
    }
    range.l_type = F_WRLCK; /* conflicts with any lock of another */
    error = control_lock(file, F_OFD_GETLK, &range);
    if (error == 0) {
        *ret_locked = range.l_type != F_UNLCK;
    }
    return error;
}

/* --- mutexes -------------------------------------------------------------- */

enum {
    WAIT_PIECE_MS = 50,
    SPIN_LOOKS = 400 /* about 10 us */
};

static pthread_mutex_t *inner_mutex(os_mutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex->storage;
}

int posix_mutex_init(os *self, os_mutex *mutex)
{
    pthread_mutexattr_t attributes;
    int error;

    (void)self;
    error = pthread_mutexattr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (error == 0) {
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    if (error == 0) {
        memset(mutex, 0, sizeof(*mutex));
        error = pthread_mutex_init(inner_mutex(mutex), &attributes);
    }
    (void)pthread_mutexattr_destroy(&attributes);
    return error;
}

#if defined(__SANITIZE_THREAD__)
#define POSIX_HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define POSIX_HAS_TSAN 1
#endif
#endif

#ifdef POSIX_HAS_TSAN

/*
 * ThreadSanitizer (of gcc 12 and clang 14) does not know the call below, and
 * would report a race for each lock that had to wait. It knows trylock.
 */
static int wait_for_mutex(pthread_mutex_t *mutex,
                          const struct timespec *deadline)
{
    const struct timespec pause = {.tv_nsec = 50000};
    struct timespec now;
    int error;

    do {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        error = pthread_mutex_trylock(mutex);
    } while (error == EBUSY && (now.tv_sec < deadline->tv_sec ||
                                (now.tv_sec == deadline->tv_sec &&
                                 now.tv_nsec < deadline->tv_nsec)));
    return error == EBUSY ? ETIMEDOUT : error;
}

#else

/*
 * In pieces, and each looks at the mutex first: who is woken and dies before
 * it has run wakes nobody else if another took the mutex meanwhile, and that
 * one, who saw no waiters, does not either; all would sleep beside a free lock.
 */
static int wait_for_mutex(pthread_mutex_t *mutex,
                          const struct timespec *deadline)
{
    struct timespec piece;
    bool is_last;
    int error;

    do {
        piece = posix_deadline(WAIT_PIECE_MS);
        is_last = piece.tv_sec > deadline->tv_sec ||
                  (piece.tv_sec == deadline->tv_sec &&
                   piece.tv_nsec >= deadline->tv_nsec);
        error = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC,
                                        is_last ? deadline : &piece);
    } while (error == ETIMEDOUT && !is_last);
    return error;
}

#endif

/* Let the processor's other thread go first. */
static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Whether somebody has it. To look takes the line from nobody, to try does. */
static bool is_held(const pthread_mutex_t *mutex)
{
    return (__atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) &
            FUTEX_TID_MASK) != 0;
}

/*
 * Look for some microseconds: most holders are gone by then, and to sleep and
 * be woken takes ten times as long.
 */
static int spin_for_mutex(pthread_mutex_t *mutex)
{
    int error = EBUSY;

    for (int i = 0; i < SPIN_LOOKS && error == EBUSY; i++) {
        relax();
        if (!is_held(mutex)) {
            error = pthread_mutex_trylock(mutex);
        }
    }
    return error;
}

int posix_mutex_lock(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    struct timespec deadline;
    int error = pthread_mutex_trylock(inner_mutex(mutex));

    (void)self;
    if (error == EBUSY && timeout_ms != 0) {
        error = spin_for_mutex(inner_mutex(mutex));
    }
    if (error != EBUSY) {
        return error;
    }
    if (timeout_ms == 0) {
        return ETIMEDOUT;
    }
    deadline = posix_deadline(timeout_ms);
    return wait_for_mutex(inner_mutex(mutex), &deadline);
}

void posix_mutex_consistent(os *self, os_mutex *mutex)
{
    (void)self;
    (void)pthread_mutex_consistent(inner_mutex(mutex));
}

void posix_mutex_unlock(os *self, os_mutex *mutex)
{
    (void)self;
    (void)pthread_mutex_unlock(inner_mutex(mutex));
}

uint64_t posix_mutex_layout(os *self)
{
    /* Public constants: this tells apart, it does not protect. */
    static const siphash_key key = {{0x6b73616320736f20, 0x6d75746578206f73}};
    const char *version = gnu_get_libc_version();
    struct {
        uint64_t mutex_size;
        uint64_t mutex_alignment;
        uint64_t pointer_size;
        uint64_t version;
    } facts = {
        .mutex_size = sizeof(pthread_mutex_t),
        .mutex_alignment = _Alignof(pthread_mutex_t),
        .pointer_size = sizeof(void *),
        .version = siphash(key, version, strlen(version)).word[0],
    };

    (void)self;
    return siphash(key, &facts, sizeof(facts)).word[0];
}

/* --- futexes
 * ------------------------------------------------------------------ */

int posix_futex_wait(os *self, uint32_t *word, uint32_t expected,
                     uint64_t timeout_ms)
{
    struct timespec deadline = posix_deadline(timeout_ms);
    long status;

    (void)self;
    /* The bitset variant takes a point in time (monotonic), so that signals
     * do not stretch the wait. Not PRIVATE: other processes wake us. */
    do {
        status = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
                         &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    } while (status != 0 && errno == EINTR);
    if (status == 0 || errno == EAGAIN) {
        return 0; /* woken, or *word was another already */
    }
    return errno;
}

void posix_futex_wake(os *self, uint32_t *word)
{
    (void)self;
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
