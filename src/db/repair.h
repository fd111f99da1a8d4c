/*
 * One run of cask_repair(), as its files share it.
 *
 * Everything is read twice: first to learn which record of each key is newest,
 * then to copy those. What is lost is told in between, when it is known what
 * else there is of a key.
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

/* A file that holds a segment of the store, or a segment that has no file. */
typedef struct repair_source {
    char name[REPAIR_NAME]; /* of the file */
    uint64_t size;          /* of the file; 0: it is missing */
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
    const cask_repair_options *options;
    cask_repair_report report;
    uint64_t bytes_done;
    uint64_t bytes_total;

    store_identity identity; /* of the damaged store, or in its place */
    bool has_identity;       /* else hints tell nothing */
    uint32_t file_mode;
    manifest_state manifest;
    bool has_manifest;

    repair_source *sources; /* owned */
    size_t source_count;
    size_t source_capacity;
    repair_table table;
    repair_gap *gaps; /* owned, with their keys */
    size_t gap_count;
    size_t gap_capacity;

    store_target target;
} repair;

/* ---- Telling (repair.c) ---- */

/* Bytes that cannot be read; key NULL: not known. harmless: nothing is lost. */
void repair_tell(repair *r, const cask_lost *lost);

/* So many bytes have been read; CASK_TIMEOUT: stop. */
cask_status repair_progress(repair *r, uint64_t bytes, cask_error *err);

/* ---- Files (repair_files.c) ---- */

/* The bytes of a file; what cannot be read is zeros. */
typedef struct repair_bytes {
    uint8_t *data; /* NULL: none */
    uint64_t size;
} repair_bytes;

/* CASK_OK; CASK_NO_MEMORY; CASK_IO: the file cannot be opened. */
cask_status repair_load(const repair *r, const char *name,
                        repair_bytes *ret_bytes, cask_error *err);
void repair_unload(const repair *r, repair_bytes *bytes);

/* ---- What there is (repair_sources.c) ---- */

/* Find out which store it is, and the files of its segments. CASK_OK;
 * CASK_NOT_FOUND: there is nothing of a store; CASK_NO_MEMORY; CASK_IO. */
cask_status repair_find_sources(repair *r, cask_error *err);

/* ---- Reading (repair_scan.c) ---- */

typedef struct repair_visitor {
    /* Each put or delete that verifies. */
    cask_status (*record)(void *context, const scan_item *item,
                          cask_error *err);
    /* Bytes that do not; NULL allowed. */
    cask_status (*damage)(void *context, const scan_item *item,
                          const char *reason, cask_error *err);
    void *context;
} repair_visitor;

/* Walk over one source. CASK_OK, or what a visit said. */
cask_status repair_scan(const repair_source *source, const repair_bytes *bytes,
                        const repair_visitor *visitor, cask_error *err);

/* ---- The first reading (repair_read.c) ---- */

/* Learn what is newest of each key, and which rows of hints have no record.
 * CASK_OK; CASK_TIMEOUT: stopped; CASK_NO_MEMORY. */
cask_status repair_read_all(repair *r, cask_error *err);

/* ---- Judging (repair_judge.c) ---- */

/* Respect deletes that only hints tell of; tell what is lost. */
void repair_judge(repair *r);

/* ---- Writing (repair_write.c) ---- */

/* Write what is newest to r->target and make it a store. */
cask_status repair_write(repair *r, cask_error *err);

#endif
