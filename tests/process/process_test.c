/*
 * Handles and processes that share a store, get in each other's way, stop or
 * die.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "scene.h"

enum { COMMITTERS = 16, COMMITS = 20 };

/* ---- One process ---- */

static void test_two_handles_share_one_store(void **state)
{
    scene *s = *state;
    cask_db *one = open_store(s);
    cask_db *two = open_store(s);
    uint64_t count = 0;

    put(s, one, "a", "1");
    expect(s, two, "a", "1");
    put(s, two, "a", "2");
    expect(s, one, "a", "2");
    close_store(s, one);
    put(s, two, "b", "3");
    require(s, cask_count(two, &count, &s->err));
    assert_int_equal(count, 2);
    close_store(s, two);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 1);
}

/* ---- fork() ---- */

/* Everything that a child may try with its parent's handle. */
static int try_in_child(scene *s, cask_db *db)
{
    cask_buffer value = {NULL, 0, 0};
    uint64_t count = 0;
    bool exists = false;
    cask_stats stats;
    cask_view view;
    cask_slice key = cask_slice_of("a");

    (void)s;
    return cask_put(db, key, key, NULL) == CASK_FORKED &&
                   cask_get(db, key, &value, NULL) == CASK_FORKED &&
                   cask_delete(db, key, NULL, NULL) == CASK_FORKED &&
                   cask_exists(db, key, &exists, NULL) == CASK_FORKED &&
                   cask_count(db, &count, NULL) == CASK_FORKED &&
                   cask_view_acquire(db, key, &view, NULL) == CASK_FORKED &&
                   cask_sync(db, NULL) == CASK_FORKED &&
                   cask_stat(db, &stats, NULL) == CASK_FORKED &&
                   cask_refresh(db, NULL) == CASK_FORKED &&
                   cask_close(db, NULL) == CASK_FORKED
               ? 0
               : 1;
}

static void check_fork(scene *s, bool raw)
{
    cask_db *db = open_store(s);
    cask_db *third;
    long pid;

    put(s, db, "a", "1");
    pid = raw ? syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) : fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(try_in_child(s, db));
    }
    assert_int_equal(wait_for((pid_t)pid), 0);
    /* The parent still has its place and its locks. */
    put(s, db, "a", "2");
    s->options.exclusive = true;
    assert_int_equal(cask_open(s->path, &s->options, &third, &s->err),
                     CASK_BUSY);
    s->options.exclusive = false;
    expect(s, db, "a", "2");
    close_store(s, db);
}

static void test_forked_child_cannot_touch_the_store(void **state)
{
    check_fork(*state, false);
}

static void test_cloned_child_cannot_touch_the_store(void **state)
{
    check_fork(*state, true);
}

/* ---- The write role ---- */

static int hold_exclusively(scene *s)
{
    cask_db *db;

    s->options.exclusive = true;
    db = open_store(s);
    put(s, db, "held", "yes");
    (void)pause();
    return 0;
}

static void test_exclusive_writer_is_named_to_others(void **state)
{
    scene *s = *state;
    cask_db *reader;
    cask_db *db = NULL;
    char pid_text[16];
    pid_t pid;

    close_store(s, open_store(s));
    pid = start(hold_exclusively, s);
    (void)snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
    s->options.read_only = true;
    reader = open_store(s);
    for (int i = 0; i < 1000; i++) { /* until it has the region */
        cask_stats stats;

        require(s, cask_stat(reader, &stats, &s->err));
        if (!stats.private_index) {
            break;
        }
        close_store(s, reader);
        (void)usleep(5000);
        reader = open_store(s);
    }
    wait_for_key(reader, "held");
    close_store(s, reader);
    s->options.read_only = false;
    assert_int_equal(cask_open(s->path, &s->options, &db, &s->err), CASK_BUSY);
    assert_non_null(strstr(s->err.message, pid_text));
    s->options.exclusive = true;
    assert_int_equal(cask_open(s->path, &s->options, &db, &s->err), CASK_BUSY);
    assert_non_null(strstr(s->err.message, pid_text));
    end(pid);
    db = open_store(s);
    expect(s, db, "held", "yes");
    close_store(s, db);
}

/* ---- A stopped process ---- */

_Noreturn static int put_for_ever(scene *s)
{
    cask_db *db;

    s->options.sync = CASK_SYNC_NONE;
    db = open_store(s);
    for (;;) {
        put(s, db, "busy", "a value that takes a moment to copy");
    }
}

/* Whether this process has the write lock and has entered itself: the first
 * word of a robust mutex is its owner. */
static bool holds_lock(const cask_db *db, pid_t pid)
{
    const region_handle *region = &db->store->region;
    uint32_t holder = atomic_load(&region->header->lock_holder);
    uint32_t word;

    memcpy(&word, &region->header->write_lock, sizeof(word));
    return (word & 0x3fffffff) != 0 && holder != 0 &&
           region->processes[holder - 1].pid == (uint32_t)pid;
}

/* Whether somebody syncs or tidies: a put may wait for that as well. */
static bool is_busy_otherwise(const cask_db *db)
{
    const store_handle *store = db->store;
    bool locked = false;

    return store->os->ops->is_locked(store->lock_file, LOCK_MAINTENANCE, 1,
                                     &locked) != 0 ||
           locked || atomic_load(&store->region.header->commit.leader) != 0;
}

/* Stop it at a moment at which it holds the write lock and nothing else. */
static void stop_holding(const cask_db *db, pid_t pid)
{
    for (int i = 0; i < 20000; i++) {
        int status = 0;

        (void)kill(pid, SIGSTOP);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
        if (holds_lock(db, pid) && !is_busy_otherwise(db)) {
            return;
        }
        (void)kill(pid, SIGCONT);
        (void)usleep(100 + (useconds_t)i % 400);
    }
    fail_msg("the lock was never held");
}

/* A put that waits in vain, for less than all others may: on a busy machine
 * these can take long. */
static void put_in_vain(scene *s, cask_db *db)
{
    uint32_t usual_ms = db->store->options.lock_timeout_ms;

    db->store->options.lock_timeout_ms = 200;
    assert_int_equal(
        cask_put(db, cask_slice_of("mine"), cask_slice_of("after"), &s->err),
        CASK_TIMEOUT);
    db->store->options.lock_timeout_ms = usual_ms;
}

static void test_stopped_lock_holder_is_waited_for_and_named(void **state)
{
    scene *s = *state;
    char pid_text[16];
    cask_db *db;
    pid_t pid;

    /* The background thread must not wait for the lock. */
    s->options.sync = CASK_SYNC_NONE;
    db = open_store(s);
    put(s, db, "mine", "before");
    pid = start(put_for_ever, s);
    (void)snprintf(pid_text, sizeof(pid_text), "process %d", (int)pid);
    wait_for_key(db, "busy");
    stop_holding(db, pid);
    put_in_vain(s, db);
    assert_non_null(strstr(s->err.message, pid_text));
    assert_non_null(strstr(s->err.message, "nothing was written"));
    /* Readers wait for nobody. */
    expect(s, db, "mine", "before");
    assert_true(holds_lock(db, pid));
    (void)kill(pid, SIGCONT);
    put(s, db, "mine", "later");
    expect(s, db, "mine", "later");
    end(pid);
    put(s, db, "mine", "last");
    close_store(s, db);
}

/* ---- Group commit ---- */

static int commit_some(scene *s)
{
    cask_db *db;

    s->options.sync = CASK_SYNC_COMMIT;
    db = open_store(s);
    for (int i = 0; i < COMMITS; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "%d-%d", (int)getpid(), i);
        put(s, db, key, "committed");
    }
    close_store(s, db);
    return 0;
}

static void test_sixteen_committers_share_syncs(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    pid_t pids[COMMITTERS];
    cask_stats stats;

    for (int i = 0; i < COMMITTERS; i++) {
        pids[i] = start(commit_some, s);
    }
    for (int i = 0; i < COMMITTERS; i++) {
        assert_int_equal(wait_for(pids[i]), 0);
    }
    require(s, cask_stat(db, &stats, &s->err));
    assert_int_equal(stats.key_count, COMMITTERS * COMMITS);
    assert_true(stats.durable_sequence >= stats.key_count);
    print_message("%d commits by %" PRIu64 " syncs\n", COMMITTERS * COMMITS,
                  stats.syncs);
    assert_true(stats.syncs < COMMITTERS * COMMITS);
    for (int i = 0; i < COMMITTERS; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "%d-%d", (int)pids[i], COMMITS - 1);
        expect(s, db, key, "committed");
    }
    close_store(s, db);
}

/* ---- Readers ---- */

static int write_one(scene *s)
{
    cask_db *db = open_store(s);

    put(s, db, "other", "process");
    close_store(s, db);
    return 0;
}

static void test_reader_sees_what_another_process_writes(void **state)
{
    scene *s = *state;
    cask_db *writer = open_store(s);
    cask_db *reader;

    s->options.read_only = true;
    reader = open_store(s);
    s->options.read_only = false;
    expect(s, reader, "other", NULL);
    assert_int_equal(wait_for(start(write_one, s)), 0);
    expect(s, reader, "other", "process");
    assert_int_equal(
        cask_put(reader, cask_slice_of("a"), cask_slice_of("b"), &s->err),
        CASK_READ_ONLY);
    assert_int_equal(cask_delete(reader, cask_slice_of("other"), NULL, &s->err),
                     CASK_READ_ONLY);
    close_store(s, writer);
    /* The last writer is gone; the reader keeps the region, a new one joins. */
    writer = open_store(s);
    put(s, writer, "other", "again");
    expect(s, reader, "other", "again");
    close_store(s, writer);
    close_store(s, reader);
}

/* A large active segment is sealed by the last close, not by one that leaves
 * a reader behind. */
static void test_writer_goes_on_behind_a_close_with_readers(void **state)
{
    scene *s = *state;
    cask_db *writer;
    cask_db *reader;

    s->options.small_file_threshold_bytes = 0;
    for (int round = 0; round < 4; round++) {
        char key[32];

        writer = open_store(s);
        if (round == 0) {
            s->options.read_only = true;
            reader = open_store(s);
            s->options.read_only = false;
        }
        for (int i = 0; i < 100; i++) {
            (void)snprintf(key, sizeof(key), "%d-%d", round, i);
            put(s, writer, key, "one of many values");
        }
        close_store(s, writer);
        expect(s, reader, key, "one of many values");
    }
    close_store(s, reader);
    writer = open_store(s);
    expect(s, writer, "0-0", "one of many values");
    expect(s, writer, "3-99", "one of many values");
    close_store(s, writer);
}

/* ---- The region ---- */

static void test_lingering_region_is_used_again(void **state)
{
    scene *s = *state;
    cask_db *db;

    s->options.linger = true;
    db = open_store(s);
    put(s, db, "a", "1");
    close_store(s, db);
    assert_int_equal(scratch_regions(s->path), 1);
    s->events[CASK_EVENT_RECOVERED] = 0;
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 0);
    expect(s, db, "a", "1");
    put(s, db, "a", "2");
    close_store(s, db);
    s->options.linger = false;
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 0);
    expect(s, db, "a", "2");
    close_store(s, db);
    assert_int_equal(scratch_regions(s->path), 0);
}

/* A byte more or less in a file, and the region is not believed any more. */
static void
test_lingering_region_that_differs_from_the_files_is_not(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 32];
    cask_db *db;
    FILE *file;

    s->options.linger = true;
    db = open_store(s);
    put(s, db, "a", "1");
    close_store(s, db);
    (void)snprintf(name, sizeof(name), "%s/MANIFEST", s->path);
    file = fopen(name, "ab");
    assert_non_null(file);
    assert_int_equal(fputc(0, file), 0);
    assert_int_equal(fclose(file), 0);
    s->events[CASK_EVENT_RECOVERED] = 0;
    s->options.linger = false;
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 1);
    expect(s, db, "a", "1");
    close_store(s, db);
}

static _Noreturn int write_and_die(scene *s)
{
    put(s, open_store(s), "b", "synced elsewhere");
    _exit(0);
}

/* Kept here, then written with a region in another place by a process that was
 * killed: nothing in the sizes and names of files tells. */
static void
test_lingering_region_of_a_store_written_elsewhere_is_not_used(void **state)
{
    scene *s = *state;
    char elsewhere[SCRATCH_PATH];
    cask_db *db;
    int how = 0;
    pid_t pid;

    scratch_make(elsewhere);
    s->options.linger = true;
    s->options.sync = CASK_SYNC_COMMIT;
    db = open_store(s);
    put(s, db, "a", "1");
    close_store(s, db);
    s->options.region_dir = elsewhere;
    pid = start(write_and_die, s);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(WEXITSTATUS(how), 0);
    s->options.region_dir = NULL;
    s->options.linger = false;
    db = open_store(s);
    expect(s, db, "b", "synced elsewhere");
    put(s, db, "c", "2");
    close_store(s, db);
    scratch_remove(elsewhere);
}

/* Nor while the one elsewhere lives. */
static void
test_lingering_region_is_not_joined_beside_a_living_one(void **state)
{
    scene *s = *state;
    char elsewhere[SCRATCH_PATH];
    cask_db *first;
    cask_db *db = NULL;

    scratch_make(elsewhere);
    s->options.linger = true;
    first = open_store(s);
    put(s, first, "a", "1");
    close_store(s, first);
    s->options.region_dir = elsewhere;
    s->options.linger = false;
    first = open_store(s);
    put(s, first, "b", "2");
    s->options.region_dir = NULL;
    assert_int_equal(cask_open(s->path, &s->options, &db, &s->err),
                     CASK_NAMESPACE);
    close_store(s, first);
    db = open_store(s);
    expect(s, db, "b", "2");
    close_store(s, db);
    scratch_remove(elsewhere);
}

static int write_and_wait(scene *s)
{
    cask_db *db = open_store(s);

    put(s, db, "dead", "writer");
    return raise(SIGSTOP);
}

static _Noreturn int write_four_and_die(scene *s)
{
    cask_db *db;

    s->options.sync = CASK_SYNC_NONE;
    db = open_store(s);
    put(s, db, "1", "first");
    put(s, db, "2", "second");
    put(s, db, "3", "third");
    put(s, db, "4", "fourth");
    _exit(0);
}

/* Records that were acknowledged and not synced: nobody promised them, but they
 * are not lost without a word. */
static void test_damage_behind_the_last_sync_is_told(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 32];
    cask_stats stats;
    cask_db *db;
    FILE *file;
    int how = 0;
    pid_t pid = start(write_four_and_die, s);

    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(WEXITSTATUS(how), 0);
    (void)snprintf(name, sizeof(name), "%s/0000000000000001.log", s->path);
    file = fopen(name, "r+b");
    assert_non_null(file);
    /* The key of the second record. */
    assert_int_equal(fseek(file, 64 + 32 + 24, SEEK_SET), 0);
    assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fclose(file), 0);
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_DAMAGE], 1);
    assert_int_equal(cask_stat(db, &stats, &s->err), CASK_OK);
    assert_true(stats.damaged_bytes == 3 * 32);
    expect(s, db, "1", "first");
    close_store(s, db);
}

/* By maps or by calls: what its index names stays, whatever is merged. */
static void test_private_reader_keeps_what_it_reads(void **state)
{
    scene *s = *state;
    cask_merge_options all = {.all = true};
    char elsewhere[SCRATCH_PATH];
    char filler[1000] = {0};
    cask_options reading;
    cask_db *reader[2];
    cask_db *db;

    scratch_make(elsewhere);
    s->options.segment_max_bytes = 65536;
    s->options.auto_merge = false;
    db = open_store(s);
    put(s, db, "kept", "old");
    for (int i = 0; i < 200; i++) {
        assert_int_equal(cask_put(db, cask_slice_of("filler"),
                                  (cask_slice){filler, sizeof(filler)},
                                  &s->err),
                         CASK_OK);
    }
    reading = s->options;
    reading.read_only = true;
    reading.region_dir = elsewhere;
    for (int i = 0; i < 2; i++) {
        reading.io = i == 0 ? CASK_IO_MAP : CASK_IO_PREAD;
        assert_int_equal(cask_open(s->path, &reading, &reader[i], &s->err),
                         CASK_OK);
    }
    put(s, db, "kept", "new");
    assert_int_equal(cask_merge(db, &all, NULL, &s->err), CASK_OK);
    for (int i = 0; i < 2; i++) {
        expect(s, reader[i], "kept", "old");
        assert_int_equal(cask_refresh(reader[i], &s->err), CASK_OK);
        expect(s, reader[i], "kept", "new");
        close_store(s, reader[i]);
    }
    close_store(s, db);
    scratch_remove(elsewhere);
}

static void test_region_of_a_dead_process_is_rebuilt(void **state)
{
    scene *s = *state;
    pid_t pid = start(write_and_wait, s);
    cask_db *db;
    int status;

    /* The child is the only one: its region has nobody when it is dead. */
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    end(pid);
    assert_int_equal(scratch_regions(s->path), 1);
    s->events[CASK_EVENT_RECOVERED] = 0;
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 1);
    expect(s, db, "dead", "writer");
    close_store(s, db);
}

/* ---- Places of dead processes ---- */

static int open_and_die(scene *s)
{
    (void)open_store(s);
    return kill(getpid(), SIGKILL);
}

static uint64_t handles_of(scene *s, cask_db *db)
{
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    return stats.handle_count;
}

static void test_dead_process_counts_no_more(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);
    pid_t pid = start(write_and_wait, s);

    wait_for_key(db, "dead");
    assert_int_equal(handles_of(s, db), 2);
    end(pid);
    assert_int_equal(handles_of(s, db), 1);
    close_store(s, db);
}

/* More of them die, one after the other, than there are places. */
static void test_places_of_dead_processes_are_taken_again(void **state)
{
    scene *s = *state;
    cask_db *db = open_store(s);

    for (int i = 0; i < REGION_PROCESSES + 8; i++) {
        assert_int_equal(wait_for(start(open_and_die, s)), 256 + SIGKILL);
    }
    assert_int_equal(handles_of(s, db), 1);
    put(s, db, "a", "1");
    expect(s, db, "a", "1");
    close_store(s, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_handles_share_one_store),
        TEST(test_forked_child_cannot_touch_the_store),
        TEST(test_cloned_child_cannot_touch_the_store),
        TEST(test_exclusive_writer_is_named_to_others),
        TEST(test_stopped_lock_holder_is_waited_for_and_named),
        TEST(test_sixteen_committers_share_syncs),
        TEST(test_reader_sees_what_another_process_writes),
        TEST(test_writer_goes_on_behind_a_close_with_readers),
        TEST(test_lingering_region_is_used_again),
        TEST(test_lingering_region_that_differs_from_the_files_is_not),
        TEST(test_lingering_region_of_a_store_written_elsewhere_is_not_used),
        TEST(test_lingering_region_is_not_joined_beside_a_living_one),
        TEST(test_damage_behind_the_last_sync_is_told),
        TEST(test_private_reader_keeps_what_it_reads),
        TEST(test_region_of_a_dead_process_is_rebuilt),
        TEST(test_dead_process_counts_no_more),
        TEST(test_places_of_dead_processes_are_taken_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
