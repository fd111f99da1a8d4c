/*
 * Ranges of a run: the one that is found is the one that a look at each of them
 * finds, whatever their number and however they overlap.
 */
#include "unit/run/run_place.h"

#include <stdlib.h>
#include <string.h>

#include "run/run_ranges.h"

enum { KEYS = 60, MOST = 40, ROUNDS = 400, NESTED = 2000 };

/* Keys of 0 to 3 bytes, in order. */
static cask_slice key_at(uint32_t number)
{
    static const char *const keys[KEYS] = {
        "",    "a",   "aa",  "aaa", "aab", "ab",  "aba", "abb", "ac",  "b",
        "ba",  "baa", "bab", "bb",  "bba", "bbb", "bc",  "c",   "ca",  "caa",
        "cab", "cb",  "cba", "cbb", "cc",  "d",   "da",  "daa", "dab", "db",
        "dba", "dbb", "dc",  "e",   "ea",  "eaa", "eab", "eb",  "eba", "ebb",
        "ec",  "f",   "fa",  "faa", "fab", "fb",  "fba", "fbb", "fc",  "g",
        "ga",  "gaa", "gab", "gb",  "gba", "gbb", "gc",  "h",   "ha",  "i"};

    return text_slice(keys[number]);
}

static uint64_t newest(const run_range *range, uint32_t count, cask_slice key,
                       uint64_t max_sequence)
{
    uint64_t best = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (key_compare(range[i].start, key) <= 0 &&
            key_compare(key, range[i].end) < 0 &&
            range[i].sequence <= max_sequence && range[i].sequence > best) {
            best = range[i].sequence;
        }
    }
    return best;
}

/* Every key, up to every sequence. */
static void check_all(const run_ranges *ranges, uint64_t last_sequence)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        for (uint64_t limit = 0; limit <= last_sequence + 1; limit++) {
            uint64_t expected =
                newest(ranges->range, ranges->count, key_at(key), limit);
            const run_range *found =
                run_ranges_find(ranges, key_at(key), limit);

            assert_int_equal(found != NULL ? found->sequence : 0, expected);
            if (found != NULL) {
                assert_true(key_compare(found->start, key_at(key)) <= 0);
                assert_true(key_compare(key_at(key), found->end) < 0);
            }
        }
    }
}

static int by_start(const void *left, const void *right)
{
    const run_range *a = left;
    const run_range *b = right;

    return key_compare(a->start, b->start);
}

static void test_the_newest_range_around_a_key_is_found(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t count = (uint32_t)(run_random() % (MOST + 1));
        /* Few sequences: many ranges share one. */
        uint64_t sequences = round % 3 == 0 ? 4 : MOST;
        run_range *range = calloc(count + 1, sizeof(*range));
        run_ranges ranges = {0};

        assert_non_null(range);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t from = (uint32_t)(run_random() % (KEYS - 1));
            uint32_t to =
                from + 1 + (uint32_t)(run_random() % (KEYS - 1 - from));

            range[i] = (run_range){key_at(from), key_at(to),
                                   run_random() % sequences + 1, i};
        }
        qsort(range, count, sizeof(*range), by_start);
        assert_int_equal(run_ranges_build(&ranges, range, count, NULL),
                         CASK_OK);
        check_all(&ranges, sequences);
        run_ranges_free(&ranges);
    }
}

/* Each within the one before, the outer ones newer: no list is short. */
static void test_nested_ranges_are_kept_apart(void **state)
{
    static uint8_t keys[2 * NESTED][2];
    run_range *range = calloc(NESTED, sizeof(*range));
    run_ranges ranges = {0};

    (void)state;
    assert_non_null(range);
    for (uint32_t i = 0; i < 2 * NESTED; i++) {
        keys[i][0] = (uint8_t)(i >> 8);
        keys[i][1] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < NESTED; i++) {
        range[i] = (run_range){
            {keys[i], 2}, {keys[2 * NESTED - 1 - i], 2}, NESTED - i, i};
    }
    assert_int_equal(run_ranges_build(&ranges, range, NESTED, NULL), CASK_OK);
    for (uint32_t i = 0; i < NESTED; i++) {
        const cask_slice key = {keys[i], 2};
        const run_range *found = run_ranges_find(&ranges, key, UINT64_MAX);

        assert_non_null(found);
        assert_int_equal(found->sequence, NESTED);
        found = run_ranges_find(&ranges, key, NESTED - i);
        assert_non_null(found);
        assert_int_equal(found->sequence, NESTED - i);
        assert_null(run_ranges_find(&ranges, key, NESTED - i - 1));
    }
    run_ranges_free(&ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_range_around_a_key_is_found),
        cmocka_unit_test(test_nested_ranges_are_kept_apart),
    };

    return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
