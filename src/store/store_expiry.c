/*
 * Expiry: comparisons of times, and of two clocks. The wall clock can be set,
 * to anything; the time since the boot cannot. A region remembers what both
 * said when it was made. While they have not gone on alike since, one of the
 * two times by the wall clock is wrong, nobody knows which, and nothing is
 * given up by it.
 */
#include "store/store_expiry.h"

#include "store/store_settings.h"

/* Clocks may drift apart, and be corrected, by so much. */
#define DISAGREE_MS (UINT64_C(60) * 60 * 1000)

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* Whether the wall clock has been set since the region was made. */
static bool has_jumped(uint64_t wall_ms, uint64_t boot_ms,
                       const region_header *header)
{
    uint64_t expected_ms =
        header->created_ms + less(boot_ms, header->created_boot_ms);

    return less(wall_ms, expected_ms) > DISAGREE_MS ||
           less(expected_ms, wall_ms) > DISAGREE_MS;
}

/*
 * Whether it is too early to tell: the clock was well ahead of the log when the
 * region was made. Nobody wrote for so long, or it was wrong; then it will
 * probably be set right soon, which is a jump.
 */
static bool is_early(uint64_t boot_ms, const region_header *header)
{
    return header->recovered_s != 0 &&
           header->created_ms > header->recovered_s * 1000 + DISAGREE_MS &&
           less(boot_ms, header->created_boot_ms) < DISAGREE_MS;
}

void store_expiry_now(const store_handle *store, bool is_asked,
                      store_expiry *ret_expiry)
{
    const os_ops *ops = store->os->ops;
    const region_header *header = store->region.header;
    uint64_t boot_ms = ops->boot_ms(store->os);
    store_settings settings;

    store_settings_get(store, &settings);
    ret_expiry->now_ms = ops->wall_ms(store->os);
    ret_expiry->expiry_ms = settings.expiry_seconds * 1000;
    ret_expiry->grace_ms = settings.expiry_grace_seconds * 1000;
    ret_expiry->disagrees = has_jumped(ret_expiry->now_ms, boot_ms, header) ||
                            (!is_asked && is_early(boot_ms, header));
}

/* ---- Records ---- */

static bool is_too_old(const store_expiry *expiry, uint64_t time_s)
{
    return expiry->expiry_ms != 0 && less(expiry->now_ms, time_s * 1000) >
                                         expiry->expiry_ms + expiry->grace_ms;
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
    if (row->lasting != 0 || row->last_expiry_ms == 0) {
        return 0;
    }
    return less(expiry->now_ms, row->last_expiry_ms);
}

uint64_t store_row_age_ms(const store_expiry *expiry, const region_row *row)
{
    return row->newest_s == 0
               ? 0
               : less(expiry->now_ms, row->newest_s * UINT64_C(1000));
}

bool store_row_has_expired(const store_expiry *expiry, const region_row *row)
{
    if (expiry->disagrees) {
        return false;
    }
    return store_row_expired_ms(expiry, row) > 0 ||
           (row->newest_s != 0 && is_too_old(expiry, row->newest_s));
}

bool store_row_may_expire(const store_expiry *expiry, const region_row *row)
{
    return !expiry->disagrees &&
           (expiry->expiry_ms != 0 || row->last_expiry_ms != 0);
}
