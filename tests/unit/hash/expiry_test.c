/*
 * Expiry: of single keys; what a merge gives up, what it must keep, and by
 * which clock.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "hash/hash_merge.h"
#include "store/store_expiry.h"
#include "store/store_settings.h"
#include "store/store_write.h"

enum { KEYS = 100, VALUE_BYTES = 2000 };

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static const char wait_clock[] =
    "the wall clock jumped, or it is too early to trust it";

static _Atomic int events_of_clock;

static void note_event(void *context, const cask_event *event)
{
    (void)context;
    events_of_clock += event->kind == CASK_EVENT_CLOCK ? 1 : 0;
}

/* ---- An os that counts opens of data files ---- */

static os_ops counting;
static const os_ops *uncounted;
static _Atomic uint64_t inputs_below; /* ids of those that count */
static _Atomic unsigned opened;

static int counted_open(os_file *dir, const char *name, uint32_t flags,
                        uint32_t mode, os_file **ret_file)
{
    uint64_t id;

    if (segment_name_parse(name, &id) && id < inputs_below) {
        opened++;
    }
    return uncounted->open(dir, name, flags, mode, ret_file);
}

/* Before one thread takes its `puts_before`-th lock, counted from 0, another
 * value of "k" is put. */
static handle *putter; /* NULL: none */
static _Thread_local bool is_interrupted;
static uint64_t puts_before;

static int lock_after_a_put(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    if (is_interrupted && puts_before-- == 0) {
        is_interrupted = false;
        put_text(putter, "k", "newer");
    }
    return uncounted->mutex_lock(self, mutex, timeout_ms);
}

/* Before the first open: a store's thread uses it, too. */
static void bend_os(handle *h)
{
    uncounted = h->kernel->ops;
    counting = *uncounted;
    counting.open = counted_open;
    counting.mutex_lock = lock_after_a_put;
    h->kernel->ops = &counting;
}

/* Count the opens of the segments that are there now. */
static void count_opens(handle *h)
{
    opened = 0;
    inputs_below = atomic_load(&h->db->store->region.header->next_id);
}

static int small_segments(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    bend_os(h);
    inputs_below = 0;
    h->options.segment_max_bytes = 65536;
    h->options.small_file_threshold_bytes = 0;
    h->options.on_event = note_event;
    events_of_clock = 0;
    handle_open(h);
    return result;
}

static void put_number(handle *h, unsigned number, char fill, uint64_t ttl_ms)
{
    cask_write_options options = {.ttl_ms = ttl_ms};
    char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "key %u", number);
    assert_int_equal(cask_put_with(h->db, cask_slice_of(key),
                                   (cask_slice){value, sizeof(value)}, &options,
                                   NULL, NULL),
                     CASK_OK);
}

static void put_all(handle *h, char fill, uint64_t ttl_ms)
{
    for (unsigned i = 0; i < KEYS; i++) {
        put_number(h, i, fill, ttl_ms);
    }
}

/* fill: of the values; 0: there are none. */
static void expect_all(handle *h, char fill)
{
    for (unsigned i = 0; i < KEYS; i++) {
        cask_buffer value = {0};
        char key[32];

        (void)snprintf(key, sizeof(key), "key %u", i);
        assert_int_equal(cask_get(h->db, cask_slice_of(key), &value, NULL),
                         fill == 0 ? CASK_NOT_FOUND : CASK_OK);
        assert_true(fill == 0 || ((const char *)value.data)[0] == fill);
        cask_buffer_free(&value);
    }
}

static cask_status merge_row(handle *h, uint32_t row, merge_report *ret_report)
{
    store_expiry expiry;

    store_expiry_now(h->db->store, true, &expiry);
    return hash_merge(h->db->store, &row, 1, &expiry, ret_report, NULL);
}

static void set_expiry(handle *h, uint64_t seconds, uint64_t grace_seconds)
{
    store_settings settings;

    store_settings_get(h->db->store, &settings);
    settings.expiry_seconds = seconds;
    settings.expiry_grace_seconds = grace_seconds;
    store_settings_publish(h->db->store, &settings);
}

static void reason_is(handle *h, bool is_asked, const char *reason)
{
    const merge_wish wish = {.is_asked = is_asked};
    merger_plan p;

    assert_int_equal(hash_plan(h->db->store, wish, &p, NULL), CASK_OK);
    assert_string_equal(p.plan.count > 0 ? merge_reason_text(p.plan.reason)
                                         : merge_wait_text(p.plan.wait),
                        reason);
    hash_plan_free(&p);
}

/* ---- One key ---- */

static uint64_t ttl_of(handle *h, const char *key)
{
    uint64_t ttl_ms = 0;

    assert_int_equal(cask_ttl(h->db, cask_slice_of(key), &ttl_ms, NULL),
                     CASK_OK);
    return ttl_ms;
}

static cask_status expire(handle *h, const char *key, uint64_t ttl_ms,
                          uint64_t at_ms)
{
    const cask_expiry expiry = {.ttl_ms = ttl_ms, .expires_at_ms = at_ms};

    return cask_expire(h->db, cask_slice_of(key), &expiry, NULL);
}

static void test_a_time_of_expiry_is_told_set_and_taken(void **state)
{
    handle *h = *state;
    cask_error err = {.message = "as it was"};
    uint64_t ttl_ms = 7;
    bool had = true;

    put_text(h, "k", "value");
    assert_true(ttl_of(h, "k") == CASK_TTL_NEVER);
    assert_int_equal(cask_persist(h->db, cask_slice_of("k"), &had, NULL),
                     CASK_OK);
    assert_false(had);
    os_sim_advance_ms(h->sim, HOUR_MS);
    assert_int_equal(expire(h, "k", MINUTE_MS, 0), CASK_OK);
    assert_int_equal(ttl_of(h, "k"), MINUTE_MS);
    assert_int_equal(expire(h, "k", 0, HANDLE_NOW_MS + HOUR_MS + 7), CASK_OK);
    assert_int_equal(ttl_of(h, "k"), 7);
    check_text(h, "k", "value");
    os_sim_advance_ms(h->sim, 6);
    assert_int_equal(ttl_of(h, "k"), 1);
    assert_int_equal(cask_persist(h->db, cask_slice_of("k"), &had, NULL),
                     CASK_OK);
    assert_true(had);
    os_sim_advance_ms(h->sim, DAY_MS);
    check_text(h, "k", "value");
    assert_int_equal(expire(h, "k", UINT64_MAX, 0), CASK_OK);
    assert_true(ttl_of(h, "k") == CASK_TTL_NEVER);
    assert_int_equal(expire(h, "k", 0, 1), CASK_OK); /* long ago */
    check_text(h, "k", NULL);
    assert_int_equal(cask_ttl(h->db, cask_slice_of("k"), &ttl_ms, NULL),
                     CASK_NOT_FOUND);
    assert_int_equal(ttl_ms, 7);
    assert_int_equal(expire(h, "k", 1, 0), CASK_NOT_FOUND);
    assert_int_equal(cask_persist(h->db, cask_slice_of("k"), NULL, &err),
                     CASK_NOT_FOUND);
    assert_string_equal(err.message, "as it was");
}

static void test_an_age_of_the_store_counts_from_the_write(void **state)
{
    handle *h = *state;
    cask_info before, after;
    cask_buffer value = {0};

    put_text(h, "k", "value");
    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("k"), &value, &before, NULL),
        CASK_OK);
    set_expiry(h, 60, 0);
    assert_int_equal(ttl_of(h, "k"), 61 * SECOND_MS); /* in whole seconds */
    os_sim_advance_ms(h->sim, 30 * SECOND_MS);
    assert_int_equal(expire(h, "k", HOUR_MS, 0), CASK_OK);
    assert_int_equal(ttl_of(h, "k"), 31 * SECOND_MS);
    assert_int_equal(
        cask_get_with(h->db, cask_slice_of("k"), &value, &after, NULL),
        CASK_OK);
    assert_int_equal(after.time_s, before.time_s);
    assert_true(after.sequence > before.sequence);
    cask_buffer_free(&value);
    os_sim_advance_ms(h->sim, 31 * SECOND_MS - 1);
    assert_int_equal(ttl_of(h, "k"), 1);
    os_sim_advance_ms(h->sim, 1);
    assert_int_equal(expire(h, "k", HOUR_MS, 0), CASK_NOT_FOUND);
}

static void test_what_is_no_time_of_expiry_is_refused(void **state)
{
    handle *h = *state;

    put_text(h, "k", "value");
    assert_int_equal(expire(h, "k", 0, 0), CASK_INVALID);
    assert_int_equal(expire(h, "k", 1, 1), CASK_INVALID);
    assert_int_equal(cask_expire(h->db, cask_slice_of("k"), NULL, NULL),
                     CASK_INVALID);
    assert_int_equal(cask_ttl(h->db, cask_slice_of("k"), NULL, NULL),
                     CASK_INVALID);
    assert_true(ttl_of(h, "k") == CASK_TTL_NEVER);
    h->options.read_only = true;
    handle_reopen(h);
    assert_int_equal(expire(h, "k", 1, 0), CASK_READ_ONLY);
    assert_int_equal(cask_persist(h->db, cask_slice_of("k"), NULL, NULL),
                     CASK_READ_ONLY);
    assert_true(ttl_of(h, "k") == CASK_TTL_NEVER);
}

enum { WRITES = 3000 };

typedef struct writing {
    handle *h;
    _Atomic bool is_done;
} writing;

static void put_many(void *argument)
{
    writing *w = argument;

    for (unsigned i = 1; i <= WRITES; i++) {
        char value[16];

        (void)snprintf(value, sizeof(value), "%u", i);
        put_text(w->h, "k", value);
    }
    atomic_store(&w->is_done, true);
}

static unsigned number_of(handle *h, const char *key)
{
    cask_buffer value = {0};
    char text[16] = "";

    assert_int_equal(cask_get(h->db, cask_slice_of(key), &value, NULL),
                     CASK_OK);
    assert_true(value.size < sizeof(text));
    memcpy(text, value.data, value.size);
    cask_buffer_free(&value);
    return (unsigned)strtoul(text, NULL, 10);
}

/* Whoever sets times meanwhile writes only what is still the newest. */
static void test_a_time_never_overwrites_a_newer_value(void **state)
{
    handle *h = *state;
    writing w = {.h = h};
    os_thread *thread = NULL;
    unsigned last = 0;

    put_text(h, "k", "0");
    assert_int_equal(
        h->kernel->ops->thread_start(h->kernel, put_many, &w, &thread), 0);
    while (!atomic_load(&w.is_done)) {
        unsigned now;

        assert_int_equal(expire(h, "k", HOUR_MS, 0), CASK_OK);
        assert_int_equal(cask_persist(h->db, cask_slice_of("k"), NULL, NULL),
                         CASK_OK);
        now = number_of(h, "k");
        assert_true(now >= last);
        last = now;
    }
    h->kernel->ops->thread_join(h->kernel, thread);
    assert_int_equal(number_of(h, "k"), WRITES);
}

/* Wherever it comes in between. */
static void test_nor_one_that_comes_at_any_of_its_locks(void **state)
{
    handle *h = *state;
    bool is_put = true;

    putter = h;
    for (uint64_t n = 0; is_put; n++) {
        put_text(h, "k", "old");
        puts_before = n;
        is_interrupted = true;
        assert_int_equal(expire(h, "k", HOUR_MS, 0), CASK_OK);
        is_put = !is_interrupted;
        is_interrupted = false;
        check_text(h, "k", is_put ? "newer" : "old");
        assert_true(is_put || n > 0);
    }
}

/* ---- What goes ---- */

static void test_expired_values_go_and_leave_the_count(void **state)
{
    handle *h = *state;

    put_all(h, 'a', MINUTE_MS);
    put_text(h, "lasting", "stays");
    os_sim_advance_ms(h->sim, MINUTE_MS - 1);
    (void)handle_merge_all(h);
    expect_all(h, 'a');
    assert_int_equal(count_keys(h), KEYS + 1);
    os_sim_advance_ms(h->sim, 1);
    expect_all(h, 0);
    assert_int_equal(count_keys(h), KEYS + 1);
    (void)handle_merge_all(h);
    for (int again = 0; again < 2; again++) {
        expect_all(h, 0);
        check_text(h, "lasting", "stays");
        assert_int_equal(count_keys(h), 1);
        assert_int_equal(handle_stats(h).dead_bytes, 0);
        assert_int_equal(handle_tombstones(h), 0);
        handle_reopen(h);
    }
    assert_true(handle_stats(h).data_bytes < VALUE_BYTES);
}

static void test_values_past_the_age_of_the_store_go(void **state)
{
    handle *h = *state;

    put_all(h, 'a', 0);
    set_expiry(h, 60, 30);
    os_sim_advance_ms(h->sim, 90 * SECOND_MS);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), KEYS); /* in the time of grace */
    os_sim_advance_ms(h->sim, SECOND_MS);
    put_text(h, "young", "stays");
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), 1);
    set_expiry(h, 0, 0);
    expect_all(h, 0);
    check_text(h, "young", "stays");
}

static void test_an_option_of_a_handle_hides_and_takes_nothing(void **state)
{
    handle *h = *state;

    put_all(h, 'a', 0);
    h->options.expiry_seconds = 60;
    handle_reopen(h);
    os_sim_advance_ms(h->sim, DAY_MS);
    expect_all(h, 0);
    (void)handle_merge_all(h);
    h->options.expiry_seconds = 0;
    handle_reopen(h);
    expect_all(h, 'a');
}

/* ---- What stays hidden ---- */

static void test_no_older_value_comes_back_when_a_newer_one_goes(void **state)
{
    handle *h = *state;
    merge_report report;
    uint32_t row;

    put_all(h, 'a', 0);
    (void)handle_seal(h);
    put_number(h, 7, 'b', MINUTE_MS);
    put_number(h, KEYS, 'c', MINUTE_MS); /* hides nothing */
    row = handle_seal(h);
    os_sim_advance_ms(h->sim, MINUTE_MS);
    assert_int_equal(merge_row(h, row, &report), CASK_OK);
    assert_int_equal(report.expired, 2);
    assert_int_equal(report.records, 1); /* a delete in place of one value */
    assert_int_equal(handle_tombstones(h), 1);
    for (int again = 0; again < 2; again++) {
        check_text(h, "key 7", NULL);
        assert_int_equal(count_keys(h), KEYS - 1);
        handle_reopen(h);
    }
    (void)handle_merge_all(h);
    assert_int_equal(handle_tombstones(h), 0);
    handle_reopen(h);
    check_text(h, "key 7", NULL);
    assert_int_equal(count_keys(h), KEYS - 1);
}

/* The power fails before each operation on the disk that the merge makes. */
static void test_none_comes_back_after_a_power_cut_either(void **state)
{
    handle *h = *state;
    bool is_cut = true;

    for (uint64_t n = 0; is_cut; n++) {
        merge_report report;
        uint32_t row;

        put_text(h, "k", "old");
        (void)handle_seal(h);
        {
            cask_write_options options = {.ttl_ms = MINUTE_MS};

            assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                           cask_slice_of("new"), &options, NULL,
                                           NULL),
                             CASK_OK);
        }
        row = handle_seal(h);
        assert_int_equal(cask_sync(h->db, NULL), CASK_OK);
        os_sim_advance_ms(h->sim, MINUTE_MS);
        os_sim_cut_at(h->sim, os_sim_operations(h->sim) + n);
        (void)merge_row(h, row, &report);
        is_cut = os_sim_is_cut(h->sim);
        (void)cask_close(h->db, NULL);
        assert_int_equal(os_sim_crash(h->sim, n), 0);
        handle_open(h);
        check_text(h, "k", NULL);
        (void)handle_merge_all(h);
        check_text(h, "k", NULL);
        assert_int_equal(count_keys(h), 0);
    }
}

typedef struct meanwhile {
    handle *h;
    uint64_t countdown;
    bool is_done;
} meanwhile;

/* Not in the store's own thread, which has its operations too. */
static _Thread_local bool is_merging;

static void put_meanwhile(void *context, os_sim *sim)
{
    meanwhile *m = context;

    (void)sim;
    if (is_merging && m->countdown-- == 0) {
        m->is_done = true;
        put_text(m->h, "k", "newer");
    }
}

/* A value that is put before any operation that the merge makes stays. */
static void test_a_merge_takes_no_value_that_comes_meanwhile(void **state)
{
    handle *h = *state;
    bool is_done = true;

    for (uint64_t n = 0; is_done; n++) {
        meanwhile m = {.h = h, .countdown = n};
        cask_write_options options = {.ttl_ms = MINUTE_MS};
        merge_report report;
        uint32_t row;

        put_text(h, "k", "old");
        (void)handle_seal(h);
        assert_int_equal(cask_put_with(h->db, cask_slice_of("k"),
                                       cask_slice_of("new"), &options, NULL,
                                       NULL),
                         CASK_OK);
        row = handle_seal(h);
        os_sim_advance_ms(h->sim, MINUTE_MS);
        is_merging = true;
        os_sim_set_hook(h->sim, put_meanwhile, &m);
        assert_int_equal(merge_row(h, row, &report), CASK_OK);
        os_sim_set_hook(h->sim, NULL, NULL);
        is_merging = false;
        is_done = m.is_done;
        check_text(h, "k", is_done ? "newer" : NULL);
        assert_int_equal(count_keys(h), is_done ? 1 : 0);
        handle_reopen(h);
        check_text(h, "k", is_done ? "newer" : NULL);
        (void)handle_merge_all(h);
    }
}

/* ---- Whole segments ---- */

static void test_a_segment_that_has_expired_goes_unread(void **state)
{
    handle *h = *state;
    cask_merge_report report = {.inputs = 0};

    put_all(h, 'a', MINUTE_MS);
    (void)handle_seal(h);
    handle_reopen(h); /* by hints, which know when it is over */
    os_sim_advance_ms(h->sim, MINUTE_MS + 1);
    reason_is(h, true, "all records have expired");
    count_opens(h);
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
    assert_int_equal(opened, 0);
    assert_true(report.inputs > 2);
    assert_int_equal(report.outputs, 0);
    assert_int_equal(report.bytes_read, 0);
    assert_int_equal(count_keys(h), 0);
    expect_all(h, 0);
    handle_reopen(h);
    assert_int_equal(count_keys(h), 0);
    assert_true(handle_stats(h).data_bytes < VALUE_BYTES);
}

static void test_a_segment_past_the_age_goes_unread_after_grace(void **state)
{
    handle *h = *state;
    cask_merge_report report = {.inputs = 0};

    put_all(h, 'a', 0);
    (void)handle_seal(h);
    handle_reopen(h);
    set_expiry(h, 60, 30);
    os_sim_advance_ms(h->sim, 90 * SECOND_MS);
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
    assert_int_equal(report.inputs, 0);
    os_sim_advance_ms(h->sim, SECOND_MS);
    count_opens(h);
    assert_int_equal(cask_merge(h->db, NULL, &report, NULL), CASK_OK);
    assert_int_equal(opened, 0);
    assert_true(report.inputs > 2);
    assert_int_equal(count_keys(h), 0);
}

static void test_one_that_hides_an_older_value_leaves_its_deletes(void **state)
{
    handle *h = *state;
    merge_report report;
    uint32_t row;

    put_text(h, "key 3", "older");
    (void)handle_seal(h);
    for (unsigned i = 0; i < 10; i++) {
        put_number(h, i, 'b', MINUTE_MS);
    }
    row = handle_seal(h);
    os_sim_advance_ms(h->sim, MINUTE_MS + 1);
    assert_int_equal(merge_row(h, row, &report), CASK_OK);
    assert_int_equal(report.expired, 10);
    assert_int_equal(report.records, 1);
    assert_int_equal(count_keys(h), 0);
    handle_reopen(h);
    check_text(h, "key 3", NULL);
    assert_int_equal(count_keys(h), 0);
}

/* One put without an end keeps a segment from expiring as a whole, also if that
 * is only known from its hint. */
static void test_a_segment_with_one_lasting_value_is_read(void **state)
{
    handle *h = *state;

    put_text(h, "lasting", "stays");
    for (unsigned i = 0; i < 10; i++) {
        put_number(h, i, 'b', MINUTE_MS);
    }
    (void)handle_seal(h);
    for (int again = 0; again < 2; again++) {
        os_sim_advance_ms(h->sim, MINUTE_MS + 1);
        reason_is(h, true, "the store is above max_space_amplification");
        handle_reopen(h);
    }
    count_opens(h);
    (void)handle_merge_all(h);
    assert_true(opened > 0);
    check_text(h, "lasting", "stays");
    assert_int_equal(count_keys(h), 1);
}

/* ---- The clock ---- */

static void test_a_clock_that_jumps_ahead_erases_nothing(void **state)
{
    handle *h = *state;

    put_all(h, 'a', DAY_MS);
    (void)handle_seal(h);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 2 * DAY_MS);
    expect_all(h, 0); /* hidden */
    reason_is(h, true, wait_clock);
    reason_is(h, false, wait_clock);
    (void)handle_merge_all(h);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), KEYS);
    assert_int_equal(events_of_clock, 1);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS);
    expect_all(h, 'a');
    (void)handle_merge_all(h);
    expect_all(h, 'a');
    os_sim_advance_ms(h->sim, DAY_MS);
    (void)handle_merge_all(h); /* the time has really come */
    assert_int_equal(count_keys(h), 0);
}

static void test_a_clock_that_jumps_back_erases_nothing(void **state)
{
    handle *h = *state;

    put_all(h, 'a', MINUTE_MS);
    os_sim_advance_ms(h->sim, DAY_MS);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + 2 * MINUTE_MS);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), KEYS);
    assert_int_equal(events_of_clock, 1);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + DAY_MS);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), 0);
}

static void test_less_than_an_hour_is_a_correction(void **state)
{
    handle *h = *state;

    put_all(h, 'a', MINUTE_MS);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + HOUR_MS);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), 0);
    put_all(h, 'a', MINUTE_MS);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + HOUR_MS + MINUTE_MS);
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), KEYS);
}

/* An open cannot know whether nobody wrote for a day or the clock is wrong:
 * the background waits an hour, in which a clock is usually set right; who asks
 * for a merge is believed. */
static void
test_after_an_open_a_clock_ahead_is_not_trusted_at_once(void **state)
{
    handle *h = *state;

    put_all(h, 'a', MINUTE_MS);
    (void)handle_seal(h);
    handle_close(h);
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + DAY_MS);
    handle_open(h);
    reason_is(h, false, wait_clock);
    reason_is(h, true, "all records have expired");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS); /* set right in time */
    reason_is(h, true, "a merge would free next to nothing");
    os_sim_set_wall_ms(h->sim, HANDLE_NOW_MS + DAY_MS);
    os_sim_advance_ms(h->sim, HOUR_MS);
    assert_string_not_equal(wait_clock, "");
    (void)handle_merge_all(h);
    assert_int_equal(count_keys(h), 0);
    assert_int_equal(events_of_clock, 0);
}

int main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_time_of_expiry_is_told_set_and_taken),
        TEST(test_an_age_of_the_store_counts_from_the_write),
        TEST(test_what_is_no_time_of_expiry_is_refused),
        TEST(test_a_time_never_overwrites_a_newer_value),
        TEST(test_nor_one_that_comes_at_any_of_its_locks),
        TEST(test_expired_values_go_and_leave_the_count),
        TEST(test_values_past_the_age_of_the_store_go),
        TEST(test_an_option_of_a_handle_hides_and_takes_nothing),
        TEST(test_no_older_value_comes_back_when_a_newer_one_goes),
        TEST(test_none_comes_back_after_a_power_cut_either),
        TEST(test_a_merge_takes_no_value_that_comes_meanwhile),
        TEST(test_a_segment_that_has_expired_goes_unread),
        TEST(test_a_segment_past_the_age_goes_unread_after_grace),
        TEST(test_one_that_hides_an_older_value_leaves_its_deletes),
        TEST(test_a_segment_with_one_lasting_value_is_read),
        TEST(test_a_clock_that_jumps_ahead_erases_nothing),
        TEST(test_a_clock_that_jumps_back_erases_nothing),
        TEST(test_less_than_an_hour_is_a_correction),
        TEST(test_after_an_open_a_clock_ahead_is_not_trusted_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
