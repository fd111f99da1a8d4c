/*
 * A file that is written from its first byte to its last and has its name only
 * when it is complete and durable.
 */
#ifndef CASKADE_RUN_OUTPUT_H
#define CASKADE_RUN_OUTPUT_H

#include "base/error.h"
#include "os/os.h"

enum {
    /* Bytes of one write, at a multiple of that: what a huge page holds, so
     * that file systems keep the file in such (a first touch of each page then
     * costs a quarter, and a get in a run of 150 MB 10 ns less). */
    RUN_OUTPUT_PIECE = 2 << 20,
    RUN_OUTPUT_NAME = 256 /* any name fits, with its NUL */
};

/* Start with {0}. */
typedef struct run_output {
    os_file *dir;  /* borrowed */
    os_file *file; /* NULL: not open; locked exclusively */
    uint8_t *buffer;
    size_t used;      /* bytes in the buffer */
    uint64_t written; /* bytes in the file */
    char name[RUN_OUTPUT_NAME];
    char aside[RUN_OUTPUT_NAME]; /* its name until it is complete */
} run_output;

/*
 * Begin the file `name` of `dir`, aside, with exactly `mode`. What a dead
 * writer left there is removed.
 *
 * Returns CASK_OK; CASK_INVALID (there is a file of that name, or the name is
 * too long); CASK_BUSY (another one is writing it); CASK_NO_MEMORY; as
 * fail_os(). On failure nothing is open.
 */
cask_status run_output_open(run_output *output, os_file *dir, const char *name,
                            uint32_t mode, cask_error *err);

/* Bytes so far: the offset of what is written next. */
static inline uint64_t run_output_size(const run_output *output)
{
    return output->written + output->used;
}

/* Add bytes. As fail_os(): the file cannot be completed any more. */
cask_status run_output_write(run_output *output, const void *data, size_t size,
                             cask_error *err);

/*
 * `size` bytes that are added as they are next, to be filled at once; NULL: not
 * all of them fit in front of the next write, so write them piece by piece.
 */
static inline uint8_t *run_output_take(run_output *output, uint64_t size)
{
    uint8_t *at = output->buffer + output->used;

    if (size >= RUN_OUTPUT_PIECE - output->used) {
        return NULL;
    }
    output->used += (size_t)size;
    return at;
}

/* Add zeros up to a multiple of `alignment`, at most 64. */
cask_status run_output_align(run_output *output, size_t alignment,
                             cask_error *err);

/*
 * Give the file its name, durably, and close it. On failure neither name is
 * left.
 */
cask_status run_output_publish(run_output *output, cask_error *err);

/* Remove it, if it is open; accepts {0}. */
void run_output_discard(run_output *output);

#endif
