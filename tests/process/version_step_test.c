/*
 * Death anywhere in a change of a tree's runs: a child writes a run and lets it
 * take the place of another, and is killed, after each system call and after
 * any instruction, while others have the store open. Who merges next finds the
 * tree as it was or as it was to be, and leaves no file besides. And a reader
 * that is stopped there while another thread changes the runs: what it pins is
 * whole.
 *
 *   CASK_TEST_POINTS  how many random deaths (default 40)
 */
#define _GNU_SOURCE
#include "cask_test.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "process/stepper.h"
#include "store/store_merge.h"
#include "store/store_write.h"
#include "support/random.h"
#include "support/require.h"
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

    require_ok(versions_open(s->f.store, &others, &err), &err);
    require_ok(version_pin(others, &v, &err), &err);
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

    require_ok(store_maintain_begin(s->f.store, &err), &err);
    next.next.segment_id = header->reserved_id;
    next.next.sequence = atomic_load(&header->next_sequence);
    require_ok(store_edit(s->f.store, &next, &err), &err);
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
    require_ok(store_merge_lock(s->f.store, &err), &err);
    require_ok(version_settle(s->f.store, &err), &err);
    store_merge_unlock(s->f.store);
    require_ok(version_pin(s->f.versions, &v, &err), &err);
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
    require_ok(forest_open(&s.f, os_posix(), s.path, true, &err), &err);
    require_ok(forest_replace(&s.f, &what, 0, &s.id, &err), &err);
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
    uint64_t points = test_number("CASK_TEST_POINTS", 40);
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

/* ---- A reader that stops ---- */

/* What parent and child share. */
typedef struct talk {
    _Atomic int is_stopped; /* the reader is, somewhere */
    _Atomic int is_changed; /* the runs are, and nobody else has the old ones */
} talk;

typedef struct stop {
    scene *s;
    talk *talk;
    forest *f; /* the child's */
} stop;

/* In the child, beside its reader. */
static void *change_meanwhile(void *context)
{
    const stop *stopped = context;
    const scene *s = stopped->s;
    const forest_run what = run_of(s->tag + 1);
    const version *v = NULL;
    uint64_t id;

    while (atomic_load(&stopped->talk->is_stopped) == 0) {
        (void)sched_yield();
    }
    if (forest_replace(stopped->f, &what, s->id, &id, NULL) == CASK_OK &&
        version_pin(stopped->f->versions, &v, NULL) == CASK_OK) {
        version_unpin(stopped->f->versions, v);
        atomic_store(&stopped->talk->is_changed, 1);
    } else {
        atomic_store(&stopped->talk->is_changed, -1);
    }
    return NULL;
}

static void *prepare_reader(void *context)
{
    stop *stopped = context;
    forest *f = prepare(stopped->s);
    const version *v = NULL;
    pthread_t thread;

    if (f == NULL || version_settle(f->store, NULL) != CASK_OK ||
        version_pin(f->versions, &v, NULL) != CASK_OK) {
        return NULL;
    }
    version_unpin(f->versions, v);
    stopped->f = f;
    return pthread_create(&thread, NULL, change_meanwhile, stopped) == 0 ? f
                                                                         : NULL;
}

static int read_once(void *prepared, void *context)
{
    const stop *stopped = context;
    forest *f = prepared;
    const version *v = NULL;
    unsigned tag;

    if (version_pin(f->versions, &v, NULL) != CASK_OK) {
        return 1;
    }
    for (unsigned key = 0; key < KEYS; key++) {
        tag = forest_get(v, key);
        if (v->count != 1 ||
            (tag != stopped->s->tag && tag != stopped->s->tag + 1)) {
            return 2;
        }
    }
    version_unpin(f->versions, v);
    return 0;
}

/* `steps` instructions after it began. Fails if the reader does. */
static void stop_reader(scene *s, talk *shared, uint64_t steps)
{
    stop stopped = {s, shared, NULL};
    const stepper_work work = {prepare_reader, read_once, &stopped};
    pid_t pid;

    *shared = (talk){0};
    pid = stepper_start(&work);
    assert_true(stepper_run_to(pid, STEPPER_FUNCTION(version_pin), 1));
    assert_int_equal(stepper_step(pid, steps), steps);
    atomic_store(&shared->is_stopped, 1);
    while (atomic_load(&shared->is_changed) == 0) {
        (void)sched_yield();
    }
    assert_int_equal(atomic_load(&shared->is_changed), 1);
    (void)stepper_run_calls(pid, UINT64_MAX); /* to its end */
    stepper_kill(pid);
    assert_true(look(s));
}

static void test_what_a_stopped_reader_pins_is_whole(void **state)
{
    void *shared = mmap(NULL, sizeof(talk), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(shared != MAP_FAILED);
    for (uint64_t steps = 0; steps <= WINDOW; steps++) {
        stop_reader(*state, shared, steps);
    }
    assert_int_equal(munmap(shared, sizeof(talk)), 0);
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
        cmocka_unit_test_setup_teardown(
            test_what_a_stopped_reader_pins_is_whole, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("version_step", tests, NULL, NULL);
}
