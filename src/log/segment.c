/*
 * Segment files, and the way small files come into being.
 */
#include "log/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

cask_status file_fail_open(cask_error *err, int os_errno, const char *directory,
                           const char *name)
{
    const char *slash = directory == NULL ? "" : "/";

    directory = directory == NULL ? "" : directory;
    if (os_errno == EINVAL) {
        return fail(err, CASK_IO, 0,
                    "cannot open %s%s%s: it is no plain file; move it away",
                    directory, slash, name);
    }
    return fail_os(err, os_errno, "cannot open %s%s%s", directory, slash, name);
}

cask_status file_open(os_file *dir, const char *name, uint32_t flags,
                      os_file **ret_file, os_stat *ret_stat, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    os_file *file;
    int os_errno = ops->open(dir, name, flags, 0, &file);

    if (os_errno != 0) {
        return file_fail_open(err, os_errno, NULL, name);
    }
    os_errno = ops->stat(file, ret_stat);
    if (os_errno != 0) {
        ops->close(file);
        return fail_os(err, os_errno, "cannot examine %s", name);
    }
    *ret_file = file;
    return CASK_OK;
}

bool file_is_regular(os_file *dir, const char *name)
{
    os_stat stat;

    return dir->os->ops->stat_name(dir, name, &stat) == 0 &&
           stat.kind == OS_REGULAR;
}

enum { ASIDE_NAME_SIZE = 64 };

static void aside_of(const char *name, char aside[ASIDE_NAME_SIZE])
{
    (void)snprintf(aside, ASIDE_NAME_SIZE, "%s.new", name);
}

cask_status file_prepare(os_file *dir, const char *name, const void *data,
                         size_t size, uint32_t mode, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    const os_span span = {data, size};
    const char *step = "write";
    os_file *file = NULL;
    char aside[ASIDE_NAME_SIZE];
    int os_errno;

    aside_of(name, aside);
    (void)ops->remove(dir, aside);
    os_errno =
        ops->open(dir, aside, OS_WRITE | OS_CREATE | OS_EXCL, mode, &file);
    if (os_errno != 0) {
        return fail_new_file(err, os_errno, aside,
                             "move what is in its place away");
    }
    os_errno = ops->write_at(file, &span, 1, 0);
    if (os_errno == 0) {
        step = "sync";
        os_errno = ops->sync(file);
    }
    ops->close(file);
    if (os_errno != 0) {
        /* Best effort: recovery also deletes every "*.new" it meets. */
        (void)ops->remove(dir, aside);
        return fail_os(err, os_errno, "cannot %s %s", step, aside);
    }
    return CASK_OK;
}

cask_status file_replace(os_file *dir, const char *name, cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    const char *step = "rename";
    char aside[ASIDE_NAME_SIZE];
    int os_errno;

    aside_of(name, aside);
    os_errno = ops->rename(dir, aside, name);
    if (os_errno == 0) {
        step = "sync the directory of";
        os_errno = ops->sync_dir(dir);
    }
    if (os_errno != 0) {
        (void)ops->remove(dir, aside);
        return fail_os(err, os_errno, "cannot %s %s", step, aside);
    }
    return CASK_OK;
}

cask_status file_publish(os_file *dir, const char *name, const void *data,
                         size_t size, uint32_t mode, cask_error *err)
{
    cask_status status = file_prepare(dir, name, data, size, mode, err);

    return status == CASK_OK ? file_replace(dir, name, err) : status;
}

cask_status segment_create(os_file *dir, const segment_header *header,
                           uint64_t capacity, uint32_t mode, os_file **ret_file,
                           cask_error *err)
{
    const os_ops *ops = dir->os->ops;
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    const os_span span = {bytes, sizeof(bytes)};
    char name[SEGMENT_NAME_SIZE];
    const char *step = "create";
    os_file *file = NULL;
    int os_errno;

    segment_name_format(header->id, name);
    segment_header_encode(header, bytes);
    os_errno = ops->open(dir, name, OS_READ | OS_WRITE | OS_CREATE | OS_EXCL,
                         mode, &file);
    if (os_errno != 0) {
        return fail_new_file(
            err, os_errno, name,
            "it was not there before: nothing else may write to "
            "this directory");
    }
    step = "allocate";
    os_errno = ops->allocate(file, 0, capacity);
    if (os_errno != 0) {
        goto fail;
    }
    step = "write";
    os_errno = ops->write_at(file, &span, 1, 0);
    if (os_errno != 0) {
        goto fail;
    }
    step = "sync";
    os_errno = ops->sync(file);
    if (os_errno != 0) {
        goto fail;
    }
    step = "sync the directory of";
    os_errno = ops->sync_dir(dir);
    if (os_errno != 0) {
        goto fail;
    }
    *ret_file = file;
    return CASK_OK;

fail:
    ops->close(file);
    (void)ops->remove(dir, name);
    if (strncmp(step, "sync", 4) == 0) {
        return fail(err, CASK_POISONED, os_errno,
                    "cannot %s %s; reopen the store", step, name);
    }
    return fail_os(err, os_errno, "cannot %s %s", step, name);
}

static cask_status check_header(os_file *file, const char *name,
                                const segment_header *expected,
                                segment_header *ret_header, cask_error *err)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header header;
    cask_status status;
    size_t got = 0;
    int os_errno = file->os->ops->read_at(file, bytes, sizeof(bytes), 0, &got);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot read %s", name);
    }
    if (got < sizeof(bytes)) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 0: header of %d bytes expected, found %zu",
                    name, SEGMENT_HEADER_SIZE, got);
    }
    status = segment_header_decode(bytes, name, &header, err);
    if (status != CASK_OK) {
        return status;
    }
    if (header.id != expected->id ||
        memcmp(header.uuid, expected->uuid, sizeof(header.uuid)) != 0) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 16: belongs to another store or file (id "
                    "%016" PRIx64 ")",
                    name, header.id);
    }
    if (expected->nonce != 0 && header.nonce != expected->nonce) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 40: nonce is %016" PRIx64
                    ", MANIFEST says %016" PRIx64,
                    name, header.nonce, expected->nonce);
    }
    if (ret_header != NULL) {
        *ret_header = header;
    }
    return CASK_OK;
}

cask_status segment_open(os_file *dir, const segment_header *expected,
                         uint32_t flags, os_file **ret_file,
                         segment_header *ret_header, os_stat *ret_stat,
                         cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    char name[SEGMENT_NAME_SIZE];
    cask_status status;
    os_file *file = NULL;

    segment_name_format(expected->id, name);
    err = err == NULL ? &local : err;
    status = file_open(dir, name, flags, &file, ret_stat, err);
    if (file == NULL) {
        if (err->os_errno == ENOENT) {
            status = fail(err, CASK_CORRUPT, 0,
                          "%s: is missing, but MANIFEST lists it", name);
        }
        return status;
    }
    status = check_header(file, name, expected, ret_header, err);
    if (status != CASK_OK) {
        dir->os->ops->close(file);
        return status;
    }
    *ret_file = file;
    return CASK_OK;
}
