/*
 * Which runs are compacted and why, row by row; then that no plan of a long
 * random life lets a newer version get below an older one, that plans come to
 * an end, and what the strategies cost.
 */
#include "maintain/compaction.h"

#include <stdio.h>
#include <string.h>

#include "cask_test.h"
#include "support/random.h"
#include "unit/maintain/tree_model.h"

enum { PARTS = 24, ROUNDS = 12, FLUSHES = 400, STEPS_MAX = 20000 };

#define MIB ((uint64_t)1 << 20)

/* ---- Rows --------------------------------------------------------------- */

/* A part of `mib`, keys from..to. Its id is its number in the row, from 1. */
typedef struct part_fact {
    uint32_t level;
    uint32_t run;
    uint64_t from;
    uint64_t to; /* 0: end of the list */
    unsigned mib;
    unsigned waste_percent; /* tombstones */
    bool is_begun;
    unsigned hidden_mib;
    unsigned expired_percent;
} part_fact;

typedef struct choice_row {
    const char *name;
    compaction_strategy strategy;
    const char *inputs; /* ids */
    compaction_reason reason;
    uint32_t target;
    /* j joins a run, m moves, d drops tombstones, s cuts, as of a sweep. */
    const char *flags;
    part_fact facts[PARTS];

    uint64_t to_key; /* of a sweep; 0: not looked at */
    uint64_t oldest_snapshot;
    uint32_t full_memtables;
    double bound; /* on space */
} choice_row;

#define LAZY COMPACTION_LAZY
#define LEVELED COMPACTION_LEVELED
#define TIERED COMPACTION_TIERED
#define LAST COMPACTION_LAST
#define NONE COMPACTION_REASON_NONE
#define ALL_KEYS 0, 99

#define FOUR_RUNS(level, newest, size)                                         \
    {level, newest, ALL_KEYS, .mib = (size)},                                  \
        {level, (newest)-1, ALL_KEYS, .mib = (size)},                          \
        {level, (newest)-2, ALL_KEYS, .mib = (size)},                          \
    {                                                                          \
        level, (newest)-3, ALL_KEYS, .mib = (size)                             \
    }
/* Eight of a size, one after the other, the newest first. */
#define EIGHT_RUNS(level, newest, size)                                        \
    FOUR_RUNS(level, newest, size), FOUR_RUNS(level, (newest)-4, size)

/* By default: lazy joins 8 runs, sweeps above a quarter of the last level, at
 * least 128 MiB; leveled joins 4 runs, ratio 8; tiered joins 8. */
static const choice_row rows[] = {
    {"nothing", LAZY, "", NONE, 0, "", .facts = {{0}}},
    {"nothing", LEVELED, "", NONE, 0, "", .facts = {{0}}},
    {"nothing", TIERED, "", NONE, 0, "", .facts = {{0}}},
    {"a flush comes first", LAZY, "", COMPACTION_REASON_FLUSH, 0, "",
     .facts = {{0, 8, ALL_KEYS, .mib = 64},
               {0, 7, ALL_KEYS, .mib = 64},
               {0, 6, ALL_KEYS, .mib = 64},
               {0, 5, ALL_KEYS, .mib = 64}},
     .full_memtables = 1},

    {"lazy: few runs, little above", LAZY, "", NONE, 0, "",
     .facts = {{0, 3, ALL_KEYS, .mib = 64},
               {0, 2, ALL_KEYS, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 4000}}},
    {"lazy: eight runs of a level are one of the next", LAZY, "1 2 3 4 5 6 7 8",
     COMPACTION_REASON_RUNS, 1, "",
     .facts = {EIGHT_RUNS(0, 18, 64), {LAST, 1, ALL_KEYS, .mib = 40000}}},
    {"lazy: the shallower level first", LAZY, "1 2 3 4 5 6 7 8",
     COMPACTION_REASON_RUNS, 1, "",
     .facts = {EIGHT_RUNS(0, 18, 9),
               EIGHT_RUNS(1, 9, 99),
               {LAST, 1, ALL_KEYS, .mib = 40000}}},
    {"lazy: runs without common keys are one as they are", LAZY,
     "1 2 3 4 5 6 7 8", COMPACTION_REASON_RUNS, 1, "m",
     .facts = {{0, 18, 80, 89, .mib = 64},
               {0, 17, 70, 79, .mib = 64},
               {0, 16, 60, 69, .mib = 64},
               {0, 15, 50, 59, .mib = 64},
               {0, 14, 40, 49, .mib = 64},
               {0, 13, 30, 39, .mib = 64},
               {0, 12, 20, 29, .mib = 64},
               {0, 11, 10, 19, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 40000}}},

    {"lazy: a quarter of the last level is above: a sweep begins", LAZY,
     "1 2 3", COMPACTION_REASON_SPACE, LAST, "jds", .to_key = 40,
     .facts = {{1, 4, ALL_KEYS, .mib = 120},
               {1, 3, ALL_KEYS, .mib = 120},
               {LAST, 1, 0, 39, .mib = 300},
               {LAST, 1, 40, 79, .mib = 300},
               {LAST, 1, 80, 99, .mib = 300}}},
    {"lazy: it goes on from where it is", LAZY, "1 2 4",
     COMPACTION_REASON_SWEEP, LAST, "jds", .to_key = 80,
     .facts = {{1, 4, 40, 99, 72, .is_begun = true},
               {1, 3, 40, 99, 72, .is_begun = true},
               {LAST, 1, 0, 39, .mib = 348},
               {LAST, 1, 40, 79, .mib = 300},
               {LAST, 1, 80, 99, .mib = 300}}},
    {"lazy: and to the end", LAZY, "1 4", COMPACTION_REASON_SWEEP, LAST, "jds",
     .to_key = UINT64_MAX,
     .facts = {{1, 4, 85, 99, 20, .is_begun = true},
               {LAST, 1, 0, 39, .mib = 348},
               {LAST, 1, 40, 79, .mib = 348},
               {LAST, 1, 80, 90, .mib = 300}}},
    {"lazy: newer runs are not in it", LAZY, "2 3", COMPACTION_REASON_SWEEP,
     LAST, "jds",
     .facts = {{0, 5, ALL_KEYS, .mib = 64},
               {1, 3, 0, 99, 72, .is_begun = true},
               {LAST, 1, 0, 99, .mib = 300}}},
    {"lazy: parts of the last level without anything above stay", LAZY, "1 3",
     COMPACTION_REASON_SPACE, LAST, "jds", .to_key = 70,
     .facts = {{1, 4, 45, 55, .mib = 300},
               {LAST, 1, 0, 39, .mib = 100},
               {LAST, 1, 40, 69, .mib = 100},
               {LAST, 1, 70, 99, .mib = 100}}},
    {"lazy: nothing below: a sweep is a move", LAZY, "1",
     COMPACTION_REASON_SPACE, LAST, "jmds", .to_key = UINT64_MAX,
     .facts = {{1, 4, 70, 90, .mib = 300},
               {LAST, 1, 0, 39, .mib = 100},
               {LAST, 1, 40, 69, .mib = 100}}},
    {"lazy: also into a gap", LAZY, "1", COMPACTION_REASON_SPACE, LAST, "jmds",
     .to_key = 91,
     .facts = {{1, 4, 70, 90, .mib = 300},
               {LAST, 1, 0, 69, .mib = 100},
               {LAST, 1, 91, 99, .mib = 100}}},
    {"lazy: but not with tombstones that can go", LAZY, "1",
     COMPACTION_REASON_SPACE, LAST, "jds",
     .facts = {{1, 4, 70, 90, 300, .waste_percent = 30},
               {LAST, 1, 0, 39, .mib = 100},
               {LAST, 1, 40, 69, .mib = 100}}},
    {"lazy: the first run becomes the last level", LAZY, "1 2",
     COMPACTION_REASON_SPACE, LAST, "ds",
     .facts = {{0, 2, ALL_KEYS, .mib = 64}, {0, 1, ALL_KEYS, .mib = 64}}},
    {"lazy: what is hidden below counts as if it were above", LAZY, "1 2",
     COMPACTION_REASON_SPACE, LAST, "jds",
     .facts = {{0, 2, ALL_KEYS, 1, .hidden_mib = 3000},
               {LAST, 1, ALL_KEYS, .mib = 4000}}},
    {"lazy: a bound on space", LAZY, "1 2", COMPACTION_REASON_SPACE, LAST,
     "jds", .bound = 1.1,
     .facts = {{1, 4, ALL_KEYS, .mib = 450}, {LAST, 1, ALL_KEYS, .mib = 4000}}},
    {"lazy: while a sweep goes on nothing gets below it", LAZY,
     "1 2 3 4 5 6 7 8", COMPACTION_REASON_RUNS, 0, "",
     .facts = {EIGHT_RUNS(0, 28, 64),
               {0, 20, 50, 99, 32, .is_begun = true},
               {LAST, 1, ALL_KEYS, .mib = 40000}}},
    {"lazy: meanwhile a large run is not joined with few small ones", LAZY,
     "9 10", COMPACTION_REASON_SWEEP, LAST, "jds",
     .facts = {{0, 28, ALL_KEYS, .mib = 64},
               {0, 27, ALL_KEYS, .mib = 64},
               {0, 26, ALL_KEYS, .mib = 64},
               {0, 25, ALL_KEYS, .mib = 64},
               {0, 24, ALL_KEYS, .mib = 64},
               {0, 23, ALL_KEYS, .mib = 64},
               {0, 22, ALL_KEYS, .mib = 64},
               {0, 21, ALL_KEYS, .mib = 512},
               {0, 20, 50, 99, 32, .is_begun = true},
               {LAST, 1, ALL_KEYS, .mib = 40000}}},

    {"a part full of tombstones is written anew", LAZY, "2",
     COMPACTION_REASON_WASTE, LAST, "jd",
     .facts = {{LAST, 1, 0, 39, 300, .waste_percent = 24},
               {LAST, 1, 40, 79, 300, .waste_percent = 40},
               {LAST, 1, 80, 99, 300, .waste_percent = 30}}},
    {"unless a snapshot may need them", LAZY, "", NONE, 0, "",
     .facts = {{LAST, 1, 40, 79, 300, .waste_percent = 40}},
     .oldest_snapshot = 3},
    {"so is one of which much has expired", LAZY, "3", COMPACTION_REASON_WASTE,
     LAST, "jd",
     .facts = {{LAST, 1, 0, 39, 300, .expired_percent = 24},
               {LAST, 1, 40, 79, 300, .waste_percent = 20},
               {LAST, 1, 80, 99, 300, 20, .expired_percent = 10}}},
    {"of the oldest run alone, since others hide what is older", TIERED, "3",
     COMPACTION_REASON_WASTE, 1, "jd",
     .facts = {{0, 3, ALL_KEYS, .mib = 64, .expired_percent = 100},
               {1, 2, ALL_KEYS, .mib = 64, .expired_percent = 100},
               {1, 1, ALL_KEYS, .mib = 64, .expired_percent = 30}}},
    {"what would be moved is written anew without it", LEVELED, "1",
     COMPACTION_REASON_SIZE, LAST, "jd",
     .facts = {{LAST - 1, 2, 0, 39, .mib = 400, .expired_percent = 50},
               {LAST - 1, 2, 70, 99, .mib = 900},
               {LAST, 1, 40, 99, .mib = 8000}}},

    {"leveled: three runs are not too many", LEVELED, "", NONE, 0, "",
     .facts = {{0, 4, ALL_KEYS, .mib = 64},
               {0, 3, ALL_KEYS, .mib = 64},
               {0, 2, ALL_KEYS, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 1000}}},
    {"leveled: four go to the last level of a small store", LEVELED,
     "1 2 3 4 5", COMPACTION_REASON_RUNS, LAST, "jd",
     .facts = {{0, 5, ALL_KEYS, .mib = 64},
               {0, 4, ALL_KEYS, .mib = 64},
               {0, 3, ALL_KEYS, .mib = 64},
               {0, 2, ALL_KEYS, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 1000}}},
    {"leveled: of a larger one to the level above", LEVELED, "1 2 3 4",
     COMPACTION_REASON_RUNS, LAST - 1, "",
     .facts = {{0, 5, ALL_KEYS, .mib = 64},
               {0, 4, ALL_KEYS, .mib = 64},
               {0, 3, ALL_KEYS, .mib = 64},
               {0, 2, ALL_KEYS, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 8000}}},
    {"leveled: only what lies below them is written anew", LEVELED, "1 2 3 4 6",
     COMPACTION_REASON_RUNS, LAST - 1, "j",
     .facts = {{0, 9, 40, 50, .mib = 64},
               {0, 8, 42, 50, .mib = 64},
               {0, 7, 40, 50, .mib = 64},
               {0, 6, 40, 50, .mib = 64},
               {LAST - 1, 2, 0, 39, .mib = 64},
               {LAST - 1, 2, 45, 60, .mib = 64},
               {LAST - 1, 2, 61, 99, .mib = 64},
               {LAST, 1, ALL_KEYS, .mib = 8000}}},
    {"leveled: of a level too large the part with least below", LEVELED, "2 5",
     COMPACTION_REASON_SIZE, LAST, "jd",
     .facts = {{LAST - 1, 2, 0, 39, .mib = 400},
               {LAST - 1, 2, 40, 69, .mib = 400},
               {LAST - 1, 2, 70, 99, .mib = 400},
               {LAST, 1, 0, 39, .mib = 3000},
               {LAST, 1, 40, 69, .mib = 2000},
               {LAST, 1, 70, 99, .mib = 3000}}},
    {"leveled: or which hides most", LEVELED, "1 4", COMPACTION_REASON_SIZE,
     LAST, "jd",
     .facts = {{LAST - 1, 2, 0, 39, 400, .hidden_mib = 2000},
               {LAST - 1, 2, 40, 69, .mib = 400},
               {LAST - 1, 2, 70, 99, .mib = 400},
               {LAST, 1, 0, 39, .mib = 3000},
               {LAST, 1, 40, 69, .mib = 2000},
               {LAST, 1, 70, 99, .mib = 3000}}},
    {"leveled: nothing below: a move", LEVELED, "1", COMPACTION_REASON_SIZE,
     LAST, "jmd",
     .facts = {{LAST - 1, 2, 0, 39, .mib = 400},
               {LAST - 1, 2, 70, 99, .mib = 900},
               {LAST, 1, 40, 99, .mib = 8000}}},
    {"leveled: the fuller level first", LEVELED, "5 6", COMPACTION_REASON_SIZE,
     LAST, "jd",
     .facts = {{0, 6, ALL_KEYS, .mib = 64},
               {0, 5, ALL_KEYS, .mib = 64},
               {0, 4, ALL_KEYS, .mib = 64},
               {0, 3, ALL_KEYS, .mib = 64},
               {LAST - 1, 2, ALL_KEYS, .mib = 9000},
               {LAST, 1, ALL_KEYS, .mib = 8000}}},

    {"tiered: eight runs are one of the next level", TIERED, "1 2 3 4 5 6 7 8",
     COMPACTION_REASON_RUNS, 1, "",
     .facts = {EIGHT_RUNS(0, 18, 64), {1, 9, ALL_KEYS, .mib = 512}}},
    {"tiered: the oldest runs' tombstones go", TIERED, "1 2 3 4 5 6 7 8",
     COMPACTION_REASON_RUNS, 1, "d", .facts = {EIGHT_RUNS(0, 18, 64)}},
    {"tiered: no bound on space", TIERED, "", NONE, 0, "",
     .facts = {{1, 3, ALL_KEYS, .mib = 512},
               {1, 2, ALL_KEYS, .mib = 512},
               {2, 1, ALL_KEYS, .mib = 512}}},
    {"tiered: above the bound all are one", TIERED, "1 2 3",
     COMPACTION_REASON_SPACE, 2, "d", .bound = 3,
     .facts = {{1, 3, ALL_KEYS, .mib = 512},
               {1, 2, ALL_KEYS, .mib = 512},
               {2, 1, ALL_KEYS, .mib = 512}}},
};

static size_t fill(const choice_row *row, compaction_part *parts)
{
    size_t count = 0;

    while (row->facts[count].to != 0) {
        const part_fact *fact = &row->facts[count];

        parts[count] = (compaction_part){.id = count + 1,
                                         .level = fact->level,
                                         .run = fact->run,
                                         .first_key = fact->from,
                                         .last_key = fact->to,
                                         .bytes = fact->mib * MIB,
                                         .hidden_bytes = fact->hidden_mib * MIB,
                                         .records = 100,
                                         .tombstones = fact->waste_percent,
                                         .expired = fact->expired_percent,
                                         .first_sequence = fact->run,
                                         .last_sequence = fact->run + 5U,
                                         .is_begun = fact->is_begun};
        count++;
    }
    return count;
}

static void describe(const compaction_part *parts, const uint32_t *choices,
                     const compaction_plan *plan, char inputs[64],
                     char flags[8])
{
    size_t used = 0;

    inputs[0] = '\0';
    for (size_t i = 0; i < plan->count; i++) {
        used +=
            (size_t)snprintf(inputs + used, 64 - used, "%s%u", i > 0 ? " " : "",
                             (unsigned)parts[choices[i]].id);
    }
    (void)snprintf(flags, 8, "%s%s%s%s", plan->joins_run ? "j" : "",
                   plan->is_move ? "m" : "", plan->drop_tombstones ? "d" : "",
                   plan->is_sweep ? "s" : "");
}

static void test_the_rules_row_by_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const choice_row *row = &rows[i];
        compaction_settings settings =
            compaction_settings_default(row->strategy);
        const compaction_moment moment = {
            .full_memtables = row->full_memtables,
            .oldest_snapshot =
                row->oldest_snapshot > 0 ? row->oldest_snapshot : UINT64_MAX};
        compaction_part parts[PARTS];
        uint32_t choices[PARTS];
        size_t count = fill(row, parts);
        compaction_plan plan;
        char inputs[64];
        char flags[8];

        settings.max_space_amplification = row->bound;
        compaction_choose(&settings, &moment, parts, count, choices, &plan);
        describe(parts, choices, &plan, inputs, flags);
        if (strcmp(inputs, row->inputs) != 0 ||
            strcmp(flags, row->flags) != 0 || plan.reason != row->reason ||
            plan.target_level != row->target) {
            print_error("row \"%s\": %s to %u, %s: %s\n", row->name, inputs,
                        plan.target_level, flags,
                        compaction_reason_text(plan.reason));
        }
        assert_string_equal(inputs, row->inputs);
        assert_string_equal(flags, row->flags);
        assert_int_equal(plan.reason, row->reason);
        assert_int_equal(plan.target_level, row->target);
        assert_true(row->to_key == 0 || plan.to_key == row->to_key);
        assert_true(plan.score >= 1 || plan.reason == NONE ||
                    plan.reason == COMPACTION_REASON_SWEEP);
    }
}

/* ---- Long lives --------------------------------------------------------- */

static bool is_input(const tree_model *m, const compaction_plan *plan,
                     size_t index)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (m->choices[i] == index) {
            return true;
        }
    }
    return false;
}

/* Where the outputs will be, beside a part with the same keys that is newer, or
 * older, than an input. */
static void check_place(const compaction_plan *plan,
                        const compaction_part *part, bool is_newer)
{
    if (is_newer) {
        assert_true(part->level < plan->target_level ||
                    (part->level == plan->target_level && plan->joins_run));
        assert_true(part->level < plan->target_level);
    } else {
        assert_true(part->level > plan->target_level ||
                    (part->level == plan->target_level && !plan->joins_run));
    }
}

/* A plan as it must be: nothing newer gets below anything older, and tombstones
 * go only if nothing older is left. */
static void check_plan(const tree_model *m, const compaction_plan *plan)
{
    bool is_bottom = true;

    assert_true(plan->count > 0);
    assert_true(plan->cut_bytes > 0 &&
                plan->cut_bytes <= m->options.settings.partition_bytes);
    for (size_t i = 0; i < m->count; i++) {
        const compaction_part *part = &m->parts[i];

        if (is_input(m, plan, i)) {
            /* Only a sweep leaves something of an input. */
            assert_true(part->first_key < plan->to_key);
            assert_true(plan->is_sweep || part->last_key < plan->to_key);
            assert_true(part->first_key >= plan->from_key);
            continue;
        }
        for (size_t c = 0; c < plan->count; c++) {
            const compaction_part *input = &m->parts[m->choices[c]];

            if (part->first_key >= plan->to_key ||
                part->first_key > input->last_key ||
                part->last_key < input->first_key) {
                continue;
            }
            check_place(plan, part, i < m->choices[c]);
            is_bottom = is_bottom && i < m->choices[c];
        }
    }
    /* It may be careful about keys between those of inputs. */
    assert_true(is_bottom || !plan->drop_tombstones);
    assert_true(!plan->is_move || plan->to_key == UINT64_MAX ||
                !plan->is_sweep ||
                m->parts[m->choices[plan->count - 1]].last_key < plan->to_key);
}

/* The order in which the policy is given its parts. */
static void check_order(const tree_model *m)
{
    for (size_t i = 1; i < m->count; i++) {
        const compaction_part *a = &m->parts[i - 1];
        const compaction_part *b = &m->parts[i];

        assert_true(a->level < b->level ||
                    (a->level == b->level &&
                     (a->run > b->run ||
                      (a->run == b->run && a->last_key < b->first_key))));
    }
}

/* All that is due; it must come to an end. */
static void settle(tree_model *m, size_t most)
{
    compaction_plan plan;

    for (size_t step = 0; step < most; step++) {
        if (!tree_model_choose(m, &plan)) {
            return;
        }
        check_plan(m, &plan);
        tree_model_carry_out(m, &plan);
        check_order(m);
    }
    assert_true(most < STEPS_MAX);
}

static void live_randomly(uint64_t seed, uint64_t number)
{
    test_random random = test_random_make(seed, number);
    tree_options options = {
        .settings =
            compaction_settings_default((compaction_strategy)(number % 3)),
        .load = (tree_load)(number / 3 % 4),
        .live_bytes = (double)((test_random_next(&random, 4000) + 100) * MIB),
        .written_bytes = (double)(FLUSHES * 65 * MIB)};
    tree_model *m;

    options.settings.ratio = (uint32_t)test_random_next(&random, 10) + 2;
    options.settings.run_limit = (uint32_t)test_random_next(&random, 8) + 2;
    options.settings.sweep_parts = (uint32_t)test_random_next(&random, 6) + 1;
    options.settings.partition_bytes =
        (test_random_next(&random, 64) + 8) * MIB;
    options.settings.max_space_amplification =
        (double)test_random_next(&random, 4);
    m = tree_model_create(&options);
    for (int i = 0; i < FLUSHES; i++) {
        tree_model_flush(m);
        /* Now and then compactions lag behind. */
        settle(m, test_random_chance(&random, 70)
                      ? test_random_next(&random, 20)
                      : STEPS_MAX);
    }
    settle(m, STEPS_MAX);
    tree_model_free(m);
}

static void test_no_plan_brings_a_newer_version_below_an_older(void **state)
{
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t number = 0; number < ROUNDS; number++) {
        live_randomly(seed, number);
    }
}

/* ---- All ---------------------------------------------------------------- */

static void test_all_that_is_there_becomes_one_run(void **state)
{
    const compaction_settings settings =
        compaction_settings_default(COMPACTION_LAZY);
    const compaction_part parts[] = {
        {.id = 1, .run = 3, .first_key = 5, .last_key = 9, .bytes = MIB},
        {.id = 2, .level = 2, .run = 1, .last_key = 4, .bytes = 99 * MIB}};
    uint32_t choices[2];
    compaction_plan plan;

    (void)state;
    compaction_choose_all(&settings, parts, 2, choices, &plan);
    assert_int_equal(plan.reason, COMPACTION_REASON_ALL);
    assert_int_equal(plan.count, 2);
    assert_int_equal(plan.target_level, LAST);
    assert_true(plan.drop_tombstones);
    assert_false(plan.is_move); /* though no keys are in both */
    assert_false(plan.is_sweep);
    assert_int_equal(plan.cut_bytes, 50 * MIB);
    compaction_choose_all(&settings, parts, 0, choices, &plan);
    assert_int_equal(plan.reason, NONE);
}

/* ---- What they cost ----------------------------------------------------- */

static tree_result cost_of(compaction_strategy strategy, double live_mib,
                           double times, double rate)
{
    const tree_options options = {
        .settings = compaction_settings_default(strategy),
        .load = TREE_UNIFORM,
        .live_bytes = live_mib * (double)MIB,
        .written_bytes = live_mib * times * (double)MIB,
        .user_rate = rate > 0 ? 100 : 0,
        .compaction_rate = rate};
    tree_model *m = tree_model_create(&options);
    tree_result result = tree_model_run(m);

    print_message("%-8s %6.0f MiB: writes %.2f, space %.2f, at most %.2f\n",
                  compaction_strategy_name(strategy), live_mib,
                  result.write_amplification, result.space, result.peak_space);
    tree_model_free(m);
    return result;
}

/* ---- Step by step ------------------------------------------------------- */

enum { SETTLED = 6 };

/* A run above, of the keys from `from` to `to` (0: there is none), and six
 * parts of the last level with 20 keys each, all settled. */
static size_t make_settled(compaction_part *parts, uint64_t from, uint64_t to,
                           uint64_t mib)
{
    size_t count = 0;

    if (to != 0) {
        parts[count++] = (compaction_part){
            .id = 1, .run = 2, .first_key = from, .last_key = to, .bytes = MIB};
    }
    for (unsigned i = 0; i < SETTLED; i++) {
        parts[count++] = (compaction_part){.id = 10 + i,
                                           .level = LAST,
                                           .run = 1,
                                           .first_key = 20 * i + 1,
                                           .last_key = 20 * i + 19,
                                           .bytes = mib * MIB,
                                           .is_settled = true};
    }
    return count;
}

/* Of all steps together, `ids` are taken. */
static void check_steps(const compaction_part *parts, size_t count,
                        const char *ids)
{
    const compaction_settings settings = compaction_settings_default(LAZY);
    uint32_t choices[SETTLED + 1];
    char taken[128] = "";
    uint64_t from = 0;

    for (;;) {
        compaction_plan plan;

        compaction_choose_step(&settings, parts, count, from, choices, &plan);
        for (size_t i = 0; i < plan.count; i++) {
            size_t at = strlen(taken);

            (void)snprintf(taken + at, sizeof(taken) - at, "%u ",
                           (unsigned)parts[choices[i]].id);
        }
        if (plan.count == 0 || plan.to_key == UINT64_MAX ||
            plan.to_key > 20 * SETTLED) {
            break;
        }
        /* As the store does: what was taken from above has gone down. */
        if (plan.is_sweep) {
            parts++;
            count--;
        }
        from = plan.to_key;
    }
    assert_string_equal(taken, ids);
}

static void test_what_is_settled_is_left(void **state)
{
    compaction_part parts[SETTLED + 1];
    size_t count;

    (void)state;
    check_steps(parts, make_settled(parts, 0, 0, 64), "");
    check_steps(parts, make_settled(parts, 45, 75, 64), "1 12 13 ");
    check_steps(parts, make_settled(parts, 110, 300, 64), "1 15 ");
    check_steps(parts, make_settled(parts, 0, 0, 8), "10 11 12 13 14 15 ");
    count = make_settled(parts, 0, 0, 64);
    parts[1].is_settled = false;
    parts[4].is_settled = false;
    parts[5].expired = 1;
    check_steps(parts, count, "11 14 15 ");
}

static void test_lazy_writes_little_and_keeps_space(void **state)
{
    tree_result lazy = cost_of(COMPACTION_LAZY, 10240, 20, 0);
    tree_result leveled = cost_of(COMPACTION_LEVELED, 10240, 20, 0);

    (void)state;
    assert_true(lazy.write_amplification <= 0.6 * leveled.write_amplification);
    assert_true(lazy.peak_space <= 1.3);
}

/* Writers would be faster than compactions, and are held back. */
static void test_space_is_kept_when_writers_are_too_fast(void **state)
{
    tree_result lazy = cost_of(COMPACTION_LAZY, 10240, 20, 300);

    (void)state;
    assert_true(lazy.space <= 1.3);
    assert_true(lazy.peak_space <= 1.35);
    assert_true(lazy.peak_delay_us < COMPACTION_DELAY_MAX_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rules_row_by_row),
        cmocka_unit_test(test_no_plan_brings_a_newer_version_below_an_older),
        cmocka_unit_test(test_all_that_is_there_becomes_one_run),
        cmocka_unit_test(test_what_is_settled_is_left),
        cmocka_unit_test(test_lazy_writes_little_and_keeps_space),
        cmocka_unit_test(test_space_is_kept_when_writers_are_too_fast),
    };

    return cmocka_run_group_tests_name("compaction", tests, NULL, NULL);
}
