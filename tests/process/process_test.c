/*
 * Handles and processes that share a store, get in each other's way, stop, or
 * lose their files under their hands.
 */
#define _GNU_SOURCE
#include "cask_test.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "support/random.h"
#include "support/scratch.h"

enum { COMMITTERS = 16, COMMITS = 20 };

typedef struct scene {
    char path[SCRATCH_PATH];
    cask_options options;
    cask_error err;
    int events[16]; /* of each kind */
} scene;

/* ---- Common ----------------------------------------------------------------- */

static void count_event(void *context, const cask_event *event)
{
    scene *s = context;

    s->events[event->kind]++;
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    scratch_make(s->path);
    cask_options_init(&s->options);
    s->options.create_if_missing = true;
    s->options.segment_max_bytes = 65536;
    s->options.on_event = count_event;
    s->options.event_context = s;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    unsigned regions = scratch_regions(s->path);

    scratch_remove(s->path);
    free(s);
    assert_int_equal(regions, 0);
    return 0;
}

static void require(const scene *s, cask_status status)
{
    if (status != CASK_OK) {
        fail_msg("%s: %s", cask_status_name(status), s->err.message);
    }
}

static cask_db *open_store(scene *s)
{
    cask_db *db = NULL;

    require(s, cask_open(s->path, &s->options, &db, &s->err));
    return db;
}

static void close_store(scene *s, cask_db *db)
{
    require(s, cask_close(db, &s->err));
}

static void put(scene *s, cask_db *db, const char *key, const char *value)
{
    require(s, cask_put(db, cask_slice_of(key), cask_slice_of(value),
                        &s->err));
}

/* The value is this; NULL: there is none. */
static void expect(scene *s, cask_db *db, const char *key, const char *value)
{
    cask_buffer found = {NULL, 0, 0};
    cask_status status = cask_get(db, cask_slice_of(key), &found, &s->err);

    if (value == NULL) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else {
        require(s, status);
        assert_int_equal(found.size, strlen(value));
        assert_memory_equal(found.data, value, found.size);
    }
    cask_buffer_free(&found);
}

/* A child that runs `run` and ends with its result. */
static pid_t start(int (*run)(scene *s), scene *s)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(run(s));
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    assert_int_equal(wait_for(pid), 256 + SIGKILL);
}

/* Wait until another process has written `key`. */
static void wait_for_key(cask_db *db, const char *key)
{
    bool exists = false;

    for (int i = 0; i < 10000 && !exists; i++) {
        assert_int_equal(
            cask_exists(db, cask_slice_of(key), &exists, NULL), CASK_OK);
        (void)usleep(1000);
    }
    assert_true(exists);
}

/* ---- One process ------------------------------------------------------------------ */

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

/* ---- fork() ----------------------------------------------------------------------- */

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

/* ---- The write role ---------------------------------------------------------------- */

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
    assert_int_equal(cask_open(s->path, &s->options, &db, &s->err),
                     CASK_BUSY);
    assert_non_null(strstr(s->err.message, pid_text));
    s->options.exclusive = true;
    assert_int_equal(cask_open(s->path, &s->options, &db, &s->err),
                     CASK_BUSY);
    assert_non_null(strstr(s->err.message, pid_text));
    end(pid);
    db = open_store(s);
    expect(s, db, "held", "yes");
    close_store(s, db);
}

/* ---- A stopped process -------------------------------------------------------------- */

_Noreturn static int put_for_ever(scene *s)
{
    cask_db *db;

    s->options.sync = CASK_SYNC_NONE;
    db = open_store(s);
    for (;;) {
        put(s, db, "busy", "a value that takes a moment to copy");
    }
}

/* Whether somebody has the write lock: the first word of a robust mutex is its
 * owner. */
static bool lock_is_held(const cask_db *db)
{
    uint32_t word;

    memcpy(&word, &db->store->region.header->write_lock, sizeof(word));
    return (word & 0x3fffffff) != 0;
}

/* Stop it at a moment at which it holds the write lock. */
static void stop_holding(const cask_db *db, pid_t pid)
{
    for (int i = 0; i < 20000; i++) {
        int status = 0;

        (void)kill(pid, SIGSTOP);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
        if (lock_is_held(db)) {
            return;
        }
        (void)kill(pid, SIGCONT);
        (void)usleep(100 + (useconds_t)i % 400);
    }
    fail_msg("the lock was never held");
}

static void test_stopped_lock_holder_is_waited_for_and_named(void **state)
{
    scene *s = *state;
    char pid_text[16];
    cask_db *db;
    pid_t pid;

    s->options.lock_timeout_ms = 200;
    /* The background thread must not wait for the lock. */
    s->options.sync = CASK_SYNC_NONE;
    db = open_store(s);
    put(s, db, "mine", "before");
    pid = start(put_for_ever, s);
    (void)snprintf(pid_text, sizeof(pid_text), "process %d", (int)pid);
    wait_for_key(db, "busy");
    stop_holding(db, pid);
    assert_int_equal(cask_put(db, cask_slice_of("mine"),
                              cask_slice_of("after"), &s->err),
                     CASK_TIMEOUT);
    assert_non_null(strstr(s->err.message, pid_text));
    assert_non_null(strstr(s->err.message, "nothing was written"));
    /* Readers wait for nobody. */
    expect(s, db, "mine", "before");
    assert_true(lock_is_held(db));
    (void)kill(pid, SIGCONT);
    put(s, db, "mine", "later");
    expect(s, db, "mine", "later");
    end(pid);
    put(s, db, "mine", "last");
    close_store(s, db);
}

/* ---- Group commit --------------------------------------------------------------------- */

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

/* ---- Readers --------------------------------------------------------------------------- */

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
    assert_int_equal(cask_put(reader, cask_slice_of("a"), cask_slice_of("b"),
                              &s->err),
                     CASK_READ_ONLY);
    assert_int_equal(cask_delete(reader, cask_slice_of("other"), NULL,
                                 &s->err),
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
        char key[16];

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

/* ---- The region ------------------------------------------------------------------------- */

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
static void test_lingering_region_that_differs_from_the_files_is_not(
    void **state)
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

static int write_and_wait(scene *s)
{
    cask_db *db = open_store(s);

    put(s, db, "dead", "writer");
    (void)pause();
    return 0;
}

static void test_region_of_a_dead_process_is_rebuilt(void **state)
{
    scene *s = *state;
    pid_t pid = start(write_and_wait, s);
    cask_db *db;

    /* The child is the only one: its region has nobody when it is dead. */
    for (int i = 0; i < 5000 && scratch_regions(s->path) == 0; i++) {
        (void)usleep(1000);
    }
    (void)usleep(100000);
    end(pid);
    assert_int_equal(scratch_regions(s->path), 1);
    s->events[CASK_EVENT_RECOVERED] = 0;
    db = open_store(s);
    assert_int_equal(s->events[CASK_EVENT_RECOVERED], 1);
    expect(s, db, "dead", "writer");
    close_store(s, db);
}

/* The name that the store's region has in /dev/shm, when it has one. */
static void region_path(scene *s, char ret_path[320])
{
    cask_db *db = open_store(s);
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    (void)snprintf(ret_path, 320, "%s", stats.region_path);
    close_store(s, db);
    assert_int_equal(access(ret_path, F_OK), -1);
}

static void check_planted(scene *s, const char *victim)
{
    struct stat before;
    struct stat after;
    cask_db *db;

    if (victim != NULL) {
        assert_int_equal(stat(victim, &before), 0);
    }
    db = open_store(s);
    put(s, db, "a", "1");
    expect(s, db, "a", "1");
    close_store(s, db);
    if (victim != NULL) {
        assert_int_equal(stat(victim, &after), 0);
        assert_int_equal(before.st_size, after.st_size);
        assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
        assert_int_equal(before.st_ino, after.st_ino);
    }
}

static void test_link_in_place_of_the_region_is_not_followed(void **state)
{
    scene *s = *state;
    char region[320];
    char victim[SCRATCH_PATH + 16];
    FILE *file;

    region_path(s, region);
    (void)snprintf(victim, sizeof(victim), "%s.victim", s->path);
    file = fopen(victim, "wb");
    assert_non_null(file);
    (void)fputs("somebody's file", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink(victim, region), 0);
    check_planted(s, victim);
    (void)unlink(region);
    (void)unlink(victim);
}

static void test_directory_in_place_of_the_region_is_left_alone(void **state)
{
    scene *s = *state;
    char region[320];

    region_path(s, region);
    assert_int_equal(mkdir(region, 0700), 0);
    check_planted(s, NULL);
    assert_int_equal(rmdir(region), 0);
}

static void test_garbage_in_place_of_the_region_is_replaced(void **state)
{
    scene *s = *state;
    char region[320];
    FILE *file;

    region_path(s, region);
    file = fopen(region, "wb");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        (void)fputs("garbage ", file);
    }
    assert_int_equal(fclose(file), 0);
    check_planted(s, NULL);
    (void)unlink(region);
}

/* Another user's file has the name: it is not used as a region. */
static void test_file_of_another_user_is_not_used(void **state)
{
    scene *s = *state;
    char region[320];
    struct stat info;
    cask_db *db;
    FILE *file;

    if (geteuid() != 0) {
        print_message("SKIPPED: needs root\n");
        skip();
    }
    region_path(s, region);
    file = fopen(region, "wb");
    assert_non_null(file);
    (void)fputs("of user 12345", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chown(region, 12345, 12345), 0);
    db = open_store(s);
    put(s, db, "a", "1");
    /* Replaced by one of our own, or left as it is. */
    if (stat(region, &info) == 0 && info.st_uid == 12345) {
        assert_int_equal(info.st_size, 13);
    }
    close_store(s, db);
    (void)unlink(region);
}

/* ---- LOCK ------------------------------------------------------------------------------- */

/* Somebody removes LOCK while the store is open: the others can no longer see
 * who lives. Nothing may be lost; a handle may be told to go. */
static void test_removed_lock_file_loses_nothing(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 16];
    cask_verify_report report;
    cask_db *one = open_store(s);
    cask_db *two = NULL;
    cask_status status;

    put(s, one, "a", "1");
    (void)snprintf(name, sizeof(name), "%s/LOCK", s->path);
    assert_int_equal(unlink(name), 0);
    status = cask_open(s->path, &s->options, &two, &s->err);
    if (status == CASK_OK) {
        expect(s, two, "a", "1");
        put(s, two, "b", "2");
    } else {
        assert_true(s->err.message[0] != 0);
    }
    status = cask_put(one, cask_slice_of("c"), cask_slice_of("3"), &s->err);
    assert_true(status == CASK_OK || status == CASK_FENCED);
    if (status == CASK_OK && two != NULL) {
        expect(s, two, "c", "3");
    }
    (void)cask_close(one, NULL);
    if (two != NULL) {
        put(s, two, "d", "4");
        close_store(s, two);
    }
    one = open_store(s);
    expect(s, one, "a", "1");
    if (two != NULL) {
        expect(s, one, "b", "2");
        expect(s, one, "d", "4");
    }
    if (status == CASK_OK) {
        expect(s, one, "c", "3");
    }
    close_store(s, one);
    require(s, cask_verify(s->path, NULL, &report, &s->err));
}

static void test_garbage_in_the_lock_file_does_not_matter(void **state)
{
    scene *s = *state;
    char name[SCRATCH_PATH + 16];
    cask_db *db;
    FILE *file;

    close_store(s, open_store(s));
    (void)snprintf(name, sizeof(name), "%s/LOCK", s->path);
    file = fopen(name, "wb");
    assert_non_null(file);
    (void)fputs("4711\n", file);
    assert_int_equal(fclose(file), 0);
    db = open_store(s);
    put(s, db, "a", "1");
    close_store(s, db);
}

/* ---- Descriptors -------------------------------------------------------------------------- */

enum { MANY_SEGMENTS = 40 };

static void fill_segments(scene *s)
{
    static char value[40000];
    cask_db *db = open_store(s);

    memset(value, 'v', sizeof(value) - 1);
    for (int i = 0; i < MANY_SEGMENTS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "%d", i);
        put(s, db, key, value);
    }
    close_store(s, db);
}

/* With few descriptors everything can be read, by both ways of reading. */
static int read_with_few_descriptors(scene *s)
{
    const struct rlimit limit = {32, 32};

    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    for (int way = 0; way < 2; way++) {
        cask_db *db;

        s->options.io = way == 0 ? CASK_IO_MAP : CASK_IO_PREAD;
        s->options.max_descriptors = 8;
        db = open_store(s);
        for (int i = 0; i < MANY_SEGMENTS; i++) {
            cask_buffer value = {NULL, 0, 0};
            char key[16];

            (void)snprintf(key, sizeof(key), "%d", i);
            require(s, cask_get(db, cask_slice_of(key), &value, &s->err));
            cask_buffer_free(&value);
        }
        put(s, db, "more", "can be written");
        close_store(s, db);
    }
    return 0;
}

/* Fewer than an open needs: an error each time, until there are enough. */
static int open_with_too_few(scene *s)
{
    rlim_t most;

    for (most = 3; most < 64; most++) {
        const struct rlimit limit = {most, 64};
        cask_db *db = NULL;
        cask_status status;

        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return 1;
        }
        status = cask_open(s->path, &s->options, &db, &s->err);
        if (status == CASK_OK) {
            expect(s, db, "more", "can be written");
            (void)cask_close(db, NULL);
            break;
        }
        if (status != CASK_IO || s->err.os_errno != EMFILE) {
            (void)fprintf(stderr, "%d descriptors: %s: %s\n", (int)most,
                          cask_status_name(status), s->err.message);
            return 2;
        }
    }
    return most > 4 && most < 32 ? 0 : 3;
}

static void test_few_descriptors_are_enough(void **state)
{
    scene *s = *state;

    fill_segments(s);
    assert_int_equal(wait_for(start(read_with_few_descriptors, s)), 0);
    assert_int_equal(wait_for(start(open_with_too_few, s)), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(test_region_of_a_dead_process_is_rebuilt),
        TEST(test_link_in_place_of_the_region_is_not_followed),
        TEST(test_directory_in_place_of_the_region_is_left_alone),
        TEST(test_garbage_in_place_of_the_region_is_replaced),
        TEST(test_file_of_another_user_is_not_used),
        TEST(test_removed_lock_file_loses_nothing),
        TEST(test_garbage_in_the_lock_file_does_not_matter),
        TEST(test_few_descriptors_are_enough),
    };

    (void)test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
