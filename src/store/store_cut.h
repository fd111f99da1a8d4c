/*
 * A store as of one moment, for a backup: the segments that count then, and how
 * far. They are pinned, so that merges leave their files; the segment that is
 * being written counts up to where it was, for what is below never changes.
 */
#ifndef CASKADE_STORE_CUT_H
#define CASKADE_STORE_CUT_H

#include "store/store.h"

/* What the index says of a segment; see region_row. */
typedef struct store_counters {
    uint64_t records;
    uint64_t tombstones;
    uint64_t live_records;
    uint64_t live_bytes;
} store_counters;

typedef struct store_cut_part {
    manifest_segment segment; /* sealed, with the length that counts */
    store_counters counters;
    uint32_t row;
    bool is_final; /* its file never changes below the length */
} store_cut_part;

typedef struct store_cut {
    store_cut_part *parts; /* by rising id; owned */
    size_t count;
    uint64_t next_id;                          /* above all ids */
    uint64_t next_sequence;                    /* above all sequences */
    uint64_t past_log_bytes, past_merge_bytes; /* as in MANIFEST */
    uint64_t key_count;
    uint64_t merges; /* that have replaced segments, so far */
    bool is_merging; /* counters are of a merge's middle */
} store_cut;

/*
 * Take a cut and pin it. Readers and writers go on; the write lock is held for
 * a look at the segment table.
 *
 * Returns CASK_OK (then end it by store_cut_unpin() and store_cut_free());
 * CASK_TIMEOUT; CASK_FENCED; CASK_NO_MEMORY; CASK_IO.
 */
cask_status store_cut_begin(store_handle *store, store_cut *ret_cut,
                            cask_error *err);

/* Let merges remove the files. The parts stay until store_cut_free(). */
void store_cut_unpin(store_handle *store);

void store_cut_free(store_cut *cut);

/* Where else a segment may be had: an earlier backup. */
typedef struct store_earlier {
    os_file *dir; /* NULL: none */
    const manifest_state *manifest;
} store_earlier;

/* So many bytes are done; false: stop. */
typedef bool (*store_progress_fn)(void *context, uint64_t bytes);

typedef struct store_placing {
    store_handle *store; /* of the cut, pinned */
    store_earlier earlier;
    os_file *to; /* the directory that is filled */
    store_progress_fn progress;
    void *context;
} store_placing;

/*
 * Put a part into the directory under its name, durably but for the name: as a
 * second name of the store's file, or of an earlier backup's, if that can be,
 * else as a copy. A hint that is good comes along.
 *
 *   ret_linked  whether no bytes of the segment were copied
 *
 * Returns CASK_OK; CASK_TIMEOUT: stopped; CASK_NO_SPACE; CASK_IO;
 * CASK_CORRUPT: the file is gone; CASK_NO_MEMORY.
 */
cask_status store_place(const store_placing *placing,
                        const store_cut_part *part, bool *ret_linked,
                        cask_error *err);

/*
 * Put a file of these bytes into the directory, durably but for the name.
 *
 * Returns CASK_OK; CASK_TIMEOUT: stopped; CASK_NO_SPACE; CASK_IO.
 */
cask_status store_place_bytes(const store_placing *placing, const char *name,
                              const uint8_t *data, uint64_t size,
                              cask_error *err);

#endif
