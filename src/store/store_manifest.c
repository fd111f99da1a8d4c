/*
 * The MANIFEST of a store that is open: edits are appended; now and then it is
 * written anew, without those that say nothing any more.
 */
#include "store/store.h"
#include "store/store_shortage.h"
#include "store/store_write.h"

/* A MANIFEST with so many edits more than it needs is written anew; on a disk
 * that is low with fewer. */
enum { EDITS_SPARE = 1024, EDITS_SPARE_LOW = 64 };

/* Whoever wrote it anew may have died before it noted its length. */
static cask_status know_tail(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    manifest_state manifest = {.count = 0};
    cask_status status = CASK_OK;

    if (header->manifest_tail == 0) {
        status =
            manifest_load(store->dir, store->identity.uuid, &manifest, err);
        if (status == CASK_OK) {
            header->manifest_number = manifest.number;
            header->manifest_tail = manifest.tail;
        }
        manifest_free(&manifest);
    }
    return status;
}

cask_status store_edit(store_handle *store, manifest_edit *edit,
                       cask_error *err)
{
    region_header *header = store->region.header;
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    status = know_tail(store, err);
    if (status == CASK_OK) {
        status = manifest_append(store->dir, &header->manifest_tail,
                                 &header->manifest_number, edit, err);
    }
    if (status == CASK_POISONED) {
        store_poison(store, err->os_errno, MANIFEST_NAME);
    }
    return status;
}

cask_status store_edit_runs(store_handle *store, const manifest_change *change,
                            cask_error *err)
{
    region_header *header = store->region.header;
    cask_error local = {CASK_OK, 0, ""};
    uint64_t tail;
    cask_status status;

    err = err == NULL ? &local : err;
    status = know_tail(store, err);
    if (status != CASK_OK) {
        return status;
    }
    /* Should this process die now, whoever appends next finds out how much of
     * it is there: all of it counts then, and it must not overwrite a part. */
    tail = header->manifest_tail;
    header->manifest_tail = 0;
    status = manifest_append_runs(store->dir, &tail, &header->manifest_number,
                                  change, err);
    if (status == CASK_POISONED) {
        store_poison(store, err->os_errno, MANIFEST_NAME);
    } else {
        header->manifest_tail = tail;
    }
    return status;
}

/* That were ever part of the tree. */
static uint64_t bytes_of_runs(const manifest_state *manifest)
{
    uint64_t bytes = manifest->header.past_merge_bytes;

    for (size_t i = 0; i < manifest->run_count; i++) {
        bytes += manifest->runs[i].bytes;
    }
    return bytes;
}

void store_publish_runs(store_handle *store, const manifest_state *manifest)
{
    region_tree *tree = &store->region.header->tree;

    atomic_store_explicit(&tree->flushed, manifest->flushed,
                          memory_order_release);
    atomic_store(&tree->run_bytes, bytes_of_runs(manifest));
    atomic_store_explicit(&tree->version, manifest->version,
                          memory_order_release);
}

/* Whether the MANIFEST is still the one with this nonce. */
static bool is_unchanged(store_handle *store, uint64_t nonce)
{
    manifest_state manifest;
    bool same = manifest_load(store->dir, store->identity.uuid, &manifest,
                              NULL) == CASK_OK &&
                manifest.header.nonce == nonce;

    manifest_free(&manifest);
    return same;
}

cask_status store_rewrite_manifest(store_handle *store,
                                   manifest_state *manifest, cask_error *err)
{
    region_header *header = store->region.header;
    uint64_t nonce = manifest->header.nonce;
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    header->manifest_tail = 0; /* unknown, should this process die now */
    status =
        manifest_rewrite(store->dir, manifest, store->options.file_mode, err);
    if (status == CASK_OK) {
        header->manifest_number = manifest->number;
        header->manifest_tail = manifest->tail;
    } else if (is_unchanged(store, nonce)) {
        manifest->header.nonce = nonce; /* it may be tried once more */
    } else {
        /* Its name is there and may not be durable. */
        store_poison(store, err->os_errno, MANIFEST_NAME);
        status = fail(err, CASK_POISONED, 0,
                      "cannot sync the directory after " MANIFEST_NAME
                      " was replaced; reopen the store");
    }
    return status;
}

bool store_manifest_is_long(store_handle *store, uint64_t edits,
                            uint64_t segments, uint64_t spare)
{
    return edits > (store_is_disk_low(store) ? 2 * segments + EDITS_SPARE_LOW
                                             : 4 * segments + spare);
}

cask_status store_shorten_manifest(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;
    manifest_state manifest;
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = know_tail(store, err);

    if (status != CASK_OK ||
        !store_manifest_is_long(store, header->manifest_number,
                                atomic_load(&header->row_count), EDITS_SPARE)) {
        return status;
    }
    err = err == NULL ? &local : err;
    status = manifest_load(store->dir, store->identity.uuid, &manifest, err);
    if (status == CASK_OK &&
        store_manifest_is_long(store, manifest.number,
                               manifest.count + manifest.run_count +
                                   2 * manifest.lost_count,
                               EDITS_SPARE)) {
        manifest.next_sequence = atomic_load(&header->next_sequence);
        status = store_rewrite_manifest(store, &manifest, err);
    }
    manifest_free(&manifest);
    /* There is another time. */
    return status == CASK_NO_SPACE && store_is_disk_full(err) ? CASK_OK
                                                              : status;
}
