/*
 * Segments mapped for reading. A mapping is made when a place first leads to
 * its segment, published by one pointer, and stays until the handle is closed,
 * so that a reader never loses it under its hands. Of a segment that is gone
 * the memory is given back when no view holds it; the addresses stay.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "region/place.h"
#include "store/store.h"
#include "store/store_read.h"
#include "store/store_size.h"

segment_header store_row_header(const store_handle *store,
                                const region_row *row)
{
    segment_header header = {.id = atomic_load(&row->file_id),
                             .nonce = atomic_load(&row->nonce)};

    memcpy(header.uuid, store->identity.uuid, sizeof(header.uuid));
    return header;
}

segment_header store_listed_header(const store_handle *store,
                                   const manifest_segment *segment)
{
    segment_header header = {.id = segment->id, .nonce = segment->nonce};

    memcpy(header.uuid, store->identity.uuid, sizeof(header.uuid));
    return header;
}

/* Address space for a segment that still grows. */
static uint64_t map_size_of(const store_handle *store, const region_row *row)
{
    uint64_t tail = atomic_load(&row->reserved_tail);
    uint64_t size = atomic_load(&row->capacity);
    /* Once: by the next time it may be less than the tail. */
    uint64_t full =
        atomic_load(&row->state) == ROW_SEALED ? 0 : store_segment_bytes(store);

    if (size < tail) {
        size = tail;
    }
    return size < full ? full : size;
}

static cask_status make_map(store_handle *store, uint32_t index,
                            store_map **ret_map, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    const region_row *row = &store->region.rows[index];
    segment_header expected = store_row_header(store, row);
    /* Before the size of the file is asked for: files grow first. */
    uint64_t tail = atomic_load(&row->reserved_tail);
    store_map *map = calloc(1, sizeof(*map));
    os_file *file = NULL;
    void *memory = NULL;
    cask_status status;
    os_stat stat;

    if (map == NULL) {
        return fail_memory(err, sizeof(*map));
    }
    status =
        segment_open(store->dir, &expected, OS_READ, &file, NULL, &stat, err);
    if (status != CASK_OK) {
        free(map);
        return status;
    }
    map->file_id = expected.id;
    map->nonce = expected.nonce;
    map->size = map_size_of(store, row);
    status = CASK_OK;
    if (stat.size < tail) {
        /* Touching what is gone would be a SIGBUS. */
        status = fail(err, CASK_CORRUPT, 0,
                      "%016" PRIx64 ".log: %" PRIu64 " bytes, at least %" PRIu64
                      " expected",
                      map->file_id, stat.size, tail);
    } else {
        int os_errno = ops->map(file, 0, map->size, false, &memory);

        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot map %016" PRIx64 ".log",
                             map->file_id);
        }
    }
    ops->close(file);
    if (status != CASK_OK) {
        free(map);
        return status;
    }
    map->data = memory;
    *ret_map = map;
    return CASK_OK;
}

static bool covers(const store_handle *store, uint32_t row,
                   const store_map *map)
{
    return map != NULL &&
           map->size >= atomic_load(&store->region.rows[row].reserved_tail);
}

cask_status store_map_row(store_handle *store, uint32_t row,
                          store_map **ret_map, cask_error *err)
{
    cask_status status = CASK_OK;
    store_map *map = store_map_peek(store, row);
    store_map *fresh = NULL;

    if (covers(store, row, map)) {
        *ret_map = map;
        return CASK_OK;
    }
    os_mutex_enter(store->os, &store->map_mutex);
    map = store_map_peek(store, row);
    if (!covers(store, row, map)) {
        status = make_map(store, row, &fresh, err);
        if (fresh != NULL) {
            fresh->older = atomic_load(&store->maps[row]);
            atomic_store_explicit(&store->maps[row], fresh,
                                  memory_order_release);
            map = fresh;
        }
    }
    os_mutex_leave(store->os, &store->map_mutex);
    if (status == CASK_OK) {
        *ret_map = map;
    }
    return status;
}

uint32_t store_pins(const store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint32_t pins = 0;

    for (uint32_t row = 0; row < count && row < REGION_SEGMENTS; row++) {
        const store_map *map = atomic_load(&store->maps[row]);

        for (; map != NULL; map = map->older) {
            pins += atomic_load(&map->pins);
        }
    }
    return pins;
}

cask_status store_fail_record(const store_handle *store, uint64_t place,
                              const char *what, cask_error *err)
{
    return fail(err, CASK_CORRUPT, 0,
                "%016" PRIx64 ".log: offset %" PRIu64 ": %s; the value is not "
                "returned; 'caskade verify' lists the damage",
                atomic_load(&store->region.rows[place_row(place)].file_id),
                place_offset(place), what);
}

void store_unview(cask_view *view)
{
    if (view->pin != NULL) {
        atomic_fetch_sub((_Atomic uint32_t *)view->pin, 1);
    }
    free(view->owned);
    *view = (cask_view){.pin = NULL};
}

/* Not if it is lent out. A view pins first and looks at is_blank then; here it
 * is the other way round. */
static void let_go(store_handle *store, store_map *map)
{
    if (atomic_load(&map->is_blank)) {
        return;
    }
    atomic_store(&map->is_blank, true);
    if (atomic_load(&map->pins) != 0) {
        atomic_store(&map->is_blank, false);
        return;
    }
    store->os->ops->blank(store->os, (void *)(uintptr_t)map->data, map->size);
}

/* Whether a map of a row is of an earlier segment of it, and not let go of. */
static bool has_gone(const store_handle *store, uint32_t row)
{
    uint64_t id = atomic_load(&store->region.rows[row].file_id);
    const store_map *map = atomic_load(&store->maps[row]);

    while (map != NULL && (map->file_id == id || atomic_load(&map->is_blank))) {
        map = map->older;
    }
    return map != NULL;
}

/* The lock is held for one row only: the last to let go of a file waits until
 * its pages are freed, and meanwhile others may want to map another. */
static void release_row(store_handle *store, uint32_t row, uint32_t wait_ms)
{
    const os_ops *ops = store->os->ops;
    store_map *map;
    uint64_t id;

    if (!has_gone(store, row) ||
        ops->mutex_lock(store->os, &store->map_mutex, wait_ms) != 0) {
        return;
    }
    /* No later segment of the row is mapped now. */
    id = atomic_load(&store->region.rows[row].file_id);
    for (map = atomic_load(&store->maps[row]); map != NULL; map = map->older) {
        if (map->file_id != id) {
            let_go(store, map);
        }
    }
    ops->mutex_unlock(store->os, &store->map_mutex);
}

void store_release_removed(store_handle *store, bool waits)
{
    const os_ops *ops = store->os->ops;
    uint64_t removed = atomic_load(&store->region.header->removed);
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint32_t wait_ms = waits ? UINT32_MAX : 0;
    bool all;

    for (uint32_t row = 0; row < count && row < REGION_SEGMENTS; row++) {
        release_row(store, row, wait_ms);
    }
    if (ops->mutex_lock(store->os, &store->map_mutex, wait_ms) != 0) {
        return; /* whoever comes next does it */
    }
    all = store_pread_close_removed(store);
    /* Once more: one may have been mapped meanwhile, or is lent out. */
    for (uint32_t row = 0; row < count && row < REGION_SEGMENTS; row++) {
        all = all && !has_gone(store, row);
    }
    if (all) {
        atomic_store(&store->removed, removed);
    }
    ops->mutex_unlock(store->os, &store->map_mutex);
}

void store_unmap_all(store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t row = 0; row < count && row < REGION_SEGMENTS; row++) {
        store_map *map = atomic_load(&store->maps[row]);

        while (map != NULL) {
            store_map *older = map->older;

            store->os->ops->unmap(store->os, (void *)(uintptr_t)map->data,
                                  map->size);
            free(map);
            map = older;
        }
        atomic_store(&store->maps[row], NULL);
    }
}

cask_status store_bytes_load(store_handle *store, os_file *file, uint64_t size,
                             const char *name, bool may_shrink,
                             store_bytes *ret_bytes, cask_error *err)
{
    const os_ops *ops = store->os->ops;
    /* Not mapped either: what another process may cut while it is read. */
    bool by_read = store->options.io == CASK_IO_PREAD ||
                   (may_shrink && store->private_index);
    void *memory = NULL;
    size_t got = size;
    int os_errno;

    *ret_bytes = (store_bytes){NULL, 0, 0};
    if (size == 0) {
        return CASK_OK;
    }
    if (by_read) {
        os_errno = ops->map_private(store->os, size, &memory);
        if (os_errno == 0) {
            os_errno = ops->read_at(file, memory, size, 0, &got);
        }
    } else {
        os_errno = ops->map(file, 0, size, false, &memory);
    }
    if (os_errno != 0) {
        ops->unmap(store->os, memory, size);
        return fail_os(err, os_errno, "cannot read %s", name);
    }
    *ret_bytes = (store_bytes){memory, got, size};
    return CASK_OK;
}

void store_bytes_free(store_handle *store, store_bytes *bytes)
{
    if (bytes->data != NULL) {
        store->os->ops->unmap(store->os, (void *)(uintptr_t)bytes->data,
                              bytes->map_size);
    }
    *bytes = (store_bytes){NULL, 0, 0};
}
