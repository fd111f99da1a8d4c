/*
 * JSON by hand: all texts are names of this program or of the machine.
 */
#include <inttypes.h>
#include <math.h>

#include "report.h"
#include "targets.h"

/* A JSON string; control characters do not occur in what is printed. */
static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', out);
        }
        if ((unsigned char)*text >= ' ') {
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

static void print_number(FILE *out, double value)
{
    if (isfinite(value)) {
        fprintf(out, "%.10g", value);
    } else {
        fprintf(out, "null");
    }
}

static void print_member(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\": ", name);
    print_string(out, text);
}

static void print_machine(FILE *out, const bench_machine *machine)
{
    fprintf(out, "  \"machine\": {");
    print_member(out, "date", machine->date);
    fprintf(out, ", ");
    print_member(out, "cpu", machine->cpu);
    fprintf(out, ", ");
    print_member(out, "architecture", machine->architecture);
    fprintf(out, ", ");
    print_member(out, "kernel", machine->kernel);
    fprintf(out, ", ");
    print_member(out, "filesystem", machine->filesystem);
    fprintf(out, ", ");
    print_member(out, "huge_pages", machine->huge_pages);
    fprintf(out, ", \"cores\": %ld, \"memory_bytes\": %" PRIu64, machine->cores,
            machine->memory_bytes);
    fprintf(out, ", \"load\": ");
    print_number(out, machine->load);
    fprintf(out, "},\n");
}

static void print_engines(FILE *out, const bench_settings *settings)
{
    fprintf(out, "  \"engines\": [");
    for (size_t i = 0; settings->engines[i] != NULL; i++) {
        fprintf(out, "%s{", i == 0 ? "" : ", ");
        print_member(out, "name", settings->engines[i]->name);
        fprintf(out, ", ");
        print_member(out, "version", settings->engines[i]->version());
        fprintf(out, "}");
    }
    fprintf(out, "],\n  \"not_built\": [");
    for (size_t i = 0; bench_missing_engines[i] != NULL; i++) {
        fprintf(out, "%s", i == 0 ? "" : ", ");
        print_string(out, bench_missing_engines[i]);
    }
    fprintf(out, "],\n");
}

/* Every single figure of one work, in the order of measurement. */
static void print_values(FILE *out, const bench_results *results,
                         const bench_engine *engine, work_id work,
                         uint64_t keys)
{
    const char *separator = "";
    fprintf(out, "[");
    for (size_t i = 0; i < results->count; i++) {
        const result *row = &results->rows[i];
        if (row->engine == engine && row->sample.work == work &&
            row->sample.keys == keys && !isnan(row->sample.value)) {
            fprintf(out, "%s", separator);
            print_number(out, row->sample.value);
            separator = ", ";
        }
    }
    fprintf(out, "]");
}

static void print_result(FILE *out, const bench_results *results,
                         const bench_engine *engine, work_id work,
                         uint64_t keys)
{
    figure found = results_find(results, engine, work, keys);
    fprintf(out, "{");
    print_member(out, "work", bench_works[work].name);
    fprintf(out, ", ");
    print_member(out, "engine", engine->name);
    fprintf(out, ", \"keys\": %" PRIu64 ", ", keys);
    print_member(out, "unit", report_unit(bench_works[work].unit));
    fprintf(out, ", \"median\": ");
    print_number(out, found.median);
    fprintf(out, ", \"caskade_is_better_by\": ");
    print_number(out, results_ratio(results, group_own(work_group(work)),
                                    engine, work, keys));
    fprintf(out, ", \"values\": ");
    print_values(out, results, engine, work, keys);
    fprintf(out, ", ");
    print_member(out, "note", found.note);
    fprintf(out, "}");
}

static void print_results(FILE *out, const bench_settings *settings,
                          const bench_results *results)
{
    uint64_t keys[SETTINGS_SCALES_MAX];
    const char *separator = "\n";
    fprintf(out, "  \"results\": [");
    for (size_t i = 0; i < WORK_COUNT; i++) {
        size_t scales = report_scales(settings, (work_id)i, keys);
        for (size_t j = 0; settings->works[i] && j < scales; j++) {
            for (size_t k = 0; settings->engines[k] != NULL; k++) {
                fprintf(out, "%s    ", separator);
                print_result(out, results, settings->engines[k], (work_id)i,
                             keys[j]);
                separator = ",\n";
            }
        }
    }
    fprintf(out, "\n  ],\n");
}

static void print_targets(FILE *out, const bench_settings *settings,
                          const bench_results *results)
{
    const char *separator = "\n";
    fprintf(out, "  \"targets\": [");
    for (size_t i = 0; i < bench_target_count; i++) {
        const bench_target *target = &bench_targets[i];
        double value = target_value(target, settings, results);
        if (!target_is_wanted(target, settings)) {
            continue;
        }
        fprintf(out, "%s    {", separator);
        separator = ",\n";
        print_member(out, "target", target->text);
        fprintf(out, ", \"keys\": %" PRIu64,
                target->keys != 0 ? target->keys : settings->keys);
        fprintf(out, ", \"limit\": ");
        print_number(out, target->limit);
        fprintf(out, ", \"reached\": ");
        print_number(out, value);
        fprintf(out, ", \"met\": %s}",
                target_is_met(target, value) ? "true" : "false");
    }
    fprintf(out, "],\n");
}

void report_json(FILE *out, const bench_machine *machine,
                 const bench_settings *settings, const bench_results *results)
{
    fprintf(out, "{\n");
    print_machine(out, machine);
    fprintf(out,
            "  \"settings\": {\"keys\": %" PRIu64 ", \"key_bytes\": %zu, "
            "\"value_bytes\": %zu, \"repeats\": %u, \"load_seconds\": %u, "
            "\"buffer_bytes\": %" PRIu64 ", \"sync_interval\": %s},\n",
            settings->keys, settings->key_bytes, settings->value_bytes,
            settings->repeats, settings->load_seconds, settings->buffer_bytes,
            settings->sync_interval ? "true" : "false");
    print_engines(out, settings);
    print_results(out, settings, results);
    print_targets(out, settings, results);
    fprintf(out, "  \"failed_runs\": %u\n}\n", results->failed_runs);
}
