/*
 * Death at any instruction while a range is deleted: a child deletes one under
 * single-step and is killed; the parent, whose handle stays open, finds all of
 * its keys or none, and what it finds after the next write stays so. Lists of
 * ranges are of all lengths, also such that a block is taken for the next one,
 * or the memtable is full of them.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 40)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "process/stepper.h"
#include "support/random.h"
#include "support/scratch.h"
#include "tree/memtable.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_tables.h"

enum { KEYS = 12, BLOCK = 256 };

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_db *db;
    test_random random;
    uint64_t round;
} scene;

static void require(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), err->message);
    }
}

static void open_store(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    require(cask_open(s->path, &s->options, &s->db, &err), &err);
}

static void close_store(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    require(cask_close(s->db, &err), &err);
    s->db = NULL;
}

static cask_slice name_of(char text[16], unsigned key)
{
    (void)snprintf(text, 16, "key %03u", key);
    return cask_slice_of(text);
}

static cask_status delete_keys(cask_db *db, cask_error *err)
{
    return cask_delete_range(db, cask_slice_of("key "), cask_slice_of("key!"),
                             err);
}

/* ---- The child ---- */

static void *prepare_child(void *context)
{
    scene *s = context;
    cask_error err;

    return cask_open(s->path, &s->options, &s->db, &err) == CASK_OK ? s : NULL;
}

static int delete_in_child(void *prepared, void *context)
{
    scene *s = context;

    (void)prepared;
    return delete_keys(s->db, NULL) == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static uint64_t listed(const scene *s)
{
    store_handle *store = s->db->store;
    memtable_view view;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    return memtable_range_count(&view);
}

/* So that the next one needs a block, or another memtable, half of the time. */
static void lengthen(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    uint64_t wanted = test_random_chance(&s->random, 50)
                          ? (1 + test_random_next(&s->random, 4)) * BLOCK
                          : test_random_next(&s->random, 5);

    if (listed(s) > wanted) {
        require(tree_flush(s->db->store, true, &err), &err);
    }
    while (listed(s) < wanted) {
        require(cask_delete_range(s->db, cask_slice_of("other"),
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
        require(cask_put(s->db, name_of(name, key),
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
        cask_status status = cask_get(s->db, name_of(name, key), &value, &err);

        if (status == CASK_NOT_FOUND) {
            continue;
        }
        require(status, &err);
        assert_memory_equal(value.data, &s->round, sizeof(s->round));
        found++;
    }
    cask_buffer_free(&value);
    assert_true(found == 0 || found == KEYS);
    return found > 0;
}

static void end_round(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    bool was_there = are_there(s);
    bool is_there;

    /* The next owner of the lock finishes what the dead one had begun. */
    require(cask_put(s->db, cask_slice_of("next"), cask_slice_of("1"), &err),
            &err);
    is_there = are_there(s);
    assert_true(was_there || !is_there);
    if (test_random_chance(&s->random, 30)) {
        close_store(s);
        open_store(s);
        assert_int_equal(are_there(s), is_there);
    }
    if (test_random_chance(&s->random, 30)) {
        require(tree_flush(s->db->store, true, &err), &err);
        assert_int_equal(are_there(s), is_there);
    }
    require(delete_keys(s->db, &err), &err);
    assert_false(are_there(s));
}

/* From a call of a function on, up to `window` instructions. */
typedef struct place {
    void (*function)(void);
    uint64_t hits;
    uint64_t window;
} place;

static void sweep(scene *s, const place *where)
{
    uint64_t points = test_number("CASK_TEST_POINTS", 40);
    const stepper_work work = {prepare_child, delete_in_child, s};
    uint64_t deaths = 0;

    for (uint64_t i = 0; i < points; i++) {
        uint64_t hit = 1 + test_random_next(&s->random, where->hits);
        uint64_t limit = 1 + test_random_next(&s->random, where->window);
        pid_t pid;

        lengthen(s);
        put_keys(s);
        pid = stepper_start(&work);
        deaths += stepper_run_to(pid, where->function, hit) &&
                          stepper_step(pid, limit) == limit
                      ? 1
                      : 0;
        stepper_kill(pid);
        end_round(s);
    }
    print_message("%" PRIu64 " deaths of %" PRIu64 "\n", deaths, points);
    assert_true(deaths > points / 4);
}

/* ---- Tests ---- */

static void test_death_while_a_range_is_listed(void **state)
{
    const place where = {STEPPER_FUNCTION(memtable_put_range_locked), 1, 150};

    sweep(*state, &where);
}

static void test_death_from_the_append_on(void **state)
{
    const place where = {STEPPER_FUNCTION(store_append_locked), 1, 900};

    sweep(*state, &where);
}

/* ---- Fixtures ---- */

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    scratch_make(s.path);
    s.random = test_random_make(test_seed(), 0);
    cask_options_init(&s.options);
    s.options.create_if_missing = true;
    s.options.engine = CASK_ENGINE_TREE;
    s.options.huge_pages = false;
    s.options.auto_merge = false; /* one thread, which is stepped through */
    s.options.sync = CASK_SYNC_NONE;
    open_store(&s);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    if (s->db != NULL) {
        close_store(s);
    }
    scratch_remove(s->path);
    return 0;
}

#define STEP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_death_while_a_range_is_listed),
        STEP_TEST(test_death_from_the_append_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
