/*
 * Exit statuses, and the one way to print an error.
 */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "mention.h"

/* What each status of the library means for the shell and for the user. */
typedef struct reaction {
    exit_status exit;
    const char *advice; /* appended to the message; NULL: it says enough */
} reaction;

static reaction reaction_to(cask_status status)
{
    static const reaction reactions[] = {
        [CASK_OK] = {EXIT_DONE, NULL},
        [CASK_NOT_FOUND] = {EXIT_NOT_FOUND, NULL},
        [CASK_CONDITION] = {EXIT_NOT_FOUND, NULL},
        [CASK_INVALID] = {EXIT_USAGE, NULL},
        [CASK_CORRUPT] = {EXIT_DAMAGED, "'caskade verify' lists the damage"},
        [CASK_BUSY] = {EXIT_BUSY, "try again when it is free"},
        [CASK_FENCED] = {EXIT_BUSY, "run the command again"},
        [CASK_TIMEOUT] = {EXIT_BUSY, "try again, or wait longer (--timeout)"},
        [CASK_NO_SPACE] = {EXIT_SYSTEM, "free some space and try again"},
        [CASK_NO_MEMORY] = {EXIT_SYSTEM, "free some memory and try again"},
        [CASK_IO] = {EXIT_SYSTEM, NULL},
        [CASK_READ_ONLY] = {EXIT_SYSTEM, "write from where the store is "
                                         "writable"},
        [CASK_POISONED] = {EXIT_SYSTEM, "check the disk, then close the "
                                        "store in every process"},
        [CASK_NAMESPACE] = {EXIT_BUSY, "use it from there, or stop the "
                                       "processes there first"},
        [CASK_FORKED] = {EXIT_SYSTEM, NULL},
        [CASK_UNSUPPORTED] = {EXIT_USAGE, NULL},
        [CASK_SNAPSHOT_LOST] = {EXIT_BUSY, "run the command again"},
    };

    if ((size_t)status >= sizeof(reactions) / sizeof(reactions[0])) {
        return (reaction){EXIT_SYSTEM, NULL};
    }
    return reactions[status];
}

/* A line must stay one line, whatever the names in it contain. */
static void make_printable(char *line)
{
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < 0x20 || *line == 0x7f) {
            *line = '?';
        }
    }
}

/* Of a thread: others tell what happens to a store meanwhile. */
static _Thread_local char from[512];
static _Thread_local size_t directory_size; /* of what it begins with */

void report_from(const char *directory, uint64_t line_number)
{
    if (directory == NULL) {
        from[0] = '\0';
    } else if (line_number == 0) {
        (void)snprintf(from, sizeof(from), "%s", directory);
    } else {
        (void)snprintf(from, sizeof(from), "%s: line %" PRIu64, directory,
                       line_number);
    }
    directory_size = directory == NULL ? 0 : strlen(directory);
    make_printable(from);
}

/* The line without a directory that is told in front of it. */
static const char *behind_directory(const char *line)
{
    bool is_named = directory_size > 0 && directory_size < sizeof(from) &&
                    strncmp(line, from, directory_size) == 0 &&
                    strncmp(line + directory_size, ": ", 2) == 0;

    return is_named ? line + directory_size + 2 : line;
}

static void __attribute__((format(printf, 1, 0)))
print_line(const char *format, va_list arguments, const char *reason)
{
    char line[1024];

    (void)vsnprintf(line, sizeof(line), format, arguments);
    make_printable(line);
    (void)fprintf(stderr, "caskade: %s%s%s%s%s\n", from,
                  from[0] != '\0' ? ": " : "", behind_directory(line),
                  reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

exit_status report(exit_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments, NULL);
    va_end(arguments);
    return status;
}

exit_status report_errno(int os_errno, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments, strerror(os_errno));
    va_end(arguments);
    return EXIT_SYSTEM;
}

exit_status report_failure(const char *subject, const cask_error *err)
{
    const char *message =
        err->message[0] != '\0' ? err->message : cask_status_text(err->status);
    reaction what = reaction_to(err->status);
    bool has_subject = mention_of(message, subject);
    /* By convention, what follows a semicolon says what to do. */
    bool has_advice = what.advice == NULL || strchr(message, ';') != NULL;

    return report(what.exit, "%s%s%s%s%s", has_subject ? "" : subject,
                  has_subject ? "" : ": ", message, has_advice ? "" : "; ",
                  has_advice ? "" : what.advice);
}

exit_status report_memory(void)
{
    return report(EXIT_SYSTEM, "no memory left; free some and try again");
}
