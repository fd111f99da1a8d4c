/*
 * Writing a directory of Bitcask: data files, each with its hints.
 */
#ifndef CASKADE_CLI_BITCASK_OUTPUT_H
#define CASKADE_CLI_BITCASK_OUTPUT_H

#include "bitcask_format.h"
#include "file_writer.h"

typedef struct bitcask_output {
    const char *directory;   /* exists, and is empty at the start */
    uint64_t max_file_bytes; /* no data file is larger, unless one record is */

    /* The file that is written; none before the first record. */
    file_writer data;
    file_writer hints;
    uint64_t offset;    /* of the next record */
    uint32_t hints_crc; /* so far */

    uint32_t file_count; /* the last one's id */
    uint64_t bytes;      /* of all data files */
} bitcask_output;

/* What Bitcask cannot hold; NULL if it can hold it. */
const char *bitcask_output_problem(cask_slice key, cask_slice value);

/*
 * Write a record without such a problem, to a new file if the last one is full.
 * Returns 0 or an errno value; then abandon it.
 */
int bitcask_output_add(bitcask_output *output, uint32_t time_s, cask_slice key,
                       cask_slice value);

/*
 * End and sync the last file and the directory. A file without a record is
 * written if there was none, to tell the directory from any other. Returns 0 or
 * an errno value; everything is closed.
 */
int bitcask_output_finish(bitcask_output *output);

/* Close everything and remove the files. */
void bitcask_output_abandon(bitcask_output *output);

#endif
