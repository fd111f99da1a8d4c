/*
 * Writing a file aside, see run_output.h.
 *
 * The lock on the file tells a writer that lives from one that died. It belongs
 * to the file and not to the name, so whoever has got it looks whether the name
 * still leads there: the writer before may have completed its file in between.
 */
#include "run/run_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCK_BYTE = 0, LOCK_SIZE = 1 };

/* 0, or an errno value; EAGAIN: another one has it; ESTALE: it went. */
static int lock_aside(run_output *output)
{
    const os_ops *ops = output->dir->os->ops;
    os_stat named;
    os_stat opened;
    int os_errno = ops->lock(output->file, LOCK_BYTE, LOCK_SIZE, OS_EXCLUSIVE);

    if (os_errno == 0) {
        os_errno = ops->stat(output->file, &opened);
    }
    if (os_errno == 0) {
        os_errno = ops->stat_name(output->dir, output->aside, &named);
        os_errno = os_errno == ENOENT ? ESTALE : os_errno;
    }
    if (os_errno != 0) {
        return os_errno;
    }
    return named.inode == opened.inode && named.device == opened.device
               ? 0
               : ESTALE;
}

/*
 * Make and lock the file aside. As lock_aside(). What is there already, and no
 * writer has locked, is removed, which takes another turn: made anew, the file
 * has the mode that is asked for, and nobody who could read the old one has it
 * open.
 */
static int open_once(run_output *output, uint32_t mode)
{
    const uint32_t flags = OS_READ | OS_WRITE;
    const os_ops *ops = output->dir->os->ops;
    int os_errno = ops->open(output->dir, output->aside,
                             flags | OS_CREATE | OS_EXCL, mode, &output->file);
    bool is_new = os_errno == 0;

    if (os_errno == EEXIST) {
        os_errno =
            ops->open(output->dir, output->aside, flags, 0, &output->file);
        os_errno = os_errno == ENOENT ? ESTALE : os_errno;
    }
    if (os_errno != 0) {
        output->file = NULL;
        return os_errno;
    }
    os_errno = lock_aside(output);
    if (os_errno == 0 && !is_new) {
        os_errno = ops->remove(output->dir, output->aside);
        os_errno = os_errno == 0 || os_errno == ENOENT ? ESTALE : os_errno;
    }
    if (os_errno != 0) {
        if (is_new && os_errno != EAGAIN && os_errno != ESTALE) {
            (void)ops->remove(output->dir, output->aside);
        }
        ops->close(output->file);
        output->file = NULL;
    }
    return os_errno;
}

static int open_aside(run_output *output, uint32_t mode)
{
    int os_errno;

    do {
        os_errno = open_once(output, mode);
    } while (os_errno == ESTALE);
    return os_errno;
}

/* CASK_OK if there is no such file. */
static cask_status check_absent(const run_output *output, cask_error *err)
{
    os_stat stat;
    int os_errno =
        output->dir->os->ops->stat_name(output->dir, output->name, &stat);

    if (os_errno == ENOENT) {
        return CASK_OK;
    }
    if (os_errno != 0) {
        return fail_os(err, os_errno, "%s: cannot look for it", output->name);
    }
    return fail(err, CASK_INVALID, 0,
                "%s: exists already; give another name, or remove it",
                output->name);
}

static cask_status fail_create(const run_output *output, int os_errno,
                               cask_error *err)
{
    switch (os_errno) {
    case EAGAIN:
        return fail(err, CASK_BUSY, 0,
                    "%s: another writer is writing it; wait for it",
                    output->aside);
    case EINVAL:
        return fail(err, CASK_IO, 0,
                    "cannot create %s: what is there is no plain file; move it "
                    "away",
                    output->aside);
    default:
        return fail_os(err, os_errno, "cannot create %s", output->aside);
    }
}

cask_status run_output_open(run_output *output, os_file *dir, const char *name,
                            uint32_t mode, cask_error *err)
{
    cask_status status;
    int os_errno;

    *output = (run_output){.dir = dir};
    if (strlen(name) + strlen(".new") >= RUN_OUTPUT_NAME) {
        return fail(err, CASK_INVALID, 0,
                    "%.64s...: the name is too long; give one of at most %d "
                    "bytes",
                    name, RUN_OUTPUT_NAME - 5);
    }
    (void)snprintf(output->name, sizeof(output->name), "%s", name);
    (void)snprintf(output->aside, sizeof(output->aside), "%s.new", name);
    status = check_absent(output, err);
    if (status != CASK_OK) {
        return status;
    }
    output->buffer = malloc(RUN_OUTPUT_PIECE);
    if (output->buffer == NULL) {
        return fail_memory(err, RUN_OUTPUT_PIECE);
    }
    os_errno = open_aside(output, mode);
    if (os_errno != 0) {
        run_output_discard(output);
        return fail_create(output, os_errno, err);
    }
    return CASK_OK;
}

static cask_status flush(run_output *output, cask_error *err)
{
    const os_ops *ops = output->dir->os->ops;
    const os_span span = {output->buffer, output->used};
    int os_errno = ops->write_at(output->file, &span, 1, output->written);

    if (os_errno != 0) {
        return fail_os(err, os_errno, "cannot write %s: offset %" PRIu64,
                       output->aside, output->written);
    }
    /* So that the sync at the end finds little to do. */
    ops->flush_hint(output->file, output->written, output->used);
    output->written += output->used;
    output->used = 0;
    return CASK_OK;
}

cask_status run_output_write(run_output *output, const void *data, size_t size,
                             cask_error *err)
{
    const uint8_t *from = data;
    cask_status status = CASK_OK;

    while (size > 0 && status == CASK_OK) {
        size_t room = RUN_OUTPUT_PIECE - output->used;
        size_t part = size < room ? size : room;

        memcpy(output->buffer + output->used, from, part);
        output->used += part;
        from += part;
        size -= part;
        if (output->used == RUN_OUTPUT_PIECE) {
            status = flush(output, err);
        }
    }
    return status;
}

cask_status run_output_align(run_output *output, size_t alignment,
                             cask_error *err)
{
    static const uint8_t zeros[64];
    size_t over = (size_t)(run_output_size(output) % alignment);

    return over == 0 ? CASK_OK
                     : run_output_write(output, zeros, alignment - over, err);
}

static void close_output(run_output *output)
{
    if (output->file != NULL) {
        output->dir->os->ops->close(output->file);
    }
    free(output->buffer);
    output->file = NULL;
    output->buffer = NULL;
}

cask_status run_output_publish(run_output *output, cask_error *err)
{
    const os_ops *ops = output->dir->os->ops;
    const char *step = "sync";
    cask_status status = output->used > 0 ? flush(output, err) : CASK_OK;
    int os_errno;

    if (status == CASK_OK) {
        status = check_absent(output, err);
    }
    if (status != CASK_OK) {
        run_output_discard(output);
        return status;
    }
    os_errno = ops->sync(output->file);
    if (os_errno == 0) {
        step = "rename";
        os_errno = ops->rename(output->dir, output->aside, output->name);
    }
    if (os_errno != 0) {
        status = fail_os(err, os_errno, "cannot %s %s", step, output->aside);
        run_output_discard(output);
        return status;
    }
    os_errno = ops->sync_dir(output->dir);
    if (os_errno != 0) {
        status = fail_os(err, os_errno, "%s: cannot sync its directory",
                         output->name);
        (void)ops->remove(output->dir, output->name);
    }
    close_output(output);
    return status;
}

void run_output_discard(run_output *output)
{
    if (output->file != NULL) {
        /* Best effort: the next writer of this name removes it. Before the
         * lock goes with the file: then the name may be another's. */
        (void)output->dir->os->ops->remove(output->dir, output->aside);
    }
    close_output(output);
}
