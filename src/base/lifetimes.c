/*
 * Sums in classes of lifetimes.
 */
#include "base/lifetimes.h"

enum { S_MS = 1000 };

static uint32_t class_of(uint32_t time_s, uint64_t until_s)
{
    uint64_t left = until_s > time_s ? until_s - time_s : 0;
    uint32_t class = 0;

    while ((left >>= LIFETIMES_SHIFT) != 0 && class < LIFETIMES - 1) {
        class ++;
    }
    return class;
}

void lifetimes_add(lifetimes *sums, uint32_t time_s, uint64_t expires_at_ms,
                   uint64_t bytes)
{
    uint64_t until_s = expires_at_ms / S_MS + (expires_at_ms % S_MS != 0);
    lifetimes_sum *sum = &sums->of[class_of(time_s, until_s)];
    uint64_t units = bytes / LIFETIMES_UNIT;

    if (until_s > UINT32_MAX) {
        until_s = UINT32_MAX;
    }
    if (sum->until_s < until_s) {
        sum->until_s = (uint32_t)until_s;
    }
    sum->units = units > UINT32_MAX - sum->units ? UINT32_MAX
                                                 : sum->units + (uint32_t)units;
}

uint64_t lifetimes_left(const lifetimes *sums, uint64_t now_ms)
{
    uint64_t bytes = sums->lasting_bytes;

    for (int i = 0; i < LIFETIMES; i++) {
        const lifetimes_sum *sum = &sums->of[i];

        if (sum->units == UINT32_MAX) {
            return UINT64_MAX;
        }
        if (sum->until_s == UINT32_MAX || sum->until_s > now_ms / S_MS) {
            bytes += (uint64_t)sum->units * LIFETIMES_UNIT;
        }
    }
    return bytes;
}
