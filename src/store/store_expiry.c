/*
 * Expiry: comparisons of times, and of two clocks. The wall clock can be set,
 * to anything; the time since the boot cannot. A region remembers what both
 * said when it was made. While they have not gone on alike since, one of the
 * two times by the wall clock is wrong, nobody knows which, and nothing is
 * given up by it.
 */
#include "store/store_expiry.h"

#include <inttypes.h>

#include "store/store_settings.h"

/* Clocks may drift apart, and be corrected, by so much. */
#define DISAGREE_MS (UINT64_C(60) * 60 * 1000)

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* Since the region was made. */
static uint64_t open_ms(const store_handle *store)
{
    return less(store->os->ops->boot_ms(store->os),
                store->region.header->created_boot_ms);
}

static uint64_t expected_wall_ms(const store_handle *store)
{
    return store->region.header->created_ms + open_ms(store);
}

/* Whether the wall clock has been set since the region was made. */
static bool has_jumped(const store_handle *store, uint64_t wall_ms)
{
    uint64_t expected_ms = expected_wall_ms(store);

    return less(wall_ms, expected_ms) > DISAGREE_MS ||
           less(expected_ms, wall_ms) > DISAGREE_MS;
}

/*
 * Whether it is too early to tell: the clock was well ahead of the log when the
 * region was made. Nobody wrote for so long, or it was wrong; then it will
 * probably be set right soon, which is a jump.
 */
static bool is_early(const store_handle *store)
{
    const region_header *header = store->region.header;

    return header->recovered_s != 0 &&
           header->created_ms > header->recovered_s * 1000 + DISAGREE_MS &&
           open_ms(store) < DISAGREE_MS;
}

void store_expiry_now(const store_handle *store, bool is_asked,
                      store_expiry *ret_expiry)
{
    const os_ops *ops = store->os->ops;
    store_settings settings;

    store_settings_get(store, &settings);
    ret_expiry->now_ms = ops->wall_ms(store->os);
    ret_expiry->expiry_ms = settings.expiry_seconds * 1000;
    ret_expiry->grace_ms = settings.expiry_grace_seconds * 1000;
    ret_expiry->disagrees =
        has_jumped(store, ret_expiry->now_ms) || (!is_asked && is_early(store));
}

void store_watch_clock(store_handle *store)
{
    uint64_t wall_ms = store->os->ops->wall_ms(store->os);
    uint64_t expected_ms = expected_wall_ms(store);
    bool is_ahead = wall_ms > expected_ms;
    bool jumped = has_jumped(store, wall_ms);

    if (jumped && !atomic_exchange(&store->told_jump, true)) {
        store_event(store, CASK_EVENT_CLOCK, CASK_OK,
                    "%s: the wall clock is %" PRIu64 " s %s what it should be "
                    "since the store was opened; nothing is given up as "
                    "expired; set it right, or close the store everywhere and "
                    "open it again",
                    store->path,
                    (is_ahead ? wall_ms - expected_ms : expected_ms - wall_ms) /
                        1000,
                    is_ahead ? "ahead of" : "behind");
    } else if (!jumped) {
        atomic_store(&store->told_jump, false);
    }
}

/* ---- Records ---- */

/* In whole seconds, as reads count: what they still show is not given up. */
static uint64_t age_ms(const store_expiry *expiry, uint64_t time_s)
{
    return less(expiry->now_ms / 1000, time_s) * 1000;
}

static bool is_too_old(const store_expiry *expiry, uint64_t time_s)
{
    return expiry->expiry_ms != 0 &&
           age_ms(expiry, time_s) > expiry->expiry_ms + expiry->grace_ms;
}

uint32_t store_too_old_s(const store_expiry *expiry)
{
    uint64_t now_s = expiry->now_ms / 1000;
    uint64_t kept_s = (expiry->expiry_ms + expiry->grace_ms) / 1000;

    if (expiry->disagrees || expiry->expiry_ms == 0 || now_s <= kept_s + 1) {
        return 0;
    }
    now_s -= kept_s + 1;
    return now_s < UINT32_MAX ? (uint32_t)now_s : UINT32_MAX;
}

bool store_has_expired(const store_expiry *expiry, uint32_t time_s,
                       uint64_t expires_at_ms)
{
    if (expiry->disagrees) {
        return false;
    }
    return (expires_at_ms != 0 && expires_at_ms <= expiry->now_ms) ||
           is_too_old(expiry, time_s);
}

/* ---- Rows ---- */

uint64_t store_row_expired_ms(const store_expiry *expiry, const region_row *row)
{
    if (row->lifetimes.lasting_bytes != 0 || row->last_expiry_ms == 0) {
        return 0;
    }
    return less(expiry->now_ms, row->last_expiry_ms);
}

uint64_t store_row_age_ms(const store_expiry *expiry, const region_row *row)
{
    return row->newest_s == 0 ? 0 : age_ms(expiry, row->newest_s);
}

bool store_row_has_expired(const store_expiry *expiry, const region_row *row)
{
    if (expiry->disagrees) {
        return false;
    }
    return store_row_expired_ms(expiry, row) > 0 ||
           (row->newest_s != 0 && is_too_old(expiry, row->newest_s));
}

uint64_t store_row_expired_bytes(const store_expiry *expiry,
                                 const region_row *row)
{
    if (row->live_bytes == 0 || atomic_load(&row->damage) != ROW_SOUND) {
        return 0;
    }
    if (row->newest_s != 0 && is_too_old(expiry, row->newest_s)) {
        return row->live_bytes;
    }
    if (row->first_expiry_ms == 0) {
        return 0;
    }
    return less(row->live_bytes,
                lifetimes_left(&row->lifetimes,
                               less(expiry->now_ms, expiry->grace_ms)));
}

bool store_row_may_expire(const store_expiry *expiry, const region_row *row)
{
    return !expiry->disagrees && ((row->first_expiry_ms != 0 &&
                                   row->first_expiry_ms <= expiry->now_ms) ||
                                  is_too_old(expiry, row->oldest_s));
}
