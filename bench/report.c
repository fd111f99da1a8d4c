/*
 * One row for each work; figures first, then how many times better Caskade is
 * than each peer.
 */
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "targets.h"

const char *report_unit(bench_unit unit)
{
    switch (unit) {
    case UNIT_RATE:
        return "op/s";
    case UNIT_MB_S:
        return "MB/s";
    case UNIT_FACTOR:
        return "x";
    case UNIT_US:
        return "us";
    case UNIT_MS:
        return "ms";
    case UNIT_BYTES_PER_KEY:
        return "B/key";
    case UNIT_MB:
        return "MB";
    }
    return "";
}

static bool is_scaled(work_id work)
{
    for (size_t i = 0; i < bench_run_count; i++) {
        const run_kind *kind = &bench_runs[i];
        for (size_t j = 0; kind->scaled && j < kind->work_count; j++) {
            if (kind->works[j] == work) {
                return true;
            }
        }
    }
    return false;
}

size_t report_scales(const bench_settings *settings, work_id work,
                     uint64_t *ret_keys)
{
    if (!is_scaled(work)) {
        ret_keys[0] = settings->keys;
        return 1;
    }
    memcpy(ret_keys, settings->scales, sizeof(settings->scales));
    return settings->scale_count;
}

/* "1.31M", "392K", "0.38": three digits that count. */
static void print_figure(FILE *out, double value, bench_unit unit, int width)
{
    char text[32];
    if (isnan(value)) {
        snprintf(text, sizeof(text), "-");
    } else if (unit == UNIT_RATE && value >= 1e6) {
        snprintf(text, sizeof(text), "%.*fM", value >= 1e8 ? 0 : 2,
                 value / 1e6);
    } else if (unit == UNIT_RATE && value >= 1e3) {
        snprintf(text, sizeof(text), "%.*fK", value >= 1e5 ? 0 : 1,
                 value / 1e3);
    } else {
        snprintf(text, sizeof(text), "%.*f", value >= 100 ? 0 : 2, value);
    }
    fprintf(out, " %*s", width, text);
}

/* Of the column of an engine's figures, characters. */
static int column_width(const bench_engine *engine)
{
    int width = (int)strlen(engine->name);
    return width < 9 ? 9 : width;
}

static void print_keys(FILE *out, uint64_t keys)
{
    char text[32];
    if (keys % 1000000 == 0) {
        snprintf(text, sizeof(text), "%" PRIu64 "M", keys / 1000000);
    } else if (keys % 1000 == 0) {
        snprintf(text, sizeof(text), "%" PRIu64 "K", keys / 1000);
    } else {
        snprintf(text, sizeof(text), "%" PRIu64, keys);
    }
    fprintf(out, " %5s", text);
}

static bool is_peer(const bench_engine *engine)
{
    return (engine->abilities & (ENGINE_OWN | ENGINE_EMPTY)) == 0;
}

static bool has_caskade(const bench_settings *settings)
{
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        if ((settings->engines[i]->abilities & ENGINE_OWN) != 0) {
            return true;
        }
    }
    return false;
}

static void print_heading(FILE *out, const bench_settings *settings)
{
    char text[32];
    fprintf(out, "%-16s %5s %-5s", "work", "keys", "unit");
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        fprintf(out, " %*s", column_width(settings->engines[i]),
                settings->engines[i]->name);
    }
    fprintf(out, " %7s", "spread");
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        if (has_caskade(settings) && is_peer(settings->engines[i])) {
            snprintf(text, sizeof(text), "/%s", settings->engines[i]->name);
            fprintf(out, " %9s", text);
        }
    }
    fputc('\n', out);
}

/* The figures of one row; returns the widest spread, a fraction of the
 * median, or NAN without any figure. */
static double print_figures(FILE *out, const bench_settings *settings,
                            const bench_results *results, work_id work,
                            uint64_t keys)
{
    double spread = NAN;
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        figure found = results_find(results, settings->engines[i], work, keys);
        print_figure(out, found.median, bench_works[work].unit,
                     column_width(settings->engines[i]));
        double own = (found.highest - found.lowest) / 2 / found.median;
        if (found.count > 0 && !(spread >= own)) {
            spread = own;
        }
    }
    return spread;
}

static void print_row(FILE *out, const bench_settings *settings,
                      const bench_results *results, work_id work, uint64_t keys)
{
    char text[32] = "-";
    fprintf(out, "%-16s", bench_works[work].name);
    print_keys(out, keys);
    fprintf(out, " %-5s", report_unit(bench_works[work].unit));
    double spread = print_figures(out, settings, results, work, keys);
    if (!isnan(spread)) {
        snprintf(text, sizeof(text), "%.0f %%", spread * 100);
    }
    fprintf(out, " %7s", text);
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        const bench_engine *peer = settings->engines[i];
        if (!has_caskade(settings) || !is_peer(peer)) {
            continue;
        }
        double ratio = results_ratio(results, group_own(work_group(work)), peer,
                                     work, keys);
        snprintf(text, sizeof(text), "-");
        if (!isnan(ratio)) {
            snprintf(text, sizeof(text), "%.*f x", ratio < 0.1 ? 3 : 2, ratio);
        }
        fprintf(out, " %9s", text);
    }
    fputc('\n', out);
}

/* How figures were taken that are not like the others, or why not at all. */
static void print_notes(FILE *out, const bench_settings *settings,
                        const bench_results *results)
{
    for (size_t i = 0; i < WORK_COUNT; i++) {
        for (size_t j = 0; settings->engines[j] != NULL; j++) {
            figure found = results_find(results, settings->engines[j],
                                        (work_id)i, settings->keys);
            if (found.note[0] != '\0') {
                fprintf(out, "%s, %s: %s\n", bench_works[i].name,
                        settings->engines[j]->name, found.note);
            }
        }
    }
}

static void print_machine(FILE *out, const bench_machine *machine)
{
    fprintf(out, "%s, %ld cores, %s, %s, %.1f GiB of memory\n", machine->date,
            machine->cores, machine->cpu, machine->architecture,
            (double)machine->memory_bytes / (1u << 30));
    fprintf(out, "%s, %s, huge pages %s, load %.2f%s\n", machine->kernel,
            machine->filesystem, machine->huge_pages, machine->load,
            machine->load > 0.5 * (double)machine->cores
                ? ": BUSY, figures are not reliable"
                : "");
}

static void print_settings(FILE *out, const bench_settings *settings)
{
    fprintf(out,
            "%" PRIu64 " keys of %zu bytes, values of %zu bytes, half "
            "compressible, medians of %u\n",
            settings->keys, settings->key_bytes, settings->value_bytes,
            settings->repeats);
    fprintf(out, "engines:");
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        const char *version = settings->engines[i]->version();
        fprintf(out, "%s %s%s%s", i == 0 ? "" : ",", settings->engines[i]->name,
                version[0] != '\0' ? " " : "", version);
    }
    for (size_t i = 0; bench_missing_engines[i] != NULL; i++) {
        fprintf(out, ", %s not built", bench_missing_engines[i]);
    }
    fprintf(out, "\n\n");
}

static void print_targets(FILE *out, const bench_settings *settings,
                          const bench_results *results)
{
    fprintf(out, "\n%-40s %5s %11s %11s\n", "target", "keys", "limit",
            "reached");
    for (size_t i = 0; i < bench_target_count; i++) {
        const bench_target *target = &bench_targets[i];
        double value = target_value(target, settings, results);
        if (!target_is_wanted(target, settings)) {
            continue;
        }
        fprintf(out, "%-40s", target->text);
        print_keys(out, target->keys != 0 ? target->keys : settings->keys);
        fprintf(out, " %s %8.7g",
                target_is_bound(target) ? "<=" : ">=", target->limit);
        if (isnan(value)) {
            fprintf(out, " %11s  NOT MEASURED\n", "-");
        } else {
            fprintf(out, " %11.*f  %s\n", value > 1000 ? 0 : 2, value,
                    target_is_met(target, value) ? "PASS" : "MISS");
        }
    }
}

void report_text(FILE *out, const bench_machine *machine,
                 const bench_settings *settings, const bench_results *results)
{
    uint64_t keys[SETTINGS_SCALES_MAX];
    print_machine(out, machine);
    print_settings(out, settings);
    print_heading(out, settings);
    for (size_t i = 0; i < WORK_COUNT; i++) {
        if (!settings->works[i]) {
            continue;
        }
        size_t scales = report_scales(settings, (work_id)i, keys);
        for (size_t j = 0; j < scales; j++) {
            print_row(out, settings, results, (work_id)i, keys[j]);
        }
    }
    fprintf(out, "\n/peer: how many times better Caskade is, whatever the "
                 "unit. spread: widest of the row, +-.\n");
    print_notes(out, settings, results);
    if (settings->targets || settings->merging || settings->tree) {
        print_targets(out, settings, results);
    }
}

bool report_targets_met(const bench_settings *settings,
                        const bench_results *results)
{
    for (size_t i = 0; i < bench_target_count; i++) {
        double value = target_value(&bench_targets[i], settings, results);
        if (target_is_wanted(&bench_targets[i], settings) &&
            !target_is_met(&bench_targets[i], value)) {
            return false;
        }
    }
    return true;
}
