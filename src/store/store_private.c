/*
 * An index of this handle's own, for whoever may only read: made from the files
 * as they are, and made anew on request.
 */
#include <stdlib.h>

#include "store/store_open.h"
#include "store/store_read.h"
#include "store/store_recover.h"

/* Attempts to see one state of a store that others change meanwhile. */
enum { PRIVATE_ATTEMPTS = 20 };

/* Every segment is mapped now: others may remove what they replace. */
static cask_status map_all(store_handle *store, cask_error *err)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;
    store_map *map;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        const region_row *row = &store->region.rows[i];

        if (atomic_load(&row->state) != ROW_FREE &&
            atomic_load(&row->reserved_tail) > SEGMENT_HEADER_SIZE) {
            status = store_map_row(store, i, &map, err);
        }
    }
    return status;
}

static cask_status try_private(store_handle *store,
                               const region_identity *identity, cask_error *err)
{
    cask_status status;

    store->region = (region_handle){.os = store->os};
    status = region_create_private(&store->region, identity, err);
    if (status == CASK_OK) {
        status = store_recover(store, err);
    }
    if (status == CASK_OK && store->options.io == CASK_IO_MAP) {
        status = map_all(store, err);
    }
    if (status == CASK_OK && store->engine->open_private != NULL) {
        status = store->engine->open_private(store, err);
    }
    if (status == CASK_OK) {
        atomic_store(&store->region.header->state, REGION_LIVE);
    } else if (store->region.header != NULL) {
        store_unmap_all(store);
        region_detach(&store->region);
    }
    return status;
}

/*
 * Who reads by system calls has no maps that would keep the files that it will
 * need. Best effort: who may not read LOCK may meet a file that is gone.
 */
static void keep_files(store_handle *store)
{
    const os_ops *ops = store->os->ops;

    if (store->options.io == CASK_IO_PREAD && store->keep_file == NULL &&
        ops->open(store->dir, LOCK_NAME, OS_READ, 0, &store->keep_file) != 0) {
        store->keep_file = NULL;
    }
    if (store->keep_file != NULL) {
        (void)ops->lock(store->keep_file, LOCK_KEEP, 1, OS_SHARED);
    }
}

/* Which MANIFEST it is, and how much of it there is. */
typedef struct version {
    uint64_t nonce;
    uint64_t tail;
} version;

/* Of one that cannot be read: {0}. */
static version version_of(const store_handle *store)
{
    manifest_state manifest;
    version found = {.nonce = 0};

    if (manifest_load(store->dir, store->identity.uuid, &manifest, NULL) ==
        CASK_OK) {
        found = (version){manifest.header.nonce, manifest.tail};
    }
    manifest_free(&manifest);
    return found;
}

static bool is_same(version a, version b)
{
    return a.nonce == b.nonce && a.tail == b.tail;
}

cask_status store_build_private(store_handle *store,
                                const region_identity *identity,
                                cask_error *err)
{
    store->private_index = true;
    keep_files(store);
    /* Somebody else may be opening, rotating, merging or closing: what looks
     * damaged is looked at again if the store has changed meanwhile. */
    for (uint32_t i = 0; i < PRIVATE_ATTEMPTS; i++) {
        version before = version_of(store);
        cask_status status = try_private(store, identity, err);

        if (status != CASK_CORRUPT || is_same(before, version_of(store))) {
            return status;
        }
        store->os->ops->sleep_ms(store->os, i);
    }
    return fail(err, CASK_TIMEOUT, 0,
                "%s: others changed the store each of %d times that it was "
                "read; try again",
                store->path, PRIVATE_ATTEMPTS);
}

/* What a private index consists of. */
typedef struct private_state {
    region_handle region;
    _Atomic(store_map *) *maps;
} private_state;

static private_state take_private(store_handle *store)
{
    return (private_state){store->region, store->maps};
}

static void put_private(store_handle *store, private_state state)
{
    store->region = state.region;
    store->maps = state.maps;
}

cask_status store_refresh(store_handle *store, cask_error *err)
{
    private_state old = take_private(store);
    private_state fresh;
    region_identity identity;
    cask_status status;

    if (!store->private_index) {
        return CASK_OK;
    }
    status = store_identify(store, &identity, err);
    if (status != CASK_OK) {
        return status;
    }
    store->maps = calloc(REGION_SEGMENTS, sizeof(*store->maps));
    if (store->maps == NULL) {
        put_private(store, old);
        return fail_memory(err, REGION_SEGMENTS * sizeof(*store->maps));
    }
    status = store_build_private(store, &identity, err);
    fresh = take_private(store);
    put_private(store, old);
    if (status != CASK_OK) {
        free(fresh.maps);
        return status;
    }
    store_unmap_all(store);
    store_pread_close_all(store);
    region_detach(&store->region);
    free(store->maps);
    put_private(store, fresh);
    return CASK_OK;
}
