/*
 * Exit statuses, and the one way to print an error: a line on standard error
 * that begins with "caskade: " and says what to do.
 */
#ifndef CASKADE_CLI_REPORT_H
#define CASKADE_CLI_REPORT_H

#include "caskade.h"

typedef enum exit_status {
    EXIT_DONE = 0,
    EXIT_NOT_FOUND = 1, /* no such key, or a condition was not met */
    EXIT_USAGE = 2,     /* the command line or the input is wrong */
    EXIT_DAMAGED = 3,   /* stored data is damaged */
    EXIT_BUSY = 4,      /* somebody else holds the store */
    EXIT_SYSTEM = 5     /* a system call failed */
} exit_status;

/*
 * From now on lines of this thread begin with "DIR: line 7", in place of "DIR"
 * where they began with that.
 *
 *   directory    NULL: with nothing
 *   line_number  0: with the directory alone
 */
void report_from(const char *directory, uint64_t line_number);

/* Print a line; returns `status`. Control characters become '?'. */
exit_status report(exit_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* report() for a system call: appends the text of `os_errno`. */
exit_status report_errno(int os_errno, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Print what the library said and what to do about it.
 *
 *   subject  what it is about: a directory, or a file and a line
 */
exit_status report_failure(const char *subject, const cask_error *err);

/* report() for memory that could not be allocated. */
exit_status report_memory(void);

#endif
