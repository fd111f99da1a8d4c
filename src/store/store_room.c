/*
 * Room for records: the active segment grows by steps, and when it is full the
 * next one takes over. All system calls happen before the write lock is taken,
 * but one: the last sync of a full segment, of at most what was written since
 * the sync before, because its successor may take no record before it.
 */
#include <inttypes.h>

#include "log/segment.h"
#include "region/place.h"
#include "store/store.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "store/store_size.h"
#include "store/store_write.h"

enum {
    GROW_FIRST = 1 << 20, /* bytes; then as much again, up to GROW_MOST */
    GROW_MOST = 64 << 20,
    GROW_WHOLE = 16 << 20, /* the next segment, if it is as small as that */
    SYNC_AHEAD = 4 << 20,  /* rotate when less than this is unsynced ... */
    SYNC_ROUNDS = 4        /* ... or after so many syncs */
};

/* ---- Growth ---- */

/* Before anything is taken of the disk: what an open may need to give space
 * back comes before deletes, too, which are what must find room. */
static void keep_spare(store_handle *store, bool must)
{
    if (must && store_is_disk_low(store)) {
        manifest_keep_spare(store->dir);
    }
}

/* By how much a segment grows that has `capacity`: `least`, or more if the disk
 * has it to spare. Deletes may have what is kept for them; others have not. */
static cask_status growth(store_handle *store, uint64_t capacity,
                          uint64_t least, bool must, uint64_t *ret_bytes,
                          cask_error *err)
{
    uint64_t step = capacity < GROW_FIRST ? GROW_FIRST : capacity;
    uint64_t most = store_segment_bytes(store);
    uint64_t spare;

    keep_spare(store, must);
    spare = store_spare_bytes(store);
    if (least > spare && !must) {
        return store_fail_low(store, least, err);
    }
    if (must && spare < store_delete_reserve(store)) {
        spare = store_delete_reserve(store);
    }
    most = most > capacity ? most - capacity : 0;
    step = step < GROW_MOST ? step : GROW_MOST;
    step = step < most ? step : most;
    step = step < spare ? step : spare;
    *ret_bytes = step > least ? step : least;
    return CASK_OK;
}

/* Allocate more of the active or the next segment; maintenance lock held, so
 * that it is not sealed meanwhile. */
static cask_status grow(store_handle *store, region_row *row, uint64_t needed,
                        bool must, cask_error *err)
{
    segment_header expected = store_row_header(store, row);
    uint64_t capacity = atomic_load(&row->capacity);
    uint64_t wanted = 0;
    cask_status status;
    os_file *file;
    os_stat stat;
    int os_errno;

    if (needed <= capacity) {
        return CASK_OK;
    }
    status = growth(store, capacity, needed - capacity, must, &wanted, err);
    if (status != CASK_OK) {
        return status;
    }
    wanted += capacity;
    status = segment_open(store->dir, &expected, OS_READ | OS_WRITE, &file,
                          NULL, &stat, err);
    if (status != CASK_OK) {
        return status;
    }
    os_errno = store->os->ops->allocate(file, capacity, wanted - capacity);
    while (os_errno != 0 && wanted > needed) {
        /* A nearly full disk may have half of it. */
        wanted = capacity + (wanted - capacity) / 2;
        wanted = wanted < needed ? needed : wanted;
        os_errno = store->os->ops->allocate(file, capacity, wanted - capacity);
    }
    store->os->ops->close(file);
    if (os_errno != 0) {
        return fail_os(err, os_errno,
                       "nothing was written: cannot grow %016" PRIx64
                       ".log to %" PRIu64 " bytes",
                       expected.id, wanted);
    }
    atomic_store(&row->capacity, wanted);
    return CASK_OK;
}

/* ---- New segments -------------------------------------------------------- */

/* Room for at least `bytes` in a prepared row. */
static cask_status enlarge(store_handle *store, uint32_t index, uint64_t bytes,
                           bool must, cask_error *err)
{
    return grow(store, &store->region.rows[index], SEGMENT_HEADER_SIZE + bytes,
                must, err);
}

uint32_t store_prepared_row(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint32_t next = atomic_load(&header->next_row);
    uint32_t unlisted = atomic_load(&header->unlisted_row);
    const region_row *row;

    if (next != 0) {
        return next - 1;
    }
    /* Its maker may have died before there was a row; whoever made it the next
     * one, before it cleared this, and it has been used since. */
    if (unlisted == 0 || unlisted > atomic_load(&header->row_count)) {
        return UINT32_MAX;
    }
    row = &store->region.rows[unlisted - 1];
    return atomic_load(&row->state) == ROW_PREPARED &&
                   atomic_load(&row->file_id) != 0
               ? unlisted - 1
               : UINT32_MAX;
}

/* What must be allocated of the next segment for `bytes`. */
static uint64_t first_capacity(const store_handle *store, uint64_t bytes)
{
    uint64_t needed = SEGMENT_HEADER_SIZE + bytes;
    uint64_t capacity = round_up(needed, GROW_FIRST);
    uint64_t most = store_segment_max_bytes(store);

    return capacity > most && needed <= most ? most : capacity;
}

/* A small one is allocated as a whole, if the disk has as much again: it will
 * be full soon, and each time that it grew a put would wait. A quota, or a
 * limit of this process, may allow less than the disk has. */
static cask_status create_whole(store_handle *store, row_plan plan,
                                uint32_t *ret_row)
{
    uint64_t least = plan.capacity;

    plan.capacity = store_segment_bytes(store);
    return plan.capacity > least && plan.capacity <= GROW_WHOLE &&
                   plan.capacity <= store_spare_bytes(store) / 2
               ? store_create_row(store, &plan, ret_row, NULL)
               : CASK_NO_SPACE;
}

/* A row that exists and is not in the MANIFEST: left by an attempt that failed
 * or died, or new. It is not removed when its edit fails: the edit may have
 * reached the file all the same. */
static cask_status unlisted_row(store_handle *store, uint64_t bytes, bool must,
                                uint32_t *ret_row, cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    row_plan plan = {.kind = SEGMENT_LOG, .state = ROW_PREPARED};
    cask_status status;

    *ret_row = store_prepared_row(store);
    if (*ret_row != UINT32_MAX) {
        return enlarge(store, *ret_row, bytes, must, err);
    }
    err = err == NULL ? &local : err;
    keep_spare(store, must);
    plan.capacity = first_capacity(store, bytes);
    if (create_whole(store, plan, ret_row) == CASK_OK) {
        status = CASK_OK;
    } else if ((must && bytes == 0) ||
               plan.capacity <= store_spare_bytes(store)) {
        status = store_create_row(store, &plan, ret_row, err);
    } else {
        status = store_fail_low(store, plan.capacity, err);
    }
    if (must && bytes > 0 && status == CASK_NO_SPACE &&
        store_is_disk_full(err)) {
        plan.capacity =
            SEGMENT_HEADER_SIZE + bytes + store_delete_reserve(store);
        status = store_create_row(store, &plan, ret_row, err);
    }
    return status;
}

cask_status store_ensure_next(store_handle *store, uint64_t bytes, bool must,
                              cask_error *err)
{
    region_header *header = store->region.header;
    manifest_edit open = {.type = MANIFEST_OPEN};
    cask_status status;
    uint32_t row = atomic_load(&header->next_row);

    if (row != 0) {
        return enlarge(store, row - 1, bytes, must, err);
    }
    status = unlisted_row(store, bytes, must, &row, err);
    if (status != CASK_OK) {
        return status;
    }
    open.open.segment_id = atomic_load(&store->region.rows[row].file_id);
    open.open.nonce = atomic_load(&store->region.rows[row].nonce);
    open.open.kind = SEGMENT_LOG;
    status = store_edit(store, &open, err);
    if (status == CASK_OK) {
        atomic_store(&header->next_row, row + 1);
        atomic_store(&header->unlisted_row, 0);
    }
    return status;
}

bool store_wants_next(const store_handle *store)
{
    const region_header *header = store->region.header;
    uint64_t tail = region_tail_offset(atomic_load(&header->applied_tail));

    return atomic_load(&header->next_row) == 0 &&
           tail > store_segment_bytes(store) / 2;
}

cask_status store_prepare_next(store_handle *store, cask_error *err)
{
    cask_status status = store_maintain_begin(store, err);

    if (status == CASK_OK) {
        if (store_wants_next(store)) {
            status = store_ensure_next(store, 0, false, err);
        }
        store_maintain_end(store);
    }
    return status;
}

/* ---- Sealing ---- */

static void write_footer(store_handle *store, uint32_t index)
{
    const region_row *row = &store->region.rows[index];
    segment_footer footer = {.records = row->records,
                             .first_sequence = row->first_sequence,
                             .last_sequence = row->last_sequence,
                             .length = row->tail,
                             .tombstones = row->tombstones,
                             .nonce = atomic_load(&row->nonce)};
    segment_header expected = store_row_header(store, row);
    uint8_t bytes[SEGMENT_FOOTER_SIZE];
    const os_span span = {bytes, sizeof(bytes)};
    os_file *file = NULL;
    os_stat stat;

    /* Where a tail was moved away, a fold that began before still reads it. */
    if (atomic_load(&row->reserved_tail) > footer.length) {
        return;
    }
    if (segment_open(store->dir, &expected, OS_READ | OS_WRITE, &file, NULL,
                     &stat, NULL) != CASK_OK) {
        return; /* information only: the MANIFEST decides */
    }
    segment_footer_encode(&footer, bytes);
    if (store->os->ops->write_at(file, &span, 1, footer.length) == 0) {
        (void)store->os->ops->truncate(file, footer.length + sizeof(bytes));
    }
    store->os->ops->close(file);
}

cask_status store_seal_row(store_handle *store, uint32_t index, cask_error *err)
{
    region_row *row = &store->region.rows[index];
    manifest_edit seal = {.type = MANIFEST_SEAL};
    cask_status status;

    seal.seal.segment_id = atomic_load(&row->file_id);
    seal.seal.length = row->tail;
    seal.seal.last_sequence = row->last_sequence;
    seal.seal.damaged_bytes = row->damaged_bytes;
    status = store_edit(store, &seal, err);
    if (status == CASK_OK) {
        write_footer(store, index);
    }
    return status;
}

/* ---- Rotation ---- */

/* Sync what is unsynced, again and again, until little is left. */
static cask_status sync_ahead(store_handle *store, cask_error *err)
{
    region_header *header = store->region.header;

    for (int round = 0; round < SYNC_ROUNDS; round++) {
        uint64_t before = atomic_load(&header->bytes_written);
        cask_status status = store_sync_leading(store, err);

        if (status != CASK_OK) {
            return status;
        }
        if (atomic_load(&header->bytes_written) - before < SYNC_AHEAD) {
            break;
        }
    }
    return CASK_OK;
}

uint32_t store_switch_locked(store_handle *store, uint64_t tail,
                             uint64_t next_tail)
{
    region_header *header = store->region.header;
    uint32_t old = atomic_load(&header->active_row);
    uint32_t next = atomic_load(&header->next_row) - 1;

    /* In this order: the store of applied_tail decides, what follows it is
     * finished by store_redo_locked() if this process dies. */
    store->region.rows[old].tail = tail;
    header->commit.durable_offset = next_tail;
    atomic_store(&header->commit.mark_due, 0);
    atomic_store(&header->commit.sync_running, 0);
    atomic_store(&store->region.rows[next].state, ROW_ACTIVE);
    atomic_store(&header->applied_tail, region_tail_make(next, next_tail));
    atomic_store(&header->active_row, next);
    atomic_store(&store->region.rows[old].state, ROW_SEALED);
    atomic_store(&header->next_row, 0);
    atomic_store(&header->commit.durable_sequence,
                 atomic_load(&header->next_sequence) - 1);
    return old;
}

/* The write lock is held: sync the rest and let the next row take over.
 * CASK_BUSY: this handle cannot vouch for the sync. */
static cask_status switch_locked(store_handle *store, uint32_t *ret_old,
                                 cask_error *err)
{
    region_header *header = store->region.header;
    cask_status status = store_open_active_locked(store, err);
    int os_errno;

    if (status != CASK_OK) {
        return status;
    }
    if (!store_can_vouch_locked(store)) {
        return CASK_BUSY;
    }
    os_errno = store->os->ops->sync(store->active->file);
    if (os_errno != 0) {
        store_poison(store, os_errno, "a full segment");
        return fail(err, CASK_POISONED, os_errno,
                    "cannot sync %016" PRIx64
                    ".log; nothing was written; reopen the store",
                    store->active->file_id);
    }
    *ret_old = store_switch_locked(
        store, region_tail_offset(atomic_load(&header->applied_tail)),
        SEGMENT_HEADER_SIZE);
    return CASK_OK;
}

/* The caller leads and holds the maintenance lock. */
static cask_status rotate(store_handle *store, uint64_t bytes, bool must,
                          cask_error *err)
{
    cask_status status = store_ensure_next(store, bytes, must, err);
    uint32_t old = 0;

    if (status == CASK_OK) {
        status = sync_ahead(store, err);
    }
    if (status == CASK_OK) {
        status = store_lock(store, err);
    }
    if (status != CASK_OK) {
        return status;
    }
    if (atomic_load(&store->region.header->next_row) == 0) {
        /* A tail was moved meanwhile, which is a rotation too. */
        store_unlock(store);
        return CASK_OK;
    }
    status = switch_locked(store, &old, err);
    store_unlock(store);
    if (status == CASK_BUSY) {
        return store_move_tail(store, true, err);
    }
    if (status == CASK_OK) {
        status = store_seal_row(store, old, err);
    }
    if (status == CASK_OK) {
        store_event(
            store, CASK_EVENT_ROTATED, CASK_OK,
            "%016" PRIx64 ".log is sealed, %016" PRIx64 ".log is next",
            atomic_load(&store->region.rows[old].file_id),
            atomic_load(
                &store->region
                     .rows[atomic_load(&store->region.header->active_row)]
                     .file_id));
        store_worker_wake(store);
        store_merge_wake(store);
    }
    return status;
}

/* ---- Room ---- */

/* Whether `bytes` may be added to the active segment at all. A record larger
 * than a segment gets one of its own. */
static bool may_grow(const store_handle *store, uint64_t bytes)
{
    uint64_t offset =
        region_tail_offset(atomic_load(&store->region.header->applied_tail));

    return (offset == SEGMENT_HEADER_SIZE ||
            offset + bytes <= store_segment_bytes(store)) &&
           offset < PLACE_OFFSET_LIMIT;
}

static cask_status make_room(store_handle *store, uint64_t bytes, bool leads,
                             bool must, cask_error *err)
{
    uint64_t tail = atomic_load(&store->region.header->applied_tail);

    if (store_fits_locked(store, bytes)) {
        return CASK_OK;
    }
    if (may_grow(store, bytes)) {
        return grow(store, &store->region.rows[region_tail_row(tail)],
                    region_tail_offset(tail) + bytes, must, err);
    }
    /* Without the lead: it filled up meanwhile; the caller comes again. */
    return leads ? rotate(store, bytes, must, err) : CASK_OK;
}

/* Whether a segment is full is looked at when it would grow. */
static cask_status note_size(store_handle *store, uint64_t bytes,
                             cask_error *err)
{
    cask_status status = CASK_OK;

    if (!store_fits_locked(store, bytes)) {
        status = store_lock(store, err);
        if (status == CASK_OK) {
            store_note_size_locked(store);
            store_unlock(store);
        }
    }
    return status;
}

cask_status store_make_room(store_handle *store, uint64_t bytes, bool must,
                            cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status = note_size(store, bytes, err);
    bool leads = !may_grow(store, bytes);

    if (status == CASK_OK && leads) {
        status = store_lead_begin(store, err);
    }
    err = err == NULL ? &local : err;
    if (status != CASK_OK) {
        return status;
    }
    status = store_maintain_begin(store, err);
    if (status == CASK_OK) {
        do {
            status = make_room(store, bytes, leads, must, err);
        } while (must && store_makes_room(store, status, err));
        store_maintain_end(store);
    }
    if (leads) {
        store_lead_end(store);
    }
    return status;
}

cask_status store_rotate(store_handle *store, cask_error *err)
{
    cask_status status = store_lead_begin(store, err);

    if (status != CASK_OK) {
        return status;
    }
    status = store_maintain_begin(store, err);
    if (status == CASK_OK) {
        uint64_t tail = atomic_load(&store->region.header->applied_tail);

        if (region_tail_offset(tail) > SEGMENT_HEADER_SIZE) {
            status = rotate(store, 0, true, err);
        }
        store_maintain_end(store);
    }
    store_lead_end(store);
    return status;
}
