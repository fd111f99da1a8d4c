/*
 * Which tombstones of a merge's inputs stay: those of keys of which an older
 * put may exist outside the inputs, for only they keep it from coming back.
 * Whether one does is not guessed: the hashes of the inputs' tombstones are
 * held in memory, and all other segments that are old enough are searched for
 * them, by their hints.
 *
 * A put whose time is over is a tombstone of its own sequence, and is weighed
 * as one.
 */
#include "hash/merge_work.h"

#include "hash/hash_note.h"
#include "hash/keydir.h"
#include "log/segment.h"
#include "store/store_recover.h"

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

    store_pace_add(&m->pace, part == NULL ? HINT_ROW_SIZE : part->item.size);
    return part == NULL ? merge_check_cancel(m, err)
                        : merge_check_part(m, part, err);
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
        /* Of a value that has expired, a quarantined segment may have a copy
         * with the same sequence. */
        if (tombstone != NULL && note->sequence <= tombstone->sequence) {
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

/* Whether a row may hold a record that the newest tombstone hides. */
static cask_status is_old_enough(merge *m, uint32_t index, bool *ret_old,
                                 cask_error *err)
{
    store_handle *store = m->store;
    const region_row *row = &store->region.rows[index];
    cask_status status;

    *ret_old = false;
    if (merge_row_goes(store, index) || !store_row_counts(store, index) ||
        store_row_end(store, index) <= SEGMENT_HEADER_SIZE) {
        return CASK_OK;
    }
    status = store_lock(store, err); /* the active row's changes */
    if (status == CASK_OK) {
        /* Of what could not be read nobody knows how old it is. */
        *ret_old = atomic_load(&row->damaged_bytes) > 0 ||
                   row->first_sequence <= m->tombstones.newest;
        store_unlock(store);
    }
    return status;
}

bool merge_may_expire(const merge *m, uint32_t row)
{
    return atomic_load(&m->store->region.rows[row].damage) == ROW_SOUND;
}

static bool has_row_expired(const merge *m, uint32_t row)
{
    return merge_may_expire(m, row) &&
           store_row_has_expired(m->expiry, &m->store->region.rows[row]);
}

static cask_status collect_tombstones(merge *m, uint32_t index, cask_error *err)
{
    const region_row *row = &m->store->region.rows[index];
    cask_status status = CASK_OK;

    m->all_expired = has_row_expired(m, index);
    m->by_data = !m->all_expired && merge_may_expire(m, index) &&
                 store_row_may_expire(m->expiry, row);
    if (row->tombstones > 0 || m->all_expired || m->by_data) {
        status = note_row(m, index, note_tombstone, err);
    }
    m->by_data = false;
    return status;
}

cask_status merge_weigh(merge *m, cask_error *err)
{
    store_handle *store = m->store;
    uint32_t count = atomic_load(&store->region.header->row_count);
    cask_status status = CASK_OK;

    for (uint32_t i = 0; i < count && status == CASK_OK; i++) {
        if (merge_is_input(store, i)) {
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

/* ---- Inputs that have expired as a whole ---- */

cask_status merge_look_for_kept(merge *m, uint32_t index, cask_error *err)
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
