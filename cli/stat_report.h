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
    cask_merge_state merge;
    cask_segment_stats *segments; /* oldest first; NULL: not asked for */
    size_t segment_count;
    cask_snapshot_info *snapshots; /* oldest first */
    size_t snapshot_count;
    uint64_t time_ms; /* monotonic, of the sample */
    uint64_t wall_ms; /* since 1970, of the sample */
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

/* The snapshots of a sample, if there are any; and as members of an object. */
void stat_snapshots_text(const stat_sample *now, text *out);
void stat_snapshots_json(json_t *object, const stat_sample *now);

/* A counter: its JSON name, its place in stat_sample. */
typedef struct stat_counter {
    const char *name;  /* in JSON; that of the member, with "merge_" for
                          cask_merge_state's */
    const char *label; /* for people */
    size_t offset;     /* of the uint64_t in stat_sample */
    bool is_bytes;
} stat_counter;

/* All counters; a NULL name ends the table. */
const stat_counter *stat_counters(void);
uint64_t stat_counter_value(const stat_counter *counter,
                            const stat_sample *sample);

/* How much it grows per second between two samples. */
double stat_counter_rate(const stat_counter *counter, const stat_sample *now,
                         const stat_sample *before);

/* Bytes of records for each live one, and bytes written, by merges too, for
 * each that operations wrote; 0: there are none. */
double stat_space_amplification(const cask_stats *stats);
double stat_write_amplification(const cask_stats *stats);

/* "hash" */
const char *stat_engine_name(cask_engine engine);

/* "none", "copying", "moving" */
const char *stat_phase_name(cask_merge_phase phase);

#endif
