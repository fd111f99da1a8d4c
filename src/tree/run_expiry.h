/*
 * What has expired of a run, by its footer.
 */
#ifndef CASKADE_RUN_EXPIRY_H
#define CASKADE_RUN_EXPIRY_H

#include "run/run_read.h"
#include "store/store_expiry.h"

/* Whether all values of a run have: it says no more than that nothing of its
 * keys that is older counts. Of one that deletes ranges it is not known. */
bool run_has_expired(const cask_run *run, const store_expiry *expiry);

/* An estimate of how many have. */
uint64_t run_expired_count(const cask_run *run, const store_expiry *expiry);

#endif
