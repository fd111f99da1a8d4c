/*
 * Reading by system call, for media that may fail: an error instead of a
 * signal. A few descriptors are kept open, the one least lately used is given
 * up for another segment's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "log/segment.h"
#include "store/store.h"
#include "store/store_read.h"

typedef struct open_file {
    os_file *file;
    uint64_t file_id;
    uint32_t row;
    uint64_t last_use;
    uint32_t users; /* reads under way */
} open_file;

struct store_files {
    uint64_t clock;
    uint32_t count;
    open_file slot[]; /* options.max_descriptors */
};

static bool make_table(store_handle *store)
{
    if (store->files == NULL) {
        store->files =
            calloc(1, sizeof(*store->files) +
                          store->options.max_descriptors * sizeof(open_file));
    }
    return store->files != NULL;
}

/* The slot of the file, or a free one, or the oldest that is not in use. */
static open_file *choose(store_handle *store, uint64_t file_id)
{
    struct store_files *files = store->files;
    open_file *oldest = NULL;

    for (uint32_t i = 0; i < files->count; i++) {
        open_file *slot = &files->slot[i];

        if (slot->file != NULL && slot->file_id == file_id) {
            return slot;
        }
        if (slot->users == 0 &&
            (oldest == NULL || slot->last_use < oldest->last_use)) {
            oldest = slot;
        }
    }
    if (files->count < store->options.max_descriptors) {
        return &files->slot[files->count++];
    }
    return oldest;
}

static cask_status open_slot(store_handle *store, uint32_t row, open_file *slot,
                             cask_error *err)
{
    segment_header expected = store_row_header(store, &store->region.rows[row]);
    os_stat stat;

    if (slot->file != NULL && slot->file_id == expected.id) {
        return CASK_OK;
    }
    store->os->ops->close(slot->file);
    *slot = (open_file){.file_id = expected.id, .row = row};
    return segment_open(store->dir, &expected, OS_READ, &slot->file, NULL,
                        &stat, err);
}

static cask_status borrow(store_handle *store, uint32_t row,
                          open_file **ret_slot, cask_error *err)
{
    uint64_t file_id = atomic_load(&store->region.rows[row].file_id);
    open_file *slot;
    cask_status status;

    if (!make_table(store)) {
        return fail_memory(err, sizeof(*store->files));
    }
    slot = choose(store, file_id);
    if (slot == NULL) {
        return fail(err, CASK_BUSY, 0,
                    "%s: %" PRIu32 " reads at once use all descriptors; raise "
                    "max_descriptors",
                    store->path, store->options.max_descriptors);
    }
    status = open_slot(store, row, slot, err);
    if (status == CASK_OK) {
        slot->last_use = ++store->files->clock;
        slot->users++;
        *ret_slot = slot;
    }
    return status;
}

cask_status store_pread(store_handle *store, uint32_t row, void *data,
                        size_t size, uint64_t offset, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    open_file *slot = NULL;
    cask_status status;
    size_t got = 0;
    int os_errno;

    os_mutex_enter(store->os, &store->map_mutex);
    status = borrow(store, row, &slot, err);
    os_mutex_leave(store->os, &store->map_mutex);
    if (slot == NULL) {
        return status;
    }
    os_errno = ops->read_at(slot->file, data, size, offset, &got);
    if (os_errno != 0) {
        status = fail_os(err, os_errno,
                         "cannot read %016" PRIx64 ".log at offset %" PRIu64,
                         slot->file_id, offset);
    } else if (got < size) {
        status = fail(err, CASK_CORRUPT, 0,
                      "%016" PRIx64 ".log: offset %" PRIu64
                      ": %zu bytes expected, found %zu",
                      slot->file_id, offset, size, got);
    }
    os_mutex_enter(store->os, &store->map_mutex);
    slot->users--;
    os_mutex_leave(store->os, &store->map_mutex);
    return status;
}

bool store_pread_close_removed(store_handle *store)
{
    struct store_files *files = store->files;
    bool all = true;

    for (uint32_t i = 0; files != NULL && i < files->count; i++) {
        open_file *slot = &files->slot[i];

        if (slot->file == NULL ||
            atomic_load(&store->region.rows[slot->row].file_id) ==
                slot->file_id) {
            continue;
        }
        if (slot->users > 0) {
            all = false;
            continue;
        }
        store->os->ops->close(slot->file);
        *slot = (open_file){.file = NULL};
    }
    return all;
}

void store_pread_close_all(store_handle *store)
{
    if (store->files == NULL) {
        return;
    }
    for (uint32_t i = 0; i < store->files->count; i++) {
        store->os->ops->close(store->files->slot[i].file);
    }
    free(store->files);
    store->files = NULL;
}
