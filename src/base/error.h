/*
 * The one way to fail: fill the caller's cask_error and return the status.
 */
#ifndef CASKADE_ERROR_H
#define CASKADE_ERROR_H

#include "caskade.h"

/*
 * Describe a failure; returns `status`, so that a failure is one statement.
 *
 *   err       NULL allowed
 *   os_errno  of the call that failed, or 0; its text is appended; for EMFILE,
 *             EACCES, ELOOP and the like also what to do, unless a semicolon
 *             says it already
 *   format    as printf(); never key or value bytes; names file and offset
 */
cask_status fail(cask_error *err, cask_status status, int os_errno,
                 const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/*
 * fail() for a failed system call: CASK_NO_SPACE for ENOSPC, EDQUOT and EFBIG,
 * CASK_NO_MEMORY for ENOMEM, CASK_READ_ONLY for EROFS, else CASK_IO.
 *
 *   what  what was tried, like "sync 0000000000000001.log"
 */
cask_status fail_os(cask_error *err, int os_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/*
 * fail_os() for a new file: "cannot create <what>".
 *
 *   if_there  what to do if something is in its place: only who makes the file
 *             knows what that can be
 */
cask_status fail_new_file(cask_error *err, int os_errno, const char *what,
                          const char *if_there) __attribute__((cold));

/* fail() for memory that could not be allocated. */
cask_status fail_memory(cask_error *err, size_t bytes) __attribute__((cold));

/* Fail as another call did, whose error was kept; returns its status. */
cask_status fail_again(cask_error *err, const cask_error *kept)
    __attribute__((cold));

/* Whether it failed for want of memory or descriptors: of a file it says
 * nothing. */
bool error_is_shortage(const cask_error *err);

#endif
