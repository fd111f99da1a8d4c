/*
 * The wait of writers: none at first, then smoothly more, never a jump.
 */
#include "maintain/compaction_delay.h"

#include <math.h>

#include "cask_test.h"

enum { STEPS = 100000, PARTS = 64 };

#define MIB ((uint64_t)1 << 20)

static void test_the_wait_grows_without_a_jump(void **state)
{
    uint64_t before = 0;

    (void)state;
    assert_int_equal(compaction_delay_us(0), 0);
    assert_int_equal(compaction_delay_us(0.5), 0);
    assert_int_equal(compaction_delay_us(0.75), COMPACTION_DELAY_MAX_US / 4);
    assert_int_equal(compaction_delay_us(1), COMPACTION_DELAY_MAX_US);
    assert_int_equal(compaction_delay_us(7), COMPACTION_DELAY_MAX_US);
    for (int i = 0; i <= STEPS; i++) {
        uint64_t now = compaction_delay_us(1.2 * i / STEPS);

        assert_true(now >= before);
        /* A part of all is at most four times that part of the wait, and one
         * is lost by rounding. */
        assert_true((double)(now - before) <=
                    4 * 1.2 * COMPACTION_DELAY_MAX_US / STEPS + 1);
        before = now;
    }
}

/* A tree whose level 0 has `runs` runs of 64 MiB, with 10 GiB below. */
static size_t fill(compaction_part *parts, uint32_t runs)
{
    for (uint32_t i = 0; i < runs; i++) {
        parts[i] = (compaction_part){.id = i + 1,
                                     .run = runs - i + 1,
                                     .last_key = 99,
                                     .bytes = 64 * MIB};
    }
    parts[runs] = (compaction_part){.id = 1000,
                                    .level = COMPACTION_LAST,
                                    .run = 1,
                                    .last_key = 99,
                                    .bytes = 10240 * MIB};
    return runs + 1;
}

static double fullness_of(compaction_strategy strategy, uint32_t runs,
                          double memory_mib)
{
    const compaction_settings settings = compaction_settings_default(strategy);
    const compaction_memory memory = {(uint64_t)(memory_mib * (double)MIB),
                                      256 * MIB};
    compaction_part parts[PARTS];

    return compaction_fullness(&settings, &memory, parts, fill(parts, runs));
}

static void assert_near(double got, double expected)
{
    assert_true(fabs(got - expected) < 1e-9);
}

static void test_what_fills_it(void **state)
{
    (void)state;
    assert_near(fullness_of(COMPACTION_LAZY, 0, 0), 0);
    assert_near(fullness_of(COMPACTION_LAZY, 0, 128), 0.5);
    assert_near(fullness_of(COMPACTION_LAZY, 0, 192), 0.75);
    assert_near(fullness_of(COMPACTION_LAZY, 0, 256), 1);
    /* Level 0: of 8 runs, 16 and 32; of leveled 4, 8 and 16. */
    assert_near(fullness_of(COMPACTION_LAZY, 8, 0), 0.25);
    assert_near(fullness_of(COMPACTION_LAZY, 16, 0), 0.5);
    assert_near(fullness_of(COMPACTION_LAZY, 24, 0), 0.75);
    assert_near(fullness_of(COMPACTION_LEVELED, 12, 0), 0.75);
    assert_near(fullness_of(COMPACTION_TIERED, 32, 0), 1);
    /* 2.5 GiB are due, 40 runs, and 3.1 GiB are 50. */
    assert_true(fullness_of(COMPACTION_LAZY, 51, 0) > 1);
}

static void test_bytes_above_fill_it_before_space_is_gone(void **state)
{
    const compaction_settings settings =
        compaction_settings_default(COMPACTION_LAZY);
    const compaction_memory memory = {0, 256 * MIB};
    compaction_part parts[] = {
        {.level = 3, .run = 2, .last_key = 9},
        {.level = COMPACTION_LAST, .run = 1, .last_key = 9, .bytes = 1000}};
    const uint64_t flush = settings.flush_bytes;

    (void)state;
    parts[1].bytes = 100 * flush * settings.ratio; /* 100 flushes are due */
    parts[0].bytes = 50 * flush;
    assert_near(compaction_fullness(&settings, &memory, parts, 2), 0.25);
    parts[0].bytes = 100 * flush;
    assert_near(compaction_fullness(&settings, &memory, parts, 2), 0.5);
    parts[0].bytes = 125 * flush;
    assert_near(compaction_fullness(&settings, &memory, parts, 2), 1);
}

/* What leaves the memory comes into level 0, and weighs as much there. */
static void test_a_flush_is_no_jump(void **state)
{
    (void)state;
    for (uint32_t runs = 8; runs < 40; runs++) {
        assert_near(fullness_of(COMPACTION_LAZY, runs, 64),
                    fullness_of(COMPACTION_LAZY, runs + 1, 0));
    }
}

static void test_runs_of_a_sweep_are_no_runs_of_level_0(void **state)
{
    const compaction_settings settings =
        compaction_settings_default(COMPACTION_LAZY);
    const compaction_memory memory = {0, 256 * MIB};
    compaction_part parts[PARTS];
    size_t count = fill(parts, 16);

    (void)state;
    for (size_t i = 8; i < 16; i++) {
        parts[i].is_begun = true;
    }
    assert_near(compaction_fullness(&settings, &memory, parts, count), 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_wait_grows_without_a_jump),
        cmocka_unit_test(test_what_fills_it),
        cmocka_unit_test(test_bytes_above_fill_it_before_space_is_gone),
        cmocka_unit_test(test_a_flush_is_no_jump),
        cmocka_unit_test(test_runs_of_a_sweep_are_no_runs_of_level_0),
    };

    return cmocka_run_group_tests_name("compaction_delay", tests, NULL, NULL);
}
