/*
 * One run of cask_repair(), as its files share it.
 *
 * Everything is read twice: first to learn which record of each key is newest,
 * then to copy those. Damage is told when it is met, and which keys are lost at
 * the end, when it is known what else was kept of them. What cannot be read is
 * remembered: the second reading meets the same, and perhaps more.
 */
#ifndef CASKADE_REPAIR_H
#define CASKADE_REPAIR_H

#include "db/db.h"
#include "db/repair_table.h"
#include "log/hint_format.h"
#include "log/manifest.h"
#include "log/scan.h"
#include "store/store_target.h"

enum { REPAIR_NAME = 64 }; /* bytes of a file's name, with its NUL */

/* A stretch that the media did not give. */
typedef struct repair_bad {
    uint64_t offset;
    uint64_t size;
    int os_errno;
    bool is_told;
} repair_bad;

typedef struct repair_bad_list {
    repair_bad *items; /* owned */
    size_t count;
    size_t capacity;
} repair_bad_list;

/* A file that holds a segment of the store, or a segment that has no file. */
typedef struct repair_source {
    char name[REPAIR_NAME]; /* of the file */
    uint64_t size;          /* of the file; 0: it is missing, */
    int os_errno;           /* or, if not 0, why nobody knows */
    uint64_t id;
    uint64_t nonce;  /* 0: not known, nothing in it can be read */
    uint64_t born;   /* as in its header */
    uint64_t length; /* of a sealed one; 0: not known */
    uint64_t synced; /* known to be whole up to here */
    segment_kind kind;
    bool is_followed; /* a later log segment has records: so it was synced */
    bool has_header;
    bool is_listed;         /* by MANIFEST */
    bool is_used;           /* what is in it counts */
    uint64_t last_sequence; /* found in it */
    uint64_t first_sequence;
    uint64_t end;        /* where the first reading ended */
    cask_slice begin;    /* of a run: keys before it do not count; borrowed */
    uint64_t added;      /* to its sequences, modulo 2^64 */
    repair_bad_list bad; /* of the file, while it is not open */
} repair_source;

/* A row of a hint whose record does not verify. */
typedef struct repair_gap {
    siphash_value hash; /* of the key */
    uint64_t sequence;
    uint64_t offset; /* of the record */
    uint64_t size;
    uint32_t source;
    bool is_delete;
    uint16_t key_size;
    uint8_t *key; /* owned; NULL: not known */
} repair_gap;

typedef struct repair {
    os *kernel;
    os_file *dir;
    const char *path;
    const char *out_dir;
    const cask_repair_options *options;
    cask_repair_report report;
    uint64_t bytes_done;
    uint64_t bytes_total;

    store_identity identity; /* of the damaged store, or in its place */
    bool has_identity;       /* else hints tell nothing */
    uint32_t file_mode;
    store_settings settings; /* the new store's, which are those of the damaged
                                one, or the defaults */
    manifest_state manifest;
    bool has_manifest;
    bool *lost_is_met; /* owned: of each of its lost records, whether it was
                          read again, or told */

    repair_source *sources; /* owned */
    size_t source_count;
    size_t source_capacity;
    repair_table table;
    repair_gap *gaps; /* owned, with their keys */
    size_t gap_count;
    size_t gap_capacity;

    struct repair_tree *tree; /* NULL: the store is of the hash engine */

    store_target target;
} repair;

/* ---- Telling (repair.c) ---- */

/* Bytes that cannot be read; key NULL: not known. harmless: nothing is lost. */
void repair_tell(repair *r, const cask_lost *lost);

/* So many bytes have been read; CASK_TIMEOUT: stop. */
cask_status repair_progress(repair *r, uint64_t bytes, cask_error *err);

/* ---- Files (repair_files.c) ---- */

/* A file that is read, by a window of some MiB; what media do not give is
 * zeros. */
typedef struct repair_bytes {
    repair *r; /* NULL: none is open */
    const char *name;
    os_file *file;
    uint64_t size;   /* of what a segment can have at most */
    uint8_t *window; /* owned, of `room` bytes */
    uint64_t room;
    uint64_t from;  /* offset of the window in the file */
    uint64_t count; /* bytes of the file that are in it */
    repair_bad_list bad;
    cask_error err; /* other than CASK_OK: reading has ended, see below */
} repair_bytes;

/*
 * Whether a failure is a loss: damage, media that fail, or something else in
 * the place of a file. Anything else is what the system lacks or refuses, and
 * ends the repair: a file that may not be read is not lost.
 */
bool repair_is_loss(const cask_error *err);

/* The same of a read of an open file: whatever the device answers, unless it
 * is rights, memory, descriptors or a signal. */
bool repair_is_bad_block(int os_errno);

/* Bytes that count of a file of `size`: so many are read at most. */
uint64_t repair_file_bytes(const char *name, uint64_t size);

/* Open a file; `name` is borrowed. CASK_OK; CASK_IO and others, see
 * repair_is_loss(). repair_close() in any case. */
cask_status repair_open(repair *r, const char *name, repair_bytes *ret_bytes,
                        cask_error *err);
void repair_close(repair_bytes *bytes);

/* The same of a segment's file: what is known to be bad of it goes along, and
 * stays known. The second does nothing if it was closed. */
cask_status repair_open_source(repair *r, repair_source *source,
                               repair_bytes *ret_bytes, cask_error *err);
void repair_close_source(repair_source *source, repair_bytes *bytes);

/*
 * The bytes [offset, offset + size), until the next view; memory for all of
 * them. NULL: the file does not have all of them, or reading has ended:
 * bytes->err says why (CASK_TIMEOUT: stopped; CASK_NO_MEMORY; CASK_IO), and
 * nothing more can be viewed.
 *
 * Cost: reads 4 MiB, or `size`, if they are not in the window.
 */
const uint8_t *repair_view(repair_bytes *bytes, uint64_t offset, uint64_t size);

/* The same of `least` bytes, and how many are in the window from there on. */
const uint8_t *repair_view_some(repair_bytes *bytes, uint64_t offset,
                                uint64_t least, uint64_t *ret_size);

/* ---- What there is (repair_sources.c) ---- */

/* Find out which store it is, and the files of its segments. CASK_OK;
 * CASK_NOT_FOUND: there is nothing of a store; CASK_TIMEOUT: stopped;
 * CASK_NO_MEMORY; CASK_IO. */
cask_status repair_find_sources(repair *r, cask_error *err);

/* ---- Reading (repair_scan.c) ---- */

typedef struct repair_visitor {
    /* Each put or delete that verifies; it has no value, and its key is valid
     * until the next view. */
    cask_status (*record)(void *context, const scan_item *item,
                          cask_error *err);
    /* Bytes that do not; NULL allowed. */
    cask_status (*damage)(void *context, const scan_item *item,
                          const char *reason, cask_error *err);
    void *context;
    bool is_tree; /* the log may delete ranges; those are records, too */
} repair_visitor;

/* Walk over one source. *ret_end is behind the last record. CASK_OK, what a
 * visit said, or bytes->err. */
cask_status repair_scan(const repair_source *source, repair_bytes *bytes,
                        const repair_visitor *visitor, uint64_t *ret_end,
                        cask_error *err);

/* Bring all of a record that was visited into memory, key and value, until the
 * next view. CASK_OK; CASK_CORRUPT, without a message: it cannot be read any
 * more; bytes->err. */
cask_status repair_fetch(repair_bytes *bytes, uint64_t nonce, scan_item *item,
                         cask_error *err);

/* The same of a run. What follows its last record is no damage if the source
 * has no length. */
cask_status repair_scan_run(const repair_source *source, repair_bytes *bytes,
                            const repair_visitor *visitor, uint64_t *ret_end,
                            cask_error *err);

/* Whether any record verifies by this nonce; false too if reading ended. */
bool repair_has_record(repair_bytes *bytes, uint64_t nonce);

/* ---- The first reading (repair_read.c) ---- */

/* Learn what is newest of each key, and which rows of hints have no record.
 * CASK_OK; CASK_TIMEOUT: stopped; CASK_NO_MEMORY; CASK_IO: see
 * repair_is_loss(). */
cask_status repair_read_all(repair *r, cask_error *err);

/* ---- Judging (repair_judge.c) ---- */

/* Respect deletes that only hints tell of. */
void repair_judge(repair *r);

/* When all is copied: tell what is lost of each key. */
void repair_tell_keys(repair *r);

/* ---- Writing (repair_write.c) ---- */

/* Write what is newest to r->target and make it a store. */
cask_status repair_write(repair *r, cask_error *err);

#endif
