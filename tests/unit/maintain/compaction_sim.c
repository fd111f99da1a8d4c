/*
 * What the strategies cost: write, read and space amplification over up to a
 * terabyte of writes, from the functions that choose compactions and from
 * arithmetic over runs. Not a test.
 *
 *     compaction_sim [--json]
 */
#include <stdio.h>
#include <string.h>

#include "unit/maintain/tree_model.h"

static const double GIB = (double)(1U << 30);

typedef struct sim_row {
    tree_load load;
    double live_gib; /* 0: what is written */
    double written_gib;
    uint32_t lazy_ratio; /* 0: by default */
    uint32_t leveled_ratio;
    double tiered_bound; /* on space; 0: none */
    double user_rate;    /* MB/s; 0: compactions take no time */
    double compaction_rate;
} sim_row;

static const sim_row rows[] = {
    /* Size of the data. */
    {.load = TREE_UNIFORM, .live_gib = 1, .written_gib = 64},
    {.load = TREE_UNIFORM, .live_gib = 3, .written_gib = 128},
    {.load = TREE_UNIFORM, .live_gib = 10, .written_gib = 256},
    {.load = TREE_UNIFORM, .live_gib = 30, .written_gib = 512},
    {.load = TREE_UNIFORM, .live_gib = 100, .written_gib = 1024},
    {.load = TREE_UNIFORM, .live_gib = 300, .written_gib = 1024},
    /* Ratio. */
    {TREE_UNIFORM, 100, 1024, 3, 4, 0, 0, 0},
    {TREE_UNIFORM, 100, 1024, 5, 6, 0, 0, 0},
    {TREE_UNIFORM, 100, 1024, 6, 10, 0, 0, 0},
    {TREE_UNIFORM, 100, 1024, 8, 12, 0, 0, 0},
    {TREE_UNIFORM, 100, 1024, 12, 16, 0, 0, 0},
    /* Load. */
    {.load = TREE_SKEWED, .live_gib = 10, .written_gib = 256},
    {.load = TREE_SKEWED, .live_gib = 100, .written_gib = 1024},
    {.load = TREE_INSERT, .written_gib = 10},
    {.load = TREE_INSERT, .written_gib = 100},
    {.load = TREE_INSERT, .written_gib = 1024},
    {.load = TREE_IN_ORDER, .written_gib = 1024},
    /* Space. */
    {TREE_UNIFORM, 100, 1024, 0, 0, 2, 0, 0},
    {TREE_UNIFORM, 100, 1024, 0, 0, 3, 0, 0},
    /* Writers that would write 100 MB/s, one thread that compacts. */
    {TREE_UNIFORM, 10, 256, 0, 0, 0, 100, 1600},
    {TREE_UNIFORM, 10, 256, 0, 0, 0, 100, 400},
    {TREE_UNIFORM, 100, 1024, 0, 0, 0, 100, 1600},
    {TREE_UNIFORM, 100, 1024, 0, 0, 0, 100, 400},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), STRATEGIES = 3 };

static const char *load_name(tree_load load)
{
    static const char *const names[] = {"uniform", "skewed", "insert",
                                        "in order"};

    return names[load];
}

/* Of tiered, how many runs become one. */
static uint32_t ratio_of(const sim_row *row, compaction_strategy strategy)
{
    const compaction_settings settings = compaction_settings_default(strategy);

    if (strategy == COMPACTION_LAZY && row->lazy_ratio > 0) {
        return row->lazy_ratio;
    }
    if (strategy == COMPACTION_LEVELED && row->leveled_ratio > 0) {
        return row->leveled_ratio;
    }
    return strategy == COMPACTION_TIERED ? settings.run_limit : settings.ratio;
}

static tree_result measure(const sim_row *row, compaction_strategy strategy)
{
    tree_options options = {.settings = compaction_settings_default(strategy),
                            .load = row->load,
                            .live_bytes = row->live_gib * GIB,
                            .written_bytes = row->written_gib * GIB,
                            .user_rate = row->user_rate,
                            .compaction_rate = row->compaction_rate};
    tree_model *model;
    tree_result result;

    options.settings.ratio = ratio_of(row, strategy);
    if (strategy == COMPACTION_TIERED) {
        options.settings.max_space_amplification = row->tiered_bound;
    }
    model = tree_model_create(&options);
    result = tree_model_run(model);
    tree_model_free(model);
    return result;
}

static void print_row(const sim_row *row, compaction_strategy strategy,
                      const tree_result *r)
{
    double live = row->live_gib > 0 ? row->live_gib : row->written_gib;

    printf("%-8s %5.0f %6.0f %5u %5.1f %5.0f %5.0f  %-8s %6.2f %6.2f %6.2f "
           "%6.2f %6.1f %5u %8.2f %6.0f %6.0f\n",
           load_name(row->load), live, row->written_gib,
           ratio_of(row, strategy), row->tiered_bound, row->user_rate,
           row->compaction_rate, compaction_strategy_name(strategy),
           r->write_amplification, r->read_amplification, r->space,
           r->peak_space, r->runs, r->peak_runs, r->largest_bytes / GIB,
           r->peak_delay_us, r->user_rate);
    (void)fflush(stdout);
}

static void print_json(const sim_row *row, compaction_strategy strategy,
                       const tree_result *r, bool is_first)
{
    printf("%s\n  {\"load\": \"%s\", \"live_gib\": %.0f, \"written_gib\": %.0f,"
           " \"ratio\": %u, \"space_bound\": %.1f, \"user_mb_s\": %.0f,"
           " \"compaction_mb_s\": %.0f, \"strategy\": \"%s\","
           " \"write_amplification\": %.3f, \"read_amplification\": %.3f,"
           " \"space\": %.3f, \"peak_space\": %.3f, \"runs\": %.2f,"
           " \"peak_runs\": %u, \"largest_gib\": %.3f, \"files\": %.0f,"
           " \"peak_delay_us\": %.0f, \"reached_mb_s\": %.1f}",
           is_first ? "" : ",", load_name(row->load),
           row->live_gib > 0 ? row->live_gib : row->written_gib,
           row->written_gib, ratio_of(row, strategy), row->tiered_bound,
           row->user_rate, row->compaction_rate,
           compaction_strategy_name(strategy), r->write_amplification,
           r->read_amplification, r->space, r->peak_space, r->runs,
           r->peak_runs, r->largest_bytes / GIB, r->files, r->peak_delay_us,
           r->user_rate);
}

int main(int argc, char **argv)
{
    bool is_json = argc > 1 && strcmp(argv[1], "--json") == 0;

    if (argc > 2 || (argc == 2 && !is_json)) {
        (void)fprintf(stderr, "usage: compaction_sim [--json]\n");
        return 2;
    }
    if (is_json) {
        printf("[");
    } else {
        printf("%-8s %5s %6s %5s %5s %5s %5s  %-8s %6s %6s %6s %6s %6s %5s %8s "
               "%6s %6s\n",
               "load", "live", "writes", "ratio", "bound", "user", "disk",
               "strategy", "write", "read", "space", "peak", "runs", "peak",
               "largest", "delay", "rate");
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (int s = 0; s < STRATEGIES; s++) {
            compaction_strategy strategy = (compaction_strategy)s;
            tree_result result = measure(&rows[i], strategy);

            if (is_json) {
                print_json(&rows[i], strategy, &result, i == 0 && s == 0);
            } else {
                print_row(&rows[i], strategy, &result);
            }
        }
    }
    if (is_json) {
        printf("\n]\n");
    }
    return 0;
}
