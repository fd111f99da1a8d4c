/*
 * The survey of hints: how many keys there are, and whether few versions are
 * old, from a sample of the keys.
 */
#include "cask_test.h"

#include "bitcask_survey.h"

#include <stdio.h>

enum { ROWS = 200000 };

/* Take ROWS rows over `keys` keys into account, each n-th a tombstone. */
static void take(bitcask_survey *survey, size_t keys, size_t tombstone_each)
{
    for (size_t i = 0; i < ROWS; i++) {
        const bitcask_hint hint = {.tombstone = i % tombstone_each == 0};
        char text[24];
        int size = snprintf(text, sizeof(text), "%zu", i % keys);

        assert_true(size > 0);
        assert_true(bitcask_survey_add(survey, &hint,
                                       (cask_slice){text, (size_t)size}));
    }
}

static bool is_lean(size_t keys, size_t tombstone_each)
{
    bitcask_survey survey;
    double found;
    bool lean;

    assert_true(bitcask_survey_init(&survey));
    take(&survey, keys, tombstone_each);
    /* 6,250 of 200,000 keys: 1.3 % is one standard deviation. */
    found = (double)bitcask_survey_keys(&survey);
    assert_true(found > (double)keys * 0.9);
    assert_true(found < (double)keys * 1.1);
    lean = bitcask_survey_is_lean(&survey);
    bitcask_survey_free(&survey);
    return lean;
}

static void test_few_old_versions_are_lean(void **state)
{
    (void)state;
    assert_true(is_lean(ROWS, ROWS));
    assert_true(is_lean(ROWS - ROWS / 20, ROWS));
}

static void test_many_old_versions_are_not_lean(void **state)
{
    (void)state;
    assert_false(is_lean(ROWS - ROWS / 5, ROWS));
    assert_false(is_lean(ROWS / 3, ROWS));
}

static void test_many_tombstones_are_not_lean(void **state)
{
    (void)state;
    assert_true(is_lean(ROWS, 11));
    assert_false(is_lean(ROWS, 9));
}

static void test_too_few_rows_tell_nothing(void **state)
{
    const bitcask_hint hint = {.tombstone = false};
    bitcask_survey survey;

    (void)state;
    assert_true(bitcask_survey_init(&survey));
    assert_int_equal(bitcask_survey_keys(&survey), 0);
    assert_false(bitcask_survey_is_lean(&survey));
    assert_true(bitcask_survey_add(&survey, &hint, (cask_slice){"k", 1}));
    assert_false(bitcask_survey_is_lean(&survey));
    bitcask_survey_free(&survey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_old_versions_are_lean),
        cmocka_unit_test(test_many_old_versions_are_not_lean),
        cmocka_unit_test(test_many_tombstones_are_not_lean),
        cmocka_unit_test(test_too_few_rows_tell_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
