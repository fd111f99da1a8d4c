/*
 * Ordered access: iterators, ranges. Stores of the tree engine have it; on the
 * hash engine these calls return CASK_UNSUPPORTED. A part of caskade.h, which
 * includes it, and whose conventions hold.
 *
 * Keys are ordered by their bytes, unsigned; one that another begins with comes
 * before it.
 */
#ifndef CASKADE_ITERATOR_H
#define CASKADE_ITERATOR_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Iterators ---------------------------------------------------------- */

/* Which keys are there, and as of when. Start with {0}: all, now. */
typedef struct cask_iterator_options {
    cask_slice lower;        /* keys from it on; data NULL: no bound */
    cask_slice upper;        /* keys before it; data NULL: no bound */
    cask_slice prefix;       /* keys that begin with it; bounds count besides */
    bool keys_only;          /* entry.value is empty */
    cask_snapshot *snapshot; /* NULL: the moment of the call. Else of the same
                                handle; free the iterator before it */
} cask_iterator_options;

/* A place among the keys of one moment. For one thread at a time; any number of
 * them at once. */
typedef struct cask_iterator cask_iterator;

/*
 * Make an iterator, which is nowhere yet. It sees the store as it is at one
 * moment: a batch is there wholly or not at all, what is written later is not
 * seen, and what had not expired does not expire. Writers, flushes and
 * compactions never wait for it.
 *
 *   options       NULL: all keys, now; its slices are copied
 *   ret_iterator  free it with cask_iterator_free(), before cask_close()
 *
 * Returns CASK_OK; CASK_UNSUPPORTED (hash engine); CASK_INVALID; of those
 * without a snapshot of the caller's also what cask_snapshot_create() returns:
 * each is one of the 256 that may be open; CASK_NO_MEMORY; CASK_CORRUPT;
 * CASK_IO; CASK_FORKED.
 *
 * Cost: some microseconds. What it was made from, files that compactions have
 * replaced, takes space until it is freed or refreshed.
 */
CASK_API CASK_CHECKED cask_status
cask_iterator_create(cask_db *db, const cask_iterator_options *options,
                     cask_iterator **ret_iterator, cask_error *err);

/* Free it; accepts NULL. */
CASK_API void cask_iterator_free(cask_iterator *iterator);

typedef enum cask_seek {
    CASK_SEEK_FIRST = 1,
    CASK_SEEK_LAST = 2,
    CASK_SEEK_AT_LEAST = 3, /* the first key that is >= `key` */
    CASK_SEEK_AT_MOST = 4   /* the last key that is <= `key` */
} cask_seek;

/*
 * Go to a key within the bounds.
 *
 *   key        for CASK_SEEK_AT_LEAST and CASK_SEEK_AT_MOST
 *   ret_entry  its bytes are valid until the iterator is moved, refreshed or
 *              freed; set on CASK_OK, and the key on CASK_CORRUPT, see below
 *
 * Returns CASK_OK; CASK_NOT_FOUND: there is none; CASK_CORRUPT: damage was met;
 * CASK_SNAPSHOT_LOST; CASK_UNSUPPORTED (a record of a newer version);
 * CASK_INVALID; CASK_NO_MEMORY; CASK_IO; CASK_FORKED. The iterator is nowhere
 * after all but CASK_OK, and CASK_CORRUPT for a record.
 *
 * A damaged record of a run, or a value that is apart from it and damaged, ends
 * no walk: `err` names file and offset, ret_entry->key is the key as it reads
 * there (data NULL: it cannot be told), and the next cask_iterator_next() or
 * cask_iterator_previous() goes on behind it, or before it. Each record is told
 * once after a seek, a value each time. Its key is not seen, and no older value
 * of it; all others are, each compared with a look-up from then on, which takes
 * the time of that. Where nobody knows which keys are concerned, since a run as
 * a whole or the log is damaged, iterators whose bounds reach into it end
 * there, and moving one answers CASK_INVALID.
 *
 * Cost: a search in each memtable and each sorted run, some disk reads each,
 * and the versions of keys on the way.
 */
CASK_API CASK_CHECKED cask_status cask_iterator_seek(cask_iterator *iterator,
                                                     cask_seek how,
                                                     cask_slice key,
                                                     cask_entry *ret_entry,
                                                     cask_error *err);

/* Go to the next key, or to the one before. As cask_iterator_seek();
 * CASK_INVALID if the iterator is nowhere. */
CASK_API CASK_CHECKED cask_status cask_iterator_next(cask_iterator *iterator,
                                                     cask_entry *ret_entry,
                                                     cask_error *err);
CASK_API CASK_CHECKED cask_status cask_iterator_previous(
    cask_iterator *iterator, cask_entry *ret_entry, cask_error *err);

/*
 * Let its moment be now; the iterator is nowhere then. On failure it stays as
 * it is.
 *
 * Returns as cask_iterator_create(); CASK_INVALID if it was made with a
 * snapshot.
 */
CASK_API CASK_CHECKED cask_status cask_iterator_refresh(cask_iterator *iterator,
                                                        cask_error *err);

/* ---- Ranges ------------------------------------------------------------- */

/* Start with {0}. */
typedef struct cask_range_options {
    cask_iterator_options keys;
    bool reverse;   /* from the last key back */
    uint64_t limit; /* so many at most; 0: all */
} cask_range_options;

/*
 * Call `visit` for each key, in order.
 *
 *   options  NULL: all keys, forward
 *   visit    as of cask_fold(): false stops it
 *
 * Returns CASK_OK, also if `visit` stopped it; else as cask_iterator_create()
 * and cask_iterator_seek(): what was visited was right. CASK_CORRUPT for
 * records: all others were visited, up to where `visit` or the limit stopped
 * it; `err` names the first one.
 */
CASK_API CASK_CHECKED cask_status cask_range(cask_db *db,
                                             const cask_range_options *options,
                                             cask_fold_fn visit, void *context,
                                             cask_error *err);

/*
 * How many keys there are from `lower` to before `upper`, exactly, now; data
 * NULL: no bound. Each is looked at.
 *
 * Returns as cask_range().
 */
CASK_API CASK_CHECKED cask_status cask_count_range(cask_db *db,
                                                   cask_slice lower,
                                                   cask_slice upper,
                                                   uint64_t *ret_count,
                                                   cask_error *err);

/*
 * About how many bytes the records of keys from `lower` to before `upper` take,
 * as they are written: older versions, what was deleted by range, and deletes
 * that are still there count, too; data NULL: no bound. Of what is in runs it
 * is known, of what is in memory estimated.
 *
 * Returns CASK_OK; CASK_UNSUPPORTED (hash engine); CASK_INVALID; CASK_CORRUPT;
 * CASK_NO_MEMORY; CASK_IO; CASK_FORKED.
 *
 * Cost: two searches in each memtable and each sorted run.
 */
CASK_API CASK_CHECKED cask_status cask_size_range(cask_db *db, cask_slice lower,
                                                  cask_slice upper,
                                                  uint64_t *ret_bytes,
                                                  cask_error *err);

/*
 * Delete all keys from `from` to before `to`: by one record, however many they
 * are. Data NULL: no bound. A range without keys is no error, and nothing is
 * written for one that can have none.
 *
 * What was deleted is not seen from then on, in any process; a snapshot that
 * was made before sees it. Its space comes back by compaction, when no snapshot
 * sees it any more: soon, for deleted bytes weigh there, and if the range hides
 * more than a memtable takes, that is flushed with the next write. Until then
 * who walks over the range passes over each of its records.
 *
 * Returns CASK_OK; CASK_UNSUPPORTED (hash engine); else as cask_delete().
 *
 * Cost: that of one put. Where ranges were deleted and not flushed yet, a
 * look-up looks among them, O(log n); with 1,024 of them a memtable is flushed.
 */
CASK_API CASK_CHECKED cask_status cask_delete_range(cask_db *db,
                                                    cask_slice from,
                                                    cask_slice to,
                                                    cask_error *err);

/*
 * Add the same to a batch: it deletes what was there before the batch and what
 * stands before it in the batch, and leaves what comes behind it. At most 1,024
 * in a batch (cask_write(): CASK_INVALID); a store of the hash engine refuses
 * the batch (CASK_UNSUPPORTED).
 *
 * Returns as cask_batch_delete().
 */
CASK_API CASK_CHECKED cask_status cask_batch_delete_range(cask_batch *batch,
                                                          cask_slice from,
                                                          cask_slice to,
                                                          cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
