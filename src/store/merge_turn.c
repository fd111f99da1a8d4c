/*
 * Turns, pauses and wishes. All times are monotonic nanoseconds, which agree
 * in all processes of a machine.
 */
#include "store/merge_turn.h"

#include "maintain/merge_pace.h"
#include "store/store_merge.h"

enum {
    ASK_MS = 1000,
    WOKEN_MS = 100,
    REPEAT_MS = 30000, /* time and the disk may change any answer */
    CANCEL_PAUSE_MS = 60000,
    WANTED_MS = 100 /* who waits says so far more often */
};

static const uint64_t NS_PER_MS = 1000000;

static region_merger *merger_of(const store_handle *store)
{
    return &store->region.header->merger;
}

static uint64_t now_of(const store_handle *store)
{
    return store->os->ops->now_ns(store->os);
}

/* ---- Turns ---- */

uint64_t merge_turn_state(const store_handle *store)
{
    const uint64_t factor = UINT64_C(6364136223846793005);
    const region_header *header = store->region.header;
    uint64_t state = atomic_load(&header->next_sequence);

    state = state * factor + atomic_load(&header->merge.number);
    state = state * factor + atomic_load(&header->next_id);
    state = state * factor + atomic_load(&header->settings.number);
    return state | 1; /* never 0, which says: ask */
}

static uint64_t since_ms(uint64_t asked_ns, uint64_t now_ns)
{
    return now_ns > asked_ns ? (now_ns - asked_ns) / NS_PER_MS : 0;
}

/* Nobody asks again before REPEAT_MS have passed. */
static bool is_answered(const store_handle *store)
{
    return atomic_load(&merger_of(store)->asked_state) ==
           merge_turn_state(store);
}

uint64_t merge_turn_rest_ms(const store_handle *store)
{
    uint64_t asked = atomic_load(&merger_of(store)->asked_ns);
    uint64_t since = since_ms(asked, now_of(store));

    return is_answered(store) && since < REPEAT_MS ? REPEAT_MS - since : 0;
}

bool merge_turn_take(store_handle *store, bool is_woken)
{
    region_merger *merger = merger_of(store);
    uint64_t now = now_of(store);
    uint64_t asked = atomic_load(&merger->asked_ns);
    uint64_t since = since_ms(asked, now);
    /* The seconds of those that wait do not tick together: a little less. */
    uint64_t pause_ms = is_woken ? WOKEN_MS : ASK_MS - WOKEN_MS;

    if (asked != 0 && since < pause_ms) {
        return false;
    }
    if (since < REPEAT_MS && is_answered(store)) {
        return false;
    }
    return atomic_compare_exchange_strong(&merger->asked_ns, &asked, now);
}

/* Whether the answer is the same as long as nobody writes. */
static bool is_lasting(merge_wait wait)
{
    return wait == MERGE_WAIT_NO_SEGMENTS ||
           wait == MERGE_WAIT_NOTHING_TO_GAIN ||
           wait == MERGE_WAIT_BELOW_TRIGGERS || wait == MERGE_WAIT_FULL;
}

void merge_turn_answer(store_handle *store, uint64_t state, merge_wait wait)
{
    region_merger *merger = merger_of(store);

    atomic_store(&merger->asked_state, is_lasting(wait) ? state : 0);
    if (wait == MERGE_WAIT_FIRST_MINUTE) {
        atomic_store(&merger->asked_ns, 0);
    }
}

void merge_turn_renew(store_handle *store)
{
    region_merger *merger = merger_of(store);

    atomic_store(&merger->asked_state, 0);
    atomic_store(&merger->not_before_ns, 0);
    store_merge_wake(store);
}

/* ---- Rest ---- */

void merge_turn_watch(store_handle *store)
{
    region_merger *merger = merger_of(store);
    uint64_t written = atomic_load(&store->region.header->bytes_written);

    if (atomic_load(&merger->rest_bytes) != written ||
        atomic_load(&merger->rest_since_ns) == 0) {
        /* Of a thread that dies between the two nobody believes the time. */
        atomic_store(&merger->rest_since_ns, now_of(store));
        atomic_store(&merger->rest_bytes, written);
    }
}

uint64_t merge_turn_idle_ms(const store_handle *store)
{
    const region_merger *merger = merger_of(store);
    uint64_t seen = atomic_load(&merger->rest_bytes);
    uint64_t since = atomic_load(&merger->rest_since_ns);
    uint64_t now = now_of(store);

    return seen == atomic_load(&store->region.header->bytes_written) &&
                   since != 0 && now > since
               ? (now - since) / NS_PER_MS
               : 0;
}

/* ---- Threads ---- */

/* False: the slot has none. */
static bool find_thread(store_handle *store, uint32_t slot,
                        turn_thread *ret_thread)
{
    const region_process *process = &store->region.processes[slot];
    uint32_t merges = atomic_load(&process->merges);
    uint64_t opened = atomic_load(&process->opened_ns);
    uint64_t now = now_of(store);

    if (atomic_load(&process->in_use) == 0 || merges == 0 ||
        !store_slot_is_alive(store, slot)) {
        return false;
    }
    ret_thread->jitter_ms = merges - 1;
    ret_thread->open_ms = now > opened ? (now - opened) / NS_PER_MS : 0;
    return true;
}

/* The window opens for each by its jitter, and the first minute ends by it. */
static bool is_earlier(const store_handle *store, const turn_thread *one,
                       const turn_thread *other)
{
    bool is_open = store_window_is_open_for(store, one->jitter_ms);

    if (is_open != store_window_is_open_for(store, other->jitter_ms)) {
        return is_open;
    }
    return one->open_ms + other->jitter_ms > other->open_ms + one->jitter_ms;
}

uint32_t merge_turn_first(store_handle *store, turn_thread *ret_first)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < REGION_PROCESSES; i++) {
        turn_thread thread;

        if (find_thread(store, i, &thread)) {
            if (count == 0 || is_earlier(store, &thread, ret_first)) {
                *ret_first = thread;
            }
            count++;
        }
    }
    return count;
}

uint32_t merge_turn_threads(store_handle *store)
{
    turn_thread first = {.open_ms = 0};

    return merge_turn_first(store, &first);
}

/* ---- Pauses ---- */

void merge_turn_pause(store_handle *store, merge_wait why, uint64_t ms)
{
    region_merger *merger = merger_of(store);

    atomic_store(&merger->pause, (uint32_t)why);
    atomic_store(&merger->not_before_ns, now_of(store) + ms * NS_PER_MS);
}

void merge_turn_note(store_handle *store, cask_status result)
{
    region_merger *merger = merger_of(store);

    if (result != CASK_OK) {
        uint32_t failures = atomic_fetch_add(&merger->failures, 1) + 1;

        merge_turn_pause(store, MERGE_WAIT_FAILED, merge_backoff_ms(failures));
    } else if (atomic_exchange(&merger->failures, 0) != 0) {
        atomic_store(&merger->not_before_ns, 0);
    }
}

uint64_t merge_turn_paused_ms(const store_handle *store, merge_wait *ret_why)
{
    const region_merger *merger = merger_of(store);
    uint64_t until = atomic_load(&merger->not_before_ns);
    uint64_t now = now_of(store);

    *ret_why = (merge_wait)atomic_load(&merger->pause);
    return until > now ? (until - now) / NS_PER_MS + 1 : 0;
}

bool merge_turn_is_cancelled(const store_handle *store)
{
    merge_wait why;

    return merge_turn_paused_ms(store, &why) > 0 && why == MERGE_WAIT_CANCELLED;
}

void merge_turn_cancel(store_handle *store)
{
    region_merger *merger = merger_of(store);

    merge_wish_settle(store, atomic_load(&merger->wish), CASK_TIMEOUT);
    merge_turn_pause(store, MERGE_WAIT_CANCELLED, CANCEL_PAUSE_MS);
    atomic_fetch_add(&store->region.header->merge.cancel, 1);
    store_merge_wake(store);
}

/* ---- Wishes ---- */

cask_status merge_wish_ask(store_handle *store, uint64_t all_below_id,
                           cask_error *err)
{
    region_merger *merger = merger_of(store);
    cask_status status = store_lock(store, err);

    if (status != CASK_OK) {
        return status;
    }
    /* What is pending and for all covers one by policy; the number comes last,
     * it is what makes the wish. */
    if (merge_wish_pending(store).all_below_id < all_below_id ||
        merge_wish_pending(store).number == 0) {
        atomic_store(&merger->wish_all_below, all_below_id);
    }
    atomic_fetch_add(&merger->wish, 1);
    store_unlock(store);
    merge_turn_renew(store);
    return CASK_OK;
}

turn_wish merge_wish_pending(const store_handle *store)
{
    const region_merger *merger = merger_of(store);
    turn_wish wish = {.number = atomic_load(&merger->wish)};

    if (atomic_load(&merger->wish_done) >= wish.number) {
        return (turn_wish){.number = 0};
    }
    wish.all_below_id = atomic_load(&merger->wish_all_below);
    return wish;
}

void merge_wish_wait(store_handle *store)
{
    atomic_store(&merger_of(store)->wanted_until_ns,
                 now_of(store) + WANTED_MS * NS_PER_MS);
}

bool merge_wish_is_waiting(const store_handle *store)
{
    return merge_wish_pending(store).number != 0 ||
           atomic_load(&merger_of(store)->wanted_until_ns) > now_of(store);
}

void merge_wish_settle(store_handle *store, uint64_t number, cask_status result)
{
    region_merger *merger = merger_of(store);
    uint64_t done = atomic_load(&merger->wish_done);

    if (done < number) {
        atomic_store(&merger->wish_result, (uint32_t)result);
    }
    while (done < number &&
           !atomic_compare_exchange_weak(&merger->wish_done, &done, number)) {
    }
}
