/*
 * Statistics as text for people and as JSON for programs. Pure functions.
 */
#ifndef CASKADE_CLI_STAT_REPORT_H
#define CASKADE_CLI_STAT_REPORT_H

#include <jansson.h>

#include "text.h"

/* What is shown at one moment. */
typedef struct stat_sample {
    cask_stats stats;
    cask_segment_stats *segments; /* oldest first; NULL: not asked for */
    size_t segment_count;
    uint64_t time_ms; /* monotonic, of the sample */
} stat_sample;

/*
 * Append the report for people.
 *
 *   before  an earlier sample, to show rates; NULL: without
 */
void stat_report_text(const char *directory, const stat_sample *now,
                      const stat_sample *before, text *out);

/* The same as an object; the caller owns it. NULL if there is no memory. */
json_t *stat_report_json(const char *directory, const stat_sample *now,
                         const stat_sample *before);

/* A counter of operations: its JSON name, its place in cask_stats. */
typedef struct stat_counter {
    const char *name;  /* in JSON, that of the member */
    const char *label; /* for people */
    size_t offset;     /* of the uint64_t in cask_stats */
    bool is_bytes;
} stat_counter;

/* All counters; a NULL name ends the table. */
const stat_counter *stat_counters(void);
uint64_t stat_counter_value(const stat_counter *counter,
                            const cask_stats *stats);

/* How much it grows per second between two samples. */
double stat_counter_rate(const stat_counter *counter, const stat_sample *now,
                         const stat_sample *before);

/* "hash" */
const char *stat_engine_name(cask_engine engine);

#endif
