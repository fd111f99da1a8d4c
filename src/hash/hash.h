/*
 * The hash engine: point lookups and updates through the keydir. Functions take
 * an open store and checked arguments; statuses are those of caskade.h.
 */
#ifndef CASKADE_HASH_H
#define CASKADE_HASH_H

#include "region/place.h"
#include "store/store_write.h"

/* What the store calls back. */
extern const store_engine hash_engine;

/* ---- Reading (hash_read.c) ---- */

/* What a look-up met. */
typedef struct hash_found {
    uint64_t place; /* of the record, 0: none */
    cask_info info;
    bool other_key; /* the record is of another key with the same hash */
} hash_found;

/*
 * Look up a key and copy its value to `value` (NULL: no copy wanted).
 * CASK_OK; CASK_NOT_FOUND; CASK_CORRUPT; CASK_IO; CASK_NO_MEMORY.
 */
cask_status hash_get(store_handle *store, cask_slice key, cask_buffer *value,
                     hash_found *ret_found, cask_error *err);

/* hash_get() for a key that is already hashed. */
cask_status hash_get_hashed(store_handle *store, cask_slice key,
                            siphash_value hash, cask_buffer *value,
                            hash_found *ret_found, cask_error *err);

/* Look up many keys with overlapping cache misses; statuses one by one
 * (hash_many.c). */
cask_status hash_get_many(store_handle *store, const cask_slice *keys,
                          size_t count, cask_buffer *values,
                          cask_status *statuses, cask_error *err);

/* Lend a value in place; *ret_view holds a pin until store_unview(). */
cask_status hash_view(store_handle *store, cask_slice key, cask_view *ret_view,
                      cask_error *err);

/* Which segment a place is in: rows are used again, nonces are not. */
static inline uint64_t hash_nonce_at(const store_handle *store, uint64_t place)
{
    return atomic_load(&store->region.rows[place_row(place)].nonce);
}

/*
 * Copy the value of a key from the record at a place, which is verified.
 * CASK_NOT_FOUND: it is another key's record; CASK_CORRUPT: there is none;
 * CASK_IO; CASK_NO_MEMORY.
 */
cask_status hash_read_place(store_handle *store, uint64_t place, cask_slice key,
                            cask_buffer *value, hash_found *ret_found,
                            cask_error *err);

/* Bring the record at a place into the cache. */
void hash_prefetch_place(store_handle *store, uint64_t place);

/* Count a look-up in the statistics. */
void hash_count_get(store_handle *store, bool found);

/* ---- Writing (hash_write.c) ---- */

/* Fill a record for a put or a delete; the slices are borrowed. */
void hash_prepare(const store_handle *store, uint8_t kind, cask_slice key,
                  cask_slice value, uint64_t expires_at_ms,
                  store_record *ret_record);

/* Complete records that have all but their hash and their sequence. */
void hash_prepare_many(const store_handle *store, store_record *records,
                       size_t count);

/* Write records as one operation. ret_sequence: of the last. */
cask_status hash_write(store_handle *store, store_record *records, size_t count,
                       uint64_t *ret_sequence, cask_error *err);

/* Write one record if the condition holds; CASK_CONDITION if not. For a
 * delete of a key without a live record nothing is written.
 * ret_existed: whether it had a live, unexpired value. */
cask_status hash_write_if(store_handle *store, store_record *record,
                          const cask_write_options *options,
                          uint64_t *ret_sequence, bool *ret_existed,
                          cask_error *err);

/* Make the index ready for about `count` keys if it never had one. CASK_OK,
 * also if it is left as it is; CASK_NO_SPACE; CASK_NO_MEMORY; what store_lock()
 * returns. */
cask_status hash_reserve(store_handle *store, uint64_t count, cask_error *err);

/* Wait, without any lock, if writers have to make way for a merge; called after
 * each MERGE_YIELD_BYTES or more. Takes the write lock for a moment. */
void hash_yield(store_handle *store);

#endif
