/*
 * Death anywhere in a change of a tree's runs: a child writes a run and lets it
 * take the place of another, and is killed, after each system call and after
 * any instruction, while others have the store open. Who merges next finds the
 * tree as it was or as it was to be, and leaves no file besides.
 *
 *   CASK_TEST_POINTS  how many random deaths (default 60)
 */
#include "cask_test.h"

#include <inttypes.h>

#include "process/stepper.h"
#include "store/store_merge.h"
#include "store/store_write.h"
#include "support/random.h"
#include "support/scratch.h"
#include "unit/tree/forest.h"

enum { KEYS = 50, CALLS_LEAST = 40, WINDOW = 60 };

/* The parent's handle, and what is there. */
typedef struct scene {
    char path[SCRATCH_PATH];
    forest f;
    uint64_t id;
    unsigned tag;
} scene;

static void require(cask_status status, const cask_error *err)
{
    if (status != CASK_OK) {
        fail_msg("%s", err->message);
    }
}

static forest_run run_of(unsigned tag)
{
    return (forest_run){0, KEYS, tag, 0, tag};
}

/* ---- The child ---- */

static void *prepare(void *context)
{
    static forest f;
    const scene *s = context;

    return forest_open(&f, s->f.kernel, s->path, true, NULL) == CASK_OK ? &f
                                                                        : NULL;
}

static int perform(void *prepared, void *context)
{
    const scene *s = context;
    const forest_run what = run_of(s->tag + 1);
    forest *f = prepared;
    uint64_t id;

    if (version_settle(f->store, NULL) != CASK_OK) {
        return 1;
    }
    return forest_replace(f, &what, s->id, &id, NULL) == CASK_OK ? 0 : 2;
}

/* ---- The parent ---- */

/* What somebody finds who comes before anything is settled. */
static unsigned find_unsettled(const scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    versions *others = NULL;
    const version *v = NULL;
    unsigned tag;

    require(versions_open(s->f.store, &others, &err), &err);
    require(version_pin(others, &v, &err), &err);
    tag = forest_get(v, 0);
    assert_true(tag == s->tag || tag == s->tag + 1);
    version_unpin(others, v);
    versions_close(others);
    return tag;
}

/* Others go on meanwhile. */
static void edit_manifest(const scene *s)
{
    region_header *header = s->f.store->region.header;
    manifest_edit next = {.type = MANIFEST_NEXT};
    cask_error err = {CASK_OK, 0, ""};

    require(store_maintain_begin(s->f.store, &err), &err);
    next.next.segment_id = header->reserved_id;
    next.next.sequence = atomic_load(&header->next_sequence);
    require(store_edit(s->f.store, &next, &err), &err);
    store_maintain_end(s->f.store);
}

/* Becomes the next merger, and looks. True: the change took place. */
static bool look(scene *s)
{
    cask_error err = {CASK_OK, 0, ""};
    const version *v = NULL;
    unsigned tag = find_unsettled(s);
    bool is_new;

    edit_manifest(s);
    require(store_merge_lock(s->f.store, &err), &err);
    require(version_settle(s->f.store, &err), &err);
    store_merge_unlock(s->f.store);
    require(version_pin(s->f.versions, &v, &err), &err);
    assert_true(forest_get(v, 0) >= tag);
    tag = forest_get(v, 0);
    assert_int_equal(v->count, 1);
    for (unsigned key = 0; key < KEYS; key++) {
        assert_int_equal(forest_get(v, key), tag);
    }
    assert_int_equal(forest_names(&s->f, ".run"), 1);
    assert_int_equal(forest_names(&s->f, ".new"), 0);
    assert_true(forest_has(&s->f, v->runs[0].id));
    is_new = tag == s->tag + 1;
    s->id = v->runs[0].id;
    s->tag = tag;
    version_unpin(s->f.versions, v);
    return is_new;
}

static int set_up(void **state)
{
    static scene s;
    cask_error err = {CASK_OK, 0, ""};
    const forest_run what = run_of(1);

    scratch_make(s.path);
    require(forest_open(&s.f, os_posix(), s.path, true, &err), &err);
    require(forest_replace(&s.f, &what, 0, &s.id, &err), &err);
    store_merge_unlock(s.f.store);
    s.tag = 1;
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;

    forest_close(&s->f);
    assert_int_equal(scratch_regions(s->path), 0);
    scratch_remove(s->path);
    return 0;
}

static void test_death_at_each_system_call_leaves_old_or_new(void **state)
{
    const stepper_work work = {prepare, perform, *state};
    uint64_t changed = 0;
    uint64_t limit = 0;
    uint64_t done;

    do {
        pid_t pid = stepper_start(&work);

        limit++;
        done = stepper_run_calls(pid, limit);
        stepper_kill(pid);
        changed += look(*state);
    } while (done == limit);
    print_message("%" PRIu64 " system calls, %" PRIu64 " changes\n", limit,
                  changed);
    assert_true(limit > CALLS_LEAST);
    assert_true(changed > 1 && changed < limit);
}

/* Killed `steps` instructions after the first call of a function. */
static uint64_t die_in(scene *s, void (*function)(void), uint64_t steps)
{
    const stepper_work work = {prepare, perform, s};
    pid_t pid = stepper_start(&work);
    uint64_t done = 0;

    if (stepper_run_to(pid, function, 1)) {
        done = stepper_step(pid, steps);
    }
    stepper_kill(pid);
    (void)look(s);
    return done;
}

static void test_death_at_each_instruction_of_the_publication(void **state)
{
    for (uint64_t steps = 1; steps <= WINDOW; steps++) {
        assert_true(
            die_in(*state, STEPPER_FUNCTION(store_publish_runs), steps) > 0);
    }
}

static void test_death_at_any_instruction_of_a_change(void **state)
{
    uint64_t points = test_number("CASK_TEST_POINTS", 60);
    test_random random = test_random_make(test_seed(), 0);
    uint64_t deaths = 0;

    for (uint64_t i = 0; i < points; i++) {
        uint64_t steps = 1 + test_random_next(&random, 20000);

        deaths +=
            die_in(*state, STEPPER_FUNCTION(version_apply), steps) == steps;
    }
    print_message("%" PRIu64 " deaths\n", deaths);
    assert_true(deaths > points / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_death_at_each_system_call_leaves_old_or_new, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_death_at_each_instruction_of_the_publication, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_death_at_any_instruction_of_a_change, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("version_step", tests, NULL, NULL);
}
