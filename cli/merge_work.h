/*
 * Merging here, with the progress on the terminal, for `caskade merge`.
 */
#ifndef CASKADE_CLI_MERGE_WORK_H
#define CASKADE_CLI_MERGE_WORK_H

#include "caskade.h"

typedef struct merge_work {
    cask_merge_report merged;
    cask_status status; /* of cask_merge() */
    cask_error err;
} merge_work;

/*
 * Merge, and return when that is done, or a signal arrived and it is cancelled.
 *
 *   is_patient  wait for merges of other processes, however long they take
 *
 * Returns 0, or an errno value if no thread could be started.
 */
int merge_work_do(cask_db *db, const cask_merge_options *what, bool is_patient,
                  merge_work *ret_work);

#endif
