/*
 * The hash engine as of a snapshot. Any number of threads at once; writers and
 * merges never wait for it.
 */
#ifndef CASKADE_HASH_SNAPSHOT_H
#define CASKADE_HASH_SNAPSHOT_H

#include "hash/hash.h"
#include "store/store_snapshot.h"

/* ---- Looking up (hash_snapshot.c) ---- */

/*
 * What the index named at the snapshot for a key; false: no value. The record
 * is still there. Only if the snapshot is not lost afterwards.
 */
bool hash_snapshot_place(const store_snapshot *snapshot, siphash_value hash,
                         uint64_t *ret_place);

/*
 * Look up a key and copy its value to `value` (NULL: no copy wanted).
 * CASK_OK; CASK_NOT_FOUND; CASK_SNAPSHOT_LOST; CASK_CORRUPT; CASK_IO;
 * CASK_NO_MEMORY.
 */
cask_status hash_snapshot_get(const store_snapshot *snapshot, cask_slice key,
                              cask_buffer *value, cask_info *ret_info,
                              cask_error *err);

/* hash_snapshot_get() for a key that is already hashed. */
cask_status hash_snapshot_get_hashed(const store_snapshot *snapshot,
                                     cask_slice key, siphash_value hash,
                                     cask_buffer *value, cask_info *ret_info,
                                     cask_error *err);

/* Look up many keys with overlapping cache misses; statuses one by one
 * (hash_many.c). */
cask_status hash_snapshot_get_many(const store_snapshot *snapshot,
                                   const cask_slice *keys, size_t count,
                                   cask_buffer *values, cask_status *statuses,
                                   cask_error *err);

/* ---- Folding (hash_fold.c) ---- */

/* Which part of how many, and how. */
typedef struct hash_fold_wish {
    bool keys_only; /* without values */
    uint32_t part;  /* 0 .. parts - 1 */
    uint32_t parts; /* at least 1 */
} hash_fold_wish;

/* Visit every key of the part once, in log order; see cask_snapshot_fold() for
 * what `visit` gets and for the statuses. */
cask_status hash_snapshot_fold(const store_snapshot *snapshot,
                               hash_fold_wish wish, cask_fold_fn visit,
                               void *context, cask_error *err);

#endif
