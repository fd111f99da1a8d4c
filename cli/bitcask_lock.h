/*
 * The lock files of Bitcask: whether somebody writes to a directory.
 */
#ifndef CASKADE_CLI_BITCASK_LOCK_H
#define CASKADE_CLI_BITCASK_LOCK_H

#include <stdbool.h>

#include "report.h"

/*
 * Check that nobody holds the locks for writing, merging and creating files in
 * `directory`. Nothing is locked: who starts afterwards is not noticed.
 *
 * A lock file names a process. It is left over if there is no such process, or
 * if that one is younger than the file and is no Erlang system: then it has the
 * number of one that died. In any doubt it is held: a file that names nobody,
 * a process that cannot be looked at, a network file system, where the process
 * may be on another machine.
 *
 *   force  only say so, and go on
 *
 * Reports; EXIT_BUSY if one is held, or may be.
 */
exit_status bitcask_lock_check(const char *directory, bool force);

#endif
