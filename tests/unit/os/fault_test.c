/*
 * os_fault: counts what can fail, fails what it is told to, and a sweep over
 * all calls finds its own end.
 */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void arm(place *at, os_call only, uint64_t fail_at, int error)
{
    os_fault_plan plan = {.only = only, .fail_at = fail_at, .error = error};

    os_fault_arm(&at->fault, &plan);
}

static void disarm(place *at)
{
    os_fault_arm(&at->fault, &OS_FAULT_NOTHING);
}

/* --- what a store does all the time --------------------------------------- */

static int write_aside(os_file *dir, const char *text)
{
    const os_ops *ops = dir->os->ops;
    os_span span = {.data = text, .size = strlen(text)};
    os_file *file = NULL;
    int error =
        ops->open(dir, "name.new", OS_WRITE | OS_CREATE | OS_EXCL, 0600, &file);

    if (error != 0) {
        return error;
    }
    error = ops->write_at(file, &span, 1, 0);
    if (error == 0) {
        error = ops->sync(file);
    }
    ops->close(file);
    return error;
}

/* Replace the content of "name", all or nothing. */
static int publish(os_file *dir, const char *text)
{
    const os_ops *ops = dir->os->ops;
    int error = write_aside(dir, text);

    if (error == 0) {
        error = ops->rename(dir, "name.new", "name");
    }
    return error == 0 ? ops->sync_dir(dir) : error;
}

/* --- sweeps --------------------------------------------------------------- */

static void test_a_sweep_finds_its_end(void **state)
{
    place *at = *state;
    char calls[128];

    for (uint64_t fail_at = 0;; fail_at++) {
        int error;
        disarm(at);
        (void)at->os->ops->remove(at->dir, "name.new");
        assert_int_equal(publish(at->dir, "old"), 0);
        arm(at, OS_CALL_ANY, fail_at, ENOSPC);
        error = publish(at->dir, "new");
        if (os_fault_fired(&at->fault) == 0) {
            assert_int_equal(error, 0);
            assert_int_equal(fail_at, 5);
            assert_string_equal(
                os_fault_describe(&at->fault, calls, sizeof(calls)),
                "open write_at sync rename sync_dir");
            return;
        }
        assert_int_equal(error, ENOSPC);
        assert_int_equal(os_fault_fired(&at->fault), 1);
        assert_true(name_has_text(at->dir, "name", "old") ||
                    name_has_text(at->dir, "name", "new"));
    }
}

/*
 * The same on a disk that also loses power right after the failure: the
 * content is old or new, whichever call failed and whatever survived.
 */
static void test_a_sweep_with_power_loss(void **state)
{
    uint64_t fail_at = 0;
    bool fired = true;

    (void)state;
    for (; fired; fail_at++) {
        for (uint64_t seed = 0; seed < 200; seed++) {
            void *at_void = NULL;
            place *at;
            os_file *dir = NULL;
            os_fault fault;
            os_fault_plan plan = {.fail_at = fail_at, .error = EIO};
            int error;

            assert_int_equal(place_setup_sim(&at_void), 0);
            at = at_void;
            assert_int_equal(publish(at->dir, "old"), 0);
            os_fault_init(&fault, at->os);
            assert_int_equal(
                fault.base.ops->open_dir(&fault.base, "/store", &dir), 0);
            os_fault_arm(&fault, &plan);
            error = publish(dir, "new");
            fired = os_fault_fired(&fault) > 0;
            assert_int_equal(error, fired ? EIO : 0);
            fault.base.ops->close(dir);
            at->os->ops->close(at->dir);
            assert_int_equal(os_sim_crash(at->sim, test_seed() + seed), 0);
            assert_int_equal(at->os->ops->open_dir(at->os, "/store", &at->dir),
                             0);
            assert_true(name_has_text(at->dir, "name", "new") ||
                        (fired && name_has_text(at->dir, "name", "old")));
            assert_int_equal(place_teardown(&at_void), 0);
        }
    }
    assert_int_equal(fail_at, 6); /* five calls, and the run without fault */
}

/* --- plans
 * --------------------------------------------------------------------- */

static int open_any(place *at)
{
    os_file *file = NULL;
    int error =
        at->os->ops->open(at->dir, "f", OS_READ | OS_CREATE, 0600, &file);

    at->os->ops->close(file);
    return error;
}

static void test_once_and_for_ever(void **state)
{
    place *at = *state;
    os_fault_plan plan = {.fail_at = 1, .error = EMFILE, .for_ever = true};

    arm(at, OS_CALL_ANY, 1, EMFILE);
    assert_int_equal(open_any(at), 0);
    assert_int_equal(open_any(at), EMFILE);
    assert_int_equal(open_any(at), 0);
    assert_int_equal(os_fault_fired(&at->fault), 1);

    os_fault_arm(&at->fault, &plan);
    assert_int_equal(open_any(at), 0);
    assert_int_equal(open_any(at), EMFILE);
    assert_int_equal(open_any(at), EMFILE);
    assert_int_equal(os_fault_fired(&at->fault), 2);
    assert_int_equal(os_fault_counted(&at->fault), 3);
}

static void test_one_operation_by_name(void **state)
{
    place *at = *state;

    arm(at, OS_CALL_SYNC, 0, EIO);
    assert_int_equal(publish(at->dir, "text"), EIO);
    assert_int_equal(os_fault_counted(&at->fault), 1);
    assert_int_equal(os_fault_count_of(&at->fault, OS_CALL_WRITE_AT), 1);
    assert_int_equal(os_fault_count_of(&at->fault, OS_CALL_RENAME), 0);
    assert_int_equal(os_fault_count_of(&at->fault, OS_CALL_ANY), 3);
    assert_true(name_has_text(at->dir, "name.new", "text"));
}

static void test_a_short_write_leaves_half(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    os_span spans[3] = {{"abc", 3}, {"defg", 4}, {"hij", 3}};
    os_fault_plan plan = {
        .only = OS_CALL_WRITE_AT, .error = ENOSPC, .short_write = true};

    os_fault_arm(&at->fault, &plan);
    assert_int_equal(at->os->ops->write_at(file, spans, 3, 0), ENOSPC);
    assert_true(has_text(file, "abcde"));
    assert_int_equal(at->os->ops->write_at(file, spans, 3, 0), 0);
    assert_true(has_text(file, "abcdefghij"));
    at->os->ops->close(file);
}

/* --- every operation
 * -------------------------------------------------------------- */

static bool visit(void *context, const char *name)
{
    (void)context;
    (void)name;
    return true;
}

static void do_nothing(void *argument)
{
    (void)argument;
}

static int call_on_os(os *self, os_call call, const char *path)
{
    static os_mutex mutex;
    static uint32_t word = 1;
    os_file *file = NULL;
    os_thread *thread = NULL;
    void *memory = NULL;
    uint32_t *fork_word = NULL;
    uint8_t bytes[16];

    switch ((int)call) {
    case OS_CALL_OPEN_DIR:
        return self->ops->open_dir(self, path, &file);
    case OS_CALL_MAKE_DIR:
        return self->ops->make_dir(self, path, 0700);
    case OS_CALL_REMOVE_DIR:
        return self->ops->remove_dir(self, path);
    case OS_CALL_MAP_PRIVATE:
        return self->ops->map_private(self, 4096, &memory);
    case OS_CALL_MUTEX_INIT:
        return self->ops->mutex_init(self, &mutex);
    case OS_CALL_THREAD_START:
        return self->ops->thread_start(self, do_nothing, NULL, &thread);
    case OS_CALL_RANDOM:
        return self->ops->random(self, bytes, 16);
    case OS_CALL_BOOT_ID:
        return self->ops->boot_id(self, bytes);
    case OS_CALL_FORK_WORD:
        return self->ops->fork_word(self, &fork_word);
    case OS_CALL_MUTEX_LOCK:
        return self->ops->mutex_lock(self, &mutex, 0);
    case OS_CALL_FUTEX_WAIT:
        return self->ops->futex_wait(self, &word, 0, 0);
    default:
        return -1;
    }
}

static int call_on_dir(os_file *dir, os_call call)
{
    os_file *file = NULL;
    os_space space;
    os_stat entry;

    switch ((int)call) {
    case OS_CALL_LIST:
        return dir->os->ops->list(dir, visit, NULL);
    case OS_CALL_SPACE:
        return dir->os->ops->space(dir, &space);
    case OS_CALL_SYNC_DIR:
        return dir->os->ops->sync_dir(dir);
    case OS_CALL_STAT_NAME:
        return dir->os->ops->stat_name(dir, "f", &entry);
    case OS_CALL_REMOVE:
        return dir->os->ops->remove(dir, "f");
    case OS_CALL_RENAME:
        return dir->os->ops->rename(dir, "f", "g");
    case OS_CALL_LINK:
        return dir->os->ops->link(dir, "f", dir, "g");
    case OS_CALL_OPEN:
        return dir->os->ops->open(dir, "f", OS_READ, 0, &file);
    default:
        return -1;
    }
}

static int call_on_file(os_file *file, os_call call)
{
    os_span span = {.data = "x", .size = 1};
    void *memory = NULL;
    os_stat entry;
    bool locked;
    size_t got;
    char byte;

    switch ((int)call) {
    case OS_CALL_STAT:
        return file->os->ops->stat(file, &entry);
    case OS_CALL_READ_AT:
        return file->os->ops->read_at(file, &byte, 1, 0, &got);
    case OS_CALL_WRITE_AT:
        return file->os->ops->write_at(file, &span, 1, 0);
    case OS_CALL_ALLOCATE:
        return file->os->ops->allocate(file, 0, 1);
    case OS_CALL_RESERVE:
        return file->os->ops->reserve(file, 0, 1);
    case OS_CALL_TRUNCATE:
        return file->os->ops->truncate(file, 1);
    case OS_CALL_SYNC:
        return file->os->ops->sync(file);
    case OS_CALL_MAP:
        return file->os->ops->map(file, 0, 1, false, &memory);
    case OS_CALL_LOCK:
        return file->os->ops->lock(file, 0, 1, OS_SHARED);
    case OS_CALL_IS_LOCKED:
        return file->os->ops->is_locked(file, 0, 1, &locked);
    default:
        return -1;
    }
}

static void test_every_operation_can_fail_without_effect(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");

    put_text(file, "", 0);
    for (os_call call = OS_CALL_ANY + 1; call < OS_CALL_COUNT; call++) {
        int error;
        arm(at, call, 0, 98);
        error = call_on_os(at->os, call, at->path);
        error = error == -1 ? call_on_dir(at->dir, call) : error;
        error = error == -1 ? call_on_file(file, call) : error;
        assert_int_equal(error, 98);
        assert_int_equal(os_fault_fired(&at->fault), 1);
        assert_int_equal(os_fault_count_of(&at->fault, call), 1);
        assert_true(strlen(os_call_name(call)) >= 3);
    }
    disarm(at);
    assert_true(has_text(file, ""));
    assert_true(name_exists(at->dir, "f"));
    at->os->ops->close(file);
}

static void test_waits_and_unlocking_fail_only_by_name(void **state)
{
    place *at = *state;
    os_file *file = create_file(at->dir, "f");
    os_mutex mutex;
    uint32_t word = 1;
    os_fault_plan all = {.error = EIO, .for_ever = true};

    assert_int_equal(at->os->ops->mutex_init(at->os, &mutex), 0);
    assert_int_equal(at->os->ops->lock(file, 0, 1, OS_SHARED), 0);
    os_fault_arm(&at->fault, &all);
    assert_int_equal(at->os->ops->mutex_lock(at->os, &mutex, 0), 0);
    assert_int_equal(at->os->ops->futex_wait(at->os, &word, 0, 0), 0);
    assert_int_equal(at->os->ops->lock(file, 0, 1, OS_UNLOCK), 0);
    assert_int_equal(os_fault_counted(&at->fault), 0);
    assert_int_equal(at->os->ops->lock(file, 0, 1, OS_SHARED), EIO);
    at->os->ops->mutex_unlock(at->os, &mutex);
    at->os->ops->close(file);
}

/* --- reports
 * ------------------------------------------------------------------------ */

static void test_describe_stops_at_a_whole_name(void **state)
{
    place *at = *state;
    char text[16];

    disarm(at);
    assert_string_equal(os_fault_describe(&at->fault, text, 16), "");
    (void)open_any(at);
    (void)at->os->ops->remove(at->dir, "f");
    (void)at->os->ops->sync_dir(at->dir);
    assert_string_equal(os_fault_describe(&at->fault, text, 16), "open remove");
    assert_string_equal(os_fault_describe(&at->fault, text, 12), "open remove");
    assert_string_equal(os_fault_describe(&at->fault, text, 11), "open");
    assert_string_equal(os_fault_describe(&at->fault, text, 1), "");
}

static void read_often(void *argument)
{
    place *at = argument;
    os_stat entry;

    for (int i = 0; i < 10000; i++) {
        (void)at->os->ops->stat(at->dir, &entry);
    }
}

static void test_threads_are_counted_exactly(void **state)
{
    place *at = *state;
    os_thread *threads[4];

    arm(at, OS_CALL_STAT, 7777, EIO);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            at->os->ops->thread_start(at->os, read_often, at, &threads[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        at->os->ops->thread_join(at->os, threads[i]);
    }
    assert_int_equal(os_fault_counted(&at->fault), 40000);
    assert_int_equal(os_fault_fired(&at->fault), 1);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, place_setup_fault, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_sweep_finds_its_end),
        cmocka_unit_test(test_a_sweep_with_power_loss),
        TEST(test_once_and_for_ever),
        TEST(test_one_operation_by_name),
        TEST(test_a_short_write_leaves_half),
        TEST(test_every_operation_can_fail_without_effect),
        TEST(test_waits_and_unlocking_fail_only_by_name),
        TEST(test_describe_stops_at_a_whole_name),
        TEST(test_threads_are_counted_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
