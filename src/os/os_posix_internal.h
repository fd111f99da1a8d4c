/*
 * What the files of the real os share: the shape of an open file, and the
 * functions that os_posix.c puts into its table. Each has the contract of the
 * os.h member of the same name.
 */
#ifndef CASKADE_OS_POSIX_INTERNAL_H
#define CASKADE_OS_POSIX_INTERNAL_H

#include "os/os.h"

#include <time.h>

enum { POSIX_HUGE_PAGE_SIZE = 2 * 1024 * 1024 }; /* bytes */

typedef struct posix_file {
    os_file base;
    int descriptor; /* always above 2 */
} posix_file;

/* The descriptor of a file or directory made by this os. */
int posix_descriptor(const os_file *file);

/*
 * Move a descriptor above 2: a program that closed its standard error must
 * not print it into a store. 0, or EMFILE with the descriptor closed.
 */
int posix_move_above_standard(int *descriptor);

/*
 * Make an os_file of `descriptor`, moved above 2 if need be. Takes the
 * descriptor: it is closed on failure. 0, EMFILE, ENOMEM.
 */
int posix_file_wrap(os *self, int descriptor, os_file **ret_file);

/* Give what this process has just made the permissions `mode`, whatever the
 * umask took away. 0 also if the file system has no such bits. */
int posix_set_mode(int descriptor, uint32_t mode);

/* 0, or EINVAL for what is not one path component. */
int posix_check_name(const char *name);

/* `timeout_ms` from now by the monotonic clock; no sum overflows. */
struct timespec posix_deadline(uint64_t timeout_ms);

int posix_open_dir(os *self, const char *path, os_file **ret_dir);
int posix_make_dir(os *self, const char *path, uint32_t mode);
int posix_remove_dir(os *self, const char *path);
int posix_list(os_file *dir, os_list_fn visit, void *context);
int posix_space(os_file *dir, os_space *ret_space);
void posix_dir_path(os_file *dir, char *ret_path, size_t size);
int posix_sync_dir(os_file *dir);
int posix_stat_name(os_file *dir, const char *name, os_stat *ret_stat);
int posix_remove(os_file *dir, const char *name);
int posix_rename(os_file *dir, const char *from, const char *to);
int posix_link(os_file *dir, const char *name, os_file *to_dir,
               const char *to_name);

int posix_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
               os_file **ret_file);
void posix_close(os_file *file);
int posix_stat(os_file *file, os_stat *ret_stat);
int posix_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                  size_t *ret_read);
int posix_write_at(os_file *file, const os_span *spans, size_t count,
                   uint64_t offset);
int posix_allocate(os_file *file, uint64_t offset, uint64_t size);
int posix_reserve(os_file *file, uint64_t offset, uint64_t size);
int posix_truncate(os_file *file, uint64_t size);
int posix_sync(os_file *file);
void posix_flush_hint(os_file *file, uint64_t offset, uint64_t size);

int posix_map(os_file *file, uint64_t offset, size_t size, bool write,
              void **ret_memory);
int posix_map_private(os *self, size_t size, void **ret_memory);
void posix_unmap(os *self, void *memory, size_t size);
void posix_prefault(os *self, void *memory, size_t size);
void posix_unfault(os *self, void *memory, size_t size);
void posix_blank(os *self, void *memory, size_t size);
void posix_collapse(os *self, void *memory, size_t size);
int posix_fork_word(os *self, uint32_t **ret_word);
void posix_fork_word_free(os *self, uint32_t *word);

int posix_lock(os_file *file, uint64_t offset, uint64_t size, os_lock kind);
int posix_is_locked(os_file *file, uint64_t offset, uint64_t size,
                    bool *ret_locked);
int posix_mutex_init(os *self, os_mutex *mutex);
int posix_mutex_lock(os *self, os_mutex *mutex, uint64_t timeout_ms);
void posix_mutex_consistent(os *self, os_mutex *mutex);
void posix_mutex_unlock(os *self, os_mutex *mutex);
uint64_t posix_mutex_layout(os *self);
int posix_futex_wait(os *self, uint32_t *word, uint32_t expected,
                     uint64_t timeout_ms);
void posix_futex_wake(os *self, uint32_t *word);

int posix_thread_start(os *self, os_thread_fn run, void *argument,
                       os_thread **ret_thread);
void posix_thread_join(os *self, os_thread *thread);

#endif
