/*
 * At which size a segment is full, by what is live and dead in the store.
 */
#include "cask_test.h"

#include "maintain/segment_size.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static void test_live_bytes_fill_32_segments_of_8_mib_or_more(void **state)
{
    static const struct {
        uint64_t live, want;
    } rows[] = {
        {GIB, 32 * MIB},
        {8 * GIB, 256 * MIB},
        {100 * GIB, 100 * GIB / 32},
        {UINT64_MAX, UINT64_MAX / 32},
        {256 * MIB + 32, 8 * MIB + 1},
        {256 * MIB, 8 * MIB},
        {100 * MIB, 8 * MIB},
        {0, 8 * MIB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(segment_size_for(rows[i].live), rows[i].want);
    }
}

typedef struct row {
    segment_needs needs; /* total, live, limit, before */
    bool want;
} row;

static void check(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(segment_is_merged(&rows[i].needs), rows[i].want);
    }
}

static void test_merges_are_near_when_four_fifths_are_dead(void **state)
{
    static const row rows[] = {
        {{GIB, GIB, 1500, false}, false},
        /* 0.4 times the live bytes: four fifths of what a limit of 1.5 lets
         * be dead, and of what none does. */
        {{1400 * MIB - 1, 1000 * MIB, 1500, false}, false},
        {{1400 * MIB, 1000 * MIB, 1500, false}, true},
        {{1400 * MIB - 1, 1000 * MIB, 0, false}, false},
        {{1400 * MIB, 1000 * MIB, 0, false}, true},
        /* Other limits: the least, a larger one, the most. */
        {{1039 * MIB, 1000 * MIB, 1050, false}, false},
        {{1041 * MIB, 1000 * MIB, 1050, false}, true},
        {{2599 * MIB, 1000 * MIB, 3000, false}, false},
        {{2601 * MIB, 1000 * MIB, 3000, false}, true},
        {{GIB, 2 * MIB, 1000 * 1000, false}, false},
        {{GIB, MIB, 1000 * 1000, false}, true},
        /* Nothing lives; counters that do not agree for a moment. */
        {{GIB, 0, 1500, false}, true},
        {{0, 0, 1500, false}, true},
        {{GIB, 2 * GIB, 1500, false}, false},
        {{0, UINT64_MAX, 1500, true}, false},
        {{UINT64_MAX, UINT64_MAX, 1500, false}, false},
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

/* A merge that has freed a little more than needed changes nothing. */
static void test_they_are_until_less_than_a_quarter_is(void **state)
{
    static const row rows[] = {
        {{1399 * MIB, 1000 * MIB, 1500, true}, true},
        {{1125 * MIB, 1000 * MIB, 1500, true}, true},
        {{1125 * MIB - 1, 1000 * MIB, 1500, true}, false},
        {{1125 * MIB, 1000 * MIB, 1500, false}, false},
        {{GIB, GIB, 1500, true}, false},
    };

    (void)state;
    check(rows, sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_bytes_fill_32_segments_of_8_mib_or_more),
        cmocka_unit_test(test_merges_are_near_when_four_fifths_are_dead),
        cmocka_unit_test(test_they_are_until_less_than_a_quarter_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
