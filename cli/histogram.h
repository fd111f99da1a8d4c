/*
 * Reading a cask_histogram. Pure functions.
 */
#ifndef CASKADE_CLI_HISTOGRAM_H
#define CASKADE_CLI_HISTOGRAM_H

#include "caskade.h"

/* Number of waits counted. */
uint64_t histogram_count(const cask_histogram *histogram);

/*
 * A time, in ns, that `permille` of 1000 waits stayed below: the upper end of
 * the bucket, so at most twice too high. 1000: above the longest. 0 if empty.
 */
uint64_t histogram_below_ns(const cask_histogram *histogram, unsigned permille);

#endif
