/*
 * The file MANIFEST: which segments are the store, as a log of edits behind a
 * header. docs/format/manifest.md
 */
#ifndef CASKADE_MANIFEST_FORMAT_H
#define CASKADE_MANIFEST_FORMAT_H

#include "log/file_format.h"
#include "log/segment_format.h"

#define MANIFEST_NAME "MANIFEST"
#define MANIFEST_MAGIC "CASKMANI"

enum {
    MANIFEST_VERSION = 1,
    MANIFEST_HEADER_SIZE = 64, /* bytes, at offset 0 */
    MANIFEST_EDIT_SIZE = 48,   /* bytes, from MANIFEST_HEADER_SIZE on */
    MANIFEST_PIECE = 16,       /* bytes of a key in one edit */
    MANIFEST_LOST_PIECE = 24,  /* the same of a lost record's */
    MANIFEST_KNOWN = 56,       /* bytes known of that, at most */
    MANIFEST_LEVELS = 64,      /* runs have lower levels */
    MANIFEST_VALUES = 63       /* the level of runs of values */
};

typedef struct manifest_header {
    cask_engine engine;
    uint8_t uuid[FORMAT_UUID_SIZE]; /* of the store */
    uint64_t nonce;                 /* random; seeds the edits' checksums */
    /* Of what has left the store, in bytes: records of segments of the log;
     * records of outputs of merges, and whole files of runs. */
    uint64_t past_log_bytes;
    uint64_t past_merge_bytes;
    /* Edits that it was made with: they are durable, so none can be torn. */
    uint32_t edits;
} manifest_header;

typedef enum manifest_edit_type {
    MANIFEST_OPEN = 1,   /* the segment is part of the store, and growing */
    MANIFEST_SEAL = 2,   /* it is synced and will not change any more */
    MANIFEST_NEXT = 3,   /* ids and sequences below these are taken */
    MANIFEST_DROP = 4,   /* the segment is no longer part of the store */
    MANIFEST_SYNCED = 5, /* closed cleanly: it is synced up to a length, and may
                            grow again */
    MANIFEST_QUARANTINE = 6, /* a merge found it damaged, moved what it could
                                read, and left the rest there */

    /* Of a tree's runs. They take effect with the version that follows them,
     * all or none. */
    MANIFEST_RUN = 7,        /* the run is part of the tree */
    MANIFEST_RUN_BEGIN = 8,  /* a piece of a key: what the run has before it
                                does not count any more */
    MANIFEST_RUN_DROP = 9,   /* the run is no longer part of the tree */
    MANIFEST_RUNS = 10,      /* the edits before it are a new version of it */
    MANIFEST_RUN_ADDED = 11, /* the run was built elsewhere: what is added to
                                its sequences; of a version, as those above */
    MANIFEST_LOST = 12,    /* a record of the log could not be read when all up
                              to it became a run; likewise of a version */
    MANIFEST_LOST_KEY = 13 /* a piece of what is known of its key; they follow
                              it */
} manifest_edit_type;

typedef struct manifest_edit {
    manifest_edit_type type; /* says which member of the union counts */
    uint64_t number;         /* 1, 2, 3, ... */
    union {
        struct {
            uint64_t segment_id;
            uint64_t nonce;
            segment_kind kind;
        } open;
        struct { /* of MANIFEST_SYNCED too */
            uint64_t segment_id;
            uint64_t length; /* bytes before the footer, header included */
            uint64_t last_sequence;
            uint64_t damaged_bytes; /* known when it was sealed */
        } seal;
        struct {
            uint64_t segment_id;
            uint64_t sequence;
        } next;
        struct { /* of MANIFEST_QUARANTINE too */
            uint64_t segment_id;
        } drop;
        struct {
            uint64_t id;    /* from the same numbers as segments' */
            uint64_t nonce; /* of the file */
            uint64_t bytes; /* of the file */
            uint32_t level;
            uint32_t run; /* those of one number are parts of one */
        } run;
        struct {
            uint64_t id;
            uint32_t size;                 /* of the key, bytes */
            uint32_t offset;               /* of the piece in it */
            uint8_t piece[MANIFEST_PIECE]; /* behind the key's end: zeros */
        } begin;
        struct {
            uint64_t id;
        } run_drop;
        struct {
            uint64_t id;
            int64_t sequence; /* that is added; not 0 */
        } run_added;
        struct {
            uint64_t segment_id;
            uint64_t offset;   /* of the record */
            uint64_t sequence; /* it has, or an older one */
            uint32_t known;    /* bytes of the key's beginning, zeros behind its
                                  end; up to MANIFEST_KNOWN */
            uint32_t key_size; /* and 1, and then the sequence is exact; 0: not
                                  known */
        } lost;
        struct {
            uint32_t size;                      /* of what is known */
            uint32_t offset;                    /* of the piece in it */
            uint8_t piece[MANIFEST_LOST_PIECE]; /* behind its end: zeros */
        } lost_key;
        struct {
            uint64_t flushed; /* records up to this sequence are in runs */
            uint64_t version; /* 1, 2, 3, ... */
            uint32_t edits;   /* before this one, that belong to it */
            uint32_t crc;     /* crc32c of their bytes */
        } runs;
    };
} manifest_edit;

/* What binds an edit to its place. */
typedef struct manifest_seed {
    uint64_t nonce;  /* of the MANIFEST */
    uint64_t offset; /* of the edit in it */
} manifest_seed;

void manifest_header_encode(const manifest_header *header,
                            uint8_t out[MANIFEST_HEADER_SIZE]);

/*
 * Decode the header. The caller compares the uuid. The reserved bytes are
 * covered by the checksum and otherwise ignored.
 *
 * Returns CASK_OK; CASK_CORRUPT (magic, version 0, checksum);
 * CASK_UNSUPPORTED (newer version, unknown engine).
 */
cask_status manifest_header_decode(const uint8_t in[MANIFEST_HEADER_SIZE],
                                   const char *name,
                                   manifest_header *ret_header,
                                   cask_error *err);

void manifest_edit_encode(const manifest_edit *edit, manifest_seed seed,
                          uint8_t out[MANIFEST_EDIT_SIZE]);

/*
 * Decode one edit. The caller compares its number with the previous one's.
 *
 * Returns CASK_OK; CASK_CORRUPT (checksum: also an edit from elsewhere, and
 * zeros; number 0; a sequence, length or level out of range); CASK_UNSUPPORTED
 * (unknown type or kind; something in a field that the type does not use:
 * an edit is understood wholly or not at all).
 */
cask_status manifest_edit_decode(const uint8_t in[MANIFEST_EDIT_SIZE],
                                 const char *name, manifest_seed seed,
                                 manifest_edit *ret_edit, cask_error *err);

#endif
