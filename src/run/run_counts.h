/*
 * What the footer of a run counts, gathered from its records as they come in
 * order: by the writer, and by whoever checks what one wrote.
 */
#ifndef CASKADE_RUN_COUNTS_H
#define CASKADE_RUN_COUNTS_H

#include "run/run_times.h"

/* As in the footer (run_format.h). Begins as {0}. */
typedef struct run_counts {
    uint64_t records;
    uint64_t keys;
    uint64_t tombstones;
    uint64_t pointers;
    uint64_t first_sequence;
    uint64_t last_sequence;
    uint32_t ranges;
    bool is_indexed; /* a record of the last key is among `keys` */
    run_times_sample expiry;
    run_times_sample written;
} run_counts;

/*
 * Count a record.
 *
 *   is_new  its key is not that of the record before it
 *
 * Returns whether it is the one that the index leads to: the first of its key
 * that is no range.
 */
bool run_counts_add(run_counts *counts, cask_run_kind kind,
                    const cask_info *info, bool is_new);

/* Let the footer of a run say so. Sorts the times: nothing is added afterwards.
 */
void run_counts_say(run_counts *counts, run_footer *footer);

/* One of the numbers, by the footer and by the records. */
typedef struct run_count {
    const char *what;
    uint64_t says;
    uint64_t is;
} run_count;

enum { RUN_COUNTS = 12 };

/* The middle ones of times are not among them: they are of a sample, and
 * between the others, or the run could not be opened. */
void run_counts_compare(const run_counts *counts, const run_footer *footer,
                        run_count ret_counts[RUN_COUNTS]);

#endif
