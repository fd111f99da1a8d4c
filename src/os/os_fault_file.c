/*
 * os_fault: the calls that take a file or a directory.
 */
#include "os/os_fault_internal.h"

#include <errno.h>
#include <stdlib.h>

static os_file *inner_of(os_file *file)
{
    return ((fault_file *)file)->inner;
}

static const os_ops *ops_of(os_file *file)
{
    return inner_of(file)->os->ops;
}

int fault_file_wrap(os *self, os_file *inner, os_file **ret_file)
{
    fault_file *file = malloc(sizeof(*file));

    if (file == NULL) {
        inner->os->ops->close(inner);
        return ENOMEM;
    }
    file->base.os = self;
    file->inner = inner;
    *ret_file = &file->base;
    return 0;
}

/* --- directories ------------------------------------------------------- */

int fault_list(os_file *dir, os_list_fn visit, void *context)
{
    int error = fault_take(dir->os, OS_CALL_LIST);

    return error != 0 ? error
                      : ops_of(dir)->list(inner_of(dir), visit, context);
}

int fault_space(os_file *dir, os_space *ret_space)
{
    int error = fault_take(dir->os, OS_CALL_SPACE);

    return error != 0 ? error : ops_of(dir)->space(inner_of(dir), ret_space);
}

void fault_dir_path(os_file *dir, char *ret_path, size_t size)
{
    ops_of(dir)->dir_path(inner_of(dir), ret_path, size);
}

int fault_sync_dir(os_file *dir)
{
    int error = fault_take(dir->os, OS_CALL_SYNC_DIR);

    return error != 0 ? error : ops_of(dir)->sync_dir(inner_of(dir));
}

int fault_stat_name(os_file *dir, const char *name, os_stat *ret_stat)
{
    int error = fault_take(dir->os, OS_CALL_STAT_NAME);

    return error != 0 ? error
                      : ops_of(dir)->stat_name(inner_of(dir), name, ret_stat);
}

int fault_remove(os_file *dir, const char *name)
{
    int error = fault_take(dir->os, OS_CALL_REMOVE);

    return error != 0 ? error : ops_of(dir)->remove(inner_of(dir), name);
}

int fault_rename(os_file *dir, const char *from, const char *to)
{
    int error = fault_take(dir->os, OS_CALL_RENAME);

    return error != 0 ? error : ops_of(dir)->rename(inner_of(dir), from, to);
}

int fault_link(os_file *dir, const char *name, os_file *to_dir,
               const char *to_name)
{
    int error = fault_take(dir->os, OS_CALL_LINK);

    return error != 0 ? error
                      : ops_of(dir)->link(inner_of(dir), name, inner_of(to_dir),
                                          to_name);
}

/* --- files ---------------------------------------------------------------- */

int fault_open(os_file *dir, const char *name, uint32_t flags, uint32_t mode,
               os_file **ret_file)
{
    os_file *file = NULL;
    int error = fault_take(dir->os, OS_CALL_OPEN);

    if (error == 0) {
        error = ops_of(dir)->open(inner_of(dir), name, flags, mode, &file);
    }
    return error != 0 ? error : fault_file_wrap(dir->os, file, ret_file);
}

void fault_close(os_file *file)
{
    if (file == NULL) {
        return;
    }
    ops_of(file)->close(inner_of(file));
    free(file);
}

int fault_stat(os_file *file, os_stat *ret_stat)
{
    int error = fault_take(file->os, OS_CALL_STAT);

    return error != 0 ? error : ops_of(file)->stat(inner_of(file), ret_stat);
}

int fault_read_at(os_file *file, void *data, size_t size, uint64_t offset,
                  size_t *ret_read)
{
    int error = fault_take(file->os, OS_CALL_READ_AT);

    if (error != 0) {
        return error;
    }
    return ops_of(file)->read_at(inner_of(file), data, size, offset, ret_read);
}

/* Write the first half of the bytes, as a disk does that fills up midway. */
static void write_half(os_file *file, const os_span *spans, size_t count,
                       uint64_t offset)
{
    os_span half[OS_SPANS];
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        left += spans[i].size;
    }
    left /= 2;
    for (size_t i = 0; i < count; i++) {
        half[i] = spans[i];
        if (half[i].size > left) {
            half[i].size = left;
        }
        left -= half[i].size;
    }
    (void)ops_of(file)->write_at(inner_of(file), half, count, offset);
}

int fault_write_at(os_file *file, const os_span *spans, size_t count,
                   uint64_t offset)
{
    os_fault *fault = (os_fault *)file->os;
    int error = fault_take(file->os, OS_CALL_WRITE_AT);

    if (error == 0) {
        return ops_of(file)->write_at(inner_of(file), spans, count, offset);
    }
    if (fault_plan(fault).short_write && count <= OS_SPANS) {
        write_half(file, spans, count, offset);
    }
    return error;
}

int fault_allocate(os_file *file, uint64_t offset, uint64_t size)
{
    int error = fault_take(file->os, OS_CALL_ALLOCATE);

    return error != 0 ? error
                      : ops_of(file)->allocate(inner_of(file), offset, size);
}

int fault_reserve(os_file *file, uint64_t offset, uint64_t size)
{
    int error = fault_take(file->os, OS_CALL_RESERVE);

    return error != 0 ? error
                      : ops_of(file)->reserve(inner_of(file), offset, size);
}

int fault_truncate(os_file *file, uint64_t size)
{
    int error = fault_take(file->os, OS_CALL_TRUNCATE);

    return error != 0 ? error : ops_of(file)->truncate(inner_of(file), size);
}

int fault_sync(os_file *file)
{
    int error = fault_take(file->os, OS_CALL_SYNC);

    return error != 0 ? error : ops_of(file)->sync(inner_of(file));
}

void fault_flush_hint(os_file *file, uint64_t offset, uint64_t size)
{
    ops_of(file)->flush_hint(inner_of(file), offset, size);
}

int fault_map(os_file *file, uint64_t offset, size_t size, bool write,
              void **ret_memory)
{
    int error = fault_take(file->os, OS_CALL_MAP);

    if (error != 0) {
        return error;
    }
    return ops_of(file)->map(inner_of(file), offset, size, write, ret_memory);
}

int fault_lock(os_file *file, uint64_t offset, uint64_t size, os_lock kind)
{
    int error = 0;

    if (kind != OS_UNLOCK) { /* unlocking a whole range cannot fail */
        error = fault_take(file->os, OS_CALL_LOCK);
    }
    return error != 0 ? error
                      : ops_of(file)->lock(inner_of(file), offset, size, kind);
}

int fault_is_locked(os_file *file, uint64_t offset, uint64_t size,
                    bool *ret_locked)
{
    int error = fault_take(file->os, OS_CALL_IS_LOCKED);

    if (error != 0) {
        return error;
    }
    return ops_of(file)->is_locked(inner_of(file), offset, size, ret_locked);
}
