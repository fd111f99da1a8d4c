/*
 * Merging threads of real processes: one works, and when it is killed another
 * goes on; what is asked for is done by one of them; how fast they go and who
 * they are is known to all.
 */
#define _GNU_SOURCE
#include "scene.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "store/store_settings.h"

enum { KEYS = 100, VALUE_BYTES = 4000, ROUNDS = 6, PATIENCE_MS = 20000 };

static const uint64_t SLOW_BYTES = 400 << 10; /* per second */

/* ---- Help ---------------------------------------------------------------- */

static void put_number(scene *s, cask_db *db, unsigned number, char fill)
{
    static char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "key %u", number);
    require(s, cask_put(db, cask_slice_of(key),
                        (cask_slice){value, sizeof(value)}, &s->err));
}

/* Mostly dead segments. */
static void fill(scene *s, cask_db *db)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_number(s, db, i, (char)('a' + round));
        }
    }
}

static void check_all(scene *s, cask_db *db)
{
    cask_buffer value = {NULL, 0, 0};

    for (unsigned i = 0; i < KEYS; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "key %u", i);
        require(s, cask_get(db, cask_slice_of(key), &value, &s->err));
        assert_int_equal(value.size, VALUE_BYTES);
        assert_int_equal(*(const char *)value.data, 'a' + ROUNDS - 1);
    }
    cask_buffer_free(&value);
}

static cask_merge_state state_of(scene *s, cask_db *db)
{
    cask_merge_state state;

    require(s, cask_merge_status(db, &state, &s->err));
    return state;
}

static cask_stats stats_of(scene *s, cask_db *db)
{
    cask_stats stats;

    require(s, cask_stat(db, &stats, &s->err));
    return stats;
}

static void set_rate(cask_db *db, uint64_t bytes_per_s)
{
    store_settings settings;

    store_settings_get(db->store, &settings);
    settings.merge_rate_bytes = bytes_per_s;
    assert_int_equal(store_maintain_begin(db->store, NULL), CASK_OK);
    store_settings_publish(db->store, &settings);
    store_maintain_end(db->store);
}

static void set_bound(scene *s, cask_db *db, const char *amplification)
{
    const cask_config_change change = {"max_space_amplification",
                                       amplification};

    require(s, cask_config_set(db, &change, 1, &s->err));
}

/* One that does not merge by itself. */
static cask_db *open_quiet(scene *s)
{
    s->options.auto_merge = false;
    return open_store(s);
}

/* A process with a merging thread that lives until it is killed. */
static int live(scene *s)
{
    cask_db *db;

    s->options.auto_merge = true;
    db = open_store(s);
    (void)db;
    for (;;) {
        (void)pause();
    }
    return 0;
}

static void wait_for_threads(scene *s, cask_db *db, uint32_t count)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (state_of(s, db).threads == count) {
            return;
        }
        (void)usleep(1000);
    }
    fail_msg("never %u merging threads", count);
}

/* The process that copies. */
static pid_t wait_for_worker(scene *s, cask_db *db, pid_t other_than)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        cask_merge_state state = state_of(s, db);

        if (state.phase == CASK_MERGE_COPYING && state.bytes_done > 0 &&
            state.pid != 0 && state.pid != (uint32_t)other_than) {
            return (pid_t)state.pid;
        }
        (void)usleep(1000);
    }
    fail_msg("nobody merges");
    return 0;
}

static cask_merge_state wait_until_done(scene *s, cask_db *db)
{
    cask_merge_state state = state_of(s, db);

    for (int i = 0; i < PATIENCE_MS && state.asked; i++) {
        (void)usleep(1000);
        state = state_of(s, db);
    }
    assert_false(state.asked);
    return state;
}

static void start_all(scene *s, cask_db *db)
{
    cask_merge_options all = {.all = true, .start = true};

    require(s, cask_merge(db, &all, NULL, &s->err));
}

/* Fill the store; the process that is merging it then. */
static pid_t begin_slowly(scene *s, cask_db *db)
{
    pid_t pid;

    fill(s, db);
    set_rate(db, SLOW_BYTES);
    pid = start(live, s);
    wait_for_threads(s, db, 1);
    start_all(s, db);
    assert_int_equal(wait_for_worker(s, db, 0), pid);
    return pid;
}

/* ---- Tests --------------------------------------------------------------- */

static void test_a_merge_is_not_started_where_nobody_would_do_it(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    cask_merge_options options = {.start = true};

    assert_int_equal(cask_merge(db, &options, NULL, &s->err), CASK_INVALID);
    assert_non_null(strstr(s->err.message, "auto_merge"));
    assert_int_equal(state_of(s, db).threads, 0);
    assert_false(state_of(s, db).asked);
    close_store(s, db);
}

static void test_a_started_merge_is_done_by_another_process(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    cask_merge_state after;
    pid_t pid;

    fill(s, db);
    pid = start(live, s);
    wait_for_threads(s, db, 1);
    start_all(s, db);
    after = wait_until_done(s, db);
    assert_int_equal(after.started, CASK_OK);
    assert_true(after.past_count > 0);
    for (size_t i = 0; i < after.past_count; i++) {
        assert_int_equal(after.past[i].pid, pid);
        assert_int_equal(after.past[i].result, CASK_OK);
        assert_true(after.past[i].did.inputs > 0);
        assert_int_equal(after.past[i].number, after.past[0].number - i);
    }
    assert_int_equal(stats_of(s, db).dead_bytes, 0);
    check_all(s, db);
    end(pid);
    close_store(s, db);
}

static void
test_another_goes_on_when_the_one_that_merges_is_killed(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    cask_merge_state after;
    pid_t first;
    pid_t second;

    first = begin_slowly(s, db);
    second = start(live, s);
    wait_for_threads(s, db, 2);
    end(first);
    /* It begins with nothing but what the region says. */
    assert_int_equal(wait_for_worker(s, db, first), second);
    set_rate(db, 0);
    after = wait_until_done(s, db);
    assert_int_equal(after.started, CASK_OK);
    assert_int_equal(stats_of(s, db).dead_bytes, 0);
    check_all(s, db);
    end(second);
    close_store(s, db);
    db = open_quiet(s);
    check_all(s, db);
    assert_int_equal(stats_of(s, db).dead_bytes, 0);
    close_store(s, db);
}

static void test_nobody_takes_a_merge_for_alive_whose_process_died(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    cask_merge_report report;
    cask_merge_options all = {.all = true};
    cask_merge_state after;
    pid_t pid;

    pid = begin_slowly(s, db);
    end(pid);
    after = state_of(s, db);
    assert_int_equal(after.phase, CASK_MERGE_COPYING);
    assert_int_equal(after.pid, 0);
    assert_int_equal(after.threads, 0);
    set_rate(db, 0);
    require(s, cask_merge(db, &all, &report, &s->err));
    assert_int_equal(state_of(s, db).phase, CASK_MERGE_NONE);
    assert_int_equal(stats_of(s, db).dead_bytes, 0);
    check_all(s, db);
    close_store(s, db);
}

static void
test_a_cancelled_merge_ends_and_none_begins_for_a_while(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    uint64_t dead;
    cask_merge_state after;
    pid_t pid;

    set_bound(s, db, "0");
    pid = begin_slowly(s, db);
    dead = stats_of(s, db).dead_bytes;
    require(s, cask_merge_cancel(db, &s->err));
    after = wait_until_done(s, db);
    assert_int_equal(after.started, CASK_TIMEOUT);
    assert_false(after.due);
    assert_in_range(after.paused_ms, 50000, 60000);
    assert_string_equal(after.reason,
                        "it was cancelled less than a minute ago");
    for (int i = 0; i < PATIENCE_MS && after.phase != CASK_MERGE_NONE; i++) {
        (void)usleep(1000);
        after = state_of(s, db);
    }
    assert_int_equal(after.phase, CASK_MERGE_NONE);
    assert_int_equal(stats_of(s, db).dead_bytes, dead);
    check_all(s, db);
    /* Who asks need not wait. */
    set_rate(db, 0);
    start_all(s, db);
    assert_int_equal(wait_until_done(s, db).started, CASK_OK);
    assert_int_equal(stats_of(s, db).dead_bytes, 0);
    check_all(s, db);
    end(pid);
    close_store(s, db);
}

static void test_a_cancel_holds_back_no_merge_that_space_demands(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    uint64_t dead;
    pid_t pid;

    pid = begin_slowly(s, db);
    dead = stats_of(s, db).dead_bytes;
    require(s, cask_merge_cancel(db, &s->err));
    assert_false(state_of(s, db).asked);
    assert_in_range(state_of(s, db).paused_ms, 50000, 60000);
    set_rate(db, 0);
    for (int i = 0; i < PATIENCE_MS && stats_of(s, db).dead_bytes * 2 > dead;
         i++) {
        (void)usleep(1000);
    }
    assert_true(stats_of(s, db).dead_bytes * 2 <= dead);
    assert_false(state_of(s, db).due); /* the rest waits */
    check_all(s, db);
    end(pid);
    close_store(s, db);
}

/* Some 2 MB are read and half a MB is written; at 400 KB a second that takes
 * more than three seconds, most of which is waited for. */
static void test_the_rate_limit_holds_and_can_be_changed_meanwhile(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    uint64_t worst = 0;
    pid_t pid;

    pid = begin_slowly(s, db);
    for (int i = 0; i < 100; i++) {
        uint64_t rate = state_of(s, db).rate_bytes;

        worst = rate > worst ? rate : worst;
        (void)usleep(10000);
    }
    /* Of single steps, which hold a bite of 64 KiB more or less; a merge that
     * does not wait goes at hundreds of times the limit. */
    assert_in_range(worst, 1, 5 * SLOW_BYTES);
    assert_true(state_of(s, db).asked);
    set_rate(db, 0);
    assert_int_equal(wait_until_done(s, db).started, CASK_OK);
    check_all(s, db);
    end(pid);
    close_store(s, db);
}

/* A handle that closes does not wait for the rate. */
static void test_a_close_ends_a_merge_that_waits(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    cask_db *merging;

    fill(s, db);
    set_rate(db, 64 << 10);
    s->options.auto_merge = true;
    merging = open_store(s);
    start_all(s, merging);
    (void)wait_for_worker(s, db, 0);
    close_store(s, merging);
    assert_true(state_of(s, db).asked); /* for another, if one comes */
    assert_false(state_of(s, db).due);
    assert_non_null(strstr(state_of(s, db).reason, "no open handle has"));
    assert_int_equal(state_of(s, db).phase, CASK_MERGE_NONE);
    check_all(s, db);
    close_store(s, db);
}

/* And not what this handle, which has long been open, would wait for. */
static void test_status_tells_what_another_process_waits_for(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    const cask_config_change patient = {"max_space_amplification", "0"};
    pid_t pid;

    fill(s, db);
    require(s, cask_config_set(db, &patient, 1, &s->err));
    assert_true(state_of(s, db).due); /* if somebody merged */
    pid = start(live, s);
    wait_for_threads(s, db, 1);
    assert_false(state_of(s, db).due);
    assert_string_equal(state_of(s, db).reason,
                        "the store was opened just now");
    end(pid);
    assert_true(state_of(s, db).due);
    close_store(s, db);
}

/* A file that a fold reads when its segment is merged goes soon after it. */
typedef struct pinning {
    scene *s;
    cask_db *db;
    unsigned seen;
} pinning;

static bool merge_meanwhile(void *context, const cask_entry *entry)
{
    pinning *p = context;
    cask_merge_options all = {.all = true};

    (void)entry;
    if (p->seen++ == 0) {
        require(p->s, cask_merge(p->db, &all, NULL, &p->s->err));
    }
    return true;
}

static void test_files_go_when_the_last_reader_is_done(void **state)
{
    scene *s = *state;
    cask_db *db = open_quiet(s);
    pinning p = {.s = s, .db = db};
    uint64_t disk = 0;
    pid_t pid;

    fill(s, db);
    pid = start(live, s);
    wait_for_threads(s, db, 1);
    require(s, cask_fold(db, NULL, merge_meanwhile, &p, &s->err));
    assert_int_equal(p.seen, KEYS);
    for (int i = 0; i < PATIENCE_MS; i++) {
        disk = stats_of(s, db).disk_bytes;
        if (disk < 2 * KEYS * VALUE_BYTES) {
            break;
        }
        (void)usleep(1000);
    }
    assert_true(disk < 2 * KEYS * VALUE_BYTES);
    end(pid);
    close_store(s, db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_merge_is_not_started_where_nobody_would_do_it),
        TEST(test_a_started_merge_is_done_by_another_process),
        TEST(test_another_goes_on_when_the_one_that_merges_is_killed),
        TEST(test_nobody_takes_a_merge_for_alive_whose_process_died),
        TEST(test_a_cancelled_merge_ends_and_none_begins_for_a_while),
        TEST(test_a_cancel_holds_back_no_merge_that_space_demands),
        TEST(test_the_rate_limit_holds_and_can_be_changed_meanwhile),
        TEST(test_a_close_ends_a_merge_that_waits),
        TEST(test_status_tells_what_another_process_waits_for),
        TEST(test_files_go_when_the_last_reader_is_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
