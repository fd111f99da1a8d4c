/*
 * The only door to the kernel. `os` is a value that db_open_on() is given,
 * never a global: os_posix is real, os_sim simulates a disk, os_fault fails
 * chosen calls of any other. Every function that can fail returns 0 or an errno
 * value.
 *
 * Files and directories are both an os_file. Names are always relative to a
 * directory handle, one component long (EINVAL for an empty one or a slash),
 * and never followed through a symbolic link.
 *
 * Where RLIMIT_FSIZE is set, the kernel sends SIGXFSZ to the program unless it
 * is ignored; if it is, the functions below return EFBIG.
 */
#ifndef CASKADE_OS_H
#define CASKADE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct os os;
typedef struct os_file os_file;     /* an open file or directory */
typedef struct os_thread os_thread; /* a running thread */

/* Room for a mutex of the C library, in private or in shared memory. */
typedef struct os_mutex {
    _Alignas(64) unsigned char storage[64];
} os_mutex;

/* The most spans that one write takes. */
enum { OS_SPANS = 8 };

/* Borrowed bytes to be written. */
typedef struct os_span {
    const void *data;
    size_t size; /* bytes */
} os_span;

typedef enum os_kind { OS_REGULAR, OS_DIRECTORY, OS_OTHER } os_kind;

typedef struct os_stat {
    uint64_t device;
    uint64_t inode;
    uint64_t size;      /* bytes */
    uint64_t allocated; /* bytes on the device */
    uint32_t links;
    uint32_t owner; /* user id */
    uint32_t mode;  /* permission bits */
    os_kind kind;
} os_stat;

typedef struct os_space {
    uint64_t free;  /* bytes that this user may still allocate */
    uint64_t total; /* bytes */
    bool remote; /* NFS, CIFS, 9P, ...: locks and maps are not to be trusted */
} os_space;

typedef enum os_lock { OS_UNLOCK, OS_SHARED, OS_EXCLUSIVE } os_lock;

enum { /* flags of open() */
       OS_READ = 1,
       OS_WRITE = 2,
       OS_CREATE = 4, /* create if missing */
       OS_EXCL = 8    /* with OS_CREATE: EEXIST if there */
};

/* A moment on the clock on the wall, as people read it. */
typedef struct os_local_time {
    uint16_t weekday; /* 0 .. 6 from Sunday */
    uint16_t minute;  /* 0 .. 1439 of the day */
} os_local_time;

/* Return false to stop. */
typedef bool (*os_list_fn)(void *context, const char *name);

typedef void (*os_thread_fn)(void *argument);

typedef struct os_ops {
    /* Directories. open_dir follows links in `path`; make_dir gives EEXIST;
     * remove_dir ENOTEMPTY, and ENOTDIR for a link as for a file.
     * What make_dir and open make has the mode asked for, not cut by the
     * umask; what was there keeps its own. */
    int (*open_dir)(os *os, const char *path, os_file **ret_dir);
    int (*make_dir)(os *os, const char *path, uint32_t mode);
    int (*remove_dir)(os *os, const char *path);
    int (*list)(os_file *dir, os_list_fn visit, void *context);
    int (*space)(os_file *dir, os_space *ret_space);
    /* The absolute path, for people to read: it may be out of date at once.
     * Empty if there is none, or it does not fit into `size` bytes. */
    void (*dir_path)(os_file *dir, char *ret_path, size_t size);
    /* Names created or renamed reach the device. */
    int (*sync_dir)(os_file *dir);
    int (*stat_name)(os_file *dir, const char *name, os_stat *ret_stat);
    int (*remove)(os_file *dir, const char *name);
    int (*rename)(os_file *dir, const char *from, const char *to);
    /* Give the file a second name in `to_dir`, where there must be none yet
     * (EEXIST). EXDEV, EPERM, EMLINK and others where that cannot be. */
    int (*link)(os_file *dir, const char *name, os_file *to_dir,
                const char *to_name);

    /*
     * Files. open: O_NOFOLLOW, close-on-exec, descriptor above 2; ELOOP for a
     * symbolic link, EINVAL for anything else that is not a regular file
     * (never blocks on a fifo).
     */
    int (*open)(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
                os_file **ret_file);
    void (*close)(os_file *file); /* accepts NULL; never syncs */
    int (*stat)(os_file *file, os_stat *ret_stat);
    /* Reads all of `size`, less only at the end of the file. */
    int (*read_at)(os_file *file, void *data, size_t size, uint64_t offset,
                   size_t *ret_read);
    /* Writes all of `count` (at most OS_SPANS) spans, or fails. */
    int (*write_at)(os_file *file, const os_span *spans, size_t count,
                    uint64_t offset);
    /* Room for [offset, offset+size) is certain afterwards; grows the file,
     * never shrinks it; new bytes read as zero. */
    int (*allocate)(os_file *file, uint64_t offset, uint64_t size);
    /* The same, but the file keeps its size: what is written there later needs
     * no room. truncate(), to the same size too, gives it back. */
    int (*reserve)(os_file *file, uint64_t offset, uint64_t size);
    int (*truncate)(os_file *file, uint64_t size);
    int (*sync)(os_file *file); /* data and size reach the device */
    /* Begin writing back; no promise. */
    void (*flush_hint)(os_file *file, uint64_t offset, uint64_t size);

    /* Maps. `offset` is a multiple of 2 MiB or 0. The map may reach beyond the
     * end of the file; touching it there is the caller's error. Aligned to
     * 2 MiB if `size` is at least that. */
    int (*map)(os_file *file, uint64_t offset, size_t size, bool write,
               void **ret_memory);
    int (*map_private)(os *os, size_t size, void **ret_memory); /* zeroed */
    void (*unmap)(os *os, void *memory, size_t size); /* accepts NULL */
    /* Make pages present and writable ahead of use; best effort. */
    void (*prefault)(os *os, void *memory, size_t size);
    /* Take these pages of a file out of this mapping; their content stays in
     * the file, and touching them brings them back. Best effort. A sync then
     * need not take write access from them one by one. */
    void (*unfault)(os *os, void *memory, size_t size);
    /* Let go of the file behind a reading map: whoever looks there sees zeros
     * from now on, or still what was there; unmap() as before. */
    void (*blank)(os *os, void *memory, size_t size);
    /* Ask for huge pages now; best effort, pages must be allocated. */
    void (*collapse)(os *os, void *memory, size_t size);

    /*
     * Byte locks of the open file description (OFD): dropped by the kernel
     * when the os_file is closed or its process dies. Never waits: EAGAIN if
     * another description holds a conflicting lock. EBADF unless the file is
     * open for reading (OS_SHARED) or writing (OS_EXCLUSIVE); EINVAL if `size`
     * is 0. A lock replaces what the same description held there.
     */
    int (*lock)(os_file *file, uint64_t offset, uint64_t size, os_lock kind);
    /* Whether another description holds any lock in the range. */
    int (*is_locked)(os_file *file, uint64_t offset, uint64_t size,
                     bool *ret_locked);

    /*
     * Robust, process-shared mutexes. lock: 0; EOWNERDEAD (held, and the last
     * owner died: repair, then mutex_consistent); ETIMEDOUT; ENOTRECOVERABLE.
     * timeout_ms by the monotonic clock; 0 = try once.
     */
    int (*mutex_init)(os *os, os_mutex *mutex);
    int (*mutex_lock)(os *os, os_mutex *mutex, uint64_t timeout_ms);
    void (*mutex_consistent)(os *os, os_mutex *mutex);
    void (*mutex_unlock)(os *os, os_mutex *mutex);

    /* Wait until *word != expected (or woken, or timeout_ms passed: returns
     * ETIMEDOUT); works across processes. Wake all. */
    int (*futex_wait)(os *os, uint32_t *word, uint32_t expected,
                      uint64_t timeout_ms);
    void (*futex_wake)(os *os, uint32_t *word);

    int (*thread_start)(os *os, os_thread_fn run, void *argument,
                        os_thread **ret_thread); /* all signals blocked */
    void (*thread_join)(os *os, os_thread *thread);

    uint64_t (*now_ns)(os *os);  /* monotonic */
    uint64_t (*wall_ms)(os *os); /* since 1970, coarse (4 ms), cheap */
    uint64_t (*boot_ms)(os *os); /* since the machine started, suspension
                                    included; nobody can set it */
    /* A time as wall_ms() in the zone of this process, with daylight saving;
     * in UTC if that cannot be told. Costs microseconds. */
    os_local_time (*local_time)(os *os, uint64_t wall_ms);
    void (*sleep_ms)(os *os, uint64_t ms);

    int (*random)(os *os, void *data, size_t size);
    uint32_t (*pid)(os *os);
    uint32_t (*user)(os *os);
    int (*boot_id)(os *os, uint8_t ret_id[16]);
    uint64_t (*pid_namespace)(os *os); /* inode of /proc/self/ns/pid, or 0 */
    uint64_t (*mutex_layout)(os *os); /* differs where os_mutex is not shared */
    /* A word that is 1 here and 0 in every forked child. */
    int (*fork_word)(os *os, uint32_t **ret_word);
    void (*fork_word_free)(os *os, uint32_t *word);
} os_ops;

struct os {
    const os_ops *ops; /* first member: implementations embed os */
};

/* Lock a mutex that threads of one process share: none of them dies with it, so
 * that this waits and cannot fail. */
static inline void os_mutex_enter(os *kernel, os_mutex *mutex)
{
    (void)kernel->ops->mutex_lock(kernel, mutex, UINT32_MAX);
}

static inline void os_mutex_leave(os *kernel, os_mutex *mutex)
{
    kernel->ops->mutex_unlock(kernel, mutex);
}

/* Implementations of os_file put this first. */
struct os_file {
    os *os;
};

/* The real one; one per process, never freed. */
os *os_posix(void);

#endif
