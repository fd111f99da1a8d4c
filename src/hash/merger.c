/*
 * What the merging thread does in a store of the hash engine: what somebody
 * asked for, else what the policy says.
 */
#include "hash/hash_merger.h"

#include "store/merge_turn.h"
#include "store/store_merge.h"
#include "store/store_shortage.h"

/* What must have come free that a merge is tried again at once. */
enum { ROOM_BYTES = 1 << 20 };

typedef struct merger {
    bool is_short;       /* its last merge found no room: */
    uint64_t short_keys; /* there were so many keys, and */
    uint64_t short_free; /* so many free bytes */
} merger;

static void tell(store_handle *store, const merge_report *report)
{
    if (report->inputs > 0) {
        store_event(store, CASK_EVENT_MERGED, CASK_OK,
                    "merged %llu segment%s into %llu: %llu bytes read, %llu "
                    "written",
                    (unsigned long long)report->inputs,
                    report->inputs == 1 ? "" : "s",
                    (unsigned long long)report->outputs,
                    (unsigned long long)report->bytes_read,
                    (unsigned long long)report->bytes_written);
    }
}

static void report(store_handle *store, cask_status status,
                   const cask_error *err)
{
    if (status != CASK_OK) {
        store_event(store, CASK_EVENT_BACKGROUND, status, "%s", err->message);
    }
}

/* Whether merge_window has closed over a merge that nobody asked for. */
static bool has_closed(const store_handle *store, merge_wish wish)
{
    return !wish.is_asked && !store_window_is_open(store);
}

/* Whether nothing was tried, since the policy found that nothing fits. */
static bool is_untried(cask_status status, const merge_report *merged)
{
    return status == CASK_NO_SPACE && merged->inputs == 0 &&
           merged->wait == MERGE_WAIT_NO_ROOM;
}

/* ---- Want of room ---- */

static uint64_t key_count(const store_handle *store)
{
    return atomic_load(&store->region.header->key_count);
}

static void note_room(store_handle *store, merger *m, cask_status status)
{
    m->is_short = status == CASK_NO_SPACE;
    m->short_keys = key_count(store);
    m->short_free = store_free_bytes(store);
}

/* Whether what the last merge failed for has changed: a segment may be dead by
 * now, which takes no room, or the disk has some. Then the pause is over; the
 * next failure makes one as long as if it had not been. */
static bool has_room_come(store_handle *store, merger *m)
{
    uint64_t free = store_free_bytes(store);

    if (!m->is_short ||
        (key_count(store) >= m->short_keys &&
         (free < m->short_free || free - m->short_free < ROOM_BYTES))) {
        return false;
    }
    m->is_short = false;
    return true;
}

/* Merge, and say how it went; CASK_BUSY: somebody else does. */
static cask_status merge(store_handle *store, merger *m, merge_wish wish)
{
    const region_merge *shared = &store->region.header->merge;
    uint32_t seen = atomic_load(&shared->cancel);
    uint64_t state = merge_turn_state(store);
    merge_report merged;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status = hash_merge_started(store, wish, &merged, &err);

    tell(store, &merged);
    if (status == CASK_OK) {
        merge_turn_answer(store, state, merged.wait);
    }
    if (status != CASK_BUSY && atomic_load(&shared->cancel) == seen &&
        !has_closed(store, wish) && !atomic_load(&store->merger_stop)) {
        note_room(store, m, status);
        merge_turn_note(store, is_untried(status, &merged) ? CASK_OK : status);
        report(store, status, &err);
    }
    return status;
}

/* What a process that died left undone is completed. */
static cask_status tidy(store_handle *store)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    if (atomic_load(&store->region.header->merge.phase) == MERGE_NONE) {
        return CASK_OK;
    }
    status = hash_merge_complete(store, &err);
    if (status != CASK_OK && status != CASK_BUSY) {
        merge_turn_note(store, status);
        report(store, status, &err);
    }
    return status;
}

static void grant(store_handle *store, merger *m, turn_wish asked)
{
    const merge_wish wish = {.is_asked = true,
                             .all_below_id = asked.all_below_id};
    cask_status status = merge(store, m, wish);

    /* Of a thread that is stopped another one takes it up. */
    if (status != CASK_BUSY && !atomic_load(&store->merger_stop)) {
        merge_wish_settle(store, asked.number, status);
    }
}

static void merge_due(store_handle *store, merger *m, bool is_woken)
{
    const merge_wish by_itself = {.is_asked = false};
    turn_wish asked = merge_wish_pending(store);
    merge_wait why;
    uint64_t paused_ms = merge_turn_paused_ms(store, &why);

    if (paused_ms > 0 && why == MERGE_WAIT_FAILED && has_room_come(store, m)) {
        merge_turn_renew(store);
        paused_ms = merge_turn_paused_ms(store, &why);
    }
    if (atomic_load(&store->region.header->poisoned) != 0 ||
        (paused_ms > 0 && why == MERGE_WAIT_FAILED) || tidy(store) != CASK_OK) {
        return;
    }
    if (asked.number != 0) {
        grant(store, m, asked);
    } else if ((paused_ms == 0 || why == MERGE_WAIT_CANCELLED) &&
               merge_turn_take(store, is_woken)) {
        /* What can wait after somebody has cancelled one, the policy knows. */
        (void)merge(store, m, by_itself);
    }
}

static void look(store_handle *store, void *state, bool is_woken)
{
    merge_turn_watch(store);
    merge_due(store, state, is_woken);
}

const store_merger_work hash_merger_work = {.state_bytes = sizeof(merger),
                                            .look = look};
