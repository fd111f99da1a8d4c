/*
 * The pace of merges.
 */
#include "maintain/merge_pace.h"

enum { BACKOFF_MS = 1000, BACKOFF_MOST_MS = 60000, BACKOFF_DOUBLINGS = 6 };

uint64_t merge_backoff_ms(uint32_t failures)
{
    uint64_t ms = BACKOFF_MS;

    for (uint32_t i = 1; i < failures && i <= BACKOFF_DOUBLINGS; i++) {
        ms *= 2;
    }
    return ms < BACKOFF_MOST_MS ? ms : BACKOFF_MOST_MS;
}

/* ---- Rate ---- */

static const uint64_t NS_PER_S = 1000000000;
static const uint64_t BURST_NS = 50000000;

static const uint64_t LEAST_BYTES = 1 << 20; /* per second, whatever syncs do */
static const uint64_t MORE_BYTES = 4 << 20;  /* per second, in each step */
static const uint64_t MOST_BYTES = 1 << 30;  /* per second: above it, any */
static const uint64_t QUIET_NS = 3000000000; /* nobody syncs */

static const uint64_t STEP_MOST_BYTES = 1 << 30; /* of input */
static const uint64_t STEP_S = 5;                /* about, if there is a rate */

/* Not a product of unknown numbers: that may overflow. */
static uint64_t price_ns(uint64_t bytes, uint64_t bytes_per_s)
{
    uint64_t whole_s = bytes / bytes_per_s;
    uint64_t rest = bytes % bytes_per_s;

    /* The rest is below the rate; both may be large, then a digit is lost. */
    while (rest > UINT64_MAX / NS_PER_S) {
        rest /= 2;
        bytes_per_s /= 2;
    }
    return whole_s * NS_PER_S + rest * NS_PER_S / bytes_per_s;
}

uint64_t merge_pace_pay(uint64_t paid_until_ns, uint64_t now_ns, uint64_t bytes,
                        uint64_t bytes_per_s)
{
    uint64_t earliest = now_ns > BURST_NS ? now_ns - BURST_NS : 0;

    if (paid_until_ns < earliest) {
        paid_until_ns = earliest;
    }
    return paid_until_ns + price_ns(bytes, bytes_per_s);
}

uint64_t merge_pace_least(uint64_t one, uint64_t other)
{
    if (one == 0 || (other != 0 && other < one)) {
        return other;
    }
    return one;
}

uint64_t merge_pace_adapt(uint64_t allowed, const merge_step *step)
{
    if (step->target_ns == 0 || step->is_behind) {
        return 0;
    }
    if (step->worst_sync_ns > step->target_ns) {
        uint64_t half = merge_pace_least(allowed, step->bytes_per_s) / 2;

        return half > LEAST_BYTES ? half : LEAST_BYTES;
    }
    if (allowed != 0 && step->worst_sync_ns == 0 && step->quiet_ns < QUIET_NS) {
        return allowed;
    }
    return allowed == 0 || allowed > MOST_BYTES - MORE_BYTES
               ? 0
               : allowed + MORE_BYTES;
}

uint64_t merge_pace_step_bytes(uint64_t bytes_per_s)
{
    return bytes_per_s == 0 || bytes_per_s > STEP_MOST_BYTES / STEP_S
               ? STEP_MOST_BYTES
               : bytes_per_s * STEP_S;
}
