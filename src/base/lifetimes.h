/*
 * How many bytes of a file are still of use at a given time, if some of its
 * records have a time of expiry: sums in classes of lifetimes, each of four
 * times the one before, with the time when the last of the class ends. Records
 * that are meant to live about as long, and were written together, end
 * together; those of other classes do not make them look alive.
 *
 * A record that is noted twice, or was overwritten since, makes the sums larger
 * than what is of use, never smaller.
 */
#ifndef CASKADE_LIFETIMES_H
#define CASKADE_LIFETIMES_H

#include <stdint.h>

enum {
    LIFETIMES = 12,     /* classes: below 4 s, 16 s, ... 48 d, and above */
    LIFETIMES_UNIT = 8, /* bytes; sizes of records are multiples of it */
    LIFETIMES_SHIFT = 2 /* of a class to the next one */
};

/* Records of about the same lifetime. */
typedef struct lifetimes_sum {
    uint32_t until_s; /* seconds since 1970, when the last of them has ended, or
                         later; UINT32_MAX: not known */
    uint32_t units;   /* of them all; UINT32_MAX: so many or more */
} lifetimes_sum;

typedef struct lifetimes {
    uint64_t lasting_bytes; /* of records without a time of expiry */
    lifetimes_sum of[LIFETIMES];
} lifetimes;

/*
 * Note a record with a time of expiry.
 *
 *   time_s         of its write, seconds since 1970
 *   expires_at_ms  milliseconds since 1970
 *   bytes          a multiple of LIFETIMES_UNIT
 */
void lifetimes_add(lifetimes *sums, uint32_t time_s, uint64_t expires_at_ms,
                   uint64_t bytes);

/* Bytes of the records whose time is not over, at most. */
uint64_t lifetimes_left(const lifetimes *sums, uint64_t now_ms);

/* Note a record: most have no time of expiry, and cost an addition. */
static inline void lifetimes_note(lifetimes *sums, uint32_t time_s,
                                  uint64_t expires_at_ms, uint64_t bytes)
{
    if (expires_at_ms == 0) {
        sums->lasting_bytes += bytes;
    } else {
        lifetimes_add(sums, time_s, expires_at_ms, bytes);
    }
}

#endif
