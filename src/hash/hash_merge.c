/*
 * The copying half of a merge: which records stay, and writing them.
 *
 * A put stays if the index names it. A tombstone stays if an older put of its
 * key may exist outside the inputs: then only it keeps that one from coming
 * back. Whether one does is not guessed: the hashes of the inputs' tombstones
 * are held in memory, and all other segments that are old enough are searched
 * for them, by their hints.
 *
 * A put whose time is over is a tombstone of its own sequence: it is weighed as
 * one, and stays as a delete, or goes. The index is told after the MANIFEST: a
 * slot that names an input when all that stays has been moved is such a put's.
 * A segment that has expired as a whole is not read if nothing of it stays: its
 * hint names its keys.
 */
#include "hash/hash_merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hash/hash.h"
#include "hash/hash_note.h"
#include "hash/hash_pace.h"
#include "hash/keydir.h"
#include "hash/merge_log.h"
#include "hash/merge_table.h"
#include "log/record_copier.h"
#include "log/segment.h"
#include "region/place.h"
#include "store/store_merge.h"
#include "store/store_recover.h"
#include "store/store_walk.h"

typedef struct merge {
    store_handle *store;
    merge_report *report;
    const store_expiry *expiry;
    merge_table tombstones;
    record_copier copier;
    hash_pace pace;
    uint32_t output;  /* row of the copies; UINT32_MAX: none yet */
    bool keeps_all;   /* all tombstones are needed, for all that is known */
    bool is_copying;  /* the tombstones are weighed */
    bool is_void;     /* an input is not what it seemed: begin again */
    bool by_data;     /* times are wanted, which no hint tells */
    bool all_expired; /* all puts that are noted by hint are past their time */
    bool is_kept;     /* something that was noted stays */
} merge;

static bool is_input(const store_handle *store, uint32_t row)
{
    return atomic_load(&store->region.rows[row].is_input) != 0;
}

/* Of an input that stays too, an open loads what its hint says: its puts need
 * the tombstones that hide them like those of any other segment. */
static bool goes(const store_handle *store, uint32_t row)
{
    return is_input(store, row) && !store_row_is_kept(store, row);
}

static uint64_t place_of(const walk_part *part)
{
    return place_make((uint16_t)part->row, part->item.offset, part->item.size,
                      record_kind(&part->item.header) == RECORD_PUT);
}

/* What is durable is not known: nothing may go. */
static cask_status check_poison(const store_handle *store, cask_error *err)
{
    return atomic_load(&store->region.header->poisoned) == 0
               ? CASK_OK
               : fail(err, CASK_POISONED, 0,
                      "%s: a sync failed, nothing is merged any more; reopen "
                      "the store",
                      store->path);
}

static cask_status check_cancel(merge *m, cask_error *err)
{
    cask_status status = check_poison(m->store, err);

    if (status == CASK_OK && store_merge_is_cancelled(m->store)) {
        status = fail(err, CASK_TIMEOUT, 0,
                      "%s: the merge was cancelled; nothing was changed",
                      m->store->path);
    }
    return status;
}

/* ---- Walking data ---- */

/* An input that seemed sound, or could be released, stays: begin again. */
static cask_status keep_input(merge *m, const walk_part *part, cask_error *err)
{
    region_row *row = &m->store->region.rows[part->row];
    cask_status status;

    m->is_void = true;
    status =
        fail(err, CASK_CORRUPT, 0,
             "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64
             " bytes are damaged; what can be read is merged, the rest "
             "stays where it is; 'caskade verify' lists the damage",
             atomic_load(&row->file_id), part->item.offset, part->item.size);
    if (atomic_load(&row->damage) == ROW_RELEASED) {
        store_row_hold(m->store, part->row);
    } else {
        m->report->quarantined++;
        atomic_store(&row->damage, ROW_DAMAGED);
        store_event(m->store, CASK_EVENT_DAMAGE, status, "%s", err->message);
    }
    return status;
}

static cask_status check_part(merge *m, const walk_part *part, cask_error *err)
{
    uint32_t damage = atomic_load(&m->store->region.rows[part->row].damage);

    if (part->result == SCAN_RECORD) {
        return check_cancel(m, err);
    }
    if (m->is_copying) {
        return damage == ROW_SOUND ? keep_input(m, part, err) : CASK_OK;
    }
    if (goes(m->store, part->row)) {
        return keep_input(m, part, err);
    }
    /* Nobody knows what is hidden there: all that may hide it stays. */
    m->keeps_all = true;
    return CASK_OK;
}

typedef cask_status (*part_fn)(merge *m, const walk_part *part,
                               cask_error *err);

/* Visit the records of all parts; frees the walk. */
static cask_status walk_parts(merge *m, store_walk *walk, part_fn visit,
                              cask_error *err)
{
    const walk_part *part = NULL;
    cask_status status;

    store_walk_begin(walk, m->store);
    status = store_walk_next(walk, &part, err);
    while (status == CASK_OK && part != NULL) {
        status = check_part(m, part, err);
        if (status == CASK_OK && part->result == SCAN_RECORD) {
            status = visit(m, part, err);
        }
        if (status == CASK_OK) {
            status = store_walk_next(walk, &part, err);
        }
    }
    store_walk_free(walk);
    return status;
}

/* ---- Tombstones ---- */

/* The times of puts, where they are read. */
static bool has_expired(const merge *m, const hash_note *note)
{
    return note->by_hint ? m->all_expired
                         : store_has_expired(m->expiry, note->time_s,
                                             note->expires_at_ms);
}

static cask_status check_note(void *context, const walk_part *part,
                              cask_error *err)
{
    merge *m = context;

    hash_pace_add(&m->pace, part == NULL ? HINT_ROW_SIZE : part->item.size);
    return part == NULL ? check_cancel(m, err) : check_part(m, part, err);
}

typedef cask_status (*note_fn)(void *context, const hash_note *note,
                               cask_error *err);

static cask_status note_row(merge *m, uint32_t row, note_fn note,
                            cask_error *err)
{
    const hash_notes notes = {.store = m->store,
                              .by_data = m->by_data,
                              .note = note,
                              .check = check_note,
                              .context = m};

    return hash_note_row(&notes, row, err);
}

/*
 * Deletes, and values whose time is over. Deletes only of keys that have no
 * value: the others hide nothing that the newer record does not hide.
 */
static cask_status note_tombstone(void *context, const hash_note *note,
                                  cask_error *err)
{
    merge *m = context;
    uint64_t place = 0;
    bool has_value =
        keydir_find(&m->store->region, keydir_hash_of(note->hash), &place) &&
        place_is_live(place);

    if (note->is_put
            ? !has_value || place != note->place || !has_expired(m, note)
            : has_value) {
        return CASK_OK;
    }
    return merge_table_add(&m->tombstones, note->hash, note->sequence, err);
}

static cask_status note_needed(void *context, const hash_note *note,
                               cask_error *err)
{
    merge *m = context;
    merge_tombstone *tombstone;

    (void)err;
    if (note->is_put) {
        tombstone = merge_table_find(&m->tombstones, note->hash);
        if (tombstone != NULL && note->sequence < tombstone->sequence) {
            tombstone->is_needed = true;
        }
    }
    return CASK_OK;
}

static cask_status note_kept(void *context, const hash_note *note,
                             cask_error *err)
{
    merge *m = context;
    const merge_tombstone *tombstone =
        merge_table_find(&m->tombstones, note->hash);

    (void)err;
    if (tombstone != NULL && tombstone->sequence == note->sequence &&
        tombstone->is_needed) {
        m->is_kept = true;
    }
    return CASK_OK;
}

/* Whether a row may hold a record older than the newest tombstone. */
static cask_status is_old_enough(merge *m, uint32_t index, bool *ret_old,
                                 cask_error *err)
{
    store_handle *store = m->store;
    const region_row *row = &store->region.rows[index];
    cask_status status;

    *ret_old = false;
    if (goes(store, index) || !store_row_counts(store, index) ||
        hash_row_end(store, index) <= SEGMENT_HEADER_SIZE) {
        return CASK_OK;
    }
    status = store_lock(store, err); /* the active row's changes */
    if (status == CASK_OK) {
        *ret_old = row->first_sequence < m->tombstones.newest;
        store_unlock(store);
    }
    return status;
}

/* Of a damaged input nothing expires: it may stay, and its hint with it. */
static bool may_expire(const merge *m, uint32_t row)
{
    return atomic_load(&m->store->region.rows[row].damage) == ROW_SOUND;
}

static bool has_row_expired(const merge *m, uint32_t row)
{
    return may_expire(m, row) &&
           store_row_has_expired(m->expiry, &m->store->region.rows[row]);
}

static cask_status collect_tombstones(merge *m, uint32_t index, cask_error *err)
{
    const region_row *row = &m->store->region.rows[index];
    cask_status status = CASK_OK;

    m->all_expired = has_row_expired(m, index);
    m->by_data = !m->all_expired && may_expire(m, index) &&
                 store_row_may_expire(m->expiry, row);
    if (row->tombstones > 0 || m->all_expired || m->by_data) {
        status = note_row(m, index, note_tombstone, err);
    }
    m->by_data = false;
    return status;
}

/* Collect the tombstones of the inputs, then look for what they hide. */
static cask_status weigh_tombstones(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        if (is_input(store, i)) {
            status = collect_tombstones(m, i, err);
        }
    }
    if (m->tombstones.count == 0) {
        return status; /* nothing to look for */
    }
    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        bool is_old = false;

        status = is_old_enough(m, i, &is_old, err);
        if (status == CASK_OK && is_old) {
            status = note_row(m, i, note_needed, err);
        }
    }
    return status;
}

/* ---- Outputs ---- */

static cask_status finish_output(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    cask_status status;
    int os_errno;

    if (m->output == UINT32_MAX) {
        return CASK_OK;
    }
    status = record_copier_flush(&m->copier, err);
    if (status == CASK_OK) {
        region_row *row = &store->region.rows[m->output];

        row->tail = m->copier.offset;
        atomic_store(&row->reserved_tail, row->tail);
        atomic_store(&row->capacity, row->tail);
        os_errno = store->os->ops->truncate(m->copier.file, row->tail);
        if (os_errno == 0) {
            os_errno = store->os->ops->sync(m->copier.file);
        }
        if (os_errno != 0) {
            status = fail_os(err, os_errno, "cannot sync %016" PRIx64 ".log",
                             atomic_load(&row->file_id));
        }
        m->report->bytes_written += row->tail;
    }
    store->os->ops->close(m->copier.file);
    record_copier_free(&m->copier);
    if (status == CASK_OK) {
        status = store_write_hint(store, m->output, err);
    }
    hash_pace_resume(&m->pace);
    m->output = UINT32_MAX;
    return status;
}

static cask_status begin_output(merge *m, uint64_t bytes, cask_error *err)
{
    store_handle *store = m->store;
    uint64_t capacity = SEGMENT_HEADER_SIZE + bytes;
    uint32_t index = 0;
    segment_header expected = {.id = 0};
    cask_status status;
    os_stat stat;

    status = store_merge_output(store, capacity, &index, err);
    if (status != CASK_OK) {
        return status;
    }
    expected.id = atomic_load(&store->region.rows[index].file_id);
    expected.nonce = atomic_load(&store->region.rows[index].nonce);
    memcpy(expected.uuid, store->identity.uuid, 16);
    m->copier =
        (record_copier){.offset = SEGMENT_HEADER_SIZE, .nonce = expected.nonce};
    status = segment_open(store->dir, &expected, OS_READ | OS_WRITE,
                          &m->copier.file, NULL, &stat, err);
    if (status == CASK_OK) {
        m->output = index;
        m->report->outputs++;
    }
    return status;
}

static void count_copy(region_row *row, const scan_item *item)
{
    store_note_times(row, &item->header, item->expires_at_ms);
    row->records++;
    row->tombstones += record_kind(&item->header) == RECORD_DELETE ? 1 : 0;
    row->last_sequence = item->header.sequence;
    if (row->first_sequence == 0) {
        row->first_sequence = item->header.sequence;
    }
}

static cask_status copy(merge *m, const scan_item *item, cask_error *err)
{
    uint64_t most = m->store->options.segment_max_bytes;
    cask_status status = CASK_OK;

    if (m->output != UINT32_MAX &&
        record_copier_offset(&m->copier) + item->size > most) {
        status = finish_output(m, err);
    }
    if (status == CASK_OK && m->output == UINT32_MAX) {
        status = begin_output(m, item->size, err);
    }
    if (status == CASK_OK) {
        /* Whole batches are synced: their members stand alone from here on. */
        status = record_copier_add(
            &m->copier, item, item->header.type & (uint8_t)~RECORD_MEMBER, err);
    }
    if (status == CASK_OK) {
        count_copy(&m->store->region.rows[m->output], item);
        hash_pace_add(&m->pace, item->size);
        m->report->records++;
    }
    return status;
}

/* Copy a tombstone, if it is the one of its key and needed. */
static cask_status copy_tombstone(merge *m, const scan_item *item,
                                  cask_error *err)
{
    merge_tombstone *tombstone =
        merge_table_find(&m->tombstones, store_hash_of(m->store, item));

    if (tombstone == NULL || tombstone->sequence != item->header.sequence) {
        return CASK_OK; /* a newer record hides what it would */
    }
    if (!tombstone->is_needed && !m->keeps_all) {
        m->report->tombstones_dropped++;
        return CASK_OK;
    }
    if (tombstone->is_copied) {
        return CASK_OK; /* a second time: of a quarantined segment */
    }
    tombstone->is_copied = true;
    return copy(m, item, err);
}

static cask_status copy_put(merge *m, const walk_part *part, cask_error *err)
{
    siphash_value hash = store_hash_of(m->store, &part->item);
    scan_item item = part->item;
    merge_tombstone *tombstone;
    uint64_t place = 0;

    if (!keydir_find(&m->store->region, keydir_hash_of(hash), &place) ||
        place != place_of(part)) {
        return CASK_OK;
    }
    if (!may_expire(m, part->row) ||
        !store_has_expired(m->expiry, item.header.time_s, item.expires_at_ms)) {
        return copy(m, &item, err);
    }
    m->report->expired++;
    tombstone = merge_table_find(&m->tombstones, hash);
    if (tombstone != NULL && !tombstone->is_needed && !m->keeps_all) {
        return CASK_OK;
    }
    if (tombstone != NULL) {
        tombstone->is_copied = true;
    }
    item.header.type = RECORD_DELETE;
    item.header.value_size = 0;
    item.expires_at_ms = 0;
    item.size = record_size(&item.header);
    return copy(m, &item, err);
}

static cask_status copy_part(merge *m, const walk_part *part, cask_error *err)
{
    region_merge *progress = &m->store->region.header->merge;

    hash_pace_add(&m->pace, part->item.size);
    m->report->bytes_read += part->item.size;
    atomic_fetch_add(&progress->bytes_done, part->item.size);
    return record_kind(&part->item.header) == RECORD_PUT
               ? copy_put(m, part, err)
               : copy_tombstone(m, &part->item, err);
}

/* ---- Damaged inputs ---- */

typedef void (*input_fn)(merge *m, uint32_t row);

static void for_each_input(merge *m, input_fn visit)
{
    uint32_t count = atomic_load(&m->store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (is_input(m->store, i)) {
            visit(m, i);
        }
    }
}

static void hold_released(merge *m, uint32_t row)
{
    if (atomic_load(&m->store->region.rows[row].damage) == ROW_RELEASED) {
        store_row_hold(m->store, row);
        m->is_void = true;
    }
}

/* A tombstone that is needed may be in what cannot be read of a segment that
 * was to be released. */
static cask_status check_released(merge *m, cask_error *err)
{
    if (merge_table_lacks(&m->tombstones, m->keeps_all)) {
        for_each_input(m, hold_released);
    }
    return m->is_void ? fail(err, CASK_CORRUPT, 0,
                             "%s: a delete that is needed cannot be read",
                             m->store->path)
                      : CASK_OK;
}

static void count_input(merge *m, uint32_t row)
{
    if (goes(m->store, row)) {
        m->report->inputs++;
        m->report->bytes_freed += m->store->region.rows[row].tail;
    }
}

/* ---- The whole ---- */

/* Whether something of an input stays: if it has expired as a whole, one of its
 * records may still hide an older one. */
static cask_status look_for_kept(merge *m, uint32_t index, cask_error *err)
{
    const region_row *row = &m->store->region.rows[index];
    cask_status status = CASK_OK;

    m->is_kept = m->keeps_all || !has_row_expired(m, index);
    if (!m->is_kept) {
        status = note_row(m, index, note_kept, err);
    }
    if (status == CASK_OK && !m->is_kept) {
        /* By the counters for the report; at least one for the index. */
        m->report->expired += row->live_records > 0 ? row->live_records : 1;
        m->report->tombstones_dropped += row->tombstones;
        atomic_fetch_add(&m->store->region.header->merge.bytes_done,
                         row->tail - SEGMENT_HEADER_SIZE);
    }
    return status;
}

static cask_status copy_inputs(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    store_walk walk = {.count = 0};
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        if (!is_input(store, i)) {
            continue;
        }
        status = look_for_kept(m, i, err);
        if (status == CASK_OK && m->is_kept) {
            status = hash_walk_row(&walk, store, i, err);
        }
    }
    if (status == CASK_OK) {
        return walk_parts(m, &walk, copy_part, err);
    }
    store_walk_free(&walk);
    return status;
}

static cask_status copy_all(merge *m, cask_error *err)
{
    cask_status status = weigh_tombstones(m, err);

    m->is_copying = true;
    if (status == CASK_OK) {
        status = copy_inputs(m, err);
    }
    if (status == CASK_OK) {
        status = check_released(m, err);
    }
    if (status == CASK_OK) {
        status = finish_output(m, err);
    } else if (m->output != UINT32_MAX) {
        m->store->os->ops->close(m->copier.file);
        record_copier_free(&m->copier);
    }
    /* What is newer than a record that was left out must not be lost before
     * that record is gone for good. */
    return status == CASK_OK ? store_sync_all(m->store, err) : status;
}

/* From MERGE_MOVING on a merge is completed, by whoever. */
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

        if (is_input(store, i)) {
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
    cask_status status = check_poison(store, err);

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
        hash_pace_begin(&m->pace, m->store);
        status = copy_all(m, err);
        hash_pace_end(&m->pace);
    }
    if (status == CASK_OK && *ret_inputs > 0) {
        atomic_store(&m->store->region.header->merge.expired,
                     m->report->expired);
        status = store_merge_replace(m->store, err);
    }
    merge_table_free(&m->tombstones);
    if (status == CASK_OK && *ret_inputs > 0) {
        for_each_input(m, count_input);
    } else if (atomic_load(&m->store->region.header->merge.phase) !=
               MERGE_MOVING) {
        (void)store_merge_inherit(m->store, NULL);
    }
    return status;
}

/* Each time that an input turns out to be damaged it begins again, and takes
 * that one for what it is. */
static cask_status merge_rows(store_handle *store, merge_wanted wanted,
                              merge_report *report, cask_error *err)
{
    region_merge *totals = &store->region.header->merge;
    cask_error damage = {CASK_OK, 0, ""};
    cask_status status;
    uint64_t inputs;
    bool is_void;

    do {
        uint64_t quarantined = report->quarantined;
        merge m = {.store = store,
                   .report = report,
                   .expiry = wanted.expiry,
                   .output = UINT32_MAX};

        *report = (merge_report){.quarantined = quarantined};
        inputs = 0;
        status = copy_and_replace(&m, wanted, &inputs, err);
        is_void = m.is_void;
        if (report->quarantined > 0 && damage.status == CASK_OK) {
            damage = *err;
        }
    } while (is_void);
    if (status == CASK_OK && inputs > 0) {
        atomic_fetch_add(&totals->bytes_read, report->bytes_read);
        atomic_fetch_add(&totals->bytes_written, report->bytes_written);
        status = complete(store, err);
    }
    if (status != CASK_OK) {
        report->quarantined = 0;
        return status;
    }
    *err = damage;
    return damage.status;
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
