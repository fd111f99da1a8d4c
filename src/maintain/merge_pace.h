/*
 * How soon a merge is tried again, and how fast one goes. Pure functions; times
 * are the caller's.
 */
#ifndef CASKADE_MERGE_PACE_H
#define CASKADE_MERGE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* ---- Failures ---- */

/*
 * How long to wait after so many failures, one after the other, in
 * milliseconds: one second, then twice as long each time, at most a minute.
 * What fails is mostly a full disk, which a merge fills further with each try;
 * a minute is how long it may go on being full after somebody has made room.
 */
uint64_t merge_backoff_ms(uint32_t failures);

/* ---- Rate ---- */

/*
 * A token bucket in one word: the moment up to which all bytes are paid for.
 * Returns that moment after `bytes` more; who took them waits until then. What
 * was not used is kept for a twentieth of a second only.
 *
 *   paid_until_ns  as returned before; 0 at first
 *   bytes_per_s    not 0
 */
uint64_t merge_pace_pay(uint64_t paid_until_ns, uint64_t now_ns, uint64_t bytes,
                        uint64_t bytes_per_s);

/* What is known about one step of a merge, a tenth of a second or more. */
typedef struct merge_step {
    uint64_t bytes_per_s;   /* that the merge went at */
    uint64_t worst_sync_ns; /* of the syncs of the log; 0: there was none */
    uint64_t quiet_ns;      /* since the last one, in this step or before */
    uint64_t target_ns;     /* syncs are to be below it; 0: as they like */
    bool is_behind;         /* writers already wait for space as long as they
                               ever do, see merge_yield.h */
} merge_step;

/*
 * The bytes per second that the next step is allowed; 0: any number.
 *
 *   allowed  in the last step
 *
 * Half of what it was if a sync took longer than the target, else a little
 * more. Nobody knows what the device can do, and others use it too: halving
 * makes way within a few tenths of a second, and growing slowly finds the most
 * that syncs bear. It never ends at nothing, or space would run out. A step
 * without a sync says nothing: who syncs once a second would find the rate
 * raised ten times by then; but if nobody has for some seconds, nobody minds.
 * Nor do syncs count for a merge that is behind: who writes would outgrow it.
 * Source: Chiu & Jain, Analysis of the Increase and Decrease Algorithms (1989).
 */
uint64_t merge_pace_adapt(uint64_t allowed, const merge_step *step);

/*
 * The bytes of input of one step of a merge at that rate, 0: any. What a merge
 * had in hand when it was killed, cancelled or cut off by the end of
 * merge_window is done again, so a step is to take a few seconds: 1 GiB where
 * some hundreds of megabytes are read and written in one.
 */
uint64_t merge_pace_step_bytes(uint64_t bytes_per_s);

/* The smaller of two limits, of which 0 is none. */
uint64_t merge_pace_least(uint64_t one, uint64_t other);

#endif
