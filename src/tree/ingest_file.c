/*
 * Copying a run into a store, see ingest_file.h. The copy is verified, and not
 * what it was made of, which somebody else may write.
 */
#include "tree/ingest_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment_format.h"
#include "run/run_output.h"
#include "tree/version.h"

enum { PIECE = 1 << 20 /* bytes of one read */ };

/* ---- The source ---- */

static cask_status fail_open(const ingest_source *source, int os_errno,
                             cask_error *err)
{
    switch (os_errno) {
    case ENOENT:
        return fail(err, CASK_NOT_FOUND, 0, "%s: there is no such file",
                    source->path);
    case EINVAL:
    case ELOOP:
        return fail(err, CASK_INVALID, 0,
                    "%s: is no plain file; give the path of the run itself",
                    source->path);
    default:
        return fail_os(err, os_errno, "%s: cannot open it", source->path);
    }
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static cask_status check_header(const ingest_source *source,
                                const uint8_t bytes[SEGMENT_HEADER_SIZE],
                                segment_header *ret_header, cask_error *err)
{
    cask_status status =
        segment_header_decode(bytes, source->path, ret_header, err);

    if (status != CASK_OK) {
        return status;
    }
    if (ret_header->kind == SEGMENT_VALUES) {
        return fail(err, CASK_INVALID, 0,
                    "%s: a store made it for its large values; 'caskade dump' "
                    "that store, and build a run of that",
                    source->path);
    }
    if (ret_header->kind != SEGMENT_RUN) {
        return fail(err, CASK_CORRUPT, 0,
                    "%s: offset 12: kind of segment is %d, expected %d (run)",
                    source->path, (int)ret_header->kind, SEGMENT_RUN);
    }
    if (ret_header->id != 0 ||
        !is_zero(ret_header->uuid, sizeof(ret_header->uuid))) {
        return fail(err, CASK_INVALID, 0,
                    "%s: offset 16: a store made it for itself (id %016" PRIx64
                    "), expected a run that was built for none; 'caskade dump' "
                    "that store, and build a run of that",
                    source->path, ret_header->id);
    }
    return CASK_OK;
}

static cask_status read_at(os_file *file, const ingest_source *source,
                           uint64_t offset, uint8_t *data, size_t size,
                           size_t *ret_got, cask_error *err)
{
    int os_errno = file->os->ops->read_at(file, data, size, offset, ret_got);

    return os_errno == 0 ? CASK_OK
                         : fail_os(err, os_errno,
                                   "%s: offset %" PRIu64 ": cannot read it",
                                   source->path, offset);
}

/* Open it and read its header. *ret_file: to be closed if CASK_OK. */
static cask_status open_source(const ingest_source *source, os_file **ret_file,
                               uint64_t *ret_bytes, segment_header *ret_header,
                               cask_error *err)
{
    const os_ops *ops = source->dir->os->ops;
    uint8_t head[SEGMENT_HEADER_SIZE] = {0};
    os_file *file = NULL;
    os_stat stat;
    size_t got = 0;
    cask_status status;
    int os_errno = ops->open(source->dir, source->name, OS_READ, 0, &file);

    if (os_errno != 0) {
        return fail_open(source, os_errno, err);
    }
    os_errno = ops->stat(file, &stat);
    status =
        os_errno == 0
            ? read_at(file, source, 0, head, sizeof(head), &got, err)
            : fail_os(err, os_errno, "%s: cannot examine it", source->path);
    if (status == CASK_OK && got < sizeof(head)) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%s: offset 0: a file of %zu bytes, a run has at least "
                      "%d",
                      source->path, got, SEGMENT_HEADER_SIZE);
    }
    if (status == CASK_OK) {
        status = check_header(source, head, ret_header, err);
    }
    if (status != CASK_OK) {
        ops->close(file);
        return status;
    }
    *ret_file = file;
    *ret_bytes = stat.size;
    return CASK_OK;
}

cask_status ingest_look(const ingest_source *source, uint64_t *ret_bytes,
                        cask_error *err)
{
    os_file *file = NULL;
    segment_header header;
    cask_status status = open_source(source, &file, ret_bytes, &header, err);

    if (status == CASK_OK) {
        source->dir->os->ops->close(file);
    }
    return status;
}

/* ---- The copy ---- */

typedef struct copying {
    store_handle *store;
    const ingest_source *source;
    run_progress_fn progress;
    void *context;
    run_output output;
    uint8_t *piece; /* PIECE bytes */
} copying;

/* All but the header. */
static cask_status copy_rest(copying *c, os_file *file, cask_error *err)
{
    uint64_t offset = SEGMENT_HEADER_SIZE;
    size_t got = 0;
    cask_status status;

    do {
        status = read_at(file, c->source, offset, c->piece, PIECE, &got, err);
        if (status == CASK_OK) {
            status = run_output_write(&c->output, c->piece, got, err);
        }
        if (status == CASK_OK) {
            status = c->progress(c->context, got, err);
        }
        offset += got;
    } while (status == CASK_OK && got > 0);
    return status;
}

static cask_status copy_file(copying *c, os_file *file,
                             const segment_header *header, ingest_copy *copy,
                             cask_error *err)
{
    uint8_t head[SEGMENT_HEADER_SIZE];
    cask_status status = run_output_open(&c->output, c->store->dir, copy->name,
                                         c->store->options.file_mode, err);

    if (status != CASK_OK) {
        return status;
    }
    segment_header_encode(header, head);
    status = run_output_write(&c->output, head, sizeof(head), err);
    if (status == CASK_OK) {
        status = copy_rest(c, file, err);
    }
    if (status != CASK_OK) {
        run_output_discard(&c->output);
        return status;
    }
    /* Neither name is left if this fails, as far as can be done. */
    copy->is_there = true;
    return run_output_publish(&c->output, err);
}

/* A message about the copy is about what it was made of. */
static void name_source(const copying *c, const ingest_copy *copy,
                        cask_error *err)
{
    size_t size = strlen(copy->name);
    cask_error found = *err;

    if (strncmp(found.message, copy->name, size) == 0) {
        (void)snprintf(err->message, sizeof(err->message), "%s%s",
                       c->source->path, found.message + size);
    }
}

static cask_status verify(const copying *c, const segment_header *header,
                          ingest_copy *copy, cask_error *err)
{
    const run_open_options options = {.expected = header};
    cask_status status =
        run_open(c->store->dir, copy->name, &options, &copy->run, err);

    if (status != CASK_OK) {
        copy->run = NULL;
        return status;
    }
    if (copy->run->footer.pointers > 0) {
        return fail(err, CASK_INVALID, 0,
                    "%s: offset %" PRIu64 ": %" PRIu64 " values are in runs "
                    "of values of a store, expected values in the run",
                    copy->name, copy->run->at[RUN_SECTIONS],
                    copy->run->footer.pointers);
    }
    return run_check(copy->run, c->progress, c->context, err);
}

static cask_status take_copy(copying *c, ingest_copy *copy, cask_error *err)
{
    store_handle *store = c->store;
    os_file *file = NULL;
    segment_header header;
    uint64_t bytes;
    cask_status status = version_new_run(store, &copy->id, copy->name, err);

    if (status == CASK_OK) {
        status = open_source(c->source, &file, &bytes, &header, err);
    }
    if (file == NULL) {
        return status;
    }
    memcpy(header.uuid, store->identity.uuid, sizeof(header.uuid));
    header.id = copy->id;
    header.born = atomic_load(&store->region.header->next_sequence) - 1;
    status = copy_file(c, file, &header, copy, err);
    store->os->ops->close(file);
    return status == CASK_OK ? verify(c, &header, copy, err) : status;
}

cask_status ingest_take_copy(store_handle *store, const ingest_source *source,
                             run_progress_fn progress, void *context,
                             ingest_copy *copy, cask_error *err)
{
    copying c = {.store = store,
                 .source = source,
                 .progress = progress,
                 .context = context,
                 .piece = malloc(PIECE)};
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    status =
        c.piece == NULL ? fail_memory(err, PIECE) : take_copy(&c, copy, err);
    if (status != CASK_OK && copy->id != 0) {
        name_source(&c, copy, err);
    }
    free(c.piece);
    return status;
}

void ingest_end_copy(store_handle *store, ingest_copy *copy, bool keep)
{
    run_close(copy->run);
    copy->run = NULL;
    if (copy->is_there && !keep) {
        (void)store->os->ops->remove(store->dir, copy->name);
    }
    copy->is_there = false;
}
