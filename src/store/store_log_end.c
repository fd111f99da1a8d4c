/*
 * Where the log goes on when its writer has died: in a segment of its own, with
 * copies of what was not known to be synced, or where it was.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log/segment.h"
#include "region/place.h"
#include "store/store_expiry.h"
#include "store/store_recovery.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "store/store_write.h"

/* Room that a new or moved segment has to begin with. */
enum { FIRST_CAPACITY = 1 << 20 };

/* The least, for some deletes. */
enum { LEAST_ROOM = 4096 };

/* ---- In another segment ---- */

static bool copied(store_handle *store, const scan_item *item,
                   uint64_t from_place, uint64_t to_place, uint64_t to_tail)
{
    (void)from_place;
    store_note_times(&store->region.rows[place_row(to_place)], &item->header,
                     item->expires_at_ms);
    return store->engine->apply_locked(store, store_hash_of(store, item),
                                       &item->header, item->key, to_place,
                                       to_tail);
}

void recovery_activate(store_handle *store, uint32_t row, uint64_t end)
{
    region_header *header = store->region.header;
    uint64_t capacity = atomic_load(&store->region.rows[row].capacity);

    atomic_store(&store->region.rows[row].state, ROW_ACTIVE);
    /* What was cut off the file cannot be touched. */
    atomic_store(&store->region.rows[row].reserved_tail,
                 end < capacity ? end : capacity);
    atomic_store(&header->active_row, row);
    atomic_store(&header->applied_tail, region_tail_make(row, end));
    header->commit.durable_offset = end;
}

/* Cut what was allocated behind the end of a log whose writer died; by what is
 * left of it nobody can tell the difference. Readers that look for an end at
 * this moment do not map the file, see store_bytes_load(). */
static void cut_blank(store_handle *store, const store_tail *tail)
{
    segment_header expected = store_listed_header(store, &tail->segment);
    os_file *file = NULL;
    os_stat stat;

    if (tail->is_blank && tail->bytes.size > tail->end &&
        segment_open(store->dir, &expected, OS_READ | OS_WRITE, &file, NULL,
                     &stat, NULL) == CASK_OK) {
        (void)store->os->ops->truncate(file, tail->end);
        store->os->ops->close(file);
    }
}

/* What writers had allocated and not used when they died. */
static void cut_all_blank(const recovery *r)
{
    for (size_t i = 0; i < r->listed; i++) {
        if (r->tails[i].file != NULL && !r->tails[i].segment.sealed) {
            cut_blank(r->store, &r->tails[i]);
        }
    }
}

/*
 * Create the segment that the log goes on in. On a full disk it is made as
 * small as deletes can do with, and hints go for it, and then what is kept
 * behind MANIFEST: who cannot write cannot delete either.
 */
static cask_status create_segment(recovery *r, const store_tail *from,
                                  row_plan *plan, uint32_t *ret_row,
                                  cask_error *err)
{
    store_handle *store = r->store;
    uint64_t least = SEGMENT_HEADER_SIZE + LEAST_ROOM +
                     (from == NULL ? 0 : from->end - from->trusted_end);
    uint64_t modest = least + store_delete_reserve(store);
    cask_status status = CASK_OK;

    if (plan->capacity <= store_spare_bytes(store)) {
        status = store_create_row(store, plan, ret_row, err);
    } else {
        status = store_fail_low(store, plan->capacity, err);
    }
    if (status == CASK_NO_SPACE && store_is_disk_full(err)) {
        plan->capacity = modest < plan->capacity ? modest : plan->capacity;
        status = store_create_row(store, plan, ret_row, err);
    }
    while (status == CASK_NO_SPACE && store_is_disk_full(err)) {
        if (!store_give_up_hint(store)) {
            if (plan->capacity <= least &&
                !manifest_give_up_spare(store->dir)) {
                break;
            }
            plan->capacity = least;
        }
        status = store_create_row(store, plan, ret_row, err);
    }
    if (status == CASK_OK) {
        r->made = atomic_load(&store->region.rows[*ret_row].file_id);
    }
    return status;
}

cask_status recovery_begin(recovery *r, const store_tail *from,
                           const manifest_segment *source, cask_error *err)
{
    store_handle *store = r->store;
    store_copy copy = {.from = r->rows - 1, .copied = copied};
    segment_header expected;
    manifest_segment segment;
    uint64_t end = SEGMENT_HEADER_SIZE;
    uint64_t most = store_segment_max_bytes(store);
    row_plan plan = {
        .kind = SEGMENT_LOG, .state = ROW_PREPARED, .capacity = FIRST_CAPACITY};
    cask_status status;
    os_stat stat;

    if (plan.capacity > most) {
        plan.capacity = most;
    }
    if (from != NULL) {
        plan.capacity += from->end - from->trusted_end;
        plan.born = from->last_sequence + 1;
    }
    cut_all_blank(r);
    status = create_segment(r, from, &plan, &copy.to, err);
    if (status != CASK_OK) {
        return status;
    }
    expected = store_row_header(store, &store->region.rows[copy.to]);
    if (from != NULL) {
        status = segment_open(store->dir, &expected, OS_READ | OS_WRITE,
                              &copy.file, NULL, &stat, err);
        if (status == CASK_OK) {
            scan_begin(&copy.scan, from->bytes.data, from->end, source->nonce,
                       from->trusted_end);
            copy.scan.knows_ranges = store->engine->has_ranges;
            status = store->engine->reserve(store, from->unsynced + 1, err);
        }
        if (status == CASK_OK) {
            status = store_copy_records(store, &copy, &end, err);
        }
        store->os->ops->close(copy.file);
    }
    segment = (manifest_segment){.id = expected.id,
                                 .nonce = expected.nonce,
                                 .kind = SEGMENT_LOG,
                                 .synced = end};
    if (status == CASK_OK) {
        status = manifest_add(&r->manifest, &segment, err);
    }
    if (status == CASK_OK) {
        recovery_activate(store, copy.to, end);
        r->rows = copy.to + 1;
        r->rewrite = true;
    }

    return status;
}

/* ---- Where it was ---- */

enum { AGAIN_BYTES = 64 << 10 };

/* By way of a buffer: the bytes may be a mapping of the very pages that are
 * written. */
static int write_again(const store_tail *tail, os_file *file,
                       uint8_t buffer[AGAIN_BYTES])
{
    const os_ops *ops = file->os->ops;
    int os_errno = 0;

    for (uint64_t at = tail->trusted_end; at < tail->end && os_errno == 0;) {
        uint64_t left = tail->end - at;
        os_span span = {buffer, left < AGAIN_BYTES ? left : AGAIN_BYTES};

        memcpy(buffer, tail->bytes.data + at, span.size);
        os_errno = ops->write_at(file, &span, 1, at);
        at += span.size;
    }
    memset(buffer, 0, AGAIN_BYTES);
    for (uint64_t at = tail->end; at < tail->bytes.size && os_errno == 0;) {
        uint64_t left = tail->bytes.size - at;
        os_span span = {buffer, left < AGAIN_BYTES ? left : AGAIN_BYTES};

        if (memcmp(buffer, tail->bytes.data + at, span.size) != 0) {
            os_errno = ops->write_at(file, &span, 1, at);
        }
        at += span.size;
    }
    return os_errno == 0 ? ops->sync(file) : os_errno;
}

/* CASK_OK; CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO. */
static cask_status write_tail_again(store_handle *store, const store_tail *tail,
                                    cask_error *err)
{
    segment_header expected = store_listed_header(store, &tail->segment);
    uint8_t *buffer = malloc(AGAIN_BYTES);
    os_file *file = NULL;
    cask_status status;
    int os_errno;
    os_stat stat;

    if (buffer == NULL) {
        return fail_memory(err, AGAIN_BYTES);
    }
    status = segment_open(store->dir, &expected, OS_READ | OS_WRITE, &file,
                          NULL, &stat, err);
    if (status == CASK_OK) {
        os_errno = write_again(tail, file, buffer);
        if (os_errno != 0) {
            status = fail_os(err, os_errno,
                             "cannot write the end of %016" PRIx64 ".log again",
                             expected.id);
        }
        store->os->ops->close(file);
    }
    free(buffer);
    return status;
}

/*
 * The end of the log stays where it is, if the disk is low: a copy would take
 * room, for each death anew. What verifies is written again, for nobody knows
 * whether the kernel takes it for written that is not; then a sync says so.
 * Where that fails, or there is damage, it is moved.
 */
cask_status recovery_try_to_stay(recovery *r, manifest_segment *segment,
                                 const store_tail *tail, cask_error *err)
{
    manifest_edit synced = {.type = MANIFEST_SYNCED};
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    if (!tail->is_sound || tail->lost > 0 || !store_is_disk_low(r->store) ||
        write_tail_again(r->store, tail, NULL) != CASK_OK) {
        return CASK_OK;
    }
    err = err == NULL ? &local : err;
    synced.seal.segment_id = segment->id;
    synced.seal.length = tail->end;
    synced.seal.last_sequence = tail->last_sequence;
    status = store_edit(r->store, &synced, err);
    if (status == CASK_OK) {
        segment->synced = tail->end;
        r->stayed = true;
    }
    return status == CASK_NO_SPACE ? CASK_OK : status;
}
