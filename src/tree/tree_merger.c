/*
 * What the merging thread does in a tree. Flushes come first, then what
 * somebody asked for, then what is due.
 */
#include <inttypes.h>

#include "store/merge_turn.h"
#include "store/store_merge.h"
#include "tree/tree.h"
#include "tree/tree_compact.h"
#include "tree/tree_delay.h"
#include "tree/tree_flush.h"

enum { PAUSE_MS = 10000 /* after a flush that failed */ };

typedef struct tree_merger {
    uint64_t not_before_ns; /* monotonic: no flush */
} tree_merger;

static void report(store_handle *store, cask_status status,
                   const cask_error *err)
{
    store_event(store, CASK_EVENT_BACKGROUND, status, "%s", err->message);
}

/* ---- Flushing ---- */

/* Whether something was flushed. */
static bool flush(store_handle *store, tree_merger *m)
{
    const os_ops *ops = store->os->ops;
    cask_error err = {CASK_OK, 0, ""};
    cask_status status;

    if (!tree_flush_is_due(store) ||
        atomic_load(&store->region.header->poisoned) != 0 ||
        ops->now_ns(store->os) < m->not_before_ns) {
        return false;
    }
    status = tree_flush(store, false, &err);
    if (status != CASK_OK && status != CASK_BUSY) {
        report(store, status, &err);
        m->not_before_ns =
            ops->now_ns(store->os) + (uint64_t)PAUSE_MS * 1000 * 1000;
    }
    return status == CASK_OK;
}

/* ---- Compacting ---- */

static void tell(store_handle *store, const tree_merged *merged)
{
    if (merged->compactions > 0) {
        store_event(store, CASK_EVENT_MERGED, CASK_OK,
                    "merged %" PRIu64 " files of runs into %" PRIu64
                    ": %" PRIu64 " bytes read, %" PRIu64 " written",
                    merged->inputs, merged->outputs, merged->bytes_read,
                    merged->bytes_written);
    }
}

/* CASK_BUSY: somebody else does. */
static cask_status compact(store_handle *store, tree_wish wish)
{
    const region_merge *shared = &store->region.header->merge;
    uint32_t seen = atomic_load(&shared->cancel);
    uint64_t state = merge_turn_state(store);
    cask_error err = {CASK_OK, 0, ""};
    tree_merged merged;
    cask_status status = tree_compact(store, wish, &merged, &err);
    bool is_stopped = atomic_load(&shared->cancel) != seen ||
                      atomic_load(&store->merger_stop) ||
                      (!wish.is_asked && !store_window_is_open(store));

    if (status == CASK_BUSY) {
        return status;
    }
    tell(store, &merged);
    if (status == CASK_OK && merged.compactions == 0) {
        merge_turn_answer(store, state, MERGE_WAIT_BELOW_TRIGGERS);
    }
    if (!is_stopped) {
        merge_turn_note(store, status);
        if (status != CASK_OK) {
            report(store, status, &err);
        }
    }
    return status;
}

static void grant(store_handle *store, turn_wish asked)
{
    const tree_wish wish = {.is_asked = true, .all = asked.all_below_id != 0};
    cask_status status = compact(store, wish);

    /* Of a thread that is stopped another one takes it up. */
    if (status != CASK_BUSY && !atomic_load(&store->merger_stop)) {
        merge_wish_settle(store, asked.number, status);
    }
}

static void compact_due(store_handle *store, bool is_woken, bool has_flushed)
{
    turn_wish asked = merge_wish_pending(store);
    merge_wait why;
    uint64_t paused_ms = merge_turn_paused_ms(store, &why);

    if (atomic_load(&store->region.header->poisoned) != 0 ||
        (paused_ms > 0 && why == MERGE_WAIT_FAILED)) {
        return;
    }
    if (asked.number != 0) {
        grant(store, asked);
    } else if ((paused_ms == 0 ||
                (why == MERGE_WAIT_CANCELLED && tree_is_pressed(store))) &&
               store_window_is_open(store) &&
               (has_flushed || merge_turn_take(store, is_woken))) {
        (void)compact(store, (tree_wish){.is_asked = false});
    }
}

/* ---- The thread's work ---- */

static void look(store_handle *store, void *state, bool is_woken)
{
    bool has_flushed = flush(store, state);

    compact_due(store, is_woken, has_flushed);
    versions_let_go(tree_state_of(store)->versions);
    tree_ranges_let_go(tree_state_of(store)->ranges);
}

/* If this is the last handle nobody else will flush, for long. */
static void end(store_handle *store, void *state)
{
    (void)flush(store, state);
}

const store_merger_work tree_merger_work = {
    .state_bytes = sizeof(tree_merger), .look = look, .end = end};
