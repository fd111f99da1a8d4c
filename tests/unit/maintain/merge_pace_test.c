/*
 * The pace of merges: pauses after failures, the rate limit, and how it gives
 * way to syncs. Hours pass in microseconds.
 */
#include "cask_test.h"

#include "maintain/merge_pace.h"

#define MIB ((uint64_t)1 << 20)
#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

static void test_each_failure_doubles_the_pause_up_to_a_minute(void **state)
{
    static const uint64_t want[] = {1000,  1000,  2000,  4000, 8000,
                                    16000, 32000, 60000, 60000};

    (void)state;
    for (uint32_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(merge_backoff_ms(i), want[i]);
    }
    assert_int_equal(merge_backoff_ms(UINT32_MAX), 60000);
}

static void test_bytes_cost_time(void **state)
{
    static const struct {
        uint64_t paid_until, now, bytes, rate, want;
    } rows[] = {
        /* First: a twentieth of a second is free. */
        {0, SECOND, MIB, MIB, SECOND + 950 * MS},
        {0, 10 * MS, MIB, MIB, SECOND},
        /* What is owed adds up. */
        {3 * SECOND, 2 * SECOND, MIB, 4 * MIB, 3250 * MS},
        /* What was saved long ago does not. */
        {SECOND, 100 * SECOND, 0, MIB, 99950 * MS},
        {100 * SECOND - 20 * MS, 100 * SECOND, 0, MIB, 99980 * MS},
        /* The largest record at the least rate; no product overflows. */
        {0, 0, UINT64_C(1) << 32, 64 << 10, 65536 * SECOND},
        {0, 0, UINT64_MAX / 2, UINT64_MAX, SECOND / 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t paid = merge_pace_pay(rows[i].paid_until, rows[i].now,
                                       rows[i].bytes, rows[i].rate);

        if (i == 6) { /* digits are lost there */
            assert_in_range(paid, rows[i].want - 100, rows[i].want + 100);
        } else {
            assert_int_equal(paid, rows[i].want);
        }
    }
}

/* Bites of 64 KiB, each waited for: whatever the work between them takes. */
static void test_the_rate_is_kept_over_a_long_time(void **state)
{
    const uint64_t rate = 20 * MIB;
    const uint64_t bite = 64 << 10;
    uint64_t now = 5 * SECOND;
    uint64_t begin = now;
    uint64_t paid = 0;
    uint64_t bytes = 0;

    (void)state;
    while (bytes < 600 * rate) {
        paid = merge_pace_pay(paid, now, bite, rate);
        bytes += bite;
        now += MS / 2; /* of work */
        now = now > paid ? now : paid;
    }
    assert_in_range(now - begin, 599 * SECOND, 601 * SECOND);
}

static void test_the_smaller_limit_counts(void **state)
{
    (void)state;
    assert_int_equal(merge_pace_least(0, 0), 0);
    assert_int_equal(merge_pace_least(5, 0), 5);
    assert_int_equal(merge_pace_least(0, 7), 7);
    assert_int_equal(merge_pace_least(5, 7), 5);
    assert_int_equal(merge_pace_least(7, 5), 5);
}

static void test_syncs_slow_a_merge_down_and_let_it_recover(void **state)
{
    merge_step slow = {.bytes_per_s = 400 * MIB,
                       .worst_sync_ns = 31 * MS,
                       .target_ns = 30 * MS};
    merge_step fast = slow;
    uint64_t allowed = 0;
    int steps = 0;

    (void)state;
    fast.worst_sync_ns = 30 * MS;
    /* No limit at first, and none while syncs are fast. */
    assert_int_equal(merge_pace_adapt(allowed, &fast), 0);
    allowed = merge_pace_adapt(allowed, &slow);
    assert_int_equal(allowed, 200 * MIB);
    /* From what it does, not from what it might do. */
    slow.bytes_per_s = 100 * MIB;
    allowed = merge_pace_adapt(allowed, &slow);
    assert_int_equal(allowed, 50 * MIB);
    for (int i = 0; i < 20; i++) {
        allowed = merge_pace_adapt(allowed, &slow);
    }
    assert_int_equal(allowed, MIB); /* it never stands still */
    assert_int_equal(merge_pace_adapt(allowed, &fast), 5 * MIB);
    while (allowed != 0 && steps < 10000) {
        allowed = merge_pace_adapt(allowed, &fast);
        steps++;
    }
    assert_in_range(steps, 200, 300); /* half a minute */
    /* Nor does a limit hold while space is wanted more than quick syncs. */
    slow.is_behind = true;
    assert_int_equal(merge_pace_adapt(MIB, &slow), 0);
    slow.is_behind = false;
    /* No target: no limit. */
    slow.target_ns = 0;
    assert_int_equal(merge_pace_adapt(MIB, &slow), 0);
}

/* A device of 100 MiB/s that has 20 left for the merge: above that, syncs take
 * too long. */
static void test_the_pace_settles_near_what_syncs_bear(void **state)
{
    merge_step step = {.bytes_per_s = 100 * MIB, .target_ns = 30 * MS};
    uint64_t allowed = 0;
    uint64_t bytes = 0;

    (void)state;
    for (int i = 0; i < 700; i++) {
        step.bytes_per_s = merge_pace_least(allowed, 100 * MIB);
        step.worst_sync_ns = step.bytes_per_s > 20 * MIB ? 50 * MS : 5 * MS;
        allowed = merge_pace_adapt(allowed, &step);
        bytes += i < 100 ? 0 : step.bytes_per_s / 10;
    }
    assert_in_range(bytes / 60, 12 * MIB, 20 * MIB); /* per second */
}

/* The same device, whose only sync is one a second: nine steps in ten hear
 * nothing. */
static void test_steps_without_a_sync_do_not_raise_the_rate(void **state)
{
    merge_step step = {.target_ns = 30 * MS};
    uint64_t allowed = 20 * MIB;
    uint64_t highest = 0;

    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        bool is_heard = i % 10 == 9;

        step.bytes_per_s = allowed;
        step.quiet_ns = i % 10 * 100 * MS;
        step.worst_sync_ns = !is_heard            ? 0
                             : allowed > 20 * MIB ? 50 * MS
                                                  : 5 * MS;
        allowed = merge_pace_adapt(allowed, &step);
        highest = allowed > highest ? allowed : highest;
    }
    assert_int_equal(highest, 24 * MIB);
    /* Nobody syncs any more. */
    step.worst_sync_ns = 0;
    step.quiet_ns = 2999 * MS;
    assert_int_equal(merge_pace_adapt(allowed, &step), allowed);
    step.quiet_ns = 3000 * MS;
    assert_int_equal(merge_pace_adapt(allowed, &step), allowed + 4 * MIB);
}

static void test_a_step_takes_seconds_at_most(void **state)
{
    (void)state;
    assert_int_equal(merge_pace_step_bytes(0), 1024 * MIB);
    assert_int_equal(merge_pace_step_bytes(20 * MIB), 100 * MIB);
    assert_int_equal(merge_pace_step_bytes(1000 * MIB), 1024 * MIB);
    assert_int_equal(merge_pace_step_bytes(UINT64_MAX), 1024 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_failure_doubles_the_pause_up_to_a_minute),
        cmocka_unit_test(test_bytes_cost_time),
        cmocka_unit_test(test_the_rate_is_kept_over_a_long_time),
        cmocka_unit_test(test_the_smaller_limit_counts),
        cmocka_unit_test(test_syncs_slow_a_merge_down_and_let_it_recover),
        cmocka_unit_test(test_the_pace_settles_near_what_syncs_bear),
        cmocka_unit_test(test_steps_without_a_sync_do_not_raise_the_rate),
        cmocka_unit_test(test_a_step_takes_seconds_at_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
