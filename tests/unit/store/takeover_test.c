/*
 * A process that is killed inside a write, holding the write lock: the next
 * writer finishes its work or takes it back, and goes on.
 */
#define _XOPEN_SOURCE 700

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cask_test.h"
#include "db/db.h"
#include "support/scratch.h"

enum { ALARM_S = 30, MEMBERS = 3 };

/* ---- An os that kills its process ---------------------------------------- */

static int writes_left = -1; /* before the death; -1: none */
static bool dies_behind;     /* the last write is still done */

static int deadly_write(os_file *file, const os_span *spans, size_t count,
                        uint64_t offset)
{
    bool last = writes_left == 0;
    int error = 0;

    if (!last || dies_behind) {
        error = os_posix()->ops->write_at(file, spans, count, offset);
    }
    if (last) {
        (void)kill(getpid(), SIGKILL);
    }
    if (writes_left > 0) {
        writes_left--;
    }
    return error;
}

static os *deadly_os(void)
{
    static os_ops ops;
    static os deadly = {.ops = &ops};

    ops = *os_posix()->ops;
    ops.write_at = deadly_write;
    return &deadly;
}

/* ---- The store ----------------------------------------------------------- */

typedef struct place {
    char path[SCRATCH_PATH];
    char store[SCRATCH_PATH + 8];
    cask_options options;
    cask_db *db;
    _Atomic int takeovers; /* events */
} place;

static void note(void *context, const cask_event *event)
{
    place *p = context;

    if (event->kind == CASK_EVENT_TAKEOVER) {
        atomic_fetch_add(&p->takeovers, 1);
    }
}

static void put(place *p, const char *key, const char *value)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_put(p->db, cask_slice_of(key), cask_slice_of(value), &err) !=
        CASK_OK) {
        fail_msg("put: %s", err.message);
    }
}

/* NULL: there is none. */
static void check(place *p, const char *key, const char *value)
{
    cask_buffer found = {0};
    cask_status status = cask_get(p->db, cask_slice_of(key), &found, NULL);

    if (value == NULL) {
        assert_int_equal(status, CASK_NOT_FOUND);
    } else {
        assert_int_equal(status, CASK_OK);
        assert_int_equal(found.size, strlen(value));
        assert_memory_equal(found.data, value, found.size);
    }
    cask_buffer_free(&found);
}

static void open_place(place *p)
{
    cask_error err = {CASK_OK, 0, ""};

    if (cask_open(p->store, &p->options, &p->db, &err) != CASK_OK) {
        fail_msg("open: %s", err.message);
    }
}

static int setup(void **state)
{
    static place p;

    (void)alarm(ALARM_S);
    memset(&p, 0, sizeof(p));
    scratch_make(p.path);
    (void)snprintf(p.store, sizeof(p.store), "%s/store", p.path);
    cask_options_init(&p.options);
    p.options.create_if_missing = true;
    p.options.region_dir = p.path;
    p.options.sync = CASK_SYNC_NONE;
    p.options.append = CASK_APPEND_PWRITE;
    p.options.on_event = note;
    p.options.event_context = &p;
    open_place(&p);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;

    (void)cask_close(p->db, NULL);
    scratch_remove(p->path);
    (void)alarm(0);
    return 0;
}

/* ---- The child ----------------------------------------------------------- */

typedef void (*write_fn)(cask_db *db);

static void put_victim(cask_db *db)
{
    if (cask_put(db, cask_slice_of("victim"), cask_slice_of("new"), NULL) !=
        CASK_OK) {
        _exit(3);
    }
}

static void delete_victim(cask_db *db)
{
    if (cask_delete(db, cask_slice_of("victim"), NULL, NULL) != CASK_OK) {
        _exit(3);
    }
}

static void write_batch(cask_db *db)
{
    cask_batch *batch;
    cask_status status = cask_batch_create(&batch, NULL);

    for (int i = 0; i < MEMBERS && status == CASK_OK; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "member %d", i);
        status = cask_batch_put(batch, cask_slice_of(key), cask_slice_of("new"),
                                0, NULL);
    }
    if (status == CASK_OK) {
        status = cask_write(db, batch, NULL);
    }
    _exit(status == CASK_OK ? 4 : 3);
}

/* A process that opens the store and dies in write number `writes` of `run`. */
static void die_in(place *p, write_fn run, int writes, bool behind)
{
    pid_t child = fork();
    int how = 0;

    assert_true(child >= 0);
    if (child == 0) {
        cask_options options = p->options;
        cask_db *db;

        options.on_event = NULL;
        if (db_open_on(deadly_os(), p->store, &options, &db, NULL) != CASK_OK ||
            cask_put(db, cask_slice_of("child"), cask_slice_of("was here"),
                     NULL) != CASK_OK) {
            _exit(2);
        }
        dies_behind = behind;
        writes_left = writes;
        run(db);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFSIGNALED(how) || WTERMSIG(how) != SIGKILL) {
        fail_msg("the child was to be killed; exit status %d",
                 WEXITSTATUS(how));
    }
}

static uint64_t takeovers(place *p)
{
    cask_stats stats;

    assert_int_equal(cask_stat(p->db, &stats, NULL), CASK_OK);
    return stats.takeovers;
}

/* The store works on, and is the same after reopening without its region. */
static void check_after(place *p, const char *victim)
{
    put(p, "after", "works");
    assert_int_equal(takeovers(p), 1);
    assert_int_equal(atomic_load(&p->takeovers), 1);
    for (int round = 0; round < 2; round++) {
        check(p, "victim", victim);
        check(p, "child", "was here");
        check(p, "before", "acknowledged");
        check(p, "after", "works");
        if (round == 0) {
            assert_int_equal(cask_close(p->db, NULL), CASK_OK);
            open_place(p);
        }
    }
}

/* ---- Tests --------------------------------------------------------------- */

static void test_a_put_that_was_not_written_is_not_there(void **state)
{
    place *p = *state;

    put(p, "before", "acknowledged");
    put(p, "victim", "old");
    die_in(p, put_victim, 0, false);
    check(p, "victim", "old"); /* readers do not wait for the redo */
    check_after(p, "old");
}

static void test_a_put_that_was_written_is_finished(void **state)
{
    place *p = *state;

    put(p, "before", "acknowledged");
    put(p, "victim", "old");
    die_in(p, put_victim, 0, true);
    check_after(p, "new");
}

static void test_a_delete_that_was_written_is_finished(void **state)
{
    place *p = *state;

    put(p, "before", "acknowledged");
    put(p, "victim", "old");
    die_in(p, delete_victim, 0, true);
    check_after(p, NULL);
}

static void test_a_batch_is_finished_or_taken_back(void **state)
{
    place *p = *state;

    put(p, "before", "acknowledged");
    for (int writes = 0; writes < MEMBERS; writes++) {
        for (int behind = 0; behind < 2; behind++) {
            bool whole = writes == MEMBERS - 1 && behind == 1;

            die_in(p, write_batch, writes, behind == 1);
            put(p, "after", "works"); /* redoes */
            for (int i = 0; i < MEMBERS; i++) {
                char key[32];

                (void)snprintf(key, sizeof(key), "member %d", i);
                check(p, key, whole ? "new" : NULL);
            }
        }
    }
    assert_int_equal(takeovers(p), 2 * MEMBERS);
    assert_int_equal(cask_close(p->db, NULL), CASK_OK);
    open_place(p);
    check(p, "member 0", "new");
    check(p, "member 2", "new");
    check(p, "before", "acknowledged");
}

/* Nobody takes over before everybody is dead: the tail is judged by an open. */
static void test_an_open_after_the_last_death_finishes_too(void **state)
{
    place *p = *state;

    put(p, "before", "acknowledged");
    put(p, "victim", "old");
    assert_int_equal(cask_close(p->db, NULL), CASK_OK);
    die_in(p, put_victim, 0, true);
    open_place(p);
    check(p, "victim", "new");
    check(p, "child", "was here");
    check(p, "before", "acknowledged");
    put(p, "after", "works");
    check(p, "after", "works");
}

int main(void)
{
#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_a_put_that_was_not_written_is_not_there),
        AT_PLACE(test_a_put_that_was_written_is_finished),
        AT_PLACE(test_a_delete_that_was_written_is_finished),
        AT_PLACE(test_a_batch_is_finished_or_taken_back),
        AT_PLACE(test_an_open_after_the_last_death_finishes_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
