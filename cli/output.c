/*
 * Standard output, with every failure noticed.
 */
#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "json_format.h"

/* The errno of the first write that failed, or 0. Standard output belongs to
 * the process, and so does this. */
static int first_errno;

static bool note(bool worked)
{
    if (!worked && first_errno == 0) {
        first_errno = errno != 0 ? errno : EIO;
    }
    return first_errno == 0;
}

bool output_write(const void *bytes, size_t size)
{
    if (first_errno != 0) {
        return false;
    }
    return note(size == 0 || fwrite(bytes, 1, size, stdout) == size);
}

bool output_text(const text *out)
{
    if (out->failed) {
        errno = ENOMEM;
        return note(false);
    }
    return output_write(out->data, out->size);
}

bool output_json(json_t *take_json)
{
    text line = {0};
    bool written;

    json_format_add(&line, take_json);
    text_add_char(&line, '\n');
    written = output_text(&line);
    text_free(&line);
    return written;
}

bool output_print(const char *format, ...)
{
    va_list arguments;
    int written;

    if (first_errno != 0) {
        return false;
    }
    va_start(arguments, format);
    written = vprintf(format, arguments);
    va_end(arguments);
    return note(written >= 0);
}

bool output_flush(void)
{
    if (first_errno != 0) {
        return false;
    }
    return note(fflush(stdout) == 0);
}

bool output_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool output_pipe_is_broken(void)
{
    return first_errno == EPIPE;
}

exit_status output_finish(exit_status status)
{
    (void)output_flush();
    /* Some file systems report a full disk at close only. EBADF: there was no
     * standard output, which is an error only if something was written. */
    if (fclose(stdout) != 0 && errno != EBADF) {
        (void)note(false);
    }
    if (first_errno == 0 || first_errno == EPIPE) {
        return status;
    }
    return report_errno(first_errno, "cannot write the output (send it where "
                                     "there is space)");
}
