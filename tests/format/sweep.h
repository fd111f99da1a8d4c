/*
 * What every decoder must survive: each byte flipped, each prefix cut.
 */
#ifndef CASKADE_TEST_SWEEP_H
#define CASKADE_TEST_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caskade.h"

typedef struct sweep_target {
    const char *name;      /* given to the decoder, must begin its messages */
    const uint8_t *golden; /* what it accepts */
    size_t size;           /* bytes */

    /* Run the decoder; also check that a failure leaves its output alone. */
    cask_status (*decode)(const uint8_t *bytes, cask_error *err);
} sweep_target;

/*
 * The golden bytes are accepted; with any one byte replaced by any of its 255
 * other values they are CASK_CORRUPT, those of the version, too. The bytes are
 * at an odd address, and nothing behind them may be read.
 */
void sweep_flips(const sweep_target *target);

/*
 * The golden bytes cut after any number of bytes, the rest being zeros (a hole
 * in the file), 0xff or random, are never accepted, unless that is what was
 * there before.
 */
void sweep_cuts(const sweep_target *target);

/* The decoder refuses `bytes` with `status`, and its message is as it should
 * be; `part` must occur in it. */
void sweep_refused(const sweep_target *target, const uint8_t *bytes,
                   cask_status status, const char *part);

/* Checksum of `size` bytes into the last four of them. */
void sweep_reseal(uint8_t *bytes, size_t size);

/* Random numbers from CASK_TEST_SEED, or from a seed that is printed. */
uint64_t sweep_random(void);

/* Fill `size` bytes with random ones. */
void sweep_random_bytes(void *to, size_t size);

#endif
