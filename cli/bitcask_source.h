/*
 * A directory of Bitcask that is to be read: which data files it has, in the
 * order in which they were written, and which of them count.
 */
#ifndef CASKADE_CLI_BITCASK_SOURCE_H
#define CASKADE_CLI_BITCASK_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bitcask_file.h"
#include "report.h"

typedef struct bitcask_member {
    uint64_t id;
    char *data_path;
    char *hint_path; /* where it would be */
    uint64_t data_bytes;
    bool pending; /* carries Bitcask's mark for files to be deleted */

    /* The importer's: whether the hints are used, and whether they were till it
     * showed that they are of other data; and of which file they were found
     * sound. */
    bool has_hints;
    bool hints_wrong;
    bitcask_stamp hint_stamp;
} bitcask_member;

typedef struct bitcask_source {
    const char *path;
    bitcask_member *members; /* by ascending id; those that count */
    size_t count;
    uint64_t data_bytes; /* of them all */
    size_t left_out;     /* data files that bear the mark of deletion */

    /* Kept while it is read. */
    size_t capacity;
    size_t chmodded_count; /* data files with what only looks like the mark */
    bool has_marked_hints;
} bitcask_source;

/*
 * List the data files in `path`, a directory that outlives `ret_source`, and
 * check that each can be read.
 *
 * Files marked for deletion are left out, with a note. A mark is the execute
 * bit of others alone, or setuid: a file that its owner or group may execute
 * as well has it from chmod, and counts. If a hint file bears a mark, nothing
 * is marked.
 *
 * Reports what is wrong; EXIT_USAGE if it is no directory of Bitcask, or one of
 * which all data files are marked. Free it with bitcask_source_free() on
 * EXIT_DONE.
 */
exit_status bitcask_source_read(const char *path, bitcask_source *ret_source);

void bitcask_source_free(bitcask_source *source);

#endif
