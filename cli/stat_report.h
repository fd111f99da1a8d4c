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
    cask_tree_stats tree;         /* of the tree engine only */
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

/* What only the tree engine has: the lines behind those of all engines; the
 * flushes that ended; and an object, which the caller owns. */
void stat_tree_text(const stat_sample *now, text *out);
void stat_tree_flushes_text(const stat_sample *now, text *out);
json_t *stat_tree_json(const cask_tree_stats *tree);

/* A merge or a flush that ended, as a line and as an object. */
void stat_past_text(const cask_past_merge *past, uint64_t now_ms, text *out);
json_t *stat_past_json(const cask_past_merge *past);

/* A counter: its JSON name, its place in stat_sample. */
typedef struct stat_counter {
    const char *name;  /* in JSON; that of the member, with "merge_" for
                          cask_merge_state's */
    const char *label; /* for people */
    size_t offset;     /* of the uint64_t in stat_sample */
    bool is_bytes;
    bool is_of_tree; /* only a store of that engine has it */
} stat_counter;

/* All counters; a NULL name ends the table. */
const stat_counter *stat_counters(void);
bool stat_counter_is_of(const stat_counter *counter, const stat_sample *sample);
uint64_t stat_counter_value(const stat_counter *counter,
                            const stat_sample *sample);

/* How much it grows per second between two samples. */
double stat_counter_rate(const stat_counter *counter, const stat_sample *now,
                         const stat_sample *before);

/* Bytes of records for each live one, of a tree an estimate; and bytes written,
 * by merges, flushes and compactions too, for each that operations wrote; 0:
 * there are none. */
double stat_space_amplification(const stat_sample *sample);
double stat_write_amplification(const cask_stats *stats);

/* "hash" */
const char *stat_engine_name(cask_engine engine);

/* "none", "copying", "moving" */
const char *stat_phase_name(cask_merge_phase phase);

#endif
