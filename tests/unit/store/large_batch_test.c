/*
 * Batches that are gathered and written in large pieces: whole, or not there,
 * whatever their records' sizes are and whichever write fails.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "log/segment_format.h"
#include "os/os_fault.h"

enum { RECORDS = 120, SIZES = 6 };

/* Below, at and above what is gathered at once; one record goes alone. */
static const size_t sizes[SIZES] = {0, 1, 4000, 70001, 130000, 300 * 1024};

static void key_of(unsigned number, char ret_key[16])
{
    (void)snprintf(ret_key, 16, "key %u", number);
}

static size_t size_of(unsigned number)
{
    return number % 40 == 39 ? sizes[5] : sizes[number % 5];
}

static cask_status write_batch(handle *h, uint64_t seed)
{
    uint8_t *bytes = make_bytes(sizes[5], seed);
    cask_batch *batch;
    cask_status status;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        const cask_slice value = {bytes, size_of(i)};
        char key[16];

        key_of(i, key);
        assert_int_equal(
            cask_batch_put(batch, cask_slice_of(key), value, 0, NULL), CASK_OK);
    }
    status = cask_write(h->db, batch, NULL);
    cask_batch_free(batch);
    free(bytes);
    return status;
}

/* `seed` 0: none of the batch is there. */
static void check_batch(handle *h, uint64_t seed)
{
    uint8_t *bytes = make_bytes(sizes[5], seed);

    for (unsigned i = 0; i < RECORDS; i++) {
        char key[16];

        key_of(i, key);
        check_bytes(h, key, seed == 0 ? NULL : bytes, size_of(i));
    }
    free(bytes);
}

static int setup(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    h->options.segment_max_bytes = 8 << 20;
    h->options.sync = CASK_SYNC_NONE;
    handle_open(h);
    return 0;
}

static void test_a_large_batch_is_read_as_it_was_written(void **state)
{
    static const cask_append ways[] = {CASK_APPEND_AUTO, CASK_APPEND_MAP,
                                       CASK_APPEND_PWRITE};
    handle *h = *state;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        h->options.append = ways[seed % 3];
        handle_reopen(h);
        assert_int_equal(write_batch(h, seed), CASK_OK);
        check_batch(h, seed);
        put_text(h, "behind it", "a small one");
        handle_reopen(h);
        check_batch(h, seed);
        check_text(h, "behind it", "a small one");
    }
}

/* Fails write 0, then 1, ... until a batch in which none failed. */
static void test_a_batch_of_which_a_write_fails_is_not_there(void **state)
{
    const os_fault_plan nothing = OS_FAULT_NOTHING;
    handle *h = *state;
    uint64_t fail_at = 0;
    os_fault fault;

    handle_close(h);
    os_fault_init(&fault, h->kernel);
    h->kernel = &fault.base;
    handle_open(h);
    for (;; fail_at++) {
        const os_fault_plan plan = {.only = OS_CALL_WRITE_AT,
                                    .fail_at = fail_at,
                                    .error = ENOSPC,
                                    .short_write = true};
        cask_status status;

        os_fault_arm(&fault, &plan);
        status = write_batch(h, 7);
        if (os_fault_fired(&fault) == 0) {
            assert_int_equal(status, CASK_OK);
            break;
        }
        assert_int_equal(status, CASK_NO_SPACE);
        check_batch(h, 0);
        assert_int_equal(count_keys(h), 0);
    }
    os_fault_arm(&fault, &nothing);
    /* Pieces of 256 KiB, and three records that go alone. */
    assert_in_range(fail_at, 15, 40);
    for (int again = 0; again < 2; again++) {
        check_batch(h, 7);
        handle_reopen(h);
    }
    handle_close(h);
    h->kernel = fault.inner;
    handle_open(h);
}

/* ---- Written back early ---- */

enum { BATCHES = 2, RANGES_MOST = 8 };

static os_ops watched;
static uint64_t begun_from[RANGES_MOST];
static uint64_t begun_to[RANGES_MOST];
static size_t begun_count;
static _Atomic bool watching; /* while only the test's thread is at work */

static void watched_flush_hint(os_file *file, uint64_t offset, uint64_t size)
{
    (void)file;
    if (!watching) {
        return;
    }
    assert_true(begun_count < RANGES_MOST);
    begun_from[begun_count] = offset;
    begun_to[begun_count] = offset + size;
    begun_count++;
}

/* Open the store anew, with an os that watches: no thread knows the other. */
static const os_ops *reopen_watched(handle *h)
{
    const os_ops *unwatched = h->kernel->ops;

    handle_close(h);
    begun_count = 0;
    watched = *unwatched;
    watched.flush_hint = watched_flush_hint;
    h->kernel->ops = &watched;
    handle_open(h);
    return unwatched;
}

static void reopen_unwatched(handle *h, const os_ops *unwatched)
{
    watching = false;
    handle_close(h);
    h->kernel->ops = unwatched;
    handle_open(h);
}

static uint64_t tail_of(const handle *h)
{
    return region_tail_offset(
        atomic_load(&h->db->store->region.header->applied_tail));
}

/* Of five megabytes each, in one segment. */
static void test_batches_reach_the_device_while_more_are_written(void **state)
{
    handle *h = *state;
    const os_ops *unwatched;
    uint64_t start;

    h->options.segment_max_bytes = 256 << 20;
    h->options.auto_merge = false; /* it writes hints, and smaller segments */
    unwatched = reopen_watched(h);
    put_text(h, "first", "of the segment");
    start = tail_of(h);
    watching = true;
    for (uint64_t seed = 1; seed <= BATCHES; seed++) {
        assert_int_equal(write_batch(h, seed), CASK_OK);
        put_text(h, "small", "is not gathered");
    }
    watching = false;
    assert_int_equal(begun_count, BATCHES);
    assert_true(begun_from[0] <= start);
    assert_true(begun_to[0] > begun_from[0]);
    assert_int_equal(begun_from[1], begun_to[0]);
    assert_true(begun_to[1] > begun_from[1]);
    assert_in_range(begun_to[1], tail_of(h) - (128 << 10), tail_of(h));
    check_batch(h, BATCHES);
    reopen_unwatched(h, unwatched);
}

/* Whose pages are let go of first: what is still mapped would become read-only
 * by it. */
static void test_single_puts_do_so_a_mebibyte_behind(void **state)
{
    const uint64_t mebibyte = 1 << 20;
    handle *h = *state;
    uint8_t *bytes = make_bytes(sizes[4], 1);
    const os_ops *unwatched;

    h->options.auto_merge = false;
    unwatched = reopen_watched(h);
    watching = true;
    for (int i = 0; i < 50; i++) { /* 6.5 MB of a segment of 8 MiB */
        put_bytes(h, "key", bytes, sizes[4]);
    }
    watching = false;
    assert_in_range(begun_count, 4, 5);
    assert_true(begun_from[0] <= SEGMENT_HEADER_SIZE);
    for (size_t i = 1; i < begun_count; i++) {
        assert_int_equal(begun_from[i], begun_to[i - 1]);
    }
    assert_in_range(begun_to[begun_count - 1], tail_of(h) - 3 * mebibyte,
                    tail_of(h) - mebibyte);
    reopen_unwatched(h, unwatched);
    free(bytes);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup, handle_teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_a_large_batch_is_read_as_it_was_written),
        WITH_STORE(test_a_batch_of_which_a_write_fails_is_not_there),
        WITH_STORE(test_batches_reach_the_device_while_more_are_written),
        WITH_STORE(test_single_puts_do_so_a_mebibyte_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
