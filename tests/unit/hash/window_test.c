/*
 * Merges keep to merge_window, also while they copy; what is stopped by its end
 * loses nothing and is done the next time. Windows are of local time.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "os/os_sim.h"
#include "store/store_merge.h"

enum { KEYS = 15000, VALUE_BYTES = 100 };

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
/* Tuesday, 2023-11-14, 22:00 in UTC. */
#define TEN_PM UINT64_C(1699999200000)

/* As the thread of a handle asks that has long been open. */
static const merge_wish by_itself = {.is_late = true};

/* ---- Closing a window while a merge copies ---- */

typedef struct closing {
    handle *h;
    uint64_t at; /* operation of the disk while it copies */
    uint64_t seen;
    bool is_done;
} closing;

/* Of the thread that merges: the background thread has work of its own. */
static _Thread_local closing *watched;

static void close_window(void *context, os_sim *sim)
{
    closing *c = watched;

    (void)context;
    if (c != NULL &&
        atomic_load(&c->h->db->store->region.header->merge.phase) ==
            MERGE_COPYING &&
        c->seen++ == c->at) {
        c->is_done = true;
        os_sim_set_wall_ms(sim, TEN_PM + 12 * HOUR_MS);
        store_window_watch(c->h->db->store);
    }
}

static int small_segments(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    os_sim_set_hook(h->sim, close_window, NULL);
    h->options.segment_max_bytes = 512 << 10;
    handle_open(h);
    h->db->store->jitter_ms = 0;
    os_sim_set_wall_ms(h->sim, TEN_PM);
    return result;
}

static void set(handle *h, const char *name, const char *value)
{
    cask_config_change change = {name, value};

    assert_int_equal(cask_config_set(h->db, &change, 1, NULL), CASK_OK);
}

/* Every key but those that `step` divides, if it is not 0. */
static void put_all(handle *h, char fill, unsigned step)
{
    static char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        if (step == 0 || i % step != 0) {
            put_bytes(h, key, value, sizeof(value));
        }
    }
}

static void check_all(handle *h, char fill)
{
    static char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        check_bytes(h, key, value, sizeof(value));
    }
    assert_int_equal(count_keys(h), KEYS);
}

/* Enough is dead for a merge by policy, and enough lives in each segment for
 * it to take a while. */
static void fill(handle *h, char last)
{
    put_all(h, last, 0);
    put_all(h, last, 3);
    put_all(h, last, 2);
}

static uint64_t merged(handle *h, merge_wish wish)
{
    merge_report report;
    cask_error err = {CASK_OK, 0, ""};

    if (hash_merge_wished(h->db->store, wish, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    return report.inputs;
}

static merge_plan planned(handle *h)
{
    merger_plan plan;
    merge_plan found;

    assert_int_equal(hash_plan(h->db->store, by_itself, &plan, NULL), CASK_OK);
    found = plan.plan;
    hash_plan_free(&plan);
    return found;
}

static void test_a_merge_waits_for_its_window(void **state)
{
    handle *h = *state;

    fill(h, 'a');
    set(h, "merge_window", "22:00-06:00");
    os_sim_set_wall_ms(h->sim, TEN_PM - 1);
    assert_int_equal(planned(h).wait, MERGE_WAIT_WINDOW);
    assert_int_equal(merged(h, by_itself), 0);
    os_sim_set_wall_ms(h->sim, TEN_PM);
    assert_true(planned(h).count > 0);
    os_sim_set_wall_ms(h->sim, TEN_PM + 8 * HOUR_MS);
    assert_int_equal(planned(h).wait, MERGE_WAIT_WINDOW);
    os_sim_set_wall_ms(h->sim, TEN_PM + 8 * HOUR_MS - 1);
    assert_true(merged(h, by_itself) > 0);
    check_all(h, 'a');
}

static void test_whoever_asks_for_a_merge_gets_it(void **state)
{
    handle *h = *state;
    cask_merge_report report;

    fill(h, 'a');
    set(h, "merge_window", "never");
    assert_int_equal(merged(h, by_itself), 0);
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
    assert_true(report.inputs > 0);
    check_all(h, 'a');
}

static void test_status_tells_of_the_window(void **state)
{
    handle *h = *state;
    cask_merge_state now;

    fill(h, 'a');
    set(h, "merge_window", "never");
    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_false(now.due);
    assert_string_equal(now.reason, merge_wait_text(MERGE_WAIT_WINDOW));
    set(h, "merge_window", NULL);
    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_true(now.due);
}

static void expect_status(handle *h, bool due, const char *reason)
{
    cask_merge_state now;

    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_int_equal(now.due, due);
    if (reason != NULL) {
        assert_string_equal(now.reason, reason);
    }
}

/* Of another handle: its first minute, and its jitter. */
static void test_status_tells_what_the_one_that_merges_waits_for(void **state)
{
    handle *h = *state;
    cask_options options = h->options;
    region_process *process;
    cask_merge_state now;
    cask_db *other;

    set(h, "max_space_amplification", "0"); /* nothing is urgent */
    fill(h, 'a');
    expect_status(h, true, NULL);
    options.auto_merge = true;
    assert_int_equal(db_open_on(h->kernel, HANDLE_PATH, &options, &other, NULL),
                     CASK_OK);
    expect_status(h, false, merge_wait_text(MERGE_WAIT_FIRST_MINUTE));
    process = &other->store->region.processes[other->store->process_slot];
    assert_int_equal(atomic_load(&process->merges),
                     1 + other->store->jitter_ms);
    assert_int_equal(atomic_load(&process->opened_ns), other->store->opened_ns);
    /* As if it had another jitter, and been open since the machine is; it does
     * not know. */
    atomic_store(&process->opened_ns, 0);
    atomic_store(&process->merges, 1 + 25000);
    set(h, "merge_window", "22:00-06:00");
    os_sim_set_wall_ms(h->sim, TEN_PM + 24999);
    expect_status(h, false, merge_wait_text(MERGE_WAIT_WINDOW));
    os_sim_set_wall_ms(h->sim, TEN_PM + 25000);
    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_string_not_equal(now.reason, merge_wait_text(MERGE_WAIT_WINDOW));
    assert_int_equal(cask_close(other, NULL), CASK_OK);
    os_sim_set_wall_ms(h->sim, TEN_PM);
    expect_status(h, true, NULL);
}

/* Nor is the active segment sealed for a merge that is to wait. */
static void test_outside_its_window_nothing_is_sealed(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    uint32_t active;

    set(h, "merge_window", "never");
    set(h, "small_file_threshold", "1KiB");
    for (int i = 0; i < 200; i++) {
        put_bytes(h, "key", (char[VALUE_BYTES]){0}, VALUE_BYTES);
    }
    active = atomic_load(&store->region.header->active_row);
    assert_int_equal(merged(h, by_itself), 0);
    assert_int_equal(atomic_load(&store->region.header->active_row), active);
    assert_int_equal(planned(h).wait, MERGE_WAIT_WINDOW);
    set(h, "merge_window", "always");
    assert_true(planned(h).seal_active);
}

static void test_jitter_delays_the_opening_only(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;

    set(h, "merge_window", "22:00-06:00, 06:00-07:00");
    store->jitter_ms = 25000;
    os_sim_set_wall_ms(h->sim, TEN_PM + 24999);
    assert_false(store_window_is_open(store));
    os_sim_set_wall_ms(h->sim, TEN_PM + 25000);
    assert_true(store_window_is_open(store));
    os_sim_set_wall_ms(h->sim, TEN_PM + 8 * HOUR_MS);
    assert_true(store_window_is_open(store));
    os_sim_set_wall_ms(h->sim, TEN_PM + 9 * HOUR_MS - 1);
    assert_true(store_window_is_open(store));
    os_sim_set_wall_ms(h->sim, TEN_PM + 9 * HOUR_MS);
    assert_false(store_window_is_open(store));
}

static void test_jitter_is_of_each_handle_and_below_its_limit(void **state)
{
    handle *h = *state;
    bool differs = false;
    uint32_t first;

    handle_reopen(h);
    first = h->db->store->jitter_ms;
    for (int i = 0; i < 20; i++) {
        handle_reopen(h);
        assert_in_range(h->db->store->jitter_ms, 0, STORE_JITTER_MS - 1);
        differs = differs || h->db->store->jitter_ms != first;
    }
    assert_true(differs);
}

/* ---- Summer ---- */

/* Central Europe, 2024: from March 31, 2:00, to October 27, 3:00 local. */
static const os_sim_zone europe = {.offset_minutes = 60,
                                   .summer_offset_minutes = 120,
                                   .summer_from_ms = UINT64_C(1711846800000),
                                   .summer_end_ms = UINT64_C(1729990800000)};

static uint64_t open_minutes(handle *h, uint64_t from_ms, unsigned minutes)
{
    uint64_t open = 0;

    for (unsigned i = 0; i < minutes; i++) {
        os_sim_set_wall_ms(h->sim, from_ms + i * MINUTE_MS);
        open += store_window_is_open(h->db->store) ? 1 : 0;
    }
    return open;
}

static void test_windows_follow_the_clock_on_the_wall(void **state)
{
    handle *h = *state;
    uint64_t spring = europe.summer_from_ms - 12 * HOUR_MS;
    uint64_t autumn = europe.summer_end_ms - 12 * HOUR_MS;
    unsigned day = 24 * 60;

    os_sim_set_zone(h->sim, &europe);
    set(h, "merge_window", "22:00-06:00");
    assert_int_equal(open_minutes(h, spring - 24 * HOUR_MS, day), 480);
    assert_int_equal(open_minutes(h, spring, day), 420);
    assert_int_equal(open_minutes(h, autumn - 24 * HOUR_MS, day), 480);
    assert_int_equal(open_minutes(h, autumn, day), 540);
    /* An hour that there is not, and one that there is twice. */
    set(h, "merge_window", "02:00-03:00");
    assert_int_equal(open_minutes(h, spring, day), 0);
    assert_int_equal(open_minutes(h, autumn, day), 120);
    /* 22:00 in summer is 20:00 in UTC. */
    set(h, "merge_window", "sun 22:00-22:01");
    os_sim_set_wall_ms(h->sim, europe.summer_from_ms + 19 * HOUR_MS);
    assert_true(store_window_is_open(h->db->store));
}

/* ---- The window closes while a merge copies ---- */

static uint64_t merge_until(closing *c, merge_wish wish)
{
    uint64_t inputs;

    c->seen = 0;
    c->is_done = false;
    watched = c;
    inputs = merged(c->h, wish);
    watched = NULL;
    return inputs;
}

/* A merge that replaced nothing has no outputs: they were dropped. Returns how
 * many there were. */
static uint64_t check_stopped(handle *h)
{
    cask_merge_state now;
    uint64_t stopped = 0;

    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    for (size_t i = 0; i < now.past_count; i++) {
        if (now.past[i].result == CASK_TIMEOUT) {
            stopped++;
            assert_int_equal(now.past[i].did.inputs, 0);
            assert_int_equal(now.past[i].did.outputs, 0);
        }
    }
    return stopped;
}

/* At whichever operation it closes: nothing is lost, nothing is left behind,
 * and what was finished counts. */
static void test_a_merge_stops_when_its_window_closes(void **state)
{
    handle *h = *state;
    closing c = {.h = h};
    uint64_t stopped = 0;
    uint64_t partly = 0;
    uint64_t told = 0;
    char last = 'a';

    set(h, "merge_window", "22:00-06:00");
    set(h, "max_merge_size", "1MiB"); /* several steps */
    for (bool is_whole = false; !is_whole; c.at += 3) {
        uint64_t inputs;
        cask_verify_report report;

        os_sim_set_wall_ms(h->sim, TEN_PM);
        last = last == 'z' ? 'a' : (char)(last + 1);
        fill(h, last);
        inputs = merge_until(&c, by_itself);
        is_whole = !c.is_done;
        told += check_stopped(h);
        /* The first output has just been made. */
        assert_true(c.at > 0 || inputs == 0);
        os_sim_set_wall_ms(h->sim, TEN_PM);
        stopped += planned(h).count > 0 ? 1 : 0;
        partly += planned(h).count > 0 && inputs > 0 ? 1 : 0;
        assert_int_equal(atomic_load(&h->db->store->region.header->merge.phase),
                         MERGE_NONE);
        check_all(h, last);
        handle_reopen(h);
        h->db->store->jitter_ms = 0;
        check_all(h, last);
        assert_int_equal(
            db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, NULL), CASK_OK);
    }
    assert_true(stopped > 3);
    assert_true(partly > 0);
    assert_true(told > 0);
    assert_int_equal(planned(h).count, 0);
}

static void test_one_that_was_asked_for_does_not_stop(void **state)
{
    handle *h = *state;
    closing c = {.h = h, .at = 2};
    merge_wish asked = {.is_asked = true};

    fill(h, 'a');
    set(h, "merge_window", "22:00-06:00");
    assert_true(merge_until(&c, asked) > 0);
    assert_true(c.is_done);
    os_sim_set_wall_ms(h->sim, TEN_PM);
    assert_int_equal(planned(h).count, 0);
    check_all(h, 'a');
}

static void test_a_full_disk_opens_the_window(void **state)
{
    handle *h = *state;
    closing c = {.h = h, .at = 2};
    uint64_t free_bytes;
    os_space space;

    fill(h, 'a');
    set(h, "merge_window", "never");
    handle_reopen(h); /* the close writes all hints, which take space, too */
    assert_int_equal(planned(h).wait, MERGE_WAIT_WINDOW);
    assert_int_equal(h->kernel->ops->space(h->db->store->dir, &space), 0);
    /* Less than four segments, more than twice what is written. */
    free_bytes = UINT64_C(2000) << 10;
    os_sim_set_capacity(h->sim, space.total - space.free + free_bytes);
    assert_int_equal(planned(h).reason, MERGE_REASON_DISK_SPACE);
    assert_true(merge_until(&c, by_itself) > 0);
    assert_true(c.is_done);
    os_sim_set_capacity(h->sim, space.total);
    check_all(h, 'a');
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_merge_waits_for_its_window),
        TEST(test_whoever_asks_for_a_merge_gets_it),
        TEST(test_status_tells_of_the_window),
        TEST(test_status_tells_what_the_one_that_merges_waits_for),
        TEST(test_outside_its_window_nothing_is_sealed),
        TEST(test_jitter_delays_the_opening_only),
        TEST(test_jitter_is_of_each_handle_and_below_its_limit),
        TEST(test_windows_follow_the_clock_on_the_wall),
        TEST(test_a_merge_stops_when_its_window_closes),
        TEST(test_one_that_was_asked_for_does_not_stop),
        TEST(test_a_full_disk_opens_the_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
