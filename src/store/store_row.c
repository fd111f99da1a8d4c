/*
 * New rows: a segment gets an id, a file with its header, and a row of the
 * region, in this order. Whoever dies before the row leaves a file that nobody
 * names.
 */
#include <errno.h>
#include <string.h>

#include "log/segment.h"
#include "store/store.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_write.h"

enum {
    NAMES_TRIED = 1000, /* for a new segment, if files are in the way */
    IDS_RESERVED = 64   /* segment ids promised by one MANIFEST edit */
};

/* The next id for a segment file; maintenance lock held. It is taken only when
 * there is a file: on a full disk there may be any number of attempts, and
 * promises of ids would fill the MANIFEST. */
static cask_status next_id(store_handle *store, uint64_t *ret_id,
                           cask_error *err)
{
    region_header *header = store->region.header;
    uint64_t id = atomic_load(&header->next_id);
    manifest_edit next = {.type = MANIFEST_NEXT};
    cask_status status;

    if (id >= header->reserved_id) {
        /* Durable before the id names a file: an id never returns. */
        next.next.segment_id = id + IDS_RESERVED;
        next.next.sequence = atomic_load(&header->next_sequence);
        status = store_edit(store, &next, err);
        if (status != CASK_OK) {
            return status;
        }
        header->reserved_id = id + IDS_RESERVED;
    }
    *ret_id = id;
    return CASK_OK;
}

cask_status store_take_id(store_handle *store, uint64_t *ret_id,
                          cask_error *err)
{
    cask_status status = next_id(store, ret_id, err);

    if (status == CASK_OK) {
        atomic_store(&store->region.header->next_id, *ret_id + 1);
    }
    return status;
}

/* The row that has been free for longest: whoever still has a place in it looks
 * for a record that the new segment does not have. UINT32_MAX: there is none,
 * or recovery counts rows itself. */
static uint32_t longest_free(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    uint32_t found = UINT32_MAX;

    if (atomic_load(&header->state) == REGION_CREATING) {
        return found;
    }
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) == ROW_FREE &&
            atomic_load(&row->file_id) == 0 &&
            (found == UINT32_MAX ||
             row->retired_in < store->region.rows[found].retired_in)) {
            found = i;
        }
    }
    return found;
}

/* `err` must not be NULL. */
static cask_status free_row(store_handle *store, uint32_t *ret_row,
                            cask_error *err)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status;

    *ret_row = longest_free(store);
    if (*ret_row != UINT32_MAX) {
        return CASK_OK;
    }
    if (count >= REGION_SEGMENTS) {
        return fail(err, CASK_NO_SPACE, 0,
                    "%s: %d segments, the most there can be; use a larger "
                    "segment_max_bytes",
                    store->path, REGION_SEGMENTS);
    }
    *ret_row = count;
    status = region_allocate_row(&store->region, count, err);
    if (status == CASK_NO_SPACE && store->region.dir != store->dir) {
        /* Not the store's disk is full: nothing need be given up there. */
        err->os_errno = 0;
    }
    return status;
}

/* Readers with an old place may look at the row at any time. */
static void fill_row(region_row *row, const row_plan *plan,
                     const segment_header *header, uint64_t inode)
{
    row->kind = plan->kind;
    row->inode = inode;
    row->tail = SEGMENT_HEADER_SIZE;
    row->records = 0;
    row->live_bytes = 0;
    row->live_records = 0;
    row->tombstones = 0;
    row->first_sequence = 0;
    row->last_sequence = 0;
    row->damaged_bytes = 0;
    store_forget_times(row);
    row->retired_in = 0;
    atomic_store(&row->has_hint, HINT_NONE);
    atomic_store(&row->is_input, 0);
    row->kept_after = 0;
    atomic_store(&row->damage, ROW_SOUND);
    atomic_store(&row->nonce, header->nonce);
    atomic_store(&row->reserved_tail, SEGMENT_HEADER_SIZE);
    atomic_store(&row->capacity, plan->capacity);
    atomic_store(&row->state, plan->state);
    atomic_store_explicit(&row->file_id, header->id, memory_order_release);
}

/* Create the file under the next id whose name is free: something that is not
 * ours may be in the way. Sets header->id. */
static cask_status create_file(store_handle *store, segment_header *header,
                               uint64_t capacity, os_file **ret_file,
                               cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = CASK_OK;

    for (int i = 0; i < NAMES_TRIED; i++) {
        status = next_id(store, &header->id, &local);
        if (status != CASK_OK) {
            break;
        }
        status = segment_create(store->dir, header, capacity,
                                store->options.file_mode, ret_file, &local);
        /* Of one that could not be synced the name may come back. */
        if (status == CASK_OK || status == CASK_POISONED ||
            local.os_errno == EEXIST) {
            atomic_store(&store->region.header->next_id, header->id + 1);
        }
        if (status == CASK_OK || local.os_errno != EEXIST) {
            break;
        }
    }
    if (local.os_errno == EEXIST && status != CASK_OK) {
        status = fail(&local, CASK_IO, EEXIST,
                      "%s: %d names for a new segment are taken; move those "
                      "files away",
                      store->path, NAMES_TRIED);
    } else if (status == CASK_POISONED) {
        store_poison(store, local.os_errno, "a new segment or the directory");
    }
    return status == CASK_OK ? CASK_OK : fail_again(err, &local);
}

cask_status store_create_row(store_handle *store, const row_plan *plan,
                             uint32_t *ret_row, cask_error *err)
{
    segment_header header = {.kind = plan->kind, .born = plan->born};
    cask_error local = {CASK_OK, 0, ""};
    os_file *file = NULL;
    cask_status status;
    os_stat stat;
    uint32_t index = 0;

    err = err == NULL ? &local : err;
    status = free_row(store, &index, err);
    if (status != CASK_OK) {
        return status;
    }
    memcpy(header.uuid, store->identity.uuid, sizeof(header.uuid));
    if (store->os->ops->random(store->os, &header.nonce,
                               sizeof(header.nonce)) != 0) {
        return fail(err, CASK_IO, 0, "cannot get random bytes");
    }
    header.nonce |= 1; /* never 0: 0 means "any" elsewhere */
    status = create_file(store, &header, plan->capacity, &file, err);
    if (status != CASK_OK) {
        return status;
    }
    if (store->os->ops->stat(file, &stat) != 0) {
        stat.inode = 0;
    }
    store->os->ops->close(file);
    if (plan->state == ROW_PREPARED) {
        /* Before the row: whoever dies after that leaves one that is used. */
        atomic_store(&store->region.header->unlisted_row, index + 1);
    }
    fill_row(&store->region.rows[index], plan, &header, stat.inode);
    if (index >= atomic_load(&store->region.header->row_count)) {
        atomic_store(&store->region.header->row_count, index + 1);
    }
    *ret_row = index;
    return CASK_OK;
}
