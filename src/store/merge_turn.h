/*
 * Who merges when: what the merging threads of all processes agree on by words
 * of the region. Any of them may die at any moment; nothing here is a lock, and
 * whatever one leaves undone another does a second later.
 */
#ifndef CASKADE_MERGE_TURN_H
#define CASKADE_MERGE_TURN_H

#include "maintain/merge_policy.h"
#include "store/store.h"

/* ---- Turns ---- */

/*
 * Whether this handle is to ask the policy now: one of all handles does, once a
 * second, and only if something has changed since an answer that depends on
 * little else.
 *
 *   is_woken  a segment was sealed: no need to wait for the next second
 *
 * Cost: no lock, no system call but for the time.
 */
bool merge_turn_take(store_handle *store, bool is_woken);

/* How many milliseconds no handle asks, unless something changes; 0: one does
 * when it looks next, within a second. */
uint64_t merge_turn_rest_ms(const store_handle *store);

/* What an answer depends on, as one number: another after each write, merge,
 * new segment and changed setting. */
uint64_t merge_turn_state(const store_handle *store);

/*
 * Nothing is to be merged, says whose turn this is, for this reason. If it is
 * its own first minute, another may ask at once.
 *
 *   state  merge_turn_state() before the question
 */
void merge_turn_answer(store_handle *store, uint64_t state, merge_wait wait);

/* Forget answers and pauses: settings have changed, or somebody asks. */
void merge_turn_renew(store_handle *store);

/* ---- Rest ---- */

/* Look whether anything was written since the last look, of whichever thread.
 * Called once a second by each. Cost: nothing, as long as nobody writes. */
void merge_turn_watch(store_handle *store);

/* Since when, by these looks, nothing was written; milliseconds, 0 if something
 * was. */
uint64_t merge_turn_idle_ms(const store_handle *store);

/* ---- Threads ---- */

/* What holds up merges that begin by themselves, of one thread. */
typedef struct turn_thread {
    uint64_t open_ms;   /* since its handle was opened */
    uint32_t jitter_ms; /* of the same */
} turn_thread;

/*
 * The thread, of all processes, that is the first that may begin a merge by
 * itself: whether one is due is what it says.
 *
 *   ret_first  set if there is one
 *
 * Returns how many threads there are.
 */
uint32_t merge_turn_first(store_handle *store, turn_thread *ret_first);

/* ---- Pauses ---- */

/* No merge begins by itself for a while. */
void merge_turn_pause(store_handle *store, merge_wait why, uint64_t ms);

/* After a merge: one that failed is tried again later and later. */
void merge_turn_note(store_handle *store, cask_status result);

/*
 * Ask the merge under way to stop, drop what was wished for, and let none begin
 * by itself for a minute, but what the policy finds urgent.
 */
void merge_turn_cancel(store_handle *store);

/* Whether that minute is not over. */
bool merge_turn_is_cancelled(const store_handle *store);

/* What is left of the pause in milliseconds, 0: none. */
uint64_t merge_turn_paused_ms(const store_handle *store, merge_wait *ret_why);

/* ---- Wishes: merges that somebody asked the threads for ---- */

/* What is to be done yet. */
typedef struct turn_wish {
    uint64_t number; /* 0: nothing */
    uint64_t all_below_id;
} turn_wish;

/* Handles that have a merging thread. */
uint32_t merge_turn_threads(store_handle *store);

/*
 * Ask for a merge, of all segments with smaller ids than all_below_id, or, if
 * that is 0, of what the policy chooses. CASK_OK; statuses of store_lock().
 */
cask_status merge_wish_ask(store_handle *store, uint64_t all_below_id,
                           cask_error *err);

turn_wish merge_wish_pending(const store_handle *store);

/* This handle merges what was asked for as soon as another makes way: to be
 * repeated every few milliseconds as long as it waits. */
void merge_wish_wait(store_handle *store);

/* Whether anything that was asked for waits, of whichever process. A merge that
 * began by itself makes way for it between its steps: under writers it may
 * never come to its end. */
bool merge_wish_is_waiting(const store_handle *store);

/* It is done, or has failed or been cancelled. */
void merge_wish_settle(store_handle *store, uint64_t number,
                       cask_status result);

#endif
