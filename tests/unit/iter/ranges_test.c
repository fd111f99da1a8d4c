/*
 * Deletions of ranges, made ready: what each hides at each moment is as if all
 * were looked at.
 */
#include "iter/iter_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "unit/iter/table.h"

enum { ROUNDS = 150, PROBES = 200, MOMENTS_MAX = 5 };

typedef struct moment_list {
    uint64_t at[MOMENTS_MAX];
    iter_moments moments;
} moment_list;

static void random_moments(moment_list *list, uint64_t last,
                           test_random *random)
{
    size_t count = test_random_next(random, MOMENTS_MAX) + 1;
    uint64_t at = 0;

    for (size_t i = 0; i < count; i++) {
        at += test_random_next(random, 2 * last / count + 1) + 1;
        list->at[i] = at;
    }
    list->moments = (iter_moments){list->at, count};
}

static uint64_t newest_of(const table_set *set, const moment_list *list,
                          size_t moment, cask_slice key)
{
    uint64_t after = moment > 0 ? list->at[moment - 1] : 0;
    uint64_t newest = 0;

    for (size_t i = 0; i < set->range_count; i++) {
        const iter_range *range = &set->ranges[i];

        if (range->sequence > after && range->sequence <= list->at[moment] &&
            key_compare(range->from, key) <= 0 &&
            key_compare(key, range->to) < 0 && range->sequence > newest) {
            newest = range->sequence;
        }
    }
    return newest;
}

/* Pieces come in order, at most one of a moment at a place, and say what the
 * set says; backward they are the same. */
static void check_pieces(iter_ranges *ranges, size_t first_moment)
{
    const iter_moments moments = iter_ranges_moments(ranges);
    iter_ranges_cursor cursor = {.set = ranges, .first_moment = first_moment};
    cask_run_entry entry;
    cask_run_entry before = {.key = {0}};
    size_t count = 0;
    cask_status status = iter_ranges_ops.seek(&cursor, CASK_RUN_FIRST,
                                              (cask_slice){0}, &entry, NULL);

    for (; status == CASK_OK; count++) {
        size_t moment = iter_moment_of(moments, entry.info.sequence);

        assert_int_equal(entry.kind, CASK_RUN_DELETE_RANGE);
        assert_true(moment >= first_moment && moment < moments.count);
        assert_true(key_compare(entry.key, entry.value) < 0);
        assert_true(count == 0 || table_compare(&before, &entry) < 0);
        assert_int_equal(iter_ranges_newest(ranges, moment, entry.key),
                         entry.info.sequence);
        before = entry;
        status = iter_ranges_ops.next(&cursor, &entry, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    status = iter_ranges_ops.seek(&cursor, CASK_RUN_LAST, (cask_slice){0},
                                  &entry, NULL);
    for (; status == CASK_OK; count--) {
        assert_true(count > 0);
        if (before.info.sequence != entry.info.sequence) {
            assert_true(table_compare(&entry, &before) < 0);
        }
        before = entry;
        status = iter_ranges_ops.previous(&cursor, &entry, NULL);
    }
    assert_int_equal(count, 0);
}

static void test_what_is_hidden_is_as_if_all_ranges_were_asked(void **state)
{
    uint64_t seed = test_seed();

    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        test_random random = test_random_make(seed, round);
        const table_mix mix = {.tables = 1,
                               .entries = test_random_next(&random, 300),
                               .letters =
                                   (unsigned)test_random_next(&random, 10) + 1,
                               .range_percent = 100,
                               .stable_percent = 100};
        table_set *set = table_set_random(&mix, &random);
        char room[4][TABLE_KEY_MAX];
        iter_bounds bounds = {{0}, {0}};
        moment_list list;
        iter_ranges *ranges = NULL;

        random_moments(&list, set->entries, &random);
        if (test_random_chance(&random, 50)) {
            bounds.lower = table_random_key(&mix, &random, room[0]);
        }
        if (test_random_chance(&random, 50)) {
            bounds.upper = table_random_key(&mix, &random, room[1]);
        }
        assert_int_equal(iter_ranges_create(set->ranges, set->range_count,
                                            list.moments, &bounds, &ranges,
                                            NULL),
                         CASK_OK);
        for (int i = 0; i < PROBES; i++) {
            cask_slice key = table_random_key(&mix, &random, room[2]);
            size_t moment = test_random_next(&random, list.moments.count);

            if (iter_is_below(&bounds, key) || iter_is_above(&bounds, key)) {
                assert_int_equal(iter_ranges_newest(ranges, moment, key), 0);
                continue;
            }
            assert_int_equal(iter_ranges_newest(ranges, moment, key),
                             newest_of(set, &list, moment, key));
        }
        check_pieces(ranges, 0);
        check_pieces(ranges, test_random_next(&random, list.moments.count));
        iter_ranges_free(ranges);
        table_set_free(set);
    }
}

typedef struct piece_row {
    const char *name;
    const char *ranges;
    uint64_t at[MOMENTS_MAX]; /* ends with 0 */
    const char *pieces;
} piece_row;

static const piece_row rows[] = {
    {"none", "", {99}, ""},
    {"one", "b..d7", {99}, "b..d7"},
    {"the newer one covers the older one's middle",
     "a..z3 f..h7",
     {99},
     "a..f3 f..h7 h..z3"},
    {"the older one in the newer one's middle is gone",
     "a..z7 f..h3",
     {99},
     "a..z7"},
    {"overlapping", "a..m3 f..z7", {99}, "a..f3 f..z7"},
    {"neighbours stay two", "a..f3 f..z7", {99}, "a..f3 f..z7"},
    {"twice the same", "a..c3 a..c5", {99}, "a..c5"},
    {"newer than all moments", "a..c3 a..c5", {4}, "a..c3"},
    {"each moment for itself", "a..z3 f..h7", {5, 99}, "a..z3 f..h7"},
    {"of one start the newest first", "a..c3 a..z7", {5, 99}, "a..z7 a..c3"},
};

static void test_pieces_do_not_overlap_within_a_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        table_set *set = table_set_of(rows[i].ranges);
        iter_moments moments = {rows[i].at, 0};
        iter_ranges *ranges = NULL;
        iter_ranges_cursor cursor = {0};
        cask_run_entry entry;
        char text[TABLE_TEXT] = "";
        cask_status status;

        while (rows[i].at[moments.count] != 0) {
            moments.count++;
        }
        assert_int_equal(iter_ranges_create(set->ranges, set->range_count,
                                            moments, NULL, &ranges, NULL),
                         CASK_OK);
        cursor.set = ranges;
        status = iter_ranges_ops.seek(&cursor, CASK_RUN_FIRST, (cask_slice){0},
                                      &entry, NULL);
        while (status == CASK_OK) {
            table_describe(text, &entry);
            status = iter_ranges_ops.next(&cursor, &entry, NULL);
        }
        if (strcmp(text, rows[i].pieces) != 0) {
            print_error("row \"%s\"\n", rows[i].name);
        }
        assert_string_equal(text, rows[i].pieces);
        iter_ranges_free(ranges);
        table_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_hidden_is_as_if_all_ranges_were_asked),
        cmocka_unit_test(test_pieces_do_not_overlap_within_a_moment),
    };

    return cmocka_run_group_tests_name("iter_ranges", tests, NULL, NULL);
}
