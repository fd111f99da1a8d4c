/*
 * Runs: files of records sorted by key, written once and then only read,
 * without a store; caskade/ingest.h takes them into one. A part of caskade.h,
 * which includes it, and whose conventions hold. Format: docs/format/run.md.
 */
#ifndef CASKADE_RUN_H
#define CASKADE_RUN_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cask_run_kind {
    CASK_RUN_PUT = 1,
    CASK_RUN_DELETE = 2,       /* a tombstone */
    CASK_RUN_DELETE_RANGE = 4, /* of all keys from `key` to before `value` that
                                  have smaller sequences; an empty `value`: to
                                  the end */
    CASK_RUN_POINTER = 5       /* a put whose value is in another file */
} cask_run_kind;

/* Where such a value is. */
typedef struct cask_run_pointer {
    uint64_t segment_id;
    uint64_t offset;     /* of its record */
    uint64_t size_bytes; /* of the record, without what fills it up */
} cask_run_pointer;

typedef struct cask_run_entry {
    cask_run_kind kind;
    cask_slice key;
    cask_slice value;         /* of a put; of a range: where it ends */
    cask_info info;           /* when writing: sequence 0 is 1, time_s 0 is now,
                                 value_bytes is not looked at; only puts and
                                 pointers expire */
    cask_run_pointer pointer; /* of CASK_RUN_POINTER */
} cask_run_entry;

/* ---- Writing ----------------------------------------------------------- */

/* Start with {0}. */
typedef struct cask_run_options {
    uint32_t file_mode;    /* 0: 0600; up to 0777, 0600 always set; what the
                              umask says does not count */
    bool no_filter;        /* default false: 10 bits per key make look-ups of
                              keys that are not there cheap */
    uint32_t prefix_bytes; /* 0: none; else a second filter tells whether any
                              key begins so; up to CASK_KEY_MAX_BYTES */
    uint64_t memory_bytes; /* 0: 1 GiB; the most that the writer may take */
    bool sort;             /* records come in any order, see
                              cask_run_writer_add(); takes 16 MiB at least */
} cask_run_options;

/* For one thread at a time. */
typedef struct cask_run_writer cask_run_writer;

/*
 * Begin the run `path`, which must not exist. It is written to "<path>.new" and
 * gets its name when it is complete; what a killed writer left there is
 * removed.
 *
 *   options     NULL: the defaults
 *   ret_writer  end it by cask_run_writer_finish() or cask_run_writer_abort()
 *
 * Returns CASK_OK; CASK_INVALID (options; there is a file `path`; no such
 * directory); CASK_BUSY (another process is writing it); CASK_NO_SPACE;
 * CASK_NO_MEMORY; CASK_READ_ONLY; CASK_IO (also a directory that is there and
 * cannot be opened).
 */
CASK_API CASK_CHECKED cask_status
cask_run_writer_create(const char *path, const cask_run_options *options,
                       cask_run_writer **ret_writer, cask_error *err);

/*
 * Add a record. Keys ascend by their bytes, a shorter one coming first;
 * of one key the sequences descend, so that the newest version is first.
 *
 *   entry  borrowed for the call
 *
 * With the option `sort` they come in any order, and of records with the same
 * key and sequence the one added last counts. What does not fit into half of
 * memory_bytes is sorted and waits in a file "<path>.piece", which is without a
 * name as soon as it is complete; cask_run_writer_finish() merges these. They
 * take as much room as the run.
 *
 * Returns CASK_OK; CASK_INVALID (it sorts before what was added last, or at the
 * same place; sizes, kind): nothing was added, and others may be;
 * CASK_NO_MEMORY (memory_bytes does not suffice) or CASK_NO_SPACE with os_errno
 * 0 (a run ends before 16 GiB): likewise, finish this run and begin another;
 * any other: the file cannot be completed, and all further calls give the same.
 *
 * Cost: one copy; a system call for each MiB. Memory grows by 32 bytes at most
 * for each key, 18 for each prefix, 44 for each KiB of records.
 */
CASK_API CASK_CHECKED cask_status cask_run_writer_add(
    cask_run_writer *writer, const cask_run_entry *entry, cask_error *err);

/* Remove what was written; accepts NULL. */
CASK_API void cask_run_writer_abort(cask_run_writer *take_writer);

/*
 * Complete the run: on success it has its name and is durable. On failure
 * nothing is left. Frees the writer in both cases.
 *
 * Returns CASK_OK; CASK_INVALID (a file `path` has come into being meanwhile);
 * CASK_NO_SPACE; CASK_NO_MEMORY; CASK_IO; what an earlier call gave. With
 * `sort` also what cask_run_writer_add() returns, and CASK_CORRUPT (of what
 * waited in a file, which is verified).
 *
 * Cost: about 70 ns for each key, and two syncs; with `sort` all sorting and
 * merging that is left, in which every record is written once more.
 */
CASK_API CASK_CHECKED cask_status
cask_run_writer_finish(cask_run_writer *take_writer, cask_error *err);

/* ---- Reading ----------------------------------------------------------- */

/* Any number of threads may use one at once. */
typedef struct cask_run cask_run;

/*
 * Open the run `path`. All but its records is verified now, each record when it
 * is read. The file is mapped and must not be changed; it may be removed.
 *
 *   ret_run  close it with cask_run_close()
 *
 * Returns CASK_OK; CASK_NOT_FOUND; CASK_INVALID (no such directory; no plain
 * file); CASK_CORRUPT (damaged, or no run); CASK_UNSUPPORTED (a newer version);
 * CASK_NO_MEMORY; CASK_IO (also what is there and cannot be opened).
 *
 * Cost: reads about 6.5 bytes for each key, and 12 for each KiB of records.
 */
CASK_API CASK_CHECKED cask_status cask_run_open(const char *path,
                                                cask_run **ret_run,
                                                cask_error *err);

/* Close it; accepts NULL. No iterator may be left, nor what they lent. */
CASK_API void cask_run_close(cask_run *run);

typedef struct cask_run_info {
    uint64_t file_bytes;
    uint64_t record_bytes;                  /* of these, in records */
    uint64_t records;                       /* of all kinds and versions */
    uint64_t keys;                          /* different ones */
    uint64_t tombstones, ranges, pointers;  /* records of these kinds */
    uint64_t first_sequence, last_sequence; /* smallest, largest; 0: none */
    cask_slice smallest_key, largest_key;   /* valid until it is closed */
    cask_slice largest_end; /* of the ranges; empty: there is none, or one that
                               goes to the end */
    uint64_t index_bytes, filter_bytes, prefix_filter_bytes, fence_bytes;
    uint32_t prefix_bytes;  /* of keys, in the filter of prefixes */
    uint32_t segment_count; /* files that pointers point into */
    uint64_t expiring; /* values that do. Times since 1970, 0: there are none */
    uint32_t first_expiry_s, last_expiry_s, first_time_s, last_time_s;
    bool is_values; /* large values of a store, apart from its runs */
} cask_run_info;

/* What the run's footer says. Cost: nanoseconds. */
CASK_API void cask_run_get_info(const cask_run *run, cask_run_info *ret_info);

typedef struct cask_run_segment {
    uint64_t id;
    uint64_t bytes; /* of the records in it that pointers of the run name */
} cask_run_segment;

/* One of the segments that pointers point into, by rising id; `index` is less
 * than segment_count. */
CASK_API cask_run_segment cask_run_get_segment(const cask_run *run,
                                               uint32_t index);

/*
 * What the run says about `key`: its newest version, up to a sequence; or the
 * range that deletes it, if that is newer. Time is not looked at: what has
 * expired is found.
 *
 *   max_sequence  0: the newest
 *   ret_value     the value of a put, or the end of a range, is copied there;
 *                 set on CASK_OK only; reused if it already holds memory, whose
 *                 bytes may be overwritten in any case; the caller frees it
 *                 with cask_buffer_free()
 *   ret_entry     set on CASK_OK only; its key and value are in place in `key`
 *                 and `ret_value`; the key of a range is its start, valid until
 *                 the run is closed
 *
 * Returns CASK_OK, also for tombstones: look at ret_entry->kind;
 * CASK_NOT_FOUND: nothing; CASK_CORRUPT; CASK_UNSUPPORTED (a record of a newer
 * version); CASK_INVALID; CASK_NO_MEMORY.
 *
 * Cost: about one cache miss each in filter, index and records; with n ranges
 * in the run O(log n) comparisons.
 */
CASK_API CASK_CHECKED cask_status cask_run_get(
    const cask_run *run, cask_slice key, uint64_t max_sequence,
    cask_buffer *ret_value, cask_run_entry *ret_entry, cask_error *err);

/* Whether a key of the run may begin with `prefix`: false is certain. Always
 * true without a filter of prefixes, or for a prefix shorter than its. */
CASK_API bool cask_run_may_have_prefix(const cask_run *run, cask_slice prefix);

/* ---- Iterating --------------------------------------------------------- */

/* Visits every record: all versions, tombstones and ranges, in the order of the
 * file. For one thread at a time; any number on one run. */
typedef struct cask_run_iterator cask_run_iterator;

typedef enum cask_run_seek {
    CASK_RUN_FIRST = 1,
    CASK_RUN_LAST = 2,
    CASK_RUN_AT_LEAST = 3, /* the first record whose key is >= `key` */
    CASK_RUN_AT_MOST = 4   /* the last record whose key is <= `key` */
} cask_run_seek;

/* Make an iterator, which is nowhere yet. Free it before the run is closed.
 * Returns CASK_OK; CASK_INVALID; CASK_NO_MEMORY. */
CASK_API CASK_CHECKED cask_status cask_run_iterator_create(
    const cask_run *run, cask_run_iterator **ret_iterator, cask_error *err);

/* Free it; accepts NULL. */
CASK_API void cask_run_iterator_free(cask_run_iterator *iterator);

/*
 * Go to a record.
 *
 *   key        for CASK_RUN_AT_LEAST and CASK_RUN_AT_MOST
 *   ret_entry  its bytes are those of the file: valid until the run is closed
 *
 * Returns CASK_OK; CASK_NOT_FOUND: there is none; CASK_CORRUPT: a record on the
 * way does not verify; CASK_UNSUPPORTED; CASK_INVALID. The iterator is nowhere
 * then.
 */
CASK_API CASK_CHECKED cask_status cask_run_iterator_seek(
    cask_run_iterator *iterator, cask_run_seek how, cask_slice key,
    cask_run_entry *ret_entry, cask_error *err);

/* Go to the record behind, or before. As cask_run_iterator_seek();
 * CASK_INVALID if the iterator is nowhere. */
CASK_API CASK_CHECKED cask_status cask_run_iterator_next(
    cask_run_iterator *iterator, cask_run_entry *ret_entry, cask_error *err);
CASK_API CASK_CHECKED cask_status cask_run_iterator_previous(
    cask_run_iterator *iterator, cask_run_entry *ret_entry, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
