/*
 * What is seen at one moment: against an oracle that looks at all records for
 * each key, and row by row.
 */
#include "iter/iter_visible.h"

#include <stdlib.h>
#include <string.h>

#include "unit/iter/table.h"

enum { ROUNDS = 80, WALKS = 50, STEPS = 25, FREE_ENTRIES = 100 };

/* What is to be seen, sorted. */
typedef struct oracle {
    cask_run_entry seen[TABLE_ENTRIES];
    size_t count;
} oracle;

static bool is_range_over(const table_set *set, uint64_t sequence,
                          const cask_run_entry *entry)
{
    for (size_t i = 0; i < set->range_count; i++) {
        const iter_range *range = &set->ranges[i];

        if (range->sequence <= sequence &&
            range->sequence > entry->info.sequence &&
            key_compare(range->from, entry->key) <= 0 &&
            key_compare(entry->key, range->to) < 0) {
            return true;
        }
    }
    return false;
}

static void fill_oracle(oracle *o, const table_set *set,
                        const iter_visible_options *options)
{
    const cask_run_entry *last = NULL;

    o->count = 0;
    for (size_t i = 0; i < set->entries; i++) {
        const cask_run_entry *entry = &set->all[i];

        if (entry->kind == CASK_RUN_DELETE_RANGE ||
            entry->info.sequence > options->sequence ||
            (last != NULL && key_compare(last->key, entry->key) == 0)) {
            continue;
        }
        last = entry;
        if (entry->kind != CASK_RUN_DELETE &&
            (options->is_expired == NULL ||
             !options->is_expired(NULL, entry)) &&
            !iter_is_below(&options->bounds, entry->key) &&
            !iter_is_above(&options->bounds, entry->key) &&
            !is_range_over(set, options->sequence, entry)) {
            o->seen[o->count++] = *entry;
        }
    }
}

static iter_visible *visible_of(const table_set *set,
                                const iter_visible_options *options)
{
    iter_visible *iterator = NULL;

    assert_int_equal(
        iter_visible_create(set->inputs, set->count, options, &iterator, NULL),
        CASK_OK);
    return iterator;
}

static iter_ranges *ranges_of(const table_set *set, const uint64_t *sequence)
{
    const iter_moments moments = {sequence, 1};
    iter_ranges *ranges = NULL;

    assert_int_equal(iter_ranges_create(set->ranges, set->range_count, moments,
                                        NULL, &ranges, NULL),
                     CASK_OK);
    return ranges;
}

static void check_at(const oracle *o, cask_status status, size_t index,
                     const cask_run_entry *got)
{
    if (index < o->count) {
        assert_int_equal(status, CASK_OK);
        assert_same_entry(got, &o->seen[index]);
    } else {
        assert_int_equal(status, CASK_NOT_FOUND);
    }
}

static void check_whole(const oracle *o, iter_visible *it)
{
    const cask_run_entry *got = NULL;
    cask_status status =
        iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &got, NULL);

    for (size_t i = 0; i < o->count; i++) {
        check_at(o, status, i, got);
        status = iter_visible_next(it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(iter_visible_next(it, &got, NULL), CASK_INVALID);
    status = iter_visible_seek(it, CASK_RUN_LAST, (cask_slice){0}, &got, NULL);
    for (size_t i = o->count; i > 0; i--) {
        check_at(o, status, i - 1, got);
        status = iter_visible_previous(it, &got, NULL);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    assert_int_equal(iter_visible_previous(it, &got, NULL), CASK_INVALID);
}

/* Records newer than the moment come into being while it is read. */
static void write_one(table_set *set, const table_mix *mix, size_t *left,
                      test_random *random)
{
    size_t number = TABLE_ENTRIES - *left;
    cask_run_entry entry = {.kind = CASK_RUN_PUT,
                            .info = {.sequence = UINT64_MAX - *left}};

    if (set->count == 0 || *left == 0) {
        return;
    }
    entry.key = table_random_key(mix, random, set->keys[number]);
    table_insert(&set->tables[test_random_next(random, set->count)], &entry);
    (*left)--;
}

static void check_walks(table_set *set, const oracle *o, iter_visible *it,
                        const table_mix *mix, test_random *random)
{
    size_t left = FREE_ENTRIES;

    for (int walk = 0; walk < WALKS; walk++) {
        cask_run_seek how = (cask_run_seek)(test_random_next(random, 4) + 1);
        char room[TABLE_KEY_MAX];
        cask_slice key = table_random_key(mix, random, room);
        size_t index = table_sought(o->seen, o->count, how, key);
        const cask_run_entry *got = NULL;
        cask_status status = iter_visible_seek(it, how, key, &got, NULL);

        check_at(o, status, index, got);
        for (int i = 0; i < STEPS && status == CASK_OK; i++) {
            if (test_random_chance(random, 20)) {
                write_one(set, mix, &left, random);
            }
            if (test_random_chance(random, 50)) {
                index++;
                status = iter_visible_next(it, &got, NULL);
            } else {
                index = index > 0 ? index - 1 : o->count;
                status = iter_visible_previous(it, &got, NULL);
            }
            check_at(o, status, index, got);
        }
    }
}

static table_mix random_mix(test_random *random)
{
    const unsigned stable[] = {0, 50, 100};
    const table_mix mix = {
        .tables = test_random_next(random, 12),
        .entries = test_random_next(random, test_random_chance(random, 20)
                                                ? 4
                                                : TABLE_ENTRIES - FREE_ENTRIES),
        .letters = (unsigned)test_random_next(random, 12) + 1,
        .front = test_random_chance(random, 50)
                     ? 0
                     : test_random_next(random, TABLE_KEY_MAX),
        .delete_percent = (unsigned)test_random_next(random, 100),
        .range_percent = test_random_chance(random, 50) ? 0 : 3,
        .expired_percent = (unsigned)test_random_next(random, 30),
        .stable_percent = stable[test_random_next(random, 3)]};

    return mix;
}

static void test_random_inputs_look_as_to_the_oracle(void **state)
{
    uint64_t seed = test_seed();
    oracle *o = malloc(sizeof(*o));

    (void)state;
    assert_non_null(o);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        test_random random = test_random_make(seed, round);
        const table_mix mix = random_mix(&random);
        table_set *set = table_set_random(&mix, &random);
        char room[2][TABLE_KEY_MAX];
        iter_visible_options options = {
            .sequence = test_random_next(&random, set->entries + 2),
            .shared_bytes = test_random_chance(&random, 50) ? mix.front : 0};
        iter_visible *it;

        if (test_random_chance(&random, 50)) {
            options.is_expired = table_is_expired;
        }
        if (test_random_chance(&random, 30)) {
            options.bounds.lower = table_random_key(&mix, &random, room[0]);
        }
        if (test_random_chance(&random, 30)) {
            options.bounds.upper = table_random_key(&mix, &random, room[1]);
        }
        options.ranges = ranges_of(set, &options.sequence);
        it = visible_of(set, &options);
        fill_oracle(o, set, &options);
        check_whole(o, it);
        check_walks(set, o, it, &mix, &random);
        check_whole(o, it);
        iter_visible_free(it);
        iter_ranges_free(options.ranges);
        table_set_free(set);
    }
    free(o);
}

/* ---- Rows --------------------------------------------------------------- */

typedef struct visible_row {
    const char *name;
    const char *inputs;
    uint64_t sequence; /* 0: the newest */
    const char *seen;
    bool is_timeless; /* nothing expires */
} visible_row;

static const visible_row rows[] = {
    {"nothing", "", 0, "", false},
    {"one", "a1", 0, "a1", false},
    {"the newest wins", "a1 b5 | a3 b2 | a2", 0, "a3 b5", false},
    {"as of a sequence", "a1 b5 | a3 b2 | a2", 2, "a2 b2", false},
    {"not there yet", "a5 b1", 4, "b1", false},
    {"deleted", "a1 b1 | a2-", 0, "b1", false},
    {"not deleted yet", "a1 b1 | a2-", 1, "a1 b1", false},
    {"put again", "a1 a2- a3", 0, "a3", false},
    {"a pointer is a value", "a1 | a2*", 0, "a2*", false},
    {"expired: the older one is not seen either", "a1 b1 | a2!", 0, "b1",
     false},
    {"nobody asks for time", "a1 | a2!", 0, "a2!", true},
    {"a range hides what is older", "a1 b1 c1 d1 | b..d2 c3", 0, "a1 c3 d1",
     false},
    {"but not what is as old", "b2 | a..c2", 0, "b2", false},
    {"the end of a range is not in it", "b1 | a..b2", 0, "b1", false},
    {"the start is", "a1 b1 | a..b2", 0, "b1", false},
    {"a range of later is not there yet", "b1 | a..c5", 4, "b1", false},
    {"a range over a tombstone and what it hid", "b1 b2- | a..c3", 0, "",
     false},
    {"a range within a range", "b1 c5 d1 | a..z2 c..d4", 0, "c5", false},
};

/* Forward and back give the same. */
static void test_the_rules_row_by_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const visible_row *row = &rows[i];
        table_set *set = table_set_of(row->inputs);
        iter_visible_options options = {
            .sequence = row->sequence != 0 ? row->sequence : UINT64_MAX,
            .is_expired = row->is_timeless ? NULL : table_is_expired};
        oracle *o = malloc(sizeof(*o));
        char text[TABLE_TEXT] = "";
        const cask_run_entry *entry;
        iter_visible *it;
        cask_status status;

        assert_non_null(o);
        options.ranges = ranges_of(set, &options.sequence);
        it = visible_of(set, &options);
        status = iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &entry,
                                   NULL);
        while (status == CASK_OK) {
            table_describe(text, entry);
            status = iter_visible_next(it, &entry, NULL);
        }
        if (strcmp(text, row->seen) != 0) {
            print_error("row \"%s\"\n", row->name);
        }
        assert_string_equal(text, row->seen);
        fill_oracle(o, set, &options);
        check_whole(o, it);
        iter_visible_free(it);
        iter_ranges_free(options.ranges);
        table_set_free(set);
        free(o);
    }
}

/* But for a record of a newer input, they are not read one by one. */
static void test_what_a_range_hides_is_skipped(void **state)
{
    enum { HIDDEN = 1500, CALLS = 300 };
    const table_mix mix = {.tables = 4, .entries = HIDDEN, .letters = 12};
    test_random random = test_random_make(test_seed(), 0);
    const uint64_t present = UINT64_MAX;
    iter_visible_options options = {.sequence = present};
    table_faults faults = {.fail_at = UINT64_MAX};
    const cask_run_entry newer = {.kind = CASK_RUN_PUT,
                                  .key = {"f", 1},
                                  .info = {.sequence = HIDDEN + 2}};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        table_set *set = table_set_random(&mix, &random);
        const cask_run_entry *got = NULL;
        iter_visible *it;

        set->ranges[set->range_count++] =
            (iter_range){{"", 0}, key_end_of((cask_slice){0}), HIDDEN + 1};
        table_insert(&set->tables[3], &newer);
        set->inputs[3].last_sequence = newer.info.sequence;
        table_set_share(set, &faults);
        options.ranges = ranges_of(set, &present);
        it = visible_of(set, &options);
        faults.calls = 0;
        assert_int_equal(
            iter_visible_seek(it, i == 0 ? CASK_RUN_FIRST : CASK_RUN_LAST,
                              (cask_slice){0}, &got, NULL),
            CASK_OK);
        assert_same_entry(got, &newer);
        assert_int_equal(i == 0 ? iter_visible_next(it, &got, NULL)
                                : iter_visible_previous(it, &got, NULL),
                         CASK_NOT_FOUND);
        assert_in_range(faults.calls, 1, set->tables[3].count + CALLS);
        iter_visible_free(it);
        iter_ranges_free(options.ranges);
        table_set_free(set);
    }
}

static void test_a_range_that_nobody_was_told_of_is_an_error(void **state)
{
    table_set *set = table_set_of("a1 | b..d2 e3");
    const iter_visible_options options = {.sequence = UINT64_MAX};
    iter_visible *it = visible_of(set, &options);
    const cask_run_entry *entry;
    cask_error err = {0};

    (void)state;
    assert_int_equal(
        iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &entry, &err),
        CASK_OK);
    assert_int_equal(iter_visible_next(it, &entry, &err), CASK_INVALID);
    assert_string_equal(err.message, "input 1 has deletions of ranges, but "
                                     "none were given");
    assert_int_equal(
        iter_visible_seek(it, CASK_RUN_LAST, (cask_slice){0}, &entry, &err),
        CASK_OK);
    assert_int_equal(iter_visible_previous(it, &entry, &err), CASK_INVALID);
    iter_visible_free(it);
    table_set_free(set);
}

/* ---- Failures ----------------------------------------------------------- */

static cask_status read_all(const oracle *o, iter_visible *it, cask_error *err)
{
    size_t at = 0;
    const cask_run_entry *got = NULL;
    cask_status status =
        iter_visible_seek(it, CASK_RUN_FIRST, (cask_slice){0}, &got, err);

    while (status == CASK_OK) {
        check_at(o, status, at, got);
        if (at % 2 == 1) {
            status = iter_visible_previous(it, &got, err);
            if (status == CASK_OK) {
                check_at(o, status, at - 1, got);
                status = iter_visible_next(it, &got, err);
            }
        }
        if (status == CASK_OK) {
            at++;
            status = iter_visible_next(it, &got, err);
        }
    }
    assert_true(status != CASK_NOT_FOUND || at == o->count);
    if (status != CASK_NOT_FOUND) {
        return status;
    }
    status = iter_visible_seek(it, CASK_RUN_LAST, (cask_slice){0}, &got, err);
    while (status == CASK_OK) {
        at--;
        check_at(o, status, at, got);
        status = iter_visible_previous(it, &got, err);
    }
    assert_true(status != CASK_NOT_FOUND || at == 0);
    return status;
}

/* Fails call 0, then call 1, ... until a run in which none failed. */
static void test_every_failure_of_an_input_is_passed_on(void **state)
{
    table_set *set = table_set_of("a9 b1- c5 c3 f2 | b8 b6 c6 c4- e2 | d7- f1");
    const iter_visible_options options = {.sequence = 7};
    table_faults faults = {0};
    iter_visible *it = visible_of(set, &options);
    oracle *o = malloc(sizeof(*o));

    (void)state;
    assert_non_null(o);
    fill_oracle(o, set, &options);
    assert_int_equal(o->count, 4); /* b6 c6 e2 f2 */
    table_set_share(set, &faults);
    for (uint64_t fail_at = 0;; fail_at++) {
        const cask_run_entry *got = NULL;
        cask_error err = {0};
        cask_status status;

        faults = (table_faults){.fail_at = fail_at};
        status = read_all(o, it, &err);
        if (!faults.has_fired) {
            assert_int_equal(status, CASK_NOT_FOUND);
            assert_true(fail_at > 40);
            break;
        }
        assert_int_equal(status, CASK_CORRUPT);
        assert_string_equal(err.message, "planted");
        assert_int_equal(iter_visible_next(it, &got, &err), CASK_INVALID);
        faults.fail_at = UINT64_MAX;
        check_whole(o, it);
    }
    iter_visible_free(it);
    table_set_free(set);
    free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_inputs_look_as_to_the_oracle),
        cmocka_unit_test(test_the_rules_row_by_row),
        cmocka_unit_test(test_what_a_range_hides_is_skipped),
        cmocka_unit_test(test_a_range_that_nobody_was_told_of_is_an_error),
        cmocka_unit_test(test_every_failure_of_an_input_is_passed_on),
    };

    return cmocka_run_group_tests_name("iter_visible", tests, NULL, NULL);
}
