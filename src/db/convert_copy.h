/*
 * What is in one store, written to another, and compared; cask_convert().
 */
#ifndef CASKADE_CONVERT_COPY_H
#define CASKADE_CONVERT_COPY_H

#include "db/db.h"

/* What a store holds as of a snapshot, in whatever order it is visited. */
typedef struct convert_content {
    siphash_key key; /* of the sum, the same for what is compared */
    uint64_t keys;
    uint64_t bytes; /* of keys and values */
    uint64_t expiring;
    uint64_t sum[2]; /* of a hash of each key, value and its times */
} convert_content;

/* Whether they hold the same. */
bool convert_is_same(const convert_content *a, const convert_content *b);

/* Called for each key; false ends it. */
typedef bool (*convert_fn)(void *context);

/*
 * Write all that lives in the snapshot to another store.
 *
 *   content  its key is set; the rest is set here
 *
 * Returns CASK_OK; CASK_TIMEOUT: go_on ended it; statuses of cask_fold() and
 * cask_write().
 */
cask_status convert_copy(store_snapshot *from, cask_db *to, convert_fn go_on,
                         void *context, convert_content *content,
                         cask_error *err);

/* Read all that lives in a store at the moment of the snapshot of another, by
 * whose clock; as convert_copy(). */
cask_status convert_read(store_snapshot *moment, cask_db *of, convert_fn go_on,
                         void *context, convert_content *content,
                         cask_error *err);

#endif
