/*
 * What is left when inputs become one: row by row, against an oracle that
 * weighs each record by itself, and by what is seen afterwards.
 */
#include "iter/iter_survivors.h"

#include <stdlib.h>
#include <string.h>

#include "iter/iter_visible.h"
#include "unit/iter/table.h"

enum { ROUNDS = 150, MOMENTS_MAX = 5 };

static iter_ranges *ranges_of(const table_set *set, iter_moments moments,
                              const iter_bounds *bounds)
{
    iter_ranges *ranges = NULL;

    assert_int_equal(iter_ranges_create(set->ranges, set->range_count, moments,
                                        bounds, &ranges, NULL),
                     CASK_OK);
    return ranges;
}

static iter_survivors *survivors_of(const table_set *set,
                                    const iter_survivors_options *options)
{
    iter_survivors *iterator = NULL;

    assert_int_equal(iter_survivors_create(set->inputs, set->count, options,
                                           &iterator, NULL),
                     CASK_OK);
    return iterator;
}

static void check_counts(const iter_survivors *iterator)
{
    const iter_survivors_counts c = iter_survivors_count(iterator);

    assert_int_equal(c.read, c.kept + c.deletes + c.replaced + c.hidden +
                                 c.tombstones_gone);
}

/* ---- Rows --------------------------------------------------------------- */

typedef struct survivors_row {
    const char *name;
    const char *inputs;
    uint64_t snapshots[MOMENTS_MAX]; /* ends with 0 */
    const char *kept;                /* something older may lie below */
    const char *bottom;              /* nothing does; NULL: the same */
} survivors_row;

static const survivors_row rows[] = {
    {"nothing", "", {0}, "", NULL},
    {"one", "a1", {0}, "a1", NULL},
    {"in order", "b1 d2 | a3 c4", {0}, "a3 b1 c4 d2", NULL},
    {"the newest wins", "a1 | a3 | a2", {0}, "a3", NULL},
    {"a snapshot keeps the older one", "a1 | a3 | a2", {2}, "a3 a2", NULL},
    {"each snapshot its own", "a1 a2 a3 a4 a5", {1, 3}, "a5 a3 a1", NULL},
    {"two that see the same keep one", "a1 a5", {2, 3, 4}, "a5 a1", NULL},
    {"a snapshot older than all keeps nothing", "a5 a6", {4}, "a6", NULL},
    {"a snapshot at the very sequence", "a5 a6", {5}, "a6 a5", NULL},

    {"a tombstone hides what is below", "a1 | a2-", {0}, "a2-", ""},
    {"also alone", "a2-", {0}, "a2-", ""},
    {"not what is newer", "a2- | a3", {0}, "a3", NULL},
    {"a tombstone of now stays for a snapshot's put",
     "a1 | a5-",
     {3},
     "a5- a1",
     NULL},
    {"a tombstone of a snapshot goes with what it hid",
     "a1 a2- a5",
     {3},
     "a5 a2-",
     "a5"},
    {"a tombstone between", "a1 a3- a5", {2, 4}, "a5 a3- a1", NULL},
    {"of two tombstones each stays at its moment",
     "a2- a5-",
     {3},
     "a5- a2-",
     ""},
    {"tombstones above a put all stay",
     "a1 a3- a5-",
     {2, 4},
     "a5- a3- a1",
     NULL},
    {"tombstones below a put all go", "a1- a3- a5", {2, 4}, "a5 a3- a1-", "a5"},
    {"one key's tombstone is not the next one's",
     "a2- b1",
     {0},
     "a2- b1",
     "b1"},

    {"expired is a tombstone of its own sequence", "a1 | a2!", {0}, "a2-", ""},
    {"and stays one for a snapshot's put", "a1 | a5!", {3}, "a5- a1", NULL},

    {"a pointer is kept as it is", "a1 | a2*", {0}, "a2*", NULL},

    {"a range hides, and stays for what is below",
     "a1 b1 | a..c2",
     {0},
     "a..c2",
     ""},
    {"not what is newer, nor beside it",
     "a1 c1 | a..c2 b3",
     {0},
     "a..c2 b3 c1",
     "b3 c1"},
    {"of a range and a version at one key the newer is first",
     "a5 | a..c3 a2",
     {0},
     "a5 a..c3",
     "a5"},
    {"a range newer than a snapshot hides nothing from it",
     "b1 | a..c5",
     {3},
     "a..c5 b1",
     NULL},
    {"a range at a snapshot hides from it",
     "b1 b5 | a..c2",
     {3},
     "a..c2 b5",
     "b5"},
    {"a tombstone waits with a range for the put that keeps both",
     "a9- a1 | a..c7",
     {3},
     "a9- a..c7 a1",
     NULL},
    {"the tombstone goes, the range of later stays",
     "a9- | a..c7",
     {3},
     "a9- a..c7",
     "a..c7"},
    {"ranges become pieces",
     "f9 | a..z3 | f..h7",
     {0},
     "a..f3 f9 f..h7 h..z3",
     "f9"},
    {"a tombstone under a range goes", "b1 b2- | a..c3", {0}, "a..c3", ""},
};

static void check_row(const survivors_row *row, bool drop_tombstones)
{
    table_set *set = table_set_of(row->inputs);
    uint64_t at[MOMENTS_MAX];
    iter_survivors_options options = {.moments = {at, 0},
                                      .drop_tombstones = drop_tombstones,
                                      .is_expired = table_is_expired};
    const char *expected =
        drop_tombstones && row->bottom != NULL ? row->bottom : row->kept;
    iter_survivors *it;
    char text[TABLE_TEXT] = "";
    const cask_run_entry *entry;

    while (row->snapshots[options.moments.count] != 0) {
        at[options.moments.count] = row->snapshots[options.moments.count];
        options.moments.count++;
    }
    at[options.moments.count++] = UINT64_MAX;
    options.ranges = ranges_of(set, options.moments, NULL);
    it = survivors_of(set, &options);
    while (iter_survivors_next(it, &entry, NULL) == CASK_OK) {
        table_describe(text, entry);
    }
    if (strcmp(text, expected) != 0) {
        print_error("row \"%s\"\n", row->name);
    }
    assert_string_equal(text, expected);
    assert_int_equal(iter_survivors_next(it, &entry, NULL), CASK_NOT_FOUND);
    check_counts(it);
    iter_survivors_free(it);
    iter_ranges_free(options.ranges);
    table_set_free(set);
}

static void test_the_rules_row_by_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], false);
        check_row(&rows[i], true);
    }
}

/* ---- Random ------------------------------------------------------------- */

/* Everything of one random round. */
typedef struct survivors_round {
    table_mix mix;
    test_random random;
    table_set *set;
    uint64_t at[MOMENTS_MAX + 1];
    char bounds[2][TABLE_KEY_MAX];
    iter_survivors_options options;
    cask_run_entry kept[3 * TABLE_ENTRIES]; /* the survivors, with copies of */
    char keys[3 * TABLE_ENTRIES][TABLE_KEY_MAX]; /* their bytes */
    char values[3 * TABLE_ENTRIES][TABLE_KEY_MAX];
    size_t count;
} survivors_round;

static void set_up_round(survivors_round *r, uint64_t seed, uint64_t number)
{
    const unsigned stable[] = {0, 50, 100};
    test_random *random = &r->random;
    iter_survivors_options *options = &r->options;
    uint64_t at = 0;
    size_t snapshots;

    memset(r, 0, sizeof(*r));
    *random = test_random_make(seed, number);
    r->mix =
        (table_mix){.tables = test_random_next(random, 12),
                    .entries = test_random_next(random, TABLE_ENTRIES),
                    .letters = (unsigned)test_random_next(random, 12) + 1,
                    .delete_percent = (unsigned)test_random_next(random, 100),
                    .range_percent = test_random_chance(random, 50) ? 0 : 3,
                    .expired_percent = (unsigned)test_random_next(random, 30),
                    .stable_percent = stable[test_random_next(random, 3)]};
    r->set = table_set_random(&r->mix, random);
    snapshots = test_random_next(random, MOMENTS_MAX);
    for (size_t i = 0; i < snapshots; i++) {
        at += test_random_next(random, r->mix.entries / snapshots + 1) + 1;
        r->at[i] = at;
    }
    r->at[snapshots] = UINT64_MAX;
    options->moments = (iter_moments){r->at, snapshots + 1};
    options->drop_tombstones = test_random_chance(random, 50);
    options->is_expired =
        test_random_chance(random, 50) ? table_is_expired : NULL;
    if (test_random_chance(random, 30)) {
        options->bounds.lower = table_random_key(&r->mix, random, r->bounds[0]);
    }
    if (test_random_chance(random, 30)) {
        options->bounds.upper = table_random_key(&r->mix, random, r->bounds[1]);
    }
    options->ranges = ranges_of(r->set, options->moments, &options->bounds);
}

static void tear_down_round(survivors_round *r)
{
    iter_ranges_free(r->options.ranges);
    table_set_free(r->set);
}

static cask_slice kept_bytes(cask_slice bytes, char room[TABLE_KEY_MAX])
{
    assert_true(bytes.size <= TABLE_KEY_MAX);
    if (bytes.size > 0) {
        memcpy(room, bytes.data, bytes.size);
    }
    return (cask_slice){room, bytes.size};
}

static void collect(survivors_round *r)
{
    iter_survivors *it = survivors_of(r->set, &r->options);
    const cask_run_entry *given;
    cask_status status;

    for (;;) {
        size_t i = r->count;
        cask_run_entry entry;

        status = iter_survivors_next(it, &given, NULL);
        if (status != CASK_OK) {
            break;
        }
        entry = *given;
        entry.key = kept_bytes(entry.key, r->keys[i]);
        entry.value = kept_bytes(entry.value, r->values[i]);
        r->kept[r->count++] = entry;
        assert_true(r->count < 3 * TABLE_ENTRIES);
    }
    assert_int_equal(status, CASK_NOT_FOUND);
    check_counts(it);
    iter_survivors_free(it);
}

/* In the order that a run demands, and within the bounds. */
static void check_order(const survivors_round *r)
{
    const iter_bounds *bounds = &r->options.bounds;

    for (size_t i = 0; i < r->count; i++) {
        const cask_run_entry *entry = &r->kept[i];

        assert_true(i == 0 || table_compare(&r->kept[i - 1], entry) < 0);
        assert_false(iter_is_below(bounds, entry->key));
        assert_false(iter_is_above(bounds, entry->key));
        if (entry->kind == CASK_RUN_DELETE_RANGE &&
            bounds->upper.data != NULL) {
            assert_true(key_compare(entry->value, bounds->upper) <= 0);
        }
    }
}

/* ---- The oracle --------------------------------------------------------- */

static bool is_tombstone(const survivors_round *r, const cask_run_entry *entry)
{
    return entry->kind == CASK_RUN_DELETE ||
           (r->options.is_expired != NULL &&
            r->options.is_expired(NULL, entry));
}

/* Whether a version is what is seen at its moment, tombstones included. */
static bool counts_at_its_moment(const survivors_round *r, size_t index)
{
    const iter_moments moments = r->options.moments;
    const cask_run_entry *entry = &r->set->all[index];
    size_t moment = iter_moment_of(moments, entry->info.sequence);

    for (size_t i = 0; i < r->set->entries; i++) {
        const cask_run_entry *other = &r->set->all[i];
        bool concerns = other->kind == CASK_RUN_DELETE_RANGE
                            ? key_compare(other->key, entry->key) <= 0 &&
                                  key_compare(entry->key, other->value) < 0
                            : key_compare(other->key, entry->key) == 0;

        if (concerns && other->info.sequence > entry->info.sequence &&
            iter_moment_of(moments, other->info.sequence) == moment) {
            return false;
        }
    }
    return true;
}

static bool is_kept(const survivors_round *r, size_t index)
{
    const table_set *set = r->set;

    if (!counts_at_its_moment(r, index)) {
        return false;
    }
    if (!is_tombstone(r, &set->all[index]) || !r->options.drop_tombstones) {
        return true;
    }
    for (size_t i = index + 1;
         i < set->entries &&
         key_compare(set->all[i].key, set->all[index].key) == 0;
         i++) {
        if (set->all[i].kind != CASK_RUN_DELETE_RANGE &&
            !is_tombstone(r, &set->all[i]) && counts_at_its_moment(r, i)) {
            return true;
        }
    }
    return false;
}

static void check_kept(const survivors_round *r)
{
    const table_set *set = r->set;
    size_t at = 0;

    for (size_t i = 0; i < set->entries; i++) {
        cask_run_entry entry = set->all[i];

        if (entry.kind == CASK_RUN_DELETE_RANGE ||
            iter_is_below(&r->options.bounds, entry.key) ||
            iter_is_above(&r->options.bounds, entry.key) || !is_kept(r, i)) {
            continue;
        }
        while (at < r->count && r->kept[at].kind == CASK_RUN_DELETE_RANGE) {
            at++;
        }
        if (is_tombstone(r, &entry)) {
            entry.kind = CASK_RUN_DELETE;
            entry.value = (cask_slice){NULL, 0};
            entry.info.expires_at_ms = 0;
            entry.pointer = (cask_run_pointer){0};
        }
        assert_true(at < r->count);
        assert_same_entry(&r->kept[at++], &entry);
    }
    while (at < r->count && r->kept[at].kind == CASK_RUN_DELETE_RANGE) {
        at++;
    }
    assert_int_equal(at, r->count);
}

/* ---- What is seen ------------------------------------------------------- */

/* Below the inputs, if something may be there, lie records that are older than
 * all of them: sequence 0. Each time the same. */
static table_set *below(const survivors_round *r)
{
    const table_mix mix = {.tables = r->options.drop_tombstones ? 0 : 1,
                           .entries = 200,
                           .letters = r->mix.letters,
                           .stable_percent = 100};
    test_random random = r->random;
    table_set *set = table_set_random(&mix, &random);

    for (size_t i = 0; set->count > 0 && i < set->tables[0].count; i++) {
        set->tables[0].entries[i].info.sequence = 0;
    }
    return set;
}

static iter_visible *look_at(const table_set *set, const table_set *under,
                             iter_visible_options *options)
{
    iter_input inputs[TABLE_KEY_MAX];
    const iter_moments moments = {&options->sequence, 1};
    iter_visible *it = NULL;

    for (size_t i = 0; i < set->count; i++) {
        inputs[i] = set->inputs[i];
    }
    if (under->count > 0) {
        inputs[set->count] = under->inputs[0];
    }
    options->ranges = ranges_of(set, moments, NULL);
    assert_int_equal(iter_visible_create(inputs, set->count + under->count,
                                         options, &it, NULL),
                     CASK_OK);
    return it;
}

/* The survivors as an input. */
static table_set *survivors_set(const survivors_round *r)
{
    table_set *set = table_set_of("");

    for (size_t i = 0; i < r->count; i++) {
        const cask_run_entry *entry = &r->kept[i];

        if (entry->kind == CASK_RUN_DELETE_RANGE) {
            assert_true(set->range_count < TABLE_ENTRIES);
            set->ranges[set->range_count++] =
                (iter_range){entry->key, entry->value, entry->info.sequence};
        }
        assert_true(set->tables[0].count < TABLE_ENTRIES);
        table_insert(&set->tables[0], entry);
    }
    return set;
}

/* Each snapshot, and the present, sees what it saw before. */
static void check_seen(survivors_round *r)
{
    table_set *after = survivors_set(r);
    table_set *under = below(r);
    table_set *under_after = below(r);

    for (size_t m = 0; m < r->options.moments.count; m++) {
        iter_visible_options before_options = {.sequence = r->at[m],
                                               .bounds = r->options.bounds,
                                               .is_expired =
                                                   r->options.is_expired};
        iter_visible_options after_options = before_options;
        iter_visible *old = look_at(r->set, under, &before_options);
        iter_visible *new = look_at(after, under_after, &after_options);
        const cask_run_entry *seen;
        const cask_run_entry *still_seen;
        cask_status status = iter_visible_seek(old, CASK_RUN_FIRST,
                                               (cask_slice){0}, &seen, NULL);
        cask_status same = iter_visible_seek(
            new, CASK_RUN_FIRST, (cask_slice){0}, &still_seen, NULL);

        while (status == CASK_OK) {
            assert_int_equal(same, CASK_OK);
            assert_same_entry(still_seen, seen);
            status = iter_visible_next(old, &seen, NULL);
            same = iter_visible_next(new, &still_seen, NULL);
        }
        assert_int_equal(status, CASK_NOT_FOUND);
        assert_int_equal(same, CASK_NOT_FOUND);
        iter_visible_free(old);
        iter_visible_free(new);
        iter_ranges_free(before_options.ranges);
        iter_ranges_free(after_options.ranges);
    }
    table_set_free(after);
    table_set_free(under);
    table_set_free(under_after);
}

static void test_random_survivors_are_those_of_the_oracle(void **state)
{
    uint64_t seed = test_seed();
    survivors_round *r = malloc(sizeof(*r));

    (void)state;
    assert_non_null(r);
    for (uint64_t number = 0; number < ROUNDS; number++) {
        set_up_round(r, seed, number);
        collect(r);
        check_order(r);
        check_kept(r);
        check_seen(r);
        tear_down_round(r);
    }
    free(r);
}

/* ---- Errors ------------------------------------------------------------- */

static void test_a_range_that_nobody_was_told_of_is_an_error(void **state)
{
    table_set *set = table_set_of("a1 | b..d2 e3");
    const uint64_t now = UINT64_MAX;
    const iter_survivors_options options = {.moments = {&now, 1}};
    iter_survivors *it = survivors_of(set, &options);
    const cask_run_entry *entry;
    cask_error err = {0};

    (void)state;
    assert_int_equal(iter_survivors_next(it, &entry, &err), CASK_OK);
    assert_int_equal(iter_survivors_next(it, &entry, &err), CASK_INVALID);
    assert_string_equal(err.message, "input 1 has deletions of ranges, but "
                                     "none were given");
    iter_survivors_free(it);
    table_set_free(set);
}

/* More tombstones of a key than there are moments must not be queued. */
static void test_an_input_that_is_not_sorted_is_an_error(void **state)
{
    table_set *set = table_set_of("a2- a5-");
    const uint64_t at[] = {3, UINT64_MAX};
    const iter_survivors_options options = {.moments = {at, 2}};
    cask_run_entry *entries = set->tables[0].entries;
    const cask_run_entry newest = entries[0];
    const cask_run_entry *entry;
    cask_error err = {0};
    iter_survivors *it;

    (void)state;
    entries[0] = entries[1];
    entries[1] = newest;
    it = survivors_of(set, &options);
    assert_int_equal(iter_survivors_next(it, &entry, &err), CASK_OK);
    assert_int_equal(iter_survivors_next(it, &entry, &err), CASK_CORRUPT);
    assert_string_equal(err.message, "input 0 is not sorted: sequence 5 comes "
                                     "behind an older one of the same key");
    iter_survivors_free(it);
    table_set_free(set);
}

/* Fails call 0, then call 1, ... until a run in which none failed. Nothing is
 * given out behind a failure, and never "that was all". */
static void test_every_failure_of_an_input_is_passed_on(void **state)
{
    const char *const expected[] = {"a", "b", "c", "d", "d", "e"};
    const uint64_t at[] = {4, UINT64_MAX};

    (void)state;
    for (uint64_t fail_at = 0;; fail_at++) {
        table_set *set = table_set_of("a9 c5 | b8 c6 c4- c1 | d7- d2 e3");
        table_faults faults = {.fail_at = fail_at};
        const iter_survivors_options options = {.moments = {at, 2},
                                                .drop_tombstones = true};
        iter_survivors *it = survivors_of(set, &options);
        const cask_run_entry *entry;
        cask_error err = {0};
        cask_status status = CASK_OK;

        table_set_share(set, &faults);
        for (size_t i = 0; status == CASK_OK; i++) {
            status = iter_survivors_next(it, &entry, &err);
            if (status == CASK_OK) {
                assert_true(i < sizeof(expected) / sizeof(expected[0]));
                assert_memory_equal(entry->key.data, expected[i], 1);
            }
        }
        assert_int_equal(status,
                         faults.has_fired ? CASK_CORRUPT : CASK_NOT_FOUND);
        if (faults.has_fired) {
            assert_string_equal(err.message, "planted");
        }
        assert_int_equal(iter_survivors_next(it, &entry, &err), status);
        iter_survivors_free(it);
        table_set_free(set);
        if (!faults.has_fired) {
            assert_int_equal(fail_at, 12); /* a seek each, and a step for each
                                              record */
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rules_row_by_row),
        cmocka_unit_test(test_random_survivors_are_those_of_the_oracle),
        cmocka_unit_test(test_a_range_that_nobody_was_told_of_is_an_error),
        cmocka_unit_test(test_an_input_that_is_not_sorted_is_an_error),
        cmocka_unit_test(test_every_failure_of_an_input_is_passed_on),
    };

    return cmocka_run_group_tests_name("iter_survivors", tests, NULL, NULL);
}
