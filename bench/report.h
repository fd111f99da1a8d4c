/*
 * The results for people and for programs.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "machine.h"
#include "results.h"

/* Tables: machine, figures, ratios, targets if asked for. */
void report_text(FILE *out, const bench_machine *machine,
                 const bench_settings *settings, const bench_results *results);

/* One JSON object with the same content and every single figure. */
void report_json(FILE *out, const bench_machine *machine,
                 const bench_settings *settings, const bench_results *results);

/* Whether every target that is asked for is met. */
bool report_targets_met(const bench_settings *settings,
                        const bench_results *results);

/*
 * The key counts at which `work` is reported: all scales for works of a
 * scaled run, else the settings' keys. Returns how many; `ret_keys` has room
 * for SETTINGS_SCALES_MAX.
 */
size_t report_scales(const bench_settings *settings, work_id work,
                     uint64_t *ret_keys);

/* "op/s", "us", "B/key" ... */
const char *report_unit(bench_unit unit);

#endif
