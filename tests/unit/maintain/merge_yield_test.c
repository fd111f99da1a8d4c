/*
 * How long writers wait for a merge, over debts.
 */
#include "cask_test.h"

#include "maintain/merge_yield.h"

#define GIB (UINT64_C(1) << 30)

static void test_waits_follow_the_debt(void **state)
{
    static const struct {
        uint64_t total, live, bound, ms;
    } rows[] = {
        {0, 0, 1500, 0},
        {1500, 1000, 1500, 0},             /* at the bound */
        {1499, 1000, 1500, 0},             /* below */
        {1501 * GIB, 1000 * GIB, 1500, 0}, /* a part of a millisecond */
        {1509 * GIB, 1000 * GIB, 1500, 5},
        {1522500, 1000000, 1500, 12}, /* half way */
        {1545, 1000, 1500, MERGE_YIELD_MAX_MS},
        {3000, 1000, 1500, MERGE_YIELD_MAX_MS}, /* never more */
        {UINT64_MAX, 1, 1500, MERGE_YIELD_MAX_MS},
        {5000, 0, 1500, MERGE_YIELD_MAX_MS}, /* nothing is live */
        {3000, 1000, 0, 0},                  /* no bound */
        {3000, 1000, 3000, 0},
        {3090, 1000, 3000, MERGE_YIELD_MAX_MS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(
            merge_yield_ms(rows[i].total, rows[i].live, rows[i].bound),
            rows[i].ms);
    }
}

static void test_more_debt_never_waits_less(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (uint64_t total = 0; total < 20000; total++) {
        uint64_t ms = merge_yield_ms(total, 10000, 1500);

        assert_true(ms >= before && ms <= MERGE_YIELD_MAX_MS);
        before = ms;
    }
    assert_int_equal(before, MERGE_YIELD_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_follow_the_debt),
        cmocka_unit_test(test_more_debt_never_waits_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
