/*
 * What the two halves of os_fault share. Every function forwards to the
 * wrapped os and has the contract of the os.h member of the same name.
 */
#ifndef CASKADE_OS_FAULT_INTERNAL_H
#define CASKADE_OS_FAULT_INTERNAL_H

#include "os/os_fault.h"

typedef struct fault_file {
    os_file base;
    os_file *inner; /* owned */
} fault_file;

/* Count one call; the errno value with which it shall fail, or 0. */
int fault_take(os *self, os_call call);
os_fault_plan fault_plan(os_fault *fault);

/* Make an os_file around `inner`, which is taken: closed on failure. */
int fault_file_wrap(os *self, os_file *inner, os_file **ret_file);

int fault_list(os_file *dir, os_list_fn visit, void *context);
int fault_space(os_file *dir, os_space *ret_space);
void fault_dir_path(os_file *dir, char *ret_path, size_t size);
int fault_sync_dir(os_file *dir);
int fault_stat_name(os_file *dir, const char *name, os_stat *ret_stat);
int fault_remove(os_file *dir, const char *name);
int fault_rename(os_file *dir, const char *from, const char *to);
int fault_link(os_file *dir, const char *name, os_file *to_dir,
               const char *to_name);
int fault_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
               os_file **ret_file);
void fault_close(os_file *file);
int fault_stat(os_file *file, os_stat *ret_stat);
int fault_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                  size_t *ret_read);
int fault_write_at(os_file *file, const os_span *spans, size_t count,
                   uint64_t offset);
int fault_allocate(os_file *file, uint64_t offset, uint64_t size);
int fault_reserve(os_file *file, uint64_t offset, uint64_t size);
int fault_truncate(os_file *file, uint64_t size);
int fault_sync(os_file *file);
void fault_flush_hint(os_file *file, uint64_t offset, uint64_t size);
int fault_map(os_file *file, uint64_t offset, size_t size, bool write,
              void **ret_memory);
int fault_lock(os_file *file, uint64_t offset, uint64_t size, os_lock kind);
int fault_is_locked(os_file *file, uint64_t offset, uint64_t size,
                    bool *ret_locked);

#endif
