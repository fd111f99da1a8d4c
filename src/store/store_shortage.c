/*
 * Hints are what a store can do without: an open reads the segment instead. But
 * the hint of a damaged segment is all that is left of what is damaged, so each
 * segment is verified before its hint goes.
 */
#include "store/store_shortage.h"

#include <errno.h>
#include <inttypes.h>

#include "log/hint_format.h"
#include "log/segment.h"
#include "store/store_walk.h"

/* Left for what makes room: a segment to delete in, MANIFEST written anew. */
enum {
    SPARE_BYTES = 4 << 20,
    SPARE_SHARE = 16, /* of a disk of less than 64 MiB a 16th */
    HINT_SHARE = 4    /* a hint is about a quarter of its segment */
};

bool store_is_disk_full(const cask_error *err)
{
    return err->status == CASK_NO_SPACE &&
           (err->os_errno == ENOSPC || err->os_errno == EDQUOT);
}

uint64_t store_free_bytes(store_handle *store)
{
    os_space space;

    return store->os->ops->space(store->dir, &space) == 0 ? space.free
                                                          : UINT64_MAX;
}

bool store_is_disk_low(store_handle *store)
{
    return store_free_bytes(store) < SPARE_BYTES;
}

uint64_t store_spare_bytes(store_handle *store)
{
    uint64_t kept = SPARE_BYTES;
    os_space space;

    if (store->os->ops->space(store->dir, &space) != 0) {
        return UINT64_MAX;
    }
    if (kept > space.total / SPARE_SHARE) {
        kept = space.total / SPARE_SHARE;
    }
    return space.free > kept ? space.free - kept : 0;
}

cask_status store_fail_low(const store_handle *store, uint64_t bytes,
                           cask_error *err)
{
    return fail(err, CASK_NO_SPACE, ENOSPC,
                "%s: nothing was written: %" PRIu64
                " bytes needed, the last of the disk is for deletes and merges",
                store->path, bytes);
}

/* About: the row counts marks, which have no place in a hint. */
static uint64_t hint_bytes(const region_row *row)
{
    return HINT_HEADER_SIZE + row->records * HINT_ROW_SIZE;
}

/* By the length, since the counters of a row that no lock holds may be becoming
 * another segment's: a hint takes less but for the smallest records. */
bool store_has_room_for_hint(store_handle *store, uint32_t row)
{
    uint64_t length = atomic_load(&store->region.rows[row].reserved_tail);

    return store_free_bytes(store) >= SPARE_BYTES + length / HINT_SHARE;
}

bool store_release_space(store_handle *store)
{
    int os_errno = store->os->ops->sync_dir(store->dir);

    if (os_errno != 0) {
        store_poison(store, os_errno, "the directory");
    }
    return os_errno == 0;
}

/* ---- Giving up hints ---- */

bool store_row_is_whole(store_handle *store, uint32_t index,
                        uint64_t *ret_records)
{
    const region_row *row = &store->region.rows[index];
    store_bytes bytes = {NULL, 0, 0};
    const uint8_t *data = NULL;
    scan_result result = SCAN_END;
    segment_scan scan = {.offset = 0};
    uint64_t records = 0;
    scan_item item;

    if (atomic_load(&row->reserved_tail) >= row->tail &&
        store_row_bytes(store, index, row->tail, &data, &bytes, NULL) ==
            CASK_OK) {
        scan_begin(&scan, data, row->tail, atomic_load(&row->nonce),
                   SEGMENT_HEADER_SIZE);
        scan.trusted_end = row->tail;
        scan.knows_ranges = store->engine->has_ranges;
        do {
            result = scan_next(&scan, &item);
            records += result == SCAN_RECORD &&
                               record_kind(&item.header) != RECORD_MARK
                           ? 1
                           : 0;
        } while (result == SCAN_RECORD);
    }
    store_bytes_free(store, &bytes);
    *ret_records = records;
    return result == SCAN_END && scan.offset == row->tail;
}

static bool has_spare_hint(const store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];

    return atomic_load(&row->state) == ROW_SEALED &&
           atomic_load(&row->has_hint) == HINT_WRITTEN &&
           atomic_load(&row->damage) == ROW_SOUND && row->damaged_bytes == 0;
}

/* Whether row `a` comes before `b`: its hint is larger. */
static bool is_before(const store_handle *store, uint32_t a, uint32_t b)
{
    uint64_t first = store->region.rows[a].records;
    uint64_t second = store->region.rows[b].records;

    return first > second || (first == second && a < b);
}

/* The row with the largest hint behind `last`, UINT32_MAX for the first;
 * UINT32_MAX: there is none. */
static uint32_t largest_behind(const store_handle *store, uint32_t last)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint32_t found = UINT32_MAX;

    for (uint32_t i = 0; i < count; i++) {
        if (has_spare_hint(store, i) &&
            (last == UINT32_MAX || is_before(store, last, i)) &&
            (found == UINT32_MAX || is_before(store, i, found))) {
            found = i;
        }
    }
    return found;
}

static bool remove_hint(store_handle *store, uint32_t index)
{
    region_row *row = &store->region.rows[index];
    char name[SEGMENT_NAME_SIZE];
    uint32_t is_there = HINT_WRITTEN;

    /* First the number: whoever dies in between leaves a file that is replaced
     * when the hint is written again. */
    if (!atomic_compare_exchange_strong(&row->has_hint, &is_there, HINT_NONE)) {
        return false;
    }
    hint_name_format(atomic_load(&row->file_id), name);
    if (store->os->ops->remove(store->dir, name) != 0) {
        return false;
    }
    return store_release_space(store);
}

bool store_give_up_hint(store_handle *store)
{
    uint32_t row = largest_behind(store, UINT32_MAX);
    uint64_t records;

    while (row != UINT32_MAX) {
        uint32_t next = largest_behind(store, row);

        if (store_row_is_whole(store, row, &records) &&
            remove_hint(store, row)) {
            return true;
        }
        row = next;
    }
    return false;
}

bool store_makes_room(store_handle *store, cask_status status,
                      const cask_error *err)
{
    return status == CASK_NO_SPACE && store_is_disk_full(err) &&
           store_give_up_hint(store);
}

/* ---- What is kept behind MANIFEST ---- */

bool store_give_up_spare(store_handle *store)
{
    bool is_given;

    if (store_maintain_begin(store, NULL) != CASK_OK) {
        return false;
    }
    is_given = manifest_give_up_spare(store->dir);
    store_maintain_end(store);
    return is_given;
}

void store_keep_spare(store_handle *store)
{
    if (store_is_disk_low(store) &&
        store_maintain_begin(store, NULL) == CASK_OK) {
        manifest_keep_spare(store->dir);
        store_maintain_end(store);
    }
}

uint64_t store_hint_bytes(const store_handle *store)
{
    uint32_t count = atomic_load(&store->region.header->row_count);
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes +=
            has_spare_hint(store, i) ? hint_bytes(&store->region.rows[i]) : 0;
    }
    return bytes;
}
