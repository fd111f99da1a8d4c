/*
 * Snapshots and folds: the store as it is at one moment. A part of caskade.h,
 * which includes it, and whose conventions hold.
 */
#ifndef CASKADE_SNAPSHOT_H
#define CASKADE_SNAPSHOT_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A moment of the store: what was written later is not seen, and what had not
 * expired does not expire. Any number of threads may use one at once.
 */
typedef struct cask_snapshot cask_snapshot;

/*
 * Make a snapshot. A batch is in it wholly or not at all. Writers and merges
 * never wait for it. Files that it may need stay until it is freed, or its
 * process dies: then the background thread of any handle that writes removes
 * them about a second later. `caskade stat` shows what each one keeps.
 *
 *   ret_snapshot  free it with cask_snapshot_free(), before cask_close()
 *
 * Returns CASK_OK; CASK_BUSY (256 snapshots and folds are open, over all
 * processes); CASK_TIMEOUT (of the write lock, which it takes briefly);
 * CASK_FENCED; CASK_NO_MEMORY; CASK_IO; CASK_FORKED.
 *
 * Cost: microseconds. While there is a snapshot, the first write to each key
 * saves 32 bytes of what the key was, in the region. What is saved may take as
 * much memory as the index, and always 64 MiB; beyond it the oldest snapshot is
 * given up: its calls answer CASK_SNAPSHOT_LOST.
 */
CASK_API CASK_CHECKED cask_status cask_snapshot_create(
    cask_db *db, cask_snapshot **ret_snapshot, cask_error *err);

/* Free it; accepts NULL. No other call may be under way on it. Takes the write
 * lock; if it cannot, what was kept is given back by another process. */
CASK_API void cask_snapshot_free(cask_snapshot *snapshot);

/* The sequence of the last record that it sees; 0: none was written yet. */
CASK_API uint64_t cask_snapshot_sequence(const cask_snapshot *snapshot);

/* cask_get_with() as of the snapshot. As cask_get(); also CASK_SNAPSHOT_LOST:
 * nothing is known of the key. */
CASK_API CASK_CHECKED cask_status cask_snapshot_get(cask_snapshot *snapshot,
                                                    cask_slice key,
                                                    cask_buffer *ret_value,
                                                    cask_info *ret_info,
                                                    cask_error *err);

/* cask_exists() as of the snapshot; also CASK_SNAPSHOT_LOST. */
CASK_API CASK_CHECKED cask_status cask_snapshot_exists(cask_snapshot *snapshot,
                                                       cask_slice key,
                                                       bool *ret_exists,
                                                       cask_error *err);

/* cask_get_many() as of the snapshot; also CASK_SNAPSHOT_LOST, of single keys
 * too. */
CASK_API CASK_CHECKED cask_status cask_snapshot_get_many(
    cask_snapshot *snapshot, const cask_slice *keys, size_t count,
    cask_buffer *values, cask_status *statuses, cask_error *err);

/* cask_count() as of the snapshot; hash engine: also of one that is lost. */
CASK_API CASK_CHECKED cask_status cask_snapshot_count(cask_snapshot *snapshot,
                                                      uint64_t *ret_count,
                                                      cask_error *err);

/* Parts of one fold, at most. */
#define CASK_FOLD_PARTS 65536u

/* Start with {0}. */
typedef struct cask_fold_options {
    bool keys_only; /* entry.value is empty, and values are not read: whether
                       they are damaged is not known. Read as a whole are
                       records with a time of expiry, and those that no key
                       names any more */
    uint32_t parts; /* 0 or 1: the whole; else so many parts, of about as many
                       bytes of the log each, dead ones too: where all is dead
                       a part is empty. Of more than some hundred the sizes
                       differ, of more than a thousand most are empty. With
                       io = CASK_IO_PREAD they begin where segments do. Tree
                       engine: ranges of keys, of about as many bytes of runs
                       and memtables each */
    uint32_t
        part; /* which one this call visits, 0 .. parts - 1. All parts
                 together visit each key exactly once; part n + 1 goes on
                 in log order, or that of keys, where part n ends; each
                 may have a thread of its own. With cask_snapshot_fold() only */
} cask_fold_options;

typedef struct cask_entry {
    cask_slice key; /* both valid during the callback only */
    cask_slice value;
    cask_info info;
} cask_entry;

/* Return true to go on, false to stop the fold. */
typedef bool (*cask_fold_fn)(void *context, const cask_entry *entry);

/*
 * Call `visit` once for each key that is live in the snapshot, in log order;
 * tree engine: in the order of keys.
 *
 *   options  NULL: keys and values, the whole
 *
 * Returns CASK_OK (also if `visit` stopped it); CASK_CORRUPT if damage was
 * met: all undamaged entries were visited first; CASK_SNAPSHOT_LOST: what was
 * visited was right, but not all was; CASK_INVALID; CASK_NO_MEMORY; CASK_IO;
 * CASK_FORKED. Tree engine: damage of which nobody knows which keys it concerns
 * ends it, see cask_iterator_seek().
 *
 * Cost: reads the log once, as it was; of keys_only the headers and keys, and
 * what is dead. With io = CASK_IO_PREAD a segment is read as a whole, into
 * memory; else memory does not grow with the store. Each of more than one part
 * first looks for eight records for each part, at most some thousand in all.
 */
CASK_API CASK_CHECKED cask_status
cask_snapshot_fold(cask_snapshot *snapshot, const cask_fold_options *options,
                   cask_fold_fn visit, void *context, cask_error *err);

/*
 * cask_snapshot_fold() of a snapshot that is made for the call: each key that
 * is live when it begins, with the value that it has then.
 *
 *   options  NULL: keys and values; parts must be 0 or 1
 *
 * As cask_snapshot_create() and cask_snapshot_fold().
 */
CASK_API CASK_CHECKED cask_status cask_fold(cask_db *db,
                                            const cask_fold_options *options,
                                            cask_fold_fn visit, void *context,
                                            cask_error *err);

/* A snapshot of some process. */
typedef struct cask_snapshot_info {
    uint64_t sequence;     /* the last record that it sees */
    uint64_t lag;          /* records written since, by all processes */
    uint64_t age_ms;       /* by the wall clock */
    uint64_t pinned_bytes; /* files that merges replaced and that it keeps */
    uint32_t pid;
    bool is_fold; /* made by cask_fold(), an iterator or cask_range() for
                     itself */
} cask_snapshot_info;

/*
 * List the snapshots of all processes, the oldest first. One whose process does
 * not go on, because it was stopped, is seen by its lag; one whose process died
 * is not there any more. On a handle with a private index the list is empty.
 *
 *   ret_list  free with cask_free()
 *
 * Returns CASK_OK; CASK_INVALID; CASK_NO_MEMORY; CASK_FORKED.
 */
CASK_API CASK_CHECKED cask_status
cask_snapshot_list(cask_db *db, cask_snapshot_info **ret_list,
                   size_t *ret_count, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
