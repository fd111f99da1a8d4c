/*
 * A merge is done in steps, and each of them lasts: one that is cancelled, or
 * cut off by the end of merge_window, has freed what it had merged, and the
 * next goes on from there. What is merged is exactly what should be: not twice,
 * not for the sake of marks, not what came after the call.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "log/segment_format.h"
#include "os/os_sim.h"
#include "store/store_merge.h"

enum {
    KEYS = 4000,
    VALUE_BYTES = 4000,
    SEGMENT_BYTES = 256 << 10,
    STEP_BYTES = 1 << 20, /* max_merge_size */
    STEPS = 3             /* before a merge is stopped */
};

#define HOUR_MS UINT64_C(3600000)
/* Tuesday, 2023-11-14, 22:00 in UTC. */
#define TEN_PM UINT64_C(1699999200000)

/* What happens while a merge of this thread copies for the first time after so
 * many steps; the background thread has work of its own. */
typedef struct stop {
    handle *h;
    uint64_t steps;
    void (*act)(handle *h);
    bool is_done;
} stop;

static _Thread_local stop *watched;

static region_merge *merge_of(handle *h)
{
    return &h->db->store->region.header->merge;
}

static void act_in_time(void *context, os_sim *sim)
{
    stop *s = watched;

    (void)context;
    (void)sim;
    if (s != NULL && !s->is_done &&
        atomic_load(&merge_of(s->h)->phase) == MERGE_COPYING &&
        atomic_load(&merge_of(s->h)->number) == s->steps) {
        s->is_done = true;
        s->act(s->h);
    }
}

static void set(handle *h, const char *name, const char *value)
{
    cask_config_change change = {name, value};

    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
}

static int set_up(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    os_sim_set_hook(h->sim, act_in_time, NULL);
    h->options.segment_max_bytes = SEGMENT_BYTES;
    h->options.auto_merge = false;
    handle_open(h);
    h->db->store->jitter_ms = 0;
    os_sim_set_wall_ms(h->sim, TEN_PM);
    set(h, "max_merge_size", "1MiB");
    return result;
}

static void put_key(handle *h, const char *prefix, unsigned number, char fill)
{
    static char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "%s %u", prefix, number);
    put_bytes(h, key, value, sizeof(value));
}

static void delete_key(handle *h, const char *prefix, unsigned number)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "%s %u", prefix, number);
    delete_text(h, key);
}

static void check_key(handle *h, const char *prefix, unsigned number, char fill)
{
    static char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "%s %u", prefix, number);
    check_bytes(h, key, value, sizeof(value));
}

/* Two values of each key, of which one is dead, and some that live on. */
static void fill(handle *h)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h, "key", i, 'a');
    }
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % 4 != 0) {
            put_key(h, "key", i, 'b');
        }
    }
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
}

static void check(handle *h)
{
    for (unsigned i = 0; i < KEYS; i++) {
        check_key(h, "key", i, i % 4 == 0 ? 'a' : 'b');
    }
    assert_int_equal(count_keys(h), KEYS);
}

/* Of all segments. */
static uint64_t file_bytes(handle *h)
{
    cask_stats stats = handle_stats(h);

    return stats.data_bytes + stats.segment_count * SEGMENT_HEADER_SIZE;
}

static void expect_nothing_to_merge(handle *h)
{
    cask_stats before = handle_stats(h);
    cask_merge_report report = handle_merge_all(h);

    assert_int_equal(report.inputs, 0);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(handle_stats(h).data_bytes, before.data_bytes);
}

/* ---- What is stopped ----------------------------------------------------- */

static void cancel(handle *h)
{
    assert_int_equal(cask_merge_cancel(h->db, NULL), CASK_OK);
}

static void
test_what_a_cancelled_merge_has_merged_is_not_merged_again(void **state)
{
    handle *h = *state;
    cask_merge_options all = {.all = true};
    stop s = {.h = h, .steps = STEPS, .act = cancel};
    cask_merge_report first;
    cask_merge_report second;
    cask_stats before;
    uint64_t bytes;
    uint64_t dead;

    fill(h);
    before = handle_stats(h);
    bytes = file_bytes(h);
    watched = &s;
    assert_int_equal(cask_merge(h->db, &all, &first, NULL), CASK_TIMEOUT);
    watched = NULL;
    assert_true(s.is_done);
    dead = handle_stats(h).dead_bytes;
    /* Of so many steps, each of nearly as many bytes as it may read. */
    assert_int_equal(atomic_load(&merge_of(h)->number), STEPS);
    assert_in_range(first.bytes_read, STEPS * (STEP_BYTES - SEGMENT_BYTES),
                    STEPS * STEP_BYTES);
    assert_true(first.bytes_freed > first.bytes_written);
    assert_int_equal(bytes - file_bytes(h),
                     first.bytes_freed - first.bytes_written);
    check(h);
    handle_reopen(h);
    check(h);
    assert_in_range(handle_stats(h).dead_bytes, 1, dead);

    /* Both together have read each segment that held something dead once, and
     * nothing else but for what the first had in hand. */
    second = handle_merge_all(h);
    assert_in_range(first.bytes_read + second.bytes_read,
                    before.dead_bytes * 4 / 3 - STEP_BYTES,
                    before.dead_bytes * 4 / 3 + STEP_BYTES);
    assert_int_equal(handle_stats(h).dead_bytes, 0);
    check(h);
    expect_nothing_to_merge(h);
}

static void close_window(handle *h)
{
    os_sim_set_wall_ms(h->sim, TEN_PM + 12 * HOUR_MS);
    store_window_watch(h->db->store);
}

static merge_report merge_by_itself(handle *h)
{
    /* As the thread of a handle asks that has long been open. */
    const merge_wish by_itself = {.is_late = true};
    merge_report report;
    cask_error err = {CASK_OK, 0, ""};

    if (hash_merge_wished(h->db->store, by_itself, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return report;
}

/* Night after night it gets some steps further, until nothing is due. */
static void test_short_windows_get_through_a_large_store(void **state)
{
    handle *h = *state;
    stop s = {.h = h, .steps = 0, .act = close_window};
    uint64_t freed = 0;
    unsigned nights = 0;
    uint64_t bytes;

    set(h, "merge_window", "22:00-06:00");
    fill(h);
    bytes = file_bytes(h);
    do {
        uint64_t dead = handle_stats(h).dead_bytes;
        merge_report report;

        os_sim_set_wall_ms(h->sim, TEN_PM);
        s.steps = atomic_load(&merge_of(h)->number) + STEPS;
        s.is_done = false;
        watched = &s;
        report = merge_by_itself(h);
        watched = NULL;
        assert_true(atomic_load(&merge_of(h)->number) <= s.steps);
        assert_true(!s.is_done || handle_stats(h).dead_bytes < dead);
        freed += report.bytes_freed - report.bytes_written;
        nights++;
    } while (s.is_done);
    assert_in_range(nights, 3, 20);
    assert_int_equal(bytes - file_bytes(h), freed);
    assert_true(handle_stats(h).dead_bytes <= handle_stats(h).live_bytes / 2);
    check(h);
}

/* ---- What is asked for goes first ---------------------------------------- */

static void start_merge(handle *h)
{
    assert_int_equal(merge_wish_ask(h->db->store, 0, NULL), CASK_OK);
}

/* The one that began by itself ends after its step, with more to do; it goes on
 * when nobody waits any more. */
static void expect_way_made(handle *h, void (*ask)(handle *),
                            void (*settle)(handle *))
{
    stop s = {.h = h, .steps = STEPS, .act = ask};

    fill(h);
    watched = &s;
    (void)merge_by_itself(h);
    watched = NULL;
    assert_true(s.is_done);
    assert_int_equal(atomic_load(&merge_of(h)->number), STEPS + 1);
    (void)merge_by_itself(h);
    assert_int_equal(atomic_load(&merge_of(h)->number), STEPS + 1);
    settle(h);
    (void)merge_by_itself(h);
    assert_true(atomic_load(&merge_of(h)->number) > STEPS + 1);
    check(h);
}

static void settle_wish(handle *h)
{
    merge_wish_settle(h->db->store, merge_wish_pending(h->db->store).number,
                      CASK_OK);
}

static void test_a_merge_by_itself_makes_way_for_a_started_one(void **state)
{
    expect_way_made(*state, start_merge, settle_wish);
}

static _Atomic uint64_t *wanted_until(handle *h)
{
    return &h->db->store->region.header->merger.wanted_until_ns;
}

/* Another merges, as the lock says; and it waits for longer than it did. */
static void wait_in_vain(handle *h)
{
    cask_merge_report report;

    assert_int_equal(atomic_load(wanted_until(h)), 0);
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_BUSY);
    assert_true(atomic_load(wanted_until(h)) > 0);
    atomic_store(wanted_until(h), UINT64_MAX);
}

static void end_waiting(handle *h)
{
    atomic_store(wanted_until(h), 1); /* long ago */
}

static void test_a_merge_by_itself_makes_way_for_one_that_waits(void **state)
{
    handle *h = *state;

    h->options.lock_timeout_ms = 20;
    handle_reopen(h);
    expect_way_made(h, wait_in_vain, end_waiting);
}

/* ---- What is merged ------------------------------------------------------ */

/* Each put is synced, so that each segment holds marks. */
static void
test_segments_in_which_only_marks_are_dead_are_left_alone(void **state)
{
    handle *h = *state;
    cask_stats stats;

    for (unsigned i = 0; i < 200; i++) {
        put_key(h, "key", i, 'a');
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
    }
    assert_true(handle_stats(h).dead_bytes > 0);
    stats = handle_stats(h);
    assert_int_equal(stats.live_bytes + stats.dead_bytes, stats.data_bytes);
    expect_nothing_to_merge(h);
    put_key(h, "key", 7, 'b');
    /* That of the key, and two small ones that are put together. */
    assert_in_range(handle_merge_all(h).inputs, 1, 3);
    expect_nothing_to_merge(h);
    handle_reopen(h);
    expect_nothing_to_merge(h);
    check_key(h, "key", 7, 'b');
    check_key(h, "key", 8, 'a');
}

static void test_a_second_merge_of_all_finds_nothing(void **state)
{
    handle *h = *state;

    fill(h);
    for (unsigned i = 0; i < KEYS; i += 3) {
        delete_key(h, "key", i);
        if (i % 100 == 0) {
            assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
        }
    }
    assert_true(handle_merge_all(h).inputs > 0);
    assert_int_equal(handle_tombstones(h), 0);
    expect_nothing_to_merge(h);
    handle_reopen(h);
    expect_nothing_to_merge(h);
    assert_int_equal(handle_stats(h).dead_bytes, 0);
}

/* What may expire is looked at only when some of it has. */
static void test_values_that_expire_later_are_not_read_each_time(void **state)
{
    handle *h = *state;
    static char value[VALUE_BYTES];

    for (unsigned i = 0; i < 300; i++) {
        cask_write_options options = {.expires_at_ms =
                                          TEN_PM + (i % 2 + 1) * HOUR_MS};
        char key[32];

        (void)snprintf(key, sizeof(key), "key %u", i);
        assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                       (cask_slice){value, sizeof(value)},
                                       &options, NULL, NULL),
                         CASK_OK);
    }
    expect_nothing_to_merge(h);
    os_sim_set_wall_ms(h->sim, TEN_PM + HOUR_MS + 1);
    assert_true(handle_merge_all(h).inputs > 0);
    expect_nothing_to_merge(h);
    assert_int_equal(count_keys(h), 150);
    assert_int_equal(handle_stats(h).dead_bytes, 0);
}

static void merge_rows(handle *h, const uint32_t *rows, size_t count)
{
    store_handle *store = h->db->store;
    store_expiry expiry;
    merge_report report;

    store_expiry_now(store, true, &expiry);
    assert_int_equal(hash_merge(store, rows, count, &expiry, &report, NULL),
                     CASK_OK);
}

/* Deletes lie in a segment that has older records than the one of their puts,
 * as merges leave it, and both do not fit into one step: they are kept in the
 * first step, and hide nothing any more after the second. */
static void test_no_delete_stays_that_hides_nothing_any_more(void **state)
{
    enum { DELETED = 100, LARGE = 40 };
    handle *h = *state;
    uint32_t rows[2];

    h->options.segment_max_bytes = 1 << 20;
    handle_reopen(h);
    for (unsigned i = 0; i < 2 * LARGE; i++) {
        put_key(h, "old", i, 'a');
    }
    rows[0] = handle_seal(h);
    for (unsigned i = 0; i < DELETED + LARGE; i++) {
        put_key(h, "key", i, 'a');
    }
    (void)handle_seal(h);
    for (unsigned i = 0; i < DELETED; i++) {
        delete_key(h, "key", i);
    }
    for (unsigned i = 0; i < 2 * LARGE; i++) {
        put_key(h, "new", i, 'a');
    }
    rows[1] = handle_seal(h);
    merge_rows(h, rows, 2);
    assert_int_equal(handle_tombstones(h), DELETED);
    put_key(h, "old", 0, 'b'); /* something is dead there */
    (void)handle_merge_all(h);
    assert_int_equal(handle_tombstones(h), 0);
    expect_nothing_to_merge(h);
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(count_keys(h), 5 * LARGE);
        check_key(h, "old", 0, 'b');
        check_key(h, "key", DELETED, 'a');
        handle_reopen(h);
    }
}

/* ---- While others write ---------------------------------------------------
 */

/* An os on which somebody writes whenever an output is finished. */
static struct {
    const os_ops *usual;
    os_ops busy;
} disk;

static int truncate_and_write(os_file *file, uint64_t size)
{
    stop *s = watched;

    watched = NULL;
    if (s != NULL) {
        /* As much as a step frees. */
        for (unsigned i = 0; i < STEP_BYTES / VALUE_BYTES; i++) {
            put_key(s->h, "key", (unsigned)(s->steps * 251 + i) % KEYS, 'c');
        }
        s->steps++;
        watched = s;
    }
    return disk.usual->truncate(file, size);
}

static void expect_an_end(handle *h, bool all)
{
    cask_merge_options options = {.all = all};
    stop s = {.h = h, .is_done = true};
    cask_merge_report report;
    uint64_t segments;

    handle_close(h);
    disk.usual = h->kernel->ops;
    disk.busy = *disk.usual;
    disk.busy.truncate = truncate_and_write;
    h->kernel->ops = &disk.busy;
    handle_open(h);
    fill(h);
    segments = handle_stats(h).segment_count;
    watched = &s;
    assert_int_equal(cask_merge(h->db, &options, &report, NULL), CASK_OK);
    watched = NULL;
    assert_true(s.steps > 2);
    /* Those that were there, each once at most. */
    assert_in_range(report.inputs, 1, segments);
    assert_int_equal(count_keys(h), KEYS);
}

static void test_a_merge_by_policy_ends_while_a_writer_goes_on(void **state)
{
    expect_an_end(*state, false);
}

static void test_a_merge_of_all_ends_while_a_writer_goes_on(void **state)
{
    expect_an_end(*state, true);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_cancelled_merge_has_merged_is_not_merged_again),
        TEST(test_short_windows_get_through_a_large_store),
        TEST(test_a_merge_by_itself_makes_way_for_a_started_one),
        TEST(test_a_merge_by_itself_makes_way_for_one_that_waits),
        TEST(test_segments_in_which_only_marks_are_dead_are_left_alone),
        TEST(test_a_second_merge_of_all_finds_nothing),
        TEST(test_values_that_expire_later_are_not_read_each_time),
        TEST(test_no_delete_stays_that_hides_nothing_any_more),
        TEST(test_a_merge_by_policy_ends_while_a_writer_goes_on),
        TEST(test_a_merge_of_all_ends_while_a_writer_goes_on),
    };

    return cmocka_run_group_tests_name("merge_steps", tests, NULL, NULL);
}
