/*
 * Compaction in a store, through the public API.
 */
#include "cask_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "tree/tree.h"
#include "tree/tree_compact.h"
#include "unit/tree/tree_handle.h"

enum { KEYS = 2000, ROUNDS = 8, WAIT_MS = 20000 };

/* By itself it compacts in its own time: asked, it does so here. */
static int setup_by_itself(void **state)
{
    handle *h;

    (void)tree_handle_prepare(state);
    h = *state;
    h->options.auto_merge = true;
    handle_open(h);
    return 0;
}

static bool is_deleted(unsigned round, unsigned i)
{
    return i % 5 == round % 5;
}

static void put_round(handle *h, unsigned round)
{
    for (unsigned n = 0; n < KEYS; n++) {
        unsigned i = n * 7919u % KEYS;

        put_text(h, name_of(i), text_of(round, i));
        if (is_deleted(round, i)) {
            delete_text(h, name_of(i));
        }
    }
}

static void check_round(handle *h, unsigned round)
{
    for (unsigned i = 0; i < KEYS; i++) {
        check_text(h, name_of(i),
                   is_deleted(round, i) ? NULL : text_of(round, i));
    }
}

static void set(handle *h, const char *name, const char *value)
{
    const cask_config_change change = {name, value};
    cask_error err = {CASK_OK, 0, ""};

    if (cask_config_set(h->db, &change, 1, &err) != CASK_OK) {
        fail_msg("config: %s", err.message);
    }
}

/* ---- Asked for ---------------------------------------------------------- */

static void test_all_becomes_one_run_and_space_comes_back(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    uint64_t before;

    for (unsigned round = 0; round < ROUNDS; round++) {
        put_round(h, round);
    }
    before = find_runs(h).bytes;
    merge_runs(h, true, &report);
    assert_true(report.inputs > 1);
    assert_true(report.outputs > 0);
    assert_true(report.tombstones_dropped > 0);
    assert_true(find_runs(h).bytes < before / 3);
    check_round(h, ROUNDS - 1);
    handle_reopen(h);
    check_round(h, ROUNDS - 1);
}

enum { STEP_KEYS = 8000 };

/* Values differ in size: 100 bytes and more. */
static void put_big_round(handle *h, unsigned round, unsigned step)
{
    for (unsigned n = 0; n < STEP_KEYS; n += step) {
        unsigned i = n * 7919u % STEP_KEYS;
        char value[128];

        (void)snprintf(value, sizeof(value), "%-100s", text_of(round, i));
        put_text(h, name_of(i), value);
    }
}

static void check_big_round(handle *h, unsigned round)
{
    for (unsigned i = 0; i < STEP_KEYS; i++) {
        char value[128];

        (void)snprintf(value, sizeof(value), "%-100s", text_of(round, i));
        check_text(h, name_of(i), value);
    }
}

static uint64_t merges_of(handle *h)
{
    cask_merge_state merges;

    assert_int_equal(cask_merge_status(h->db, &merges, NULL), CASK_OK);
    return merges.merges;
}

/* It is done in steps, each of which gives back the room that it took. */
static void test_all_takes_the_room_of_a_step(void **state)
{
    static const char *const names[] = {"lazy", "leveled", "tiered"};
    handle *h = *state;

    for (unsigned i = 0; i < 3; i++) {
        uint64_t before;
        uint64_t capacity;

        set(h, "compaction", names[i]);
        put_big_round(h, 2 * i, 1);
        merge_runs(h, true, NULL);
        put_big_round(h, 2 * i + 1, 1);
        merge_runs(h, false, NULL);
        put_big_round(h, 2 * i + 1, 8); /* or most may be one run by now */
        before = merges_of(h);
        capacity = limit_disk(h, find_runs(h).bytes / 2);
        merge_runs(h, true, NULL);
        os_sim_set_capacity(h->sim, capacity);
        assert_true(merges_of(h) > before + 3);
        check_big_round(h, 2 * i + 1);
    }
    handle_reopen(h);
    check_big_round(h, 5);
}

static void check_merged(handle *h, bool is_done)
{
    cask_merge_report report;

    merge_runs(h, true, &report);
    if (is_done) {
        assert_true(report.inputs > 0 && report.bytes_written > 0);
    } else {
        assert_int_equal(report.inputs + report.bytes_written, 0);
    }
}

/* As often as it is asked for; but what may give something back is done. */
static void test_what_is_one_run_is_left_as_it_is(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot = NULL;

    put_round(h, 0);
    check_merged(h, true);
    check_merged(h, false);
    handle_reopen(h);
    check_merged(h, false);
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    put_round(h, 1);
    check_merged(h, true);
    cask_snapshot_free(snapshot);
    check_merged(h, true); /* what it looked at */
    check_merged(h, false);
    put_text(h, name_of(1), "another");
    check_merged(h, true);
    check_merged(h, false);
    check_text(h, name_of(1), "another");
    check_text(h, name_of(2), text_of(1, 2));
}

static void test_nothing_is_left_of_what_was_deleted(void **state)
{
    handle *h = *state;

    put_round(h, 0);
    merge_runs(h, true, NULL);
    assert_true(find_runs(h).count > 0);
    for (unsigned i = 0; i < KEYS; i++) {
        if (!is_deleted(0, i)) {
            delete_text(h, name_of(i));
        }
    }
    merge_runs(h, true, NULL);
    assert_int_equal(find_runs(h).count, 0);
    check_text(h, name_of(1), NULL);
}

enum { LARGE = 300 << 10, LARGE_KEYS = 20 };

static uint64_t space_of_files(handle *h)
{
    os_file *dir = h->db->store->dir;
    os_space space;

    assert_int_equal(h->kernel->ops->sync_dir(dir), 0);
    assert_int_equal(h->kernel->ops->space(dir, &space), 0);
    return space.total - space.free;
}

/* Of the log too: what was written last is in its newest segment. */
static void test_a_store_of_nothing_takes_next_to_nothing(void **state)
{
    handle *h = *state;
    uint8_t *value = make_bytes(LARGE, 1);

    for (unsigned i = 0; i < LARGE_KEYS; i++) {
        put_bytes(h, name_of(i), value, LARGE);
    }
    for (unsigned i = 0; i < LARGE_KEYS; i++) {
        delete_text(h, name_of(i));
    }
    free(value);
    assert_true(space_of_files(h) > LARGE * LARGE_KEYS);
    merge_runs(h, true, NULL);
    handle_reopen(h); /* what was allocated ahead goes with the close */
    assert_in_range(space_of_files(h), 1, 64 << 10);
    put_text(h, "later", "is taken");
    handle_reopen(h);
    check_text(h, "later", "is taken");
}

/* Its last record is the mark of a close, of which no run knows; nor does
 * MANIFEST, if the region stayed. */
static void test_a_removed_segment_that_comes_back_is_a_leftover(void **state)
{
    handle *h = *state;
    char name[SEGMENT_NAME_SIZE];
    const region_handle *region;
    os_file *dir;

    h->options.linger = true;
    handle_reopen(h);
    put_text(h, "key", "value");
    merge_runs(h, true, NULL);
    put_text(h, "key", "newer value");
    handle_reopen(h);
    region = &h->db->store->region;
    segment_name_format(region->rows[region->header->active_row].file_id, name);
    dir = h->db->store->dir;
    assert_int_equal(h->kernel->ops->link(dir, name, dir, "aside"), 0);
    merge_runs(h, true, NULL);
    assert_int_equal(h->kernel->ops->rename(dir, "aside", name), 0);
    h->options.linger = false;
    handle_reopen(h);
    handle_reopen(h);
    check_text(h, "key", "newer value");
}

/* Older values and deleted keys, until it ends. */
static void test_what_a_snapshot_sees_stays_until_it_ends(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot = NULL;
    cask_buffer value = {0};
    uint64_t with_snapshot;

    put_round(h, 0);
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    put_round(h, 1);
    merge_runs(h, true, NULL);
    check_round(h, 1);
    for (unsigned i = 0; i < KEYS; i++) {
        cask_status status = cask_snapshot_get(
            snapshot, cask_slice_of(name_of(i)), &value, NULL, NULL);

        assert_int_equal(status, is_deleted(0, i) ? CASK_NOT_FOUND : CASK_OK);
        if (status == CASK_OK) {
            assert_int_equal(value.size, strlen(text_of(0, i)));
            assert_memory_equal(value.data, text_of(0, i), value.size);
        }
    }
    cask_buffer_free(&value);
    with_snapshot = find_runs(h).bytes;
    cask_snapshot_free(snapshot);
    merge_runs(h, true, NULL);
    assert_true(find_runs(h).bytes < with_snapshot * 2 / 3);
    check_round(h, 1);
}

static void test_each_strategy_keeps_all_and_takes_over(void **state)
{
    static const char *const names[] = {"lazy", "leveled", "tiered"};
    handle *h = *state;

    for (unsigned round = 0; round < ROUNDS; round++) {
        set(h, "compaction", names[round % 3]);
        put_round(h, round);
        merge_runs(h, false, NULL);
        check_round(h, round);
    }
    handle_reopen(h);
    check_round(h, ROUNDS - 1);
}

static void test_what_has_expired_goes(void **state)
{
    const cask_write_options soon = {.ttl_ms = 1000};
    handle *h = *state;

    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(cask_put_with(h->db, cask_slice_of(name_of(i)),
                                       cask_slice_of("soon gone"), &soon, NULL,
                                       NULL),
                         CASK_OK);
    }
    put_text(h, "stays", "for ever");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 2000);
    merge_runs(h, true, NULL);
    assert_int_equal(find_runs(h).count, 1);
    assert_true(find_runs(h).bytes < 4096);
    check_text(h, name_of(1), NULL);
    check_text(h, "stays", "for ever");
}

static void put_expiring(handle *h, unsigned i, uint64_t ttl_ms)
{
    const cask_write_options soon = {.ttl_ms = ttl_ms};
    cask_error err = {CASK_OK, 0, ""};

    if (cask_put_with(h->db, cask_slice_of(name_of(i)),
                      cask_slice_of("of which nothing is left some day"), &soon,
                      NULL, &err) != CASK_OK) {
        fail_msg("put: %s", err.message);
    }
}

/* Nobody has written since, and asks for no more than what is due. */
static void test_runs_go_unread_when_all_of_them_has_expired(void **state)
{
    cask_merge_report report;
    handle *h = *state;

    for (unsigned i = 0; i < KEYS; i++) {
        put_expiring(h, i, 1000 + i);
    }
    merge_runs(h, true, NULL);
    merge_runs(h, false, &report);
    assert_int_equal(report.inputs, 0);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 1000 + KEYS);
    merge_runs(h, false, &report);
    assert_true(report.inputs > 0);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(report.outputs, 0);
    assert_int_equal(find_runs(h).count, 0);
}

static void test_all_of_it_stays_for_a_snapshot(void **state)
{
    handle *h = *state;
    cask_snapshot *snapshot = NULL;
    cask_buffer value = {0};

    for (unsigned i = 0; i < KEYS; i++) {
        put_expiring(h, i, 1000);
    }
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 2000);
    merge_runs(h, true, NULL);
    merge_runs(h, true, NULL);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(cask_snapshot_get(snapshot, cask_slice_of(name_of(i)),
                                           &value, NULL, NULL),
                         CASK_OK);
    }
    cask_buffer_free(&value);
    cask_snapshot_free(snapshot);
    merge_runs(h, true, NULL);
    assert_int_equal(find_runs(h).count, 0);
}

static void test_too_old_by_the_setting_they_go_unread_too(void **state)
{
    cask_merge_report report;
    handle *h = *state;

    put_round(h, 0);
    merge_runs(h, true, NULL);
    set(h, "expiry_seconds", "60");
    merge_runs(h, false, &report);
    assert_int_equal(report.inputs, 0);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 62 * 1000);
    merge_runs(h, false, &report);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(find_runs(h).count, 0);
}

/* And not for what a snapshot sees. */
static void test_a_run_is_written_anew_when_much_has_expired(void **state)
{
    cask_merge_report report;
    cask_snapshot *snapshot = NULL;
    handle *h = *state;
    uint64_t before;

    for (unsigned i = 0; i < KEYS; i++) {
        /* Of each part as much at any time. */
        put_expiring(h, i, 1000 * (uint64_t)(1 + i * 7919 % KEYS));
    }
    merge_runs(h, true, NULL);
    before = find_runs(h).bytes;
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + KEYS * 1000 / 10);
    merge_runs(h, false, &report);
    assert_int_equal(report.inputs, 0); /* a tenth is not much */
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + KEYS * 1000 / 2);
    assert_int_equal(cask_snapshot_create(h->db, &snapshot, NULL), CASK_OK);
    merge_runs(h, false, &report);
    assert_int_equal(report.inputs, 0);
    cask_snapshot_free(snapshot);
    merge_runs(h, false, &report);
    assert_true(report.inputs > 0);
    assert_in_range(find_runs(h).bytes, before / 4, before * 3 / 4);
    check_text(h, name_of(0), NULL);
    check_text(h, name_of(1), "of which nothing is left some day");
}

static void test_a_plan_tells_what_is_done(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;
    cask_merge_summary summary;
    cask_merge_item *items = NULL;
    size_t count = 0;

    put_round(h, 0);
    merge_runs(h, false, NULL);
    assert_int_equal(
        cask_merge_plan(h->db, &all, &items, &count, &summary, NULL), CASK_OK);
    assert_int_equal(count, find_runs(h).count);
    assert_string_equal(summary.reason, "all runs are to become one");
    assert_true(summary.read_bytes > 0);
    free(items);
}

/* ---- Full disk ---------------------------------------------------------- */

static void test_a_full_disk_loses_nothing_and_leaves_no_file(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t capacity;
    size_t runs;

    put_round(h, 0);
    put_round(h, 1);
    merge_runs(h, false, NULL);
    for (unsigned i = 0; i < KEYS; i += 50) {
        put_text(h, name_of(i), text_of(1, i));
        if (is_deleted(1, i)) {
            delete_text(h, name_of(i));
        }
    }
    flush_all(h);
    runs = find_runs(h).count;
    capacity = limit_disk(h, 16 << 10);
    assert_int_equal(cask_merge(h->db, &all, NULL, &err), CASK_NO_SPACE);
    assert_int_equal(find_runs(h).count, runs);
    check_round(h, 1);
    os_sim_set_capacity(h->sim, capacity);
    merge_runs(h, true, NULL);
    check_round(h, 1);
}

/* ---- By itself ---------------------------------------------------------- */

static cask_merge_state status_of(handle *h)
{
    cask_merge_state merges;
    cask_error err = {CASK_OK, 0, ""};

    if (cask_merge_status(h->db, &merges, &err) != CASK_OK) {
        fail_msg("status: %s", err.message);
    }
    return merges;
}

static void sleep_some(handle *h)
{
    h->kernel->ops->sleep_ms(h->kernel, 10);
}

static void test_a_thread_compacts_what_is_due(void **state)
{
    handle *h = *state;
    unsigned waited_ms = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        put_round(h, round);
    }
    while ((status_of(h).merges == 0 || status_of(h).due) &&
           waited_ms < WAIT_MS) {
        sleep_some(h);
        waited_ms += 10;
    }
    assert_true(status_of(h).merges > 0);
    assert_false(status_of(h).due);
    assert_true(status_of(h).past_count > 0);
    assert_int_equal(status_of(h).past[0].result, CASK_OK);
    check_round(h, ROUNDS - 1);
}

static void test_a_merge_that_is_started_is_done_by_the_thread(void **state)
{
    const cask_merge_options options = {.all = true, .start = true};
    handle *h = *state;
    unsigned waited_ms = 0;

    put_round(h, 0);
    put_round(h, 1);
    assert_int_equal(cask_merge(h->db, &options, NULL, NULL), CASK_OK);
    while (status_of(h).asked && waited_ms < WAIT_MS) {
        sleep_some(h);
        waited_ms += 10;
    }
    assert_false(status_of(h).asked);
    assert_int_equal(status_of(h).started, CASK_OK);
    assert_string_equal(status_of(h).past[0].reason,
                        "all runs are to become one");
    check_round(h, 1);
}

static void test_it_keeps_to_the_window(void **state)
{
    handle *h = *state;

    set(h, "merge_window", "never");
    for (unsigned round = 0; round < ROUNDS; round++) {
        put_round(h, round);
    }
    for (unsigned i = 0; i < 30; i++) {
        sleep_some(h);
    }
    assert_int_equal(status_of(h).past_count, 0);
    assert_string_equal(status_of(h).reason, "outside merge_window");
    merge_runs(h, false, NULL); /* who asks does not wait for it */
    assert_true(status_of(h).past_count > 0);
    check_round(h, ROUNDS - 1);
}

static void test_a_cancelled_one_leaves_all_as_it_was(void **state)
{
    const cask_merge_options options = {.all = true, .start = true};
    handle *h = *state;
    unsigned waited_ms = 0;

    put_round(h, 0);
    set(h, "merge_rate_bytes", "64KiB"); /* it takes seconds */
    assert_int_equal(cask_merge(h->db, &options, NULL, NULL), CASK_OK);
    while (status_of(h).phase == CASK_MERGE_NONE && waited_ms < WAIT_MS) {
        sleep_some(h);
        waited_ms += 10;
    }
    assert_int_equal(cask_merge_cancel(h->db, NULL), CASK_OK);
    while (status_of(h).phase != CASK_MERGE_NONE && waited_ms < WAIT_MS) {
        sleep_some(h);
        waited_ms += 10;
    }
    assert_int_equal(status_of(h).started, CASK_TIMEOUT);
    assert_int_equal(status_of(h).past[0].result, CASK_TIMEOUT);
    check_round(h, 0);
}

static void flush_runs(handle *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        put_text(h, name_of(i), text_of(0, i));
        flush_all(h);
    }
}

/* As the merging thread does. */
static void look(handle *h)
{
    void *state = calloc(1, tree_merger_work.state_bytes);

    assert_non_null(state);
    tree_merger_work.look(h->db->store, state, true);
    free(state);
}

/* Eight runs of a level are too many; twenty-four hold writers up. */
static void test_a_cancel_holds_back_only_what_can_wait(void **state)
{
    handle *h = *state;

    flush_runs(h, 0, 10);
    assert_int_equal(cask_merge_cancel(h->db, NULL), CASK_OK);
    look(h);
    assert_int_equal(status_of(h).past_count, 0);
    assert_false(status_of(h).due);
    flush_runs(h, 10, 26);
    assert_true(status_of(h).due);
    look(h);
    assert_true(status_of(h).past_count > 0);
    for (unsigned i = 0; i < 26; i++) {
        check_text(h, name_of(i), text_of(0, i));
    }
}

#define ASKED(test)                                                            \
    cmocka_unit_test_setup_teardown(test, tree_handle_setup, handle_teardown)
#define BY_ITSELF(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_by_itself, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASKED(test_all_becomes_one_run_and_space_comes_back),
        ASKED(test_all_takes_the_room_of_a_step),
        ASKED(test_what_is_one_run_is_left_as_it_is),
        ASKED(test_nothing_is_left_of_what_was_deleted),
        ASKED(test_a_store_of_nothing_takes_next_to_nothing),
        ASKED(test_a_removed_segment_that_comes_back_is_a_leftover),
        ASKED(test_what_a_snapshot_sees_stays_until_it_ends),
        ASKED(test_each_strategy_keeps_all_and_takes_over),
        ASKED(test_what_has_expired_goes),
        ASKED(test_runs_go_unread_when_all_of_them_has_expired),
        ASKED(test_all_of_it_stays_for_a_snapshot),
        ASKED(test_too_old_by_the_setting_they_go_unread_too),
        ASKED(test_a_run_is_written_anew_when_much_has_expired),
        ASKED(test_a_plan_tells_what_is_done),
        ASKED(test_a_full_disk_loses_nothing_and_leaves_no_file),
        ASKED(test_a_cancel_holds_back_only_what_can_wait),
        BY_ITSELF(test_a_thread_compacts_what_is_due),
        BY_ITSELF(test_a_merge_that_is_started_is_done_by_the_thread),
        BY_ITSELF(test_it_keeps_to_the_window),
        BY_ITSELF(test_a_cancelled_one_leaves_all_as_it_was),
    };

    return cmocka_run_group_tests_name("tree compaction", tests, NULL, NULL);
}
