/*
 * Merging: what is live stays, what is dead goes, deletes stay deleted; over
 * reopening, too.
 */
#include "unit/hash/numbered.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "hash/hash_merger.h"
#include "log/segment_format.h"
#include "os/os_fault.h"
#include "store/store_recover.h"

static void expect_key(handle *h, unsigned number, char fill)
{
    cask_buffer value = {0};
    char key[32];

    (void)snprintf(key, sizeof(key), "key %u", number);
    if (fill == 0) {
        assert_int_equal(cask_get(h->db, cask_slice_of(key), &value, NULL),
                         CASK_NOT_FOUND);
    } else {
        assert_int_equal(cask_get(h->db, cask_slice_of(key), &value, NULL),
                         CASK_OK);
        assert_int_equal(value.size, VALUE_BYTES);
        assert_int_equal(((const char *)value.data)[VALUE_BYTES - 1], fill);
    }
    cask_buffer_free(&value);
}

static void test_overwritten_values_go_and_the_newest_stay(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    cask_stats stats;

    for (char round = 'a'; round <= 'e'; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(h->db, i, round);
        }
    }
    assert_true(handle_stats(h).dead_bytes > 4 * KEYS * VALUE_BYTES);
    report = handle_merge_all(h);
    assert_true(report.inputs > report.outputs);
    stats = handle_stats(h);
    assert_int_equal(stats.dead_bytes, 0);
    assert_int_equal(stats.key_count, KEYS);
    for (int again = 0; again < 2; again++) {
        for (unsigned i = 0; i < KEYS; i++) {
            expect_key(h, i, 'e');
        }
        handle_reopen(h);
    }
    assert_int_equal(handle_stats(h).dead_bytes, 0);
}

static void test_files_of_inputs_are_removed(void **state)
{
    handle *h = *state;
    uint64_t before;

    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(h->db, i, 'x');
        }
    }
    before = handle_stats(h).disk_bytes;
    (void)handle_merge_all(h);
    assert_true(handle_stats(h).disk_bytes < before / 2);
}

static void test_a_merge_of_nothing_does_nothing(void **state)
{
    handle *h = *state;
    cask_merge_report report = handle_merge_all(h);

    assert_int_equal(report.inputs, 0);
    put_key(h->db, 1, 'a');
    (void)handle_merge_all(h);
    report = handle_merge_all(h);
    assert_int_equal(report.inputs, 0);
    expect_key(h, 1, 'a');
}

static void test_deletes_that_hide_nothing_go(void **state)
{
    handle *h = *state;
    cask_merge_report report;

    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h->db, i, 'a');
    }
    for (unsigned i = 0; i < KEYS; i++) {
        delete_key(h, i);
    }
    report = handle_merge_all(h);
    assert_int_equal(report.records, 0);
    assert_int_equal(report.tombstones_dropped, KEYS);
    assert_int_equal(handle_stats(h).data_bytes, 0);
    handle_reopen(h);
    for (unsigned i = 0; i < KEYS; i++) {
        expect_key(h, i, 0);
    }
}

/* Not `all`: the put lies in a segment that is not merged. */
static void
test_a_delete_stays_while_an_older_put_exists_elsewhere(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;
    store_expiry expiry;
    merge_report report;
    uint32_t row;

    put_key(h->db, 7, 'a');
    assert_int_equal(store_rotate(store, NULL), CASK_OK);
    delete_key(h, 7);
    put_key(h->db, 8, 'b');
    row = atomic_load(&store->region.header->active_row);
    assert_int_equal(store_rotate(store, NULL), CASK_OK);
    store_expiry_now(store, true, &expiry);
    assert_int_equal(hash_merge(store, &row, 1, &expiry, &report, NULL),
                     CASK_OK);
    assert_int_equal(report.records, 2); /* the delete, and key 8 */
    assert_int_equal(report.tombstones_dropped, 0);
    expect_key(h, 7, 0);
    handle_reopen(h);
    expect_key(h, 7, 0);
    expect_key(h, 8, 'b');
}

static size_t plan(handle *h, bool all, cask_merge_item **ret_items,
                   cask_merge_summary *ret_summary)
{
    cask_merge_options options = {.all = all};
    size_t count = 0;

    assert_int_equal(
        cask_merge_plan(h->db, &options, ret_items, &count, ret_summary, NULL),
        CASK_OK);
    assert_non_null(*ret_items);
    assert_non_null(ret_summary->reason);
    return count;
}

/* Every step of a merge does what its plan says, which changes nothing. */
static void test_a_plan_says_what_a_merge_does(void **state)
{
    handle *h = *state;
    cask_merge_item *items = NULL;
    cask_merge_summary summary;
    cask_merge_report report;
    cask_stats before;
    uint64_t gain = 0;
    size_t count;

    for (unsigned i = 0; i < 3 * KEYS; i++) {
        put_key(h->db, i % KEYS, 'a');
    }
    before = handle_stats(h);
    count = plan(h, true, &items, &summary);
    assert_true(count > 0);
    assert_string_equal(summary.reason, "everything was asked for");
    for (size_t i = 0; i < count; i++) {
        assert_true(items[i].live_bytes <= items[i].total_bytes);
        assert_string_equal(items[i].reason, "everything was asked for");
        gain += items[i].gain_bytes;
    }
    assert_int_equal(gain, summary.freed_bytes);
    assert_true(summary.read_bytes >= summary.freed_bytes);
    cask_free(items);
    assert_int_equal(handle_stats(h).data_bytes, before.data_bytes);
    assert_int_equal(handle_stats(h).segment_count, before.segment_count);

    report = handle_merge_all(h);
    assert_true(report.inputs >= count);
    assert_true(summary.left > 0 || report.inputs == count);
    count = plan(h, true, &items, &summary);
    assert_int_equal(count, 0);
    assert_int_equal(summary.freed_bytes, 0);
    cask_free(items);
}

static void test_a_plan_of_nothing_says_why(void **state)
{
    handle *h = *state;
    cask_merge_item *items = NULL;
    cask_merge_summary summary;

    assert_int_equal(plan(h, false, &items, &summary), 0);
    assert_string_equal(summary.reason, "there is no sealed segment");
    cask_free(items);
    /* The active segment is merged only if all is asked for. */
    put_key(h->db, 1, 'a');
    put_key(h->db, 1, 'b');
    assert_int_equal(plan(h, false, &items, &summary), 0);
    cask_free(items);
    assert_int_equal(plan(h, true, &items, &summary), 1);
    assert_true(summary.freed_bytes >= VALUE_BYTES);
    cask_free(items);
    assert_int_equal(cask_merge_plan(h->db, NULL, NULL, NULL, &summary, NULL),
                     CASK_INVALID);
}

static void test_a_reader_is_told_the_same_plan(void **state)
{
    handle *h = *state;
    cask_merge_item *items = NULL;
    cask_merge_summary writer, reader;
    cask_merge_state now;
    size_t count;

    for (unsigned i = 0; i < 3 * KEYS; i++) {
        put_key(h->db, i % KEYS, 'a');
    }
    count = plan(h, false, &items, &writer);
    assert_true(count > 0);
    cask_free(items);
    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_true(now.due);
    assert_string_equal(now.reason, writer.reason);
    assert_int_equal(now.merges, 0);
    handle_close(h);
    h->options.read_only = true; /* an index of its own: nobody else is there */
    handle_open(h);
    assert_true(plan(h, false, &items, &reader) >= count);
    assert_string_equal(reader.reason, writer.reason);
    cask_free(items);
    assert_int_equal(cask_merge_status(h->db, &now, NULL), CASK_OK);
    assert_true(now.due);
}

static bool count_entry(void *context, const cask_entry *entry)
{
    (void)entry;
    (*(unsigned *)context)++;
    return true;
}

typedef struct merging_fold {
    handle *h;
    unsigned seen;
} merging_fold;

static bool merge_meanwhile(void *context, const cask_entry *entry)
{
    merging_fold *f = context;

    assert_int_equal(entry->value.size, VALUE_BYTES);
    assert_int_equal(((const char *)entry->value.data)[0], 'a');
    if (f->seen++ == KEYS / 2) {
        /* Something is dead in each segment that is still to be visited. */
        for (unsigned i = 0; i < KEYS; i += 7) {
            put_key(f->h->db, i, 'z');
        }
        (void)handle_merge_all(f->h);
    }
    return true;
}

static void test_a_fold_sees_every_key_once_over_a_merge(void **state)
{
    handle *h = *state;
    merging_fold f = {.h = h};
    unsigned count = 0;

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(h->db, i, 'a');
        }
    }
    assert_int_equal(cask_fold(h->db, NULL, merge_meanwhile, &f, NULL),
                     CASK_OK);
    assert_int_equal(f.seen, KEYS);
    assert_int_equal(cask_fold(h->db, NULL, count_entry, &count, NULL),
                     CASK_OK);
    assert_int_equal(count, KEYS);
    expect_key(h, 0, 'z');
}

/* Which has no maps that would keep what is removed. */
static void test_a_fold_by_system_calls_does_so_too(void **state)
{
    handle *h = *state;

    h->options.io = CASK_IO_PREAD;
    h->options.max_descriptors = 8;
    handle_reopen(h);
    test_a_fold_sees_every_key_once_over_a_merge(state);
}

static void test_a_view_outlives_its_segment(void **state)
{
    handle *h = *state;
    cask_view view;

    put_key(h->db, 1, 'a');
    assert_int_equal(
        cask_view_acquire(h->db, cask_slice_of("key 1"), &view, NULL), CASK_OK);
    put_key(h->db, 1, 'b');
    (void)handle_merge_all(h);
    assert_int_equal(view.value.size, VALUE_BYTES);
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        assert_int_equal(((const char *)view.value.data)[i], 'a');
    }
    cask_view_release(h->db, &view);
    expect_key(h, 1, 'b');
}

/* Flip a byte of the first record of segment `id`. */
static void damage(handle *h, uint64_t id)
{
    const os_ops *ops = h->kernel->ops;
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    char name[SEGMENT_NAME_SIZE];
    os_file *dir;
    os_file *file;
    size_t got;

    segment_name_format(id, name);
    assert_int_equal(ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(ops->read_at(file, &byte, 1, 200, &got), 0);
    byte ^= 1;
    assert_int_equal(ops->write_at(file, &span, 1, 200), 0);
    ops->close(file);
    ops->close(dir);
}

static void test_a_damaged_segment_stays_and_the_rest_is_merged(void **state)
{
    handle *h = *state;
    cask_merge_options options = {.all = true};
    cask_merge_report report;
    cask_error err;

    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(h->db, i, 'a');
        }
    }
    put_key(h->db, KEYS, 'k');
    damage(h, 1);
    assert_int_equal(cask_merge(h->db, &options, &report, &err), CASK_CORRUPT);
    assert_non_null(strstr(err.message, "0000000000000001.log"));
    assert_true(report.inputs > 5);
    assert_int_equal(cask_merge(h->db, &options, &report, NULL), CASK_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        expect_key(h, i, 'a');
    }
    expect_key(h, KEYS, 'k');
}

/* An os on which the next wait for a lock is long: segments come meanwhile. */
static struct {
    os_fault fault;
    const os_ops *usual;
    os_ops slow;
    handle *h;
    bool is_armed;
} busy;

static int lock_late(os *self, os_mutex *mutex, uint64_t timeout_ms)
{
    if (busy.is_armed) {
        busy.is_armed = false;
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(busy.h->db, i, 'n');
        }
    }
    return busy.usual->mutex_lock(self, mutex, timeout_ms);
}

/* Shows its fault under a sanitizer: more segments than were counted. */
static void test_a_plan_is_made_while_segments_come(void **state)
{
    handle *h = *state;
    cask_merge_item *items = NULL;
    cask_merge_summary summary;

    handle_close(h);
    os_fault_init(&busy.fault, h->kernel);
    busy.usual = busy.fault.base.ops;
    busy.slow = *busy.usual;
    busy.slow.mutex_lock = lock_late;
    busy.fault.base.ops = &busy.slow;
    busy.h = h;
    h->kernel = &busy.fault.base;
    handle_open(h);
    busy.is_armed = true;
    assert_int_equal(plan(h, false, &items, &summary), 0);
    cask_free(items);
    assert_false(busy.is_armed);
    assert_true(handle_stats(h).segment_count > 5);
}

static uint64_t dead_after_overwrites(handle *h, bool auto_merge)
{
    uint64_t dead = 0;

    h->options.auto_merge = auto_merge;
    handle_reopen(h);
    for (int i = 0; i < 1000; i++) {
        put_key(h->db, 0, 'x');
    }
    for (int i = 0; i < 200; i++) {
        dead = handle_stats(h).dead_bytes;
        if (!auto_merge || dead < 1000 * VALUE_BYTES / 2) {
            break;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return dead;
}

static void test_auto_merge_gives_space_back(void **state)
{
    assert_true(dead_after_overwrites(*state, false) > 990 * VALUE_BYTES);
    assert_true(dead_after_overwrites(*state, true) < 1000 * VALUE_BYTES / 2);
}

/* An os on which a reader stands still when it has mapped a segment. */
static struct {
    os_fault fault;
    os_ops slow;
    const os_ops *usual;
    handle *writer;
} still;

/* That happen meanwhile; of the thread that reads, since the background thread
 * maps segments, too. */
static _Thread_local unsigned merges_due;

enum { FEW = 20 }; /* keys, which fit into a segment */

static int map_slowly(os_file *file, uint64_t offset, size_t size, bool write,
                      void **ret_memory)
{
    int os_errno = still.usual->map(file, offset, size, write, ret_memory);
    unsigned merges = merges_due;

    merges_due = 0;
    for (unsigned i = 0; i < merges; i++) {
        /* Behind the others, which come to the same offsets again. */
        delete_key(still.writer, FEW - 1 - i);
        (void)handle_merge_all(still.writer);
    }
    return os_errno;
}

/* Rows are used again: an even number of merges leads it to the same row. */
static void test_a_key_that_merges_lead_away_and_back_is_read(void **state)
{
    handle *h = *state;
    handle reader = *h;

    os_fault_init(&still.fault, h->kernel);
    still.usual = still.fault.base.ops;
    still.slow = *still.usual;
    still.slow.map = map_slowly;
    still.fault.base.ops = &still.slow;
    still.writer = h;
    reader.kernel = &still.fault.base;
    for (unsigned merges = 1; merges <= 6; merges++) {
        for (unsigned i = 0; i < FEW; i++) {
            put_key(h->db, i, 'a');
        }
        (void)handle_merge_all(h);
        handle_open(&reader);
        merges_due = merges;
        expect_key(&reader, 5, 'a');
        assert_int_equal(merges_due, 0);
        handle_close(&reader);
    }
}

/* An os that merges when a hint is about to be written. */
static struct {
    const os_ops *usual;
    os_ops ops;
    handle *h;
} meddling;

/* Of the thread that writes the hint in question: the background thread has
 * others to write. */
static _Thread_local bool is_armed;

static int merge_and_open(os_file *dir, const char *name, uint32_t flags,
                          uint32_t mode, os_file **ret_file)
{
    if (is_armed && strstr(name, ".hint.new") != NULL) {
        is_armed = false;
        for (unsigned i = 0; i < KEYS; i++) {
            put_key(meddling.h->db, i, 'b');
        }
        (void)handle_merge_all(meddling.h);
    }
    return meddling.usual->open(dir, name, flags, mode, ret_file);
}

static bool is_known(void *context, const char *name)
{
    const region_handle *region = &((handle *)context)->db->store->region;
    uint64_t id = 0;
    bool found = !hint_name_parse(name, &id);

    for (uint32_t i = 0; i < atomic_load(&region->header->row_count); i++) {
        found = found || atomic_load(&region->rows[i].file_id) == id;
    }
    assert_true(found);
    return true;
}

static void test_a_hint_that_comes_too_late_does_not_stay(void **state)
{
    handle *h = *state;
    store_handle *store;
    uint32_t row;
    uint64_t id;

    handle_close(h);
    meddling.usual = h->kernel->ops;
    meddling.ops = *h->kernel->ops;
    meddling.ops.open = merge_and_open;
    meddling.h = h;
    h->kernel->ops = &meddling.ops;
    handle_open(h);
    store = h->db->store;
    row = atomic_load(&store->region.header->active_row);
    id = atomic_load(&store->region.rows[row].file_id);
    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h->db, i, 'a');
    }
    is_armed = true;
    assert_int_equal(store_write_hint(store, row, id, NULL), CASK_OK);
    assert_false(is_armed);
    assert_int_equal(h->kernel->ops->list(store->dir, is_known, h), 0);
    handle_close(h);
    h->kernel->ops = meddling.usual;
    handle_open(h);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_overwritten_values_go_and_the_newest_stay),
        TEST(test_files_of_inputs_are_removed),
        TEST(test_a_merge_of_nothing_does_nothing),
        TEST(test_deletes_that_hide_nothing_go),
        TEST(test_a_delete_stays_while_an_older_put_exists_elsewhere),
        TEST(test_a_plan_says_what_a_merge_does),
        TEST(test_a_plan_of_nothing_says_why),
        TEST(test_a_reader_is_told_the_same_plan),
        TEST(test_a_fold_sees_every_key_once_over_a_merge),
        TEST(test_a_fold_by_system_calls_does_so_too),
        TEST(test_a_view_outlives_its_segment),
        TEST(test_a_damaged_segment_stays_and_the_rest_is_merged),
        TEST(test_a_plan_is_made_while_segments_come),
        TEST(test_auto_merge_gives_space_back),
        TEST(test_a_key_that_merges_lead_away_and_back_is_read),
        TEST(test_a_hint_that_comes_too_late_does_not_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
