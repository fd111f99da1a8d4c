/*
 * One run of cask_verify(), as its files share it.
 */
#ifndef CASKADE_VERIFICATION_H
#define CASKADE_VERIFICATION_H

#include "db/db.h"
#include "log/hint_format.h"
#include "log/manifest.h"
#include "log/scan.h"

typedef struct verification {
    os *kernel;
    os_file *dir;
    const char *path;
    const cask_verify_options *options;
    store_identity identity;
    manifest_state manifest;
    cask_verify_report report;
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool in_use; /* by a process, or nobody can tell */

    /* Files that the system did not let it read; only noted if wished, else the
     * first ends it. */
    bool notes_refusals;
    uint64_t refusals;
    cask_error first_refusal;
    char also_refused[120]; /* the names of the others, as many as fit */
} verification;

/* ---- verify.c ---- */

/*
 * Tell a problem: something is lost.
 *
 *   size    bytes concerned; 0 if unknown
 *   reason  as printed behind file and offset
 */
void verify_problem(verification *v, const char *file, uint64_t offset,
                    uint64_t size, const char *reason);

/*
 * Tell a problem of bytes that can be done without.
 *
 *   size    bytes concerned; 0 if unknown
 *   reason  as printed behind file and offset
 */
void verify_harmless(verification *v, const char *file, uint64_t offset,
                     uint64_t size, const char *reason);

/*
 * Tell the problem that `err` describes, without the names and the offset that
 * its message begins with: these stand beside it.
 *
 *   advice  what to do about bytes that can be done without; NULL: a loss
 */
void verify_failure(verification *v, const char *file, const cask_error *err,
                    const char *advice);

/* Whether a file could not be opened or read, other than for want of memory or
 * descriptors. */
bool verify_is_refusal(const cask_error *err);

/*
 * Whether to go on without a file: the system did not let it be opened or read,
 * which says nothing of the others. Notes it, and returns CASK_OK; else returns
 * `status`, which `err` describes.
 */
cask_status verify_refused(verification *v, const char *file,
                           cask_status status, const cask_error *err);

/* So many bytes have been looked at. */
void verify_progress(verification *v, uint64_t bytes);

/* A file mapped whole; size 0: nothing mapped. */
typedef struct mapped {
    os_file *file;
    void *memory;
    uint64_t size;
    uint64_t room; /* bytes of `memory` */
    char name[SEGMENT_NAME_SIZE];
    bool may_shrink; /* its writer may cut it: read, not mapped */
} mapped;

/* Map or read the file `file->name`. CASK_NOT_FOUND if it is missing;
 * CASK_UNSUPPORTED if it is a link or no plain file; CASK_NO_MEMORY; CASK_IO:
 * that is no damage, see verify_refused(). Nothing is told. */
cask_status verify_map(verification *v, mapped *file, cask_error *err);
void verify_unmap(verification *v, mapped *file);

/* Read so many bytes of one that may shrink once more, up to its end. CASK_OK;
 * CASK_IO. */
cask_status verify_read_again(verification *v, mapped *file, uint64_t offset,
                              uint64_t size, cask_error *err);

/* Whether a process has the store open, or nobody can tell. */
bool verify_is_in_use(const verification *v);

/* ---- A segment (verify_segment.c) ---- */

/* Read one segment of v->manifest and all that belongs to it. CASK_OK, also if
 * problems were told; CASK_NO_MEMORY; CASK_IO. */
cask_status verify_segment(verification *v, const manifest_segment *segment,
                           cask_error *err);

/* ---- A run (verify_run.c) ---- */

/* A run that could be opened; until the return. */
typedef cask_status (*verify_run_fn)(void *context, const manifest_run *listed,
                                     const cask_run *run, cask_error *err);

/*
 * Read one run of a tree wholly, and tell what is wrong with it.
 *
 *   manifest  that has it
 *   listed    as it has it
 *   visit   NULL: none
 *
 * CASK_OK, also if problems were told; CASK_NOT_FOUND: there is no such file,
 * which is not told; CASK_NO_MEMORY; CASK_IO; what a visit said.
 */
cask_status verify_run(verification *v, const manifest_state *manifest,
                       const manifest_run *listed, verify_run_fn visit,
                       void *context, cask_error *err);

/* ---- What pointers name (verify_values.c) ---- */

/* The runs of values that a run names. Start with {0}. */
typedef struct verify_values {
    cask_run **of; /* for each row; NULL: it cannot be opened, which is told
                      when it is read itself. Owned */
    uint32_t count;
} verify_values;

/* Open them; tell of those that are not in `manifest`, which has the run. Close
 * it in any case. CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status verify_values_open(verification *v, const manifest_state *manifest,
                               const cask_run *run, verify_values *ret_values,
                               cask_error *err);
void verify_values_close(verify_values *values);

/* ---- The runs of a tree (verify_tree.c) ---- */

/* The keys between which runs are, to be compared when all have been read.
 * Start with {0}. */
typedef struct verify_bounds {
    struct run_bounds *of; /* owned */
    size_t count;
    size_t capacity;
} verify_bounds;

/* A verify_run_fn; context: a verify_bounds. CASK_OK; CASK_NO_MEMORY. */
cask_status verify_bounds_note(void *context, const manifest_run *listed,
                               const cask_run *run, cask_error *err);

/* Tell which of the runs that are parts of one in `manifest` overlap. */
void verify_bounds_check(verification *v, verify_bounds *bounds,
                         const manifest_state *manifest);
void verify_bounds_free(verify_bounds *bounds);

/*
 * Read all runs of v->manifest. If processes compact them meanwhile it is
 * loaded again, and the runs that have taken their place are read, too. Files
 * of runs that it does not name are counted, if nobody uses the store.
 * CASK_OK, also if problems were told; CASK_NO_MEMORY; CASK_IO.
 */
cask_status verify_runs(verification *v, cask_error *err);

/* As manifest_load(); if the store is in use, what is being written at this
 * moment, and looks like damage, is waited for. */
cask_status verify_load_manifest(const verification *v,
                                 manifest_state *ret_manifest, cask_error *err);

/* ---- The index (verify_index.c) ---- */

/* Compare counters and places of an open store's index with its log. CASK_OK,
 * also if problems were told; CASK_TIMEOUT; CASK_NO_MEMORY; CASK_IO. */
cask_status verify_index(verification *v, store_handle *store, cask_error *err);

/* ---- Hints (verify_hint.c) ---- */

/*
 * A hint that is compared with the scan of its segment: each record must have
 * its row, and each row its record. Where the segment is damaged nobody can
 * say, and rows of records there are passed by.
 */
typedef struct verify_hint {
    mapped file;
    hint_header header;
    hint_header seen; /* its counters, as the scan finds them */
    uint64_t row;     /* the next to be compared */
    bool usable;      /* else nothing is compared */
    bool is_partial;  /* the segment is damaged: counters prove nothing */
} verify_hint;

/* Begin with the hint of a sealed segment: there may be none, and one that an
 * open would not use is told. CASK_OK; CASK_NO_MEMORY; CASK_IO. */
cask_status verify_hint_open(verification *v, const manifest_segment *segment,
                             verify_hint *ret_hint, cask_error *err);

/* The scan's next record, marks too, or damage. */
void verify_hint_record(verification *v, verify_hint *hint,
                        const scan_item *item);
void verify_hint_damage(verification *v, verify_hint *hint, uint64_t offset,
                        uint64_t size);

/* The scan came to its end, or stopped; let go of the hint. */
void verify_hint_close(verification *v, verify_hint *hint);

#endif
