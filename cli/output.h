/*
 * Standard output, with every failure noticed. A full disk is an error; a
 * closed pipe (`caskade dump | head`) ends the program quietly.
 */
#ifndef CASKADE_CLI_OUTPUT_H
#define CASKADE_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "report.h"
#include "text.h"

/* False if this or an earlier write failed: stop producing. */
bool output_write(const void *bytes, size_t size);

/* Write `out`; false as above, or if `out` is not complete. */
bool output_text(const text *out);

/* Write it on one line; takes the reference. False as output_text(). */
bool output_json(json_t *take_json);

bool output_print(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Let the reader see what was written so far; false as above. */
bool output_flush(void);

/* Whether it is a terminal. */
bool output_is_terminal(void);

/* Whether nobody reads the output any more. */
bool output_pipe_is_broken(void);

/* Flush, and report what failed; returns `status` if nothing did. */
exit_status output_finish(exit_status status);

#endif
