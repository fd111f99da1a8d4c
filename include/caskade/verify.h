/*
 * Reading a store to see whether it is whole. A part of caskade.h, which
 * includes it, and whose conventions hold.
 */
#ifndef CASKADE_VERIFY_H
#define CASKADE_VERIFY_H

#ifndef CASKADE_H
#error "include caskade.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cask_problem {
    const char *file;    /* name inside the directory */
    uint64_t offset;     /* where the damage begins */
    uint64_t size_bytes; /* how many bytes are concerned, 0 if unknown */
    const char *reason;
} cask_problem;

typedef struct cask_verify_report {
    uint64_t files;     /* read, damaged ones too */
    uint64_t records;   /* found good */
    uint64_t bytes;     /* of these and of good hints */
    uint64_t keys;      /* live keys */
    uint64_t problems;  /* found */
    uint64_t harmless;  /* of these: hints, footers; no data is lost */
    uint64_t leftovers; /* files of runs that a process that died has left, no
                           problem: the next open for writing removes them */
    bool readable;      /* an open with CASK_DAMAGE_SERVE succeeds */
    bool complete;      /* else the error says what was not checked */
} cask_verify_report;

typedef struct cask_verify_options {
    void (*on_problem)(void *context, const cask_problem *problem);
    void (*on_progress)(void *context, uint64_t bytes_done,
                        uint64_t bytes_total);
    void *context;
} cask_verify_options;

/*
 * Read every file of the store in `path`, check every checksum, and compare
 * the hints with the data; if it is in use, also counters and places of its
 * index with the log. Changes nothing.
 *
 *   options  NULL: none
 *
 * Returns CASK_OK; CASK_CORRUPT (problems were found; `ret_report` is set in
 * both cases); CASK_NOT_FOUND; CASK_UNSUPPORTED; CASK_INVALID. What a system or
 * another process refuses is no damage: CASK_TIMEOUT (a lock of the store,
 * which is in use), CASK_BUSY, CASK_NAMESPACE, CASK_NO_SPACE and CASK_NO_MEMORY
 * end the call; CASK_IO (names the file, and where media fail the offset) if a
 * file may not be read, after all others were. But if problems were found:
 * CASK_CORRUPT, not `complete`, and the message has the reason, too.
 */
CASK_API CASK_CHECKED cask_status
cask_verify(const char *path, const cask_verify_options *options,
            cask_verify_report *ret_report, cask_error *err);

#ifdef __cplusplus
}
#endif

#endif
