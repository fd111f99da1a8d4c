/*
 * A line on the terminal that shows how far a long command is.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "units.h"

enum {
    LEFT_MAX_S = 359999,
    BAR_WIDTH = 20,
    FIRST_DRAW_MS = 500,
    DRAW_INTERVAL_MS = 100
};

uint64_t progress_now_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "[=====     ]  50 %  0:07 left", if the total is known. */
static void format_bar(const progress_view *view, char *bar, size_t size)
{
    char left[UNITS_TEXT_SIZE];
    double part;
    int filled;

    bar[0] = '\0';
    if (view->total == 0) {
        return;
    }
    part = (double)view->done / (double)view->total;
    /* Files may grow while they are read. */
    part = part > 1 ? 1 : part;
    filled = (int)(part * BAR_WIDTH);
    if (view->done == 0) {
        (void)snprintf(left, sizeof(left), "?");
    } else {
        double left_s = view->elapsed_s / part - view->elapsed_s;

        /* Nobody waits for more than four days. */
        left_s = left_s < LEFT_MAX_S ? left_s : LEFT_MAX_S;
        (void)units_format_clock(left, (uint64_t)(left_s + 0.5));
    }
    (void)snprintf(bar, size, "  [%.*s%*s] %3d %%  %s left", filled,
                   "====================", BAR_WIDTH - filled, "",
                   (int)(part * 100), left);
}

void progress_format(const progress_view *view, char *line, size_t size)
{
    char count[UNITS_TEXT_SIZE];
    char rate[UNITS_TEXT_SIZE];
    char bar[80];
    double per_s =
        view->elapsed_s > 0 ? (double)view->item_count / view->elapsed_s : 0;

    format_bar(view, bar, sizeof(bar));
    /* What does not fit in a line of a terminal is cut off. */
    if (snprintf(line, size < 80 ? size : 80, "%s %s %s, %s/s%s", view->verb,
                 units_format_count(count, view->item_count), view->items,
                 units_format_short(rate, per_s), bar) < 0) {
        line[0] = '\0';
    }
}

void progress_start(progress *line, const char *verb, const char *items,
                    uint64_t total)
{
    *line = (progress){
        .view = {.verb = verb, .items = items, .total = total},
        .start_ms = progress_now_ms(),
        .enabled = isatty(STDERR_FILENO) == 1,
    };
}

/* Whether it is time to draw; most calls end here. */
static bool is_due(const progress *line, uint64_t now_ms)
{
    if (line->drawn_ms == 0) {
        return now_ms - line->start_ms >= FIRST_DRAW_MS;
    }
    return now_ms - line->drawn_ms >= DRAW_INTERVAL_MS;
}

void progress_update(progress *line, uint64_t done, uint64_t item_count)
{
    char drawn[80];
    uint64_t now_ms;

    if (!line->enabled) {
        return;
    }
    now_ms = progress_now_ms();
    if (!is_due(line, now_ms)) {
        return;
    }
    line->view.done = done;
    line->view.item_count = item_count;
    line->view.elapsed_s = (double)(now_ms - line->start_ms) / 1000;
    line->drawn_ms = now_ms;
    progress_format(&line->view, drawn, sizeof(drawn));
    (void)fprintf(stderr, "\r%s\033[K", drawn);
}

void progress_wipe(const progress *line)
{
    if (line->enabled && line->drawn_ms != 0) {
        (void)fputs("\r\033[K", stderr);
    }
}

void progress_stop(progress *line)
{
    progress_wipe(line);
    line->drawn_ms = 0;
    line->enabled = false;
}
