/*
 * Sums of lifetimes: never less than what has not expired, whatever was noted,
 * and all of a class once it has ended.
 */
#include "cask_test.h"

#include "base/lifetimes.h"
#include "support/random.h"

enum { RECORDS = 1000, LOOKS = 1000, NOW_S = 1700000000, DAY_S = 86400 };

typedef struct noted {
    uint64_t expires_at_ms;
    uint64_t bytes;
} noted;

static uint64_t truly_left(const noted *records, uint64_t now_ms)
{
    uint64_t bytes = 0;

    for (int i = 0; i < RECORDS; i++) {
        uint64_t end_ms = records[i].expires_at_ms;

        bytes += end_ms == 0 || end_ms > now_ms ? records[i].bytes : 0;
    }
    return bytes;
}

static test_random stream;

static uint64_t random_below(uint64_t limit)
{
    return test_random_next(&stream, limit);
}

static void test_what_is_left_is_never_less_than_it_is(void **state)
{
    lifetimes sums = {.lasting_bytes = 0};
    noted records[RECORDS];
    uint64_t all = 0;

    (void)state;
    stream = test_random_make(test_seed(), 0);
    for (int i = 0; i < RECORDS; i++) {
        uint32_t time_s = NOW_S + (uint32_t)random_below(DAY_S);
        uint64_t life_ms = random_below(UINT64_C(1) << (1 + random_below(44)));

        records[i].bytes = 8 * (3 + random_below(1000));
        records[i].expires_at_ms =
            random_below(4) == 0 ? 0 : (uint64_t)time_s * 1000 + life_ms;
        lifetimes_note(&sums, time_s, records[i].expires_at_ms,
                       records[i].bytes);
        all += records[i].bytes;
    }
    for (int i = 0; i < LOOKS; i++) {
        uint64_t now_ms = (uint64_t)NOW_S * 1000 +
                          random_below(UINT64_C(1) << (1 + random_below(46)));
        uint64_t left = lifetimes_left(&sums, now_ms);

        assert_true(left >= truly_left(records, now_ms));
        assert_true(left <= all);
    }
}

static void test_a_short_life_ends_beside_long_ones(void **state)
{
    const uint64_t now_ms = UINT64_C(1000) * NOW_S;
    lifetimes sums = {.lasting_bytes = 0};

    (void)state;
    lifetimes_note(&sums, NOW_S, 0, 800);
    lifetimes_note(&sums, NOW_S, now_ms + 1500, 80);
    lifetimes_note(&sums, NOW_S, now_ms + UINT64_C(1000) * DAY_S, 8000);
    assert_int_equal(lifetimes_left(&sums, now_ms), 8880);
    assert_int_equal(lifetimes_left(&sums, now_ms + 1999), 8880);
    assert_int_equal(lifetimes_left(&sums, now_ms + 2000), 8800);
    assert_int_equal(lifetimes_left(&sums, now_ms + UINT64_C(1000) * DAY_S),
                     800);
}

static void test_times_beyond_the_range_never_end(void **state)
{
    lifetimes sums = {.lasting_bytes = 0};

    (void)state;
    lifetimes_note(&sums, NOW_S, UINT64_MAX, 80);
    assert_int_equal(lifetimes_left(&sums, UINT64_MAX), 80);
    lifetimes_note(&sums, NOW_S, 1, 8); /* before it was written */
    assert_int_equal(lifetimes_left(&sums, 0), 88);
    assert_int_equal(lifetimes_left(&sums, UINT64_MAX), 80);
}

static void test_a_sum_that_is_full_is_not_known(void **state)
{
    const uint64_t most = (uint64_t)UINT32_MAX * LIFETIMES_UNIT;
    lifetimes sums = {.lasting_bytes = 0};

    (void)state;
    lifetimes_note(&sums, NOW_S, 1, most - LIFETIMES_UNIT);
    assert_int_equal(lifetimes_left(&sums, UINT64_MAX - 1), 0);
    lifetimes_note(&sums, NOW_S, 1, 10 * LIFETIMES_UNIT);
    assert_true(lifetimes_left(&sums, UINT64_MAX - 1) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_is_never_less_than_it_is),
        cmocka_unit_test(test_a_short_life_ends_beside_long_ones),
        cmocka_unit_test(test_times_beyond_the_range_never_end),
        cmocka_unit_test(test_a_sum_that_is_full_is_not_known),
    };

    return cmocka_run_group_tests_name("lifetimes", tests, NULL, NULL);
}
