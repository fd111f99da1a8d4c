/*
 * Times of a run's records in three numbers.
 */
#include "cask_test.h"

#include <stdlib.h>

#include "run/run_times.h"
#include "unit/run/run_place.h"

enum { TIMES = 100000 };

static void test_few_times_are_known_exactly(void **state)
{
    static const uint32_t times[] = {50, 10, 30, 20, 40};
    run_times_sample sample = {0};
    run_times found = run_times_of(&sample);

    (void)state;
    assert_int_equal(found.last, 0);
    for (size_t i = 0; i < 5; i++) {
        run_times_add(&sample, times[i]);
    }
    found = run_times_of(&sample);
    assert_int_equal(sample.count, 5);
    assert_int_equal(found.first, 10);
    assert_int_equal(found.middle, 30);
    assert_int_equal(found.last, 50);
}

static void test_a_time_in_milliseconds_is_past_in_the_next_second(void **state)
{
    (void)state;
    assert_int_equal(run_time_past(1), 1);
    assert_int_equal(run_time_past(1000), 1);
    assert_int_equal(run_time_past(1001), 2);
    assert_int_equal(run_time_past(UINT64_MAX), RUN_TIME_MAX);
}

static void test_the_share_rises_from_first_to_last(void **state)
{
    const run_times times = {100, 200, 1000};
    const run_times one = {7, 7, 7};
    const run_times none = {0};

    (void)state;
    assert_true(run_times_share(&times, 99) == 0);
    assert_true(run_times_share(&times, 150) == 0.25);
    assert_true(run_times_share(&times, 200) == 0.5);
    assert_true(run_times_share(&times, 600) == 0.75);
    assert_true(run_times_share(&times, 1000) == 1);
    assert_true(run_times_share(&one, 6) == 0);
    assert_true(run_times_share(&one, 7) == 1);
    assert_true(run_times_share(&none, RUN_TIME_MAX) == 0);
}

/* In whatever order they come, and with one that is far away. */
static void test_of_many_the_middle_is_about_right(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        run_times_sample sample = {0};
        run_times found;

        for (uint32_t i = 0; i < TIMES; i++) {
            const uint32_t ways[] = {i, TIMES - 1 - i,
                                     (uint32_t)(run_random() % TIMES)};

            run_times_add(&sample, 1 + ways[order]);
        }
        run_times_add(&sample, RUN_TIME_MAX);
        found = run_times_of(&sample);
        assert_int_equal(found.last, RUN_TIME_MAX);
        assert_in_range(found.first, 1, TIMES / 100);
        assert_in_range(found.middle, TIMES / 3, TIMES * 2 / 3);
        /* All but one are past when all but one are past. */
        assert_true(run_times_share(&found, TIMES) > 0.5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_times_are_known_exactly),
        cmocka_unit_test(
            test_a_time_in_milliseconds_is_past_in_the_next_second),
        cmocka_unit_test(test_the_share_rises_from_first_to_last),
        cmocka_unit_test(test_of_many_the_middle_is_about_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
