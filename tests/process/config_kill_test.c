/*
 * kill -9 of a process that changes settings: at each of its system calls, and
 * at random moments. Two settings are always set to the same number; whoever
 * looks sees two equal ones, the file is whole, and after the next work on
 * files the file and the memory that all share agree.
 *
 *   CASK_TEST_KILLS   how many random ones (100)
 *   CASK_TEST_SEED    to repeat the schedule (not the interleaving)
 */
#define _GNU_SOURCE
#include "scene.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "store/config_file.h"
#include "store/store_settings.h"
#include "support/random.h"

/* What the parent and its child know of each other. */
static struct shared {
    _Atomic uint64_t begun; /* the number that is being set */
    _Atomic uint64_t done;  /* the last that was acknowledged */
    _Atomic uint64_t calls; /* of the os, since the change began */
    _Atomic bool is_open;   /* the parent has the store open */
    uint64_t die_at;        /* call to die before; UINT64_MAX: never */
} * shared;

static void share(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
}

/* ---- The child ---- */

static int set_both(cask_db *db, uint64_t number)
{
    char text[24];
    cask_config_change changes[] = {{"max_segments", text},
                                    {"expiry_grace_seconds", text}};

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    atomic_store(&shared->begun, number);
    if (cask_config_set(db, changes, 2, NULL) != CASK_OK) {
        return 1;
    }
    atomic_store(&shared->done, number);
    return 0;
}

/* A child is made while its parent has no threads. */
static void wait_for_parent(void)
{
    while (!atomic_load(&shared->is_open)) {
        (void)usleep(100);
    }
}

static const os_ops *real;
static _Atomic bool is_armed;

static void count_call(void)
{
    if (atomic_load(&is_armed) &&
        atomic_fetch_add(&shared->calls, 1) == shared->die_at) {
        (void)kill(getpid(), SIGKILL);
    }
}

static int dying_open(os_file *dir, const char *name, uint32_t flags,
                      uint32_t mode, os_file **ret_file)
{
    count_call();
    return real->open(dir, name, flags, mode, ret_file);
}

static int dying_write(os_file *file, const os_span *spans, size_t count,
                       uint64_t offset)
{
    count_call();
    return real->write_at(file, spans, count, offset);
}

static int dying_sync(os_file *file)
{
    count_call();
    return real->sync(file);
}

static int dying_remove(os_file *dir, const char *name)
{
    count_call();
    return real->remove(dir, name);
}

static int dying_rename(os_file *dir, const char *from, const char *to)
{
    count_call();
    return real->rename(dir, from, to);
}

static int dying_sync_dir(os_file *dir)
{
    count_call();
    return real->sync_dir(dir);
}

static int dying_lock(os_file *file, uint64_t offset, uint64_t size,
                      os_lock kind)
{
    count_call();
    return real->lock(file, offset, size, kind);
}

static int set_once_and_die(scene *s)
{
    os *posix = os_posix();
    static os_ops dying;
    cask_db *db = NULL;

    wait_for_parent();
    real = posix->ops;
    dying = *real;
    dying.open = dying_open;
    dying.write_at = dying_write;
    dying.sync = dying_sync;
    dying.remove = dying_remove;
    dying.rename = dying_rename;
    dying.sync_dir = dying_sync_dir;
    dying.lock = dying_lock;
    posix->ops = &dying;
    s->options.auto_merge = false;
    if (cask_open(s->path, &s->options, &db, NULL) != CASK_OK) {
        return 1;
    }
    atomic_store(&is_armed, true);
    if (set_both(db, atomic_load(&shared->done) + 1) != 0) {
        return 2;
    }
    atomic_store(&is_armed, false);
    return cask_close(db, NULL) == CASK_OK ? 0 : 3;
}

static int set_for_ever(scene *s)
{
    cask_db *db = NULL;

    wait_for_parent();
    if (cask_open(s->path, &s->options, &db, NULL) != CASK_OK) {
        return 1;
    }
    for (;;) {
        /* Within the range of both. */
        if (set_both(db, 2 + atomic_load(&shared->done) % 50000) != 0) {
            return 2;
        }
    }
}

/* ---- The parent ---- */

/* The number in force; both are it. */
static uint64_t in_force(cask_db *db)
{
    store_settings settings;

    store_settings_get(db->store, &settings);
    assert_int_equal(settings.max_segments, settings.expiry_grace_seconds);
    return settings.max_segments;
}

static uint64_t in_file(cask_db *db)
{
    cask_error err = {CASK_OK, 0, ""};
    config_file file;
    uint64_t number;

    if (config_file_read(db->store->dir, &file, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    number = file.settings.max_segments;
    assert_int_equal(number, file.settings.expiry_grace_seconds);
    config_file_free(&file);
    return number;
}

/* After a death: what was acknowledged or what was begun, and after the next
 * work on files the same everywhere. */
static void check_all(cask_db *db)
{
    uint64_t begun = atomic_load(&shared->begun);
    uint64_t done = atomic_load(&shared->done);
    uint64_t before = in_force(db);
    uint64_t number;

    assert_true(before == begun || before == done);
    assert_int_equal(store_maintain_begin(db->store, NULL), CASK_OK);
    number = in_file(db);
    assert_int_equal(in_force(db), number);
    store_maintain_end(db->store);
    assert_true(number == begun || number == done);
    atomic_store(&shared->done, number);
    atomic_store(&shared->begun, number);
}

/* A store with settings, closed. */
static void begin(scene *s)
{
    cask_db *db = open_store(s);

    assert_int_equal(set_both(db, 2), 0);
    close_store(s, db);
}

/* Start a child, then open the store that it waits for. */
static pid_t start_beside(scene *s, int (*run)(scene *s), cask_db **ret_db)
{
    pid_t pid;

    atomic_store(&shared->is_open, false);
    pid = start(run, s);
    *ret_db = open_store(s);
    atomic_store(&shared->is_open, true);
    return pid;
}

static void test_killed_at_each_call_it_leaves_old_or_new(void **state)
{
    scene *s = *state;
    int result = 256 + SIGKILL;
    uint64_t at = 0;
    cask_db *db;

    begin(s);
    for (; result == 256 + SIGKILL; at++) {
        atomic_store(&shared->calls, 0);
        shared->die_at = at;
        result = wait_for(start_beside(s, set_once_and_die, &db));
        check_all(db);
        close_store(s, db);
    }
    assert_int_equal(result, 0);
    /* lock, read, remove, open, write, sync, rename, sync_dir, unlock */
    assert_true(at >= 9);
    db = open_store(s);
    check_all(db);
    close_store(s, db);
}

static void test_killed_at_random_it_leaves_old_or_new(void **state)
{
    scene *s = *state;
    test_random random = test_random_make(test_seed(), 1);
    uint64_t kills = test_number("CASK_TEST_KILLS", 100);

    shared->die_at = UINT64_MAX;
    begin(s);
    for (uint64_t i = 0; i < kills; i++) {
        uint64_t first = atomic_load(&shared->done);
        cask_db *db;
        pid_t pid = start_beside(s, set_for_ever, &db);

        while (atomic_load(&shared->done) == first) {
            (void)in_force(db); /* whole, at any moment */
            assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        }
        (void)usleep((useconds_t)test_random_next(&random, 3000));
        end(pid);
        check_all(db);
        close_store(s, db);
        db = open_store(s);
        check_all(db);
        close_store(s, db);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_killed_at_each_call_it_leaves_old_or_new),
        TEST(test_killed_at_random_it_leaves_old_or_new),
    };

    share();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
