/*
 * A merge as a whole: its inputs are copied, replaced in the MANIFEST, and the
 * index is led to the copies. It can die anywhere; whoever merges next begins
 * again, or goes on once the MANIFEST is written.
 *
 * A put stays if the index names it, a tombstone if it still hides something
 * (merge_weigh.c). The index is told after the MANIFEST: a slot that names an
 * input when all that stays has been moved is of a put whose time is over. A
 * segment that has expired as a whole is not read if nothing of it stays: its
 * hint names its keys.
 */
#include "hash/hash_merge.h"

#include "store/merge_log.h"
#include "hash/merge_work.h"
#include "store/store_recover.h"
#include "store/store_shortage.h"

static void count_inputs(merge *m)
{
    uint32_t count = atomic_load(&m->store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (merge_row_goes(m->store, i)) {
            m->report->inputs++;
            m->report->bytes_freed += m->store->region.rows[i].tail;
        }
    }
}

/* Up to the outputs, with what is newer than what they leave out. */
static cask_status copy_all(merge *m, cask_error *err)
{
    cask_status status = merge_weigh(m, err);

    if (status == CASK_OK) {
        m->is_copying = true;
        status = merge_copy(m, err);
    }
    if (status == CASK_OK) {
        /* Keys that were not found were taken for dead. */
        status = merge_check_covered(m->store, err);
    }
    /* What is newer than a record that was left out must not be lost before
     * that record is gone for good. */
    return status == CASK_OK ? store_sync_all(m->store, err) : status;
}

/* From MERGE_MOVING on a merge is completed, by whoever: if this process cannot
 * look into all of the index any more, by another, for the lock that the end
 * needs fails then. */
static cask_status complete(store_handle *store, cask_error *err)
{
    cask_status status = hash_move_all(store, err);

    if (status == CASK_CORRUPT) {
        cask_status kept = store_merge_keep_inputs(store, NULL);

        return kept == CASK_OK ? status : kept;
    }
    if (status == CASK_OK) {
        status = hash_move_ended(store, err);
    }
    return status == CASK_OK ? store_merge_finish(store, err) : status;
}

/* Complete what another began, and remember that. */
static cask_status complete_inherited(store_handle *store, cask_error *err)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    uint64_t began_ms = atomic_load(&header->merger.began_ms);
    uint64_t now_ms = store->os->ops->wall_ms(store->os);
    merge_record record = {.began_ms = began_ms,
                           .took_ms =
                               now_ms > began_ms ? now_ms - began_ms : 0};
    cask_status status;

    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];

        if (merge_is_input(store, i)) {
            record.inputs++;
            record.bytes_freed += row->tail;
        } else if (atomic_load(&row->state) == ROW_OUTPUT) {
            record.outputs++;
            record.bytes_written += row->tail;
        }
    }
    merge_log_take_over(store);
    status = complete(store, err);
    if (status == CASK_OK) {
        merge_log_add(store, &record);
    }
    return status;
}

static cask_status inherit(store_handle *store, cask_error *err)
{
    cask_status status = merge_check_poison(store, err);

    if (status != CASK_OK) {
        return status;
    }
    status = store_merge_inherit(store, err);
    if (status == CASK_OK &&
        atomic_load(&store->region.header->merge.phase) == MERGE_MOVING) {
        status = complete_inherited(store, err);
    }
    store_merge_clean(store);
    return status;
}

cask_status hash_merge_complete(store_handle *store, cask_error *err)
{
    cask_status status = store_merge_lock(store, err);

    if (status == CASK_OK) {
        status = inherit(store, err);
        store_merge_unlock(store);
        store_merge_tidy(store); /* freed since then */
    }
    return status;
}

typedef struct merge_wanted {
    const uint32_t *rows;
    size_t count;
    const store_expiry *expiry;
} merge_wanted;

/* Up to the replacement of the inputs. Nothing has changed on failure. */
static cask_status copy_and_replace(merge *m, merge_wanted wanted,
                                    uint64_t *ret_inputs, cask_error *err)
{
    cask_status status;

    merge_log_begin(m->store);
    status =
        store_merge_begin(m->store, wanted.rows, wanted.count, ret_inputs, err);
    if (status == CASK_OK && *ret_inputs > 0) {
        store_pace_begin(&m->pace, m->store);
        status = copy_all(m, err);
        store_pace_end(&m->pace);
    }
    if (status == CASK_OK && *ret_inputs > 0) {
        atomic_store(&m->store->region.header->merge.expired,
                     m->report->expired);
        status = store_merge_replace(m->store, err);
    }
    merge_table_free(&m->tombstones);
    if (status == CASK_OK && *ret_inputs > 0) {
        count_inputs(m);
    } else if (atomic_load(&m->store->region.header->merge.phase) !=
               MERGE_MOVING) {
        (void)store_merge_inherit(m->store, NULL);
        m->report->outputs = 0; /* dropped */
    }
    return status;
}

/* Each time that an input turns out to be damaged it begins again, and takes
 * that one for what it is. On a full disk it does so once with what is kept
 * behind MANIFEST. `err` must not be NULL. */
static cask_status merge_rows(store_handle *store, merge_wanted wanted,
                              merge_report *report, cask_error *err)
{
    region_merge *totals = &store->region.header->merge;
    cask_status status;
    bool has_lent = false;
    bool again;
    uint64_t inputs;

    do {
        const merge_report found = {.quarantined = report->quarantined,
                                    .damage = report->damage};
        merge m = {.store = store,
                   .report = report,
                   .expiry = wanted.expiry,
                   .output = UINT32_MAX};

        *report = found;
        inputs = 0;
        status = copy_and_replace(&m, wanted, &inputs, err);
        again = m.is_void;
        if (status == CASK_NO_SPACE && store_is_disk_full(err) && !has_lent) {
            has_lent = store_give_up_spare(store);
            again = again || has_lent;
        }
    } while (again);
    if (status == CASK_OK && inputs > 0) {
        atomic_fetch_add(&totals->bytes_read, report->bytes_read);
        atomic_fetch_add(&totals->bytes_written, report->bytes_written);
        status = complete(store, err);
    }
    if (status != CASK_OK) {
        report->quarantined = 0;
        return status;
    }
    return report->quarantined == 0
               ? CASK_OK
               : hash_merge_damaged(store, &report->damage, err);
}

static cask_status merge_wanted_rows(store_handle *store, merge_wanted wanted,
                                     bool is_bound, merge_report *ret_report,
                                     cask_error *err)
{
    cask_error local = {CASK_OK, 0, ""};
    cask_status status;

    err = err == NULL ? &local : err;
    status = store_merge_lock(store, err);
    *ret_report = (merge_report){.inputs = 0};
    if (status != CASK_OK) {
        return status;
    }
    status = inherit(store, err);
    if (status == CASK_OK && wanted.count > 0) {
        store_window_bind(store, is_bound);
        status = merge_rows(store, wanted, ret_report, err);
        store_window_bind(store, false);
    }
    store_merge_unlock(store);
    store_merge_tidy(store); /* freed since then */
    store_keep_spare(store);
    return status;
}

cask_status hash_merge(store_handle *store, const uint32_t *rows, size_t count,
                       const store_expiry *expiry, merge_report *ret_report,
                       cask_error *err)
{
    return merge_wanted_rows(store, (merge_wanted){rows, count, expiry}, false,
                             ret_report, err);
}

cask_status hash_merge_in_window(store_handle *store, const uint32_t *rows,
                                 size_t count, const store_expiry *expiry,
                                 merge_report *ret_report, cask_error *err)
{
    return merge_wanted_rows(store, (merge_wanted){rows, count, expiry}, true,
                             ret_report, err);
}
