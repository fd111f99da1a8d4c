/*
 * What ends a merge while it copies, or makes it begin again: a failed sync,
 * somebody's wish, and damage that was not known when it began.
 */
#include "hash/merge_work.h"

#include <inttypes.h>

#include "hash/hash_note.h"

#define DAMAGED                                                                \
    "%016" PRIx64 ".log: offset %" PRIu64 ": %" PRIu64 " bytes are damaged; "
#define RESTORED                                                               \
    "%016" PRIx64                                                              \
    ".log: could not be read when the store was opened, and can "              \
    "be read again; "

cask_status merge_check_poison(const store_handle *store, cask_error *err)
{
    return atomic_load(&store->region.header->poisoned) == 0
               ? CASK_OK
               : fail(err, CASK_POISONED, 0,
                      "%s: a sync failed, nothing is merged any more; reopen "
                      "the store",
                      store->path);
}

cask_status merge_check_covered(const store_handle *store, cask_error *err)
{
    return region_is_covered(&store->region)
               ? CASK_OK
               : region_fail_uncovered(&store->region, err);
}

cask_status merge_check_cancel(merge *m, cask_error *err)
{
    cask_status status = merge_check_poison(m->store, err);

    if (status == CASK_OK) {
        status = merge_check_covered(m->store, err); /* the sooner the better */
    }
    if (status == CASK_OK && store_merge_is_cancelled(m->store)) {
        status = fail(err, CASK_TIMEOUT, 0,
                      "%s: the merge was cancelled; what was completed stays",
                      m->store->path);
    }
    return status;
}

static cask_status fail_damaged(const merge_damage *damage, const char *outcome,
                                cask_error *err)
{
    return damage->is_restored
               ? fail(err, CASK_CORRUPT, 0, RESTORED "%s", damage->id, outcome)
               : fail(err, CASK_CORRUPT, 0, DAMAGED "%s", damage->id,
                      damage->offset, damage->bytes, outcome);
}

static merge_damage damage_of(const merge *m, const walk_part *part)
{
    const region_row *row = &m->store->region.rows[part->row];

    return (merge_damage){.id = atomic_load(&row->file_id),
                          .offset = part->item.offset,
                          .bytes = part->item.size,
                          .is_restored = part->result == SCAN_RECORD};
}

/*
 * The index was made without some bytes of this row. Whether they are still
 * damaged, or the file is back, is known when all of it has been read: once,
 * for the row is not taken for sound afterwards.
 */
static cask_status look_for_damage(merge *m, uint32_t row, merge_damage *damage,
                                   cask_error *err)
{
    store_walk walk = {.count = 0};
    const walk_part *part = NULL;
    cask_status status = hash_walk_row(&walk, m->store, row, err);

    store_walk_begin(&walk, m->store);
    if (status == CASK_OK) {
        status = store_walk_next(&walk, &part, err);
    }
    while (status == CASK_OK && part != NULL) {
        *damage = damage_of(m, part);
        if (!damage->is_restored) {
            break;
        }
        store_pace_add(&m->pace, part->item.size);
        status = merge_check_cancel(m, err);
        if (status == CASK_OK) {
            status = store_walk_next(&walk, &part, err);
        }
    }
    store_walk_free(&walk);
    return status;
}

/* An input that seemed sound, or could be released, stays: begin again. */
static cask_status keep_input(merge *m, uint32_t index,
                              const merge_damage *damage, cask_error *err)
{
    region_row *row = &m->store->region.rows[index];
    cask_status status;

    m->is_void = true;
    status = fail_damaged(damage,
                          damage->is_restored ? "what is known of it is merged"
                                              : "what can be read is merged",
                          err);
    if (atomic_load(&row->damage) == ROW_RELEASED) {
        store_row_hold(m->store, index);
    } else {
        if (m->report->quarantined++ == 0) {
            m->report->damage = *damage;
        }
        atomic_store(&row->damage, ROW_DAMAGED);
        store_event(m->store, CASK_EVENT_DAMAGE, status, "%s", err->message);
    }
    return status;
}

/* Damage of a row that seemed sound, or any record of one that the index does
 * not know all of. */
static cask_status keep_sound(merge *m, const walk_part *part, cask_error *err)
{
    merge_damage damage = damage_of(m, part);
    cask_status status = CASK_OK;

    if (damage.is_restored) {
        status = look_for_damage(m, part->row, &damage, err);
    }
    return status == CASK_OK ? keep_input(m, part->row, &damage, err) : status;
}

cask_status merge_check_part(merge *m, const walk_part *part, cask_error *err)
{
    const region_row *row = &m->store->region.rows[part->row];
    uint32_t damage = atomic_load(&row->damage);
    /* The index was made without what could not be read, which looks dead, and
     * is not. */
    bool is_unknown =
        m->is_copying && damage == ROW_SOUND && row->damaged_bytes > 0;

    if (part->result == SCAN_RECORD && !is_unknown) {
        return merge_check_cancel(m, err);
    }
    if (m->is_copying) {
        return damage == ROW_SOUND ? keep_sound(m, part, err) : CASK_OK;
    }
    if (merge_row_goes(m->store, part->row)) {
        const merge_damage found = damage_of(m, part);

        return keep_input(m, part->row, &found, err);
    }
    /* Nobody knows what is hidden there: all that may hide it stays. */
    m->keeps_all = true;
    return CASK_OK;
}

static void hold_released(merge *m, uint32_t row)
{
    if (atomic_load(&m->store->region.rows[row].damage) == ROW_RELEASED) {
        store_row_hold(m->store, row);
        m->is_void = true;
    }
}

cask_status merge_check_released(merge *m, cask_error *err)
{
    uint32_t count = atomic_load(&m->store->region.header->row_count);

    if (merge_table_lacks(&m->tombstones, m->keeps_all)) {
        for (uint32_t i = 0; i < count; i++) {
            if (merge_is_input(m->store, i)) {
                hold_released(m, i);
            }
        }
    }
    return m->is_void ? fail(err, CASK_CORRUPT, 0,
                             "%s: a delete that is needed cannot be read",
                             m->store->path)
                      : CASK_OK;
}

/* ---- What has become of it ---- */

static bool is_there(const store_handle *store, uint64_t id)
{
    uint32_t count = atomic_load(&store->region.header->row_count);

    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&store->region.rows[i].file_id) == id &&
            store_row_counts(store, i)) {
            return true;
        }
    }
    return false;
}

cask_status hash_merge_damaged(store_handle *store, const merge_damage *damage,
                               cask_error *err)
{
    if (!is_there(store, damage->id)) {
        return fail_damaged(damage,
                            "nothing there was needed any more: the segment "
                            "is merged and gone, and no key of it is lost",
                            err);
    }
    return fail_damaged(
        damage,
        damage->is_restored
            ? "what is known of it is merged, the rest waits; let all "
              "processes close the store, and the next open reads it"
            : "what can be read is merged, the rest stays where it is; "
              "'caskade verify' lists the damage",
        err);
}
