/*
 * A line on the terminal that shows how far a long command is. Silent unless
 * standard error is a terminal.
 */
#ifndef CASKADE_CLI_PROGRESS_H
#define CASKADE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a progress line shows. */
typedef struct progress_view {
    const char *verb;  /* "loading" */
    const char *items; /* "lines" */
    uint64_t item_count;
    uint64_t done;  /* of `total`, in any unit */
    uint64_t total; /* 0: unknown, then no bar and no time left */
    double elapsed_s;
} progress_view;

/* Write it as at most 79 characters. Pure. */
void progress_format(const progress_view *view, char *line, size_t size);

typedef struct progress {
    progress_view view;
    uint64_t start_ms; /* monotonic */
    uint64_t drawn_ms; /* monotonic, when last drawn; 0: never */
    bool enabled;      /* standard error is a terminal */
} progress;

/* Begin; nothing is drawn before half a second has passed. */
void progress_start(progress *line, const char *verb, const char *items,
                    uint64_t total);

/* Say where we are; draws at most ten times a second. */
void progress_update(progress *line, uint64_t done, uint64_t item_count);

/* Wipe the line, so that something else can be printed; it comes again. */
void progress_wipe(const progress *line);

/* Wipe the line for good. */
void progress_stop(progress *line);

/* Monotonic time. */
uint64_t progress_now_ms(void);

#endif
