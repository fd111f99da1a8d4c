/*
 * Death at any instruction while a range is deleted: a child deletes one under
 * single-step and is killed; the parent, whose handle stays open, finds all of
 * its keys or none, and what it finds after the next write stays so. Lists of
 * ranges are of all lengths, also such that a block is taken for the next one,
 * or the memtable is full of them.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 25)
 */
#include "cask_test.h"

#include <string.h>

#include "db/db.h"
#include "process/death.h"
#include "process/step_store.h"
#include "support/require.h"
#include "tree/memtable.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_tables.h"

enum { KEYS = 12, BLOCK = 256 };

typedef struct scene {
    step_store store;
    uint64_t round;
} scene;

static cask_status delete_keys(cask_db *db, cask_error *err)
{
    return cask_delete_range(db, cask_slice_of("key "), cask_slice_of("key!"),
                             err);
}

/* ---- The child ---- */

static int delete_in_child(void *prepared, void *context)
{
    scene *s = context;

    (void)prepared;
    return delete_keys(s->store.db, NULL) == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static uint64_t listed(const scene *s)
{
    store_handle *store = s->store.db->store;
    memtable_view view;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    return memtable_range_count(&view);
}

/* So that the next one needs a block, or another memtable, half of the time. */
static void lengthen(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t wanted = test_random_chance(&s->store.random, 50)
                          ? (1 + test_random_next(&s->store.random, 4)) * BLOCK
                          : test_random_next(&s->store.random, 5);

    if (listed(s) > wanted) {
        require_ok(tree_flush(s->store.db->store, true, &err), &err);
    }
    while (listed(s) < wanted) {
        require_ok(cask_delete_range(s->store.db, cask_slice_of("other"),
                                     cask_slice_of("others"), &err),
                   &err);
    }
}

static void put_keys(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    char name[16];

    s->round++;
    for (unsigned key = 0; key < KEYS; key++) {
        require_ok(cask_put(s->store.db, step_store_key(name, key),
                            (cask_slice){&s->round, sizeof(s->round)}, &err),
                   &err);
    }
}

/* Whether they are there: all of this round, or none. */
static bool are_there(const scene *s)
{
    cask_buffer value = {0};
    unsigned found = 0;

    for (unsigned key = 0; key < KEYS; key++) {
        cask_error err = {CASK_OK, 0, ""};
        char name[16];
        cask_status status =
            cask_get(s->store.db, step_store_key(name, key), &value, &err);

        if (status == CASK_NOT_FOUND) {
            continue;
        }
        require_ok(status, &err);
        assert_memory_equal(value.data, &s->round, sizeof(s->round));
        found++;
    }
    cask_buffer_free(&value);
    assert_true(found == 0 || found == KEYS);
    return found > 0;
}

static void begin_round(void *context)
{
    lengthen(context);
    put_keys(context);
}

static void end_round(void *context)
{
    scene *s = context;
    cask_error err = {CASK_OK, 0, ""};
    bool was_there = are_there(s);
    bool is_there;

    /* The next owner of the lock finishes what the dead one had begun. */
    require_ok(
        cask_put(s->store.db, cask_slice_of("next"), cask_slice_of("1"), &err),
        &err);
    is_there = are_there(s);
    assert_true(was_there || !is_there);
    if (test_random_chance(&s->store.random, 30)) {
        step_store_close(&s->store);
        step_store_open(&s->store);
        assert_int_equal(are_there(s), is_there);
    }
    if (test_random_chance(&s->store.random, 30)) {
        require_ok(tree_flush(s->store.db->store, true, &err), &err);
        assert_int_equal(are_there(s), is_there);
    }
    require_ok(delete_keys(s->store.db, &err), &err);
    assert_false(are_there(s));
}

static void sweep(scene *s, const death_place *where)
{
    const death_round round = {{step_store_prepare, delete_in_child, s},
                               &s->store.random,
                               begin_round,
                               end_round};

    death_sweep(&round, where);
}

/* ---- Tests ---- */

static void test_death_while_a_range_is_listed(void **state)
{
    const death_place where = {STEPPER_FUNCTION(memtable_put_range_locked), 1,
                               150};

    sweep(*state, &where);
}

static void test_death_from_the_append_on(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_append_locked), 1, 900};

    sweep(*state, &where);
}

/* ---- Fixtures ---- */

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    step_store_begin(&s.store);
    step_store_open(&s.store);
    *state = &s;
    return 0;
}

#define STEP_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up, step_store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_death_while_a_range_is_listed),
        STEP_TEST(test_death_from_the_append_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
