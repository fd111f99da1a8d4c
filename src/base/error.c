/*
 * Error messages and the public names of statuses.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cask_status_name(cask_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, text)                                        \
    case CASK_##name:                                                          \
        return "CASK_" #name;
        CASK_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    }
    return "CASK_?";
}

const char *cask_status_text(cask_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, text)                                        \
    case CASK_##name:                                                          \
        return text;
        CASK_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *cask_version(void)
{
    return CASK_VERSION_STRING;
}

/* What to do, where it is always the same and the errno's text does not say
 * it. */
static const char *advice_for(int os_errno)
{
    switch (os_errno) {
    case EMFILE:
        return "; raise the limit with 'ulimit -n'";
    case ENFILE:
        return "; raise fs.file-max";
    case EFBIG:
        return "; raise the limit with 'ulimit -f', or use a file system "
               "with larger files";
    case ENOSPC:
    case EDQUOT:
        return "; free some space and try again";
    case EACCES:
        return "; check the permissions, of the directories above it too";
    case EPERM:
        return "; check the owner, the permissions and the attributes (lsattr)";
    case ELOOP:
        return "; move the symbolic link that is in its place away";
    case EROFS:
        return "; mount its file system for writing";
    default:
        return "";
    }
}

/* Append ": <text of os_errno>" if there is an errno, and what to do about it
 * if the message does not say so already: that follows a semicolon. */
static void add_errno(cask_error *err, int os_errno)
{
    bool has_advice = strchr(err->message, ';') != NULL;
    char text[96];
    size_t used = strlen(err->message);

    if (os_errno == 0 || strerror_r(os_errno, text, sizeof(text)) != 0) {
        return;
    }
    (void)snprintf(err->message + used, sizeof(err->message) - used, ": %s%s",
                   text, has_advice ? "" : advice_for(os_errno));
}

__attribute__((format(printf, 4, 0))) static cask_status
describe(cask_error *err, cask_status status, int os_errno, const char *format,
         va_list arguments)
{
    if (err != NULL) {
        err->status = status;
        err->os_errno = os_errno;
        (void)vsnprintf(err->message, sizeof(err->message), format, arguments);
        add_errno(err, os_errno);
    }
    return status;
}

cask_status fail(cask_error *err, cask_status status, int os_errno,
                 const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)describe(err, status, os_errno, format, arguments);
    va_end(arguments);
    return status;
}

static cask_status status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CASK_NO_SPACE;
    case ENOMEM:
        return CASK_NO_MEMORY;
    case EROFS:
        return CASK_READ_ONLY;
    default:
        return CASK_IO;
    }
}

cask_status fail_os(cask_error *err, int os_errno, const char *format, ...)
{
    cask_status status = status_of_errno(os_errno);
    va_list arguments;

    va_start(arguments, format);
    (void)describe(err, status, os_errno, format, arguments);
    va_end(arguments);
    return status;
}

cask_status fail_new_file(cask_error *err, int os_errno, const char *what,
                          const char *if_there)
{
    cask_status status = fail_os(err, os_errno, "cannot create %s", what);

    if (os_errno == EEXIST && err != NULL) {
        size_t used = strlen(err->message);

        (void)snprintf(err->message + used, sizeof(err->message) - used, "; %s",
                       if_there);
    }
    return status;
}

cask_status fail_memory(cask_error *err, size_t bytes)
{
    return fail(err, CASK_NO_MEMORY, 0, "cannot allocate %zu bytes", bytes);
}

cask_status fail_again(cask_error *err, const cask_error *kept)
{
    if (err != NULL) {
        *err = *kept;
    }
    return kept->status;
}

bool error_is_shortage(const cask_error *err)
{
    return err->status == CASK_NO_MEMORY || err->os_errno == EMFILE ||
           err->os_errno == ENFILE || err->os_errno == ENOMEM;
}
