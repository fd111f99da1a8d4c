/*
 * Death at any instruction of a flush: a child flushes a store of the tree
 * engine under single-step and is killed; the parent, whose handle stays open
 * or is closed, finds all keys as they were, goes on writing, and completes
 * what the child had begun.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 40)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "process/stepper.h"
#include "process/stray.h"
#include "support/random.h"
#include "support/scratch.h"
#include "tree/tree.h"
#include "tree/tree_flush.h"
#include "tree/tree_segments.h"
#include "tree/tree_tables.h"

enum {
    KEYS = 150,
    CHANGES = 120,
    VALUE_BYTES = 900,
    ROUNDS_PER_STORE = 10 /* runs pile up, and each takes calls to be opened */
};

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_db *db;
    test_random random;
    uint64_t version[KEYS]; /* 0: absent */
    uint64_t next_version;
    uint64_t rounds;
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

static void change_key(scene *s, unsigned key)
{
    static char value[VALUE_BYTES];
    cask_error err = {CASK_OK, 0, ""};
    char name[16];

    s->next_version++;
    if (test_random_chance(&s->random, 25)) {
        s->version[key] = 0;
        require(cask_delete(s->db, name_of(name, key), NULL, &err), &err);
        return;
    }
    s->version[key] = s->next_version;
    (void)snprintf(value, sizeof(value), "%" PRIu64, s->next_version);
    require(cask_put(s->db, name_of(name, key),
                     (cask_slice){value, sizeof(value)}, &err),
            &err);
}

static void change_some(scene *s)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        change_key(s, (unsigned)test_random_next(&s->random, KEYS));
    }
}

static void compare_keys(scene *s)
{
    cask_buffer value = {0};

    for (unsigned key = 0; key < KEYS; key++) {
        cask_error err = {CASK_OK, 0, ""};
        char name[16];
        char text[24];
        cask_status status = cask_get(s->db, name_of(name, key), &value, &err);

        if (s->version[key] == 0) {
            assert_int_equal(status, CASK_NOT_FOUND);
            continue;
        }
        require(status, &err);
        assert_int_equal(value.size, VALUE_BYTES);
        (void)snprintf(text, sizeof(text), "%" PRIu64, s->version[key]);
        assert_string_equal(value.data, text);
    }
    cask_buffer_free(&value);
}

/* ---- The child ---- */

static void *prepare_child(void *context)
{
    scene *s = context;
    cask_error err;

    return cask_open(s->path, &s->options, &s->db, &err) == CASK_OK ? s : NULL;
}

static int flush_in_child(void *prepared, void *context)
{
    scene *s = context;

    (void)prepared;
    return tree_flush(s->db->store, true, NULL) == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static void begin_round(scene *s)
{
    if (++s->rounds % ROUNDS_PER_STORE == 0) {
        close_store(s);
        scratch_remove(s->path);
        scratch_make(s->path);
        memset(s->version, 0, sizeof(s->version));
        open_store(s);
    }
    change_some(s);
    if (test_random_chance(&s->random, 40)) {
        close_store(s);
    }
}

static void end_round(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};

    if (s->db == NULL) {
        open_store(s);
    }
    compare_keys(s);
    for (unsigned i = 0; i < 5; i++) {
        change_key(s, (unsigned)test_random_next(&s->random, KEYS));
    }
    compare_keys(s);
    require(tree_flush(s->db->store, test_random_chance(&s->random, 50), &err),
            &err);
    compare_keys(s);
    if (test_random_chance(&s->random, 30)) {
        char stray[STRAY_NAME];

        close_store(s);
        stray_find(s->path, stray);
        if (stray[0] != 0) {
            fail_msg("left behind: %s", stray);
        }
        open_store(s);
        compare_keys(s);
    }
}

/* From a call of a function on, up to `window` instructions. */
typedef struct place {
    void (*function)(void);
    uint64_t hits;
    uint64_t window;
} place;

/* False if the flush was over before. */
static bool die_at(scene *s, const place *where)
{
    const stepper_work work = {prepare_child, flush_in_child, s};
    uint64_t hit = 1 + test_random_next(&s->random, where->hits);
    uint64_t limit = 1 + test_random_next(&s->random, where->window);
    pid_t pid = stepper_start(&work);
    bool died = stepper_run_to(pid, where->function, hit) &&
                stepper_step(pid, limit) == limit;

    stepper_kill(pid);
    return died;
}

static void sweep(scene *s, const place *where)
{
    uint64_t points = test_number("CASK_TEST_POINTS", 40);
    uint64_t deaths = 0;

    for (uint64_t i = 0; i < points; i++) {
        begin_round(s);
        deaths += die_at(s, where) ? 1 : 0;
        end_round(s);
    }
    print_message("%" PRIu64 " deaths of %" PRIu64 "\n", deaths, points);
    assert_true(deaths > points / 4);
}

/* ---- Tests ---- */

static void test_death_at_each_system_call(void **state)
{
    scene *s = *state;
    uint64_t limit = 0;
    uint64_t made;

    do {
        const stepper_work work = {prepare_child, flush_in_child, s};
        pid_t pid;

        limit += 1 + test_random_next(&s->random, 5);
        begin_round(s);
        pid = stepper_start(&work);
        made = stepper_run_calls(pid, limit);
        stepper_kill(pid);
        end_round(s);
    } while (made == limit);
    print_message("%" PRIu64 " entries to and returns from calls\n", made);
    assert_true(made > 40);
}

static void test_death_while_a_memtable_is_begun(void **state)
{
    const place where = {STEPPER_FUNCTION(tree_tables_begin_locked), 1, 2500};

    sweep(*state, &where);
}

static void test_death_while_the_run_becomes_part_of_the_tree(void **state)
{
    const place where = {STEPPER_FUNCTION(version_apply), 1, 9000};

    sweep(*state, &where);
}

static void test_death_while_a_memtable_goes(void **state)
{
    const place where = {STEPPER_FUNCTION(tree_tables_drop_locked), 1, 700};

    sweep(*state, &where);
}

static void test_death_while_segments_go(void **state)
{
    const place where = {STEPPER_FUNCTION(tree_segments_drop), 1, 6000};

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
    s.options.memtable_bytes = 64 << 10;
    s.options.segment_max_bytes = 64 << 10;
    s.options.small_file_threshold_bytes = 0;
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
        STEP_TEST(test_death_at_each_system_call),
        STEP_TEST(test_death_while_a_memtable_is_begun),
        STEP_TEST(test_death_while_the_run_becomes_part_of_the_tree),
        STEP_TEST(test_death_while_a_memtable_goes),
        STEP_TEST(test_death_while_segments_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
