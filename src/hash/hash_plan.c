/*
 * The facts of a store for the merge policy.
 */
#include <stdlib.h>

#include "hash/hash_merger.h"
#include "maintain/merge_pace.h"
#include "store/store_merge.h"
#include "store/store_settings.h"
#include "store/store_shortage.h"
#include "store/store_size.h"

/* A merge keeps all tombstones beside it, see merge_check_part(). */
static bool is_obscure(const region_row *row)
{
    return (atomic_load(&row->damage) != ROW_SOUND || row->damaged_bytes > 0) &&
           atomic_load(&row->has_hint) != HINT_WRITTEN;
}

static merge_segment facts_of(const store_handle *store,
                              const store_expiry *expiry, uint32_t index)
{
    const region_row *row = &store->region.rows[index];

    return (merge_segment){
        .id = atomic_load(&row->file_id),
        .bytes = store_row_end(store, index),
        .live_bytes = row->live_bytes,
        .expired_bytes = store_row_expired_bytes(expiry, row),
        .records = row->records,
        .live_records = row->live_records,
        .tombstones = row->tombstones,
        .first_sequence = row->first_sequence,
        .last_sequence = row->last_sequence,
        .age_ms = store_row_age_ms(expiry, row),
        .expired_ms = store_row_expired_ms(expiry, row),
        .may_expire = store_row_may_expire(expiry, row),
        .is_output = row->kind == SEGMENT_MERGE,
        .is_quarantined = store_row_is_quarantined_locked(store, index),
        .is_obscure = is_obscure(row)};
}

/* Counters change under the write lock only. False: there is not room for all
 * rows, of which there may be more than a moment ago. */
static bool collect_locked(const store_handle *store, merge_wish wish,
                           uint32_t room, merger_plan *p, merge_moment *moment)
{
    const region_header *header = store->region.header;
    uint32_t count = atomic_load(&header->row_count);
    uint32_t active = region_tail_row(atomic_load(&header->applied_tail));
    store_space space;

    if (count > room) {
        return false;
    }
    store_note_size_locked(store);
    space = store_space_locked(store, &p->expiry);
    moment->live_bytes = space.live_bytes;
    moment->expired_bytes = space.expired_bytes;
    moment->total_bytes = space.total_bytes;
    moment->active_age_ms =
        store_row_age_ms(&p->expiry, &store->region.rows[active]);
    for (uint32_t i = 0; i < count; i++) {
        const region_row *row = &store->region.rows[i];
        bool is_sealed = atomic_load(&row->state) == ROW_SEALED;
        bool is_wanted =
            is_sealed || (wish.with_active && i == active && row->records > 0);

        if (is_wanted && store_row_counts(store, i)) {
            p->segments[p->count] = facts_of(store, &p->expiry, i);
            p->rows[p->count] = i;
            p->count++;
        }
    }
    return true;
}

static cask_status make_room(merger_plan *p, uint32_t room, cask_error *err)
{
    const store_expiry expiry = p->expiry;

    hash_plan_free(p);
    p->expiry = expiry;
    p->segments = calloc(room, sizeof(*p->segments));
    p->choices = calloc(room, sizeof(*p->choices));
    p->rows = calloc(room, sizeof(*p->rows));
    if (p->segments == NULL || p->choices == NULL || p->rows == NULL) {
        return fail_memory(err, room * sizeof(*p->segments));
    }
    return CASK_OK;
}

static cask_status collect(store_handle *store, merge_wish wish, merger_plan *p,
                           merge_moment *moment, cask_error *err)
{
    cask_status status;
    bool is_whole = false;

    do {
        /* Rows are added without the lock, one at a time. */
        uint32_t room = atomic_load(&store->region.header->row_count) + 16;

        status = make_room(p, room, err);
        if (status == CASK_OK && !store->has_slot) {
            /* An index of its own, which nobody changes. */
            is_whole = collect_locked(store, wish, room, p, moment);
        } else if (status == CASK_OK) {
            status = store_lock_always(store, err);
            if (status == CASK_OK) {
                is_whole = collect_locked(store, wish, room, p, moment);
                store_unlock(store);
            }
        }
    } while (status == CASK_OK && !is_whole);
    return status;
}

/* At the pace that merges go at by now. */
static uint64_t step_bytes(const store_handle *store,
                           const store_settings *settings)
{
    uint64_t allowed = atomic_load(&store->region.header->merger.allowed_bytes);

    return merge_pace_step_bytes(
        merge_pace_least(settings->merge_rate_bytes, allowed));
}

cask_status hash_plan(store_handle *store, merge_wish wish,
                      merger_plan *ret_plan, cask_error *err)
{
    store_settings kept;
    merge_settings settings;
    uint64_t open_ns = store->os->ops->now_ns(store->os) - store->opened_ns;
    const turn_thread own = {.open_ms = open_ns / 1000000,
                             .jitter_ms = store->jitter_ms};
    const turn_thread *thread = wish.thread == NULL ? &own : wish.thread;
    merge_moment moment = {
        .free_disk_bytes = UINT64_MAX,
        .open_ms = wish.is_asked || wish.is_late ? UINT64_MAX : thread->open_ms,
        .jitter_ms = thread->jitter_ms,
        .idle_ms = wish.is_asked || wish.is_late ? UINT64_MAX
                                                 : merge_turn_idle_ms(store),
        .all_below_id = wish.all_below_id,
        .below_id = wish.below_id,
        .is_cancelled = !wish.is_asked && merge_turn_is_cancelled(store),
        .is_in_window = wish.is_asked ||
                        store_window_is_open_for(store, thread->jitter_ms)};
    uint64_t free = store_free_bytes(store);
    cask_status status;

    *ret_plan = (merger_plan){.count = 0};
    store_expiry_now(store, wish.is_asked, &ret_plan->expiry);
    moment.clock_disagrees = ret_plan->expiry.disagrees;
    if (free != UINT64_MAX) {
        moment.free_disk_bytes = free + wish.spare_bytes;
        moment.lent_bytes = manifest_lent_bytes(store->dir);
    }
    store_settings_get(store, &kept);
    settings = settings_for_merge(
        &kept, store_segment_max_of(store, kept.segment_max_bytes));
    settings.step_bytes = step_bytes(store, &kept);
    status = collect(store, wish, ret_plan, &moment, err);
    if (status == CASK_OK) {
        settings.segment_bytes =
            store_merged_bytes_within(store, settings.segment_max_bytes);
        merge_policy_choose(&settings, &moment, ret_plan->segments,
                            ret_plan->count, ret_plan->choices,
                            &ret_plan->plan);
    } else {
        hash_plan_free(ret_plan);
    }
    return status;
}

void hash_plan_free(merger_plan *plan)
{
    free(plan->segments);
    free(plan->choices);
    free(plan->rows);
    *plan = (merger_plan){.count = 0};
}
