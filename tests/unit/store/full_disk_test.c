/*
 * A disk without a free block: the store can be opened to write all the same,
 * keys be deleted, and merges give space back. Hints go for it, but only those
 * that say nothing more than their segments.
 */
#include "unit/store/tight_disk.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "log/hint_format.h"
#include "log/segment.h"
#include "store/store.h"
#include "store/store_recover.h"
#include "store/store_write.h"

enum {
    KEYS = 6000,
    SEGMENT_BYTES = 1 << 20,
    PATIENCE = 20000 /* milliseconds */
};

/* Keys of the oldest segments. */
enum { OLD_KEYS = KEYS / 2 };

static int prepare(void **state)
{
    int result = tight_disk_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = SEGMENT_BYTES;
    return result;
}

static void delete_keys(handle *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        cask_error err = {CASK_OK, 0, ""};
        bool existed = false;
        char text[32];

        if (cask_delete(h->db, key_of(i, text), &existed, &err) != CASK_OK) {
            fail_msg("delete %u: %s", i, err.message);
        }
        assert_true(existed);
    }
}

/* Keys from `from` to `to` - 1 are there, and no others. */
static void expect_keys(handle *h, unsigned from, unsigned to)
{
    cask_buffer value = {0};
    char text[32];

    for (unsigned i = 0; i < KEYS; i++) {
        bool is_there = i >= from && i < to;

        assert_int_equal(cask_get(h->db, key_of(i, text), &value, NULL),
                         is_there ? CASK_OK : CASK_NOT_FOUND);
        if (is_there) {
            assert_int_equal(value.size, VALUE_BYTES);
            assert_int_equal(((const char *)value.data)[0],
                             'a' + (int)(i % 26));
        }
    }
    assert_int_equal(count_keys(h), to - from);
    cask_buffer_free(&value);
}

/* ---- The disk ---- */

typedef struct names {
    unsigned hints;
    unsigned others; /* neither segments nor hints */
} names;

static bool count_name(void *context, const char *name)
{
    names *found = context;
    uint64_t id;

    if (hint_name_parse(name, &id)) {
        found->hints++;
    } else if (!segment_name_parse(name, &id)) {
        found->others++;
    }
    return true;
}

/* The handle's own thread may be writing a hint at this moment. */
static unsigned count_hints(handle *h)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    os_file *dir = handle_dir(h);
    names found = {0};

    for (int i = 0; i < PATIENCE && found.others != 3; i++) {
        (void)nanosleep(&moment, NULL);
        found = (names){0};
        assert_int_equal(h->kernel->ops->list(dir, count_name, &found), 0);
    }
    h->kernel->ops->close(dir);
    assert_int_equal(found.others, 3); /* CASKADE, MANIFEST, LOCK */
    return found.hints;
}

static bool has_hint(handle *h, uint64_t id)
{
    os_file *dir = handle_dir(h);
    char name[SEGMENT_NAME_SIZE];
    os_stat stat;
    bool found;

    hint_name_format(id, name);
    found = h->kernel->ops->stat_name(dir, name, &stat) == 0;
    h->kernel->ops->close(dir);
    return found;
}

/* What an operator does about it. */
static void make_room(handle *h)
{
    cask_merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    uint64_t before = used_bytes(h);

    delete_keys(h, 0, 1000); /* more than a segment */
    if (cask_merge(h->db, NULL, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(report.inputs > 0);
    delete_keys(h, 1000, OLD_KEYS);
    assert_int_equal(cask_merge(h->db, NULL, &report, &err), CASK_OK);
    assert_true(used_bytes(h) + (512 << 10) < before);
    expect_keys(h, OLD_KEYS, KEYS);
    /* Room for puts, too. */
    assert_int_equal(put_key(h, 0), CASK_OK);
    delete_keys(h, 0, 1);
}

/* Every segment that is sealed has its hint again. */
static void expect_hints_again(handle *h)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    unsigned sealed = 0;

    empty_disk(h);
    handle_reopen(h);
    handle_reopen(h);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        sealed += segments[i].sealed ? 1 : 0;
        assert_int_equal(has_hint(h, segments[i].id), segments[i].sealed);
    }
    assert_true(sealed > 1);
    cask_free(segments);
}

/* ---- Tests ---- */

static void test_a_closed_store_is_opened_written_and_merged(void **state)
{
    handle *h = *state;
    unsigned hints;

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    hints = count_hints(h);
    assert_true(hints > 4);
    leave_free(h, 0);
    handle_open(h);
    expect_keys(h, 0, KEYS);
    assert_true(count_hints(h) > 0);
    make_room(h);
    handle_close(h);
    handle_verify(h);
    handle_open(h);
    expect_keys(h, OLD_KEYS, KEYS);
    expect_hints_again(h);
    expect_keys(h, OLD_KEYS, KEYS);
    handle_verify(h);
}

/* Its last segment is so small that it was not sealed: nothing need be made. */
static void test_a_small_last_segment_is_gone_on_with(void **state)
{
    handle *h = *state;
    unsigned hints;

    h->options.small_file_threshold_bytes = 1 << 20;
    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    hints = count_hints(h);
    leave_free(h, 0);
    handle_open(h);
    assert_int_equal(count_hints(h), hints);
    make_room(h);
    handle_close(h);
    handle_verify(h);
    handle_open(h);
    expect_keys(h, OLD_KEYS, KEYS);
}

/* The disk fills while the store is open; it is closed, and opened again with
 * what was allocated then: no hint goes until that is used up. */
static void test_what_is_allocated_at_a_close_is_there_for_deletes(void **state)
{
    handle *h = *state;
    unsigned hints;
    unsigned keys = 0;

    handle_open(h);
    put_keys(h, 0, KEYS / 2);
    handle_reopen(h);
    leave_free(h, 2 << 20);
    for (keys = KEYS / 2; put_key(h, keys) == CASK_OK; keys++) {
        assert_true(keys < KEYS);
    }
    hints = count_hints(h);
    assert_true(hints > 0);
    leave_free(h, 0);
    handle_reopen(h);
    delete_keys(h, 0, 100);
    leave_free(h, 0);
    handle_reopen(h);
    assert_int_equal(count_hints(h), hints);
    assert_int_equal(count_keys(h), keys - 100);
    delete_keys(h, 100, 1000);
    assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
    delete_keys(h, 1000, OLD_KEYS);
    assert_int_equal(put_key(h, 0), CASK_OK);
    handle_close(h);
    handle_verify(h);
}

/* By a power cut, so that the end of its log must be copied. */
static void test_a_store_that_was_not_closed_is_opened(void **state)
{
    handle *h = *state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        unsigned keys = 0;

        h->options.sync = seed % 2 == 0 ? CASK_SYNC_NONE : CASK_SYNC_COMMIT;
        handle_open(h);
        for (; keys < KEYS; keys++) {
            assert_int_equal(put_key(h, keys), CASK_OK);
        }
        os_sim_cut(h->sim);
        (void)cask_close(h->db, NULL);
        assert_int_equal(os_sim_crash(h->sim, seed), 0);
        leave_free(h, 0);
        handle_open(h);
        keys = (unsigned)count_keys(h);
        assert_true(keys > OLD_KEYS);
        delete_keys(h, 0, 1000);
        assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
        delete_keys(h, 1000, OLD_KEYS);
        assert_int_equal(count_keys(h), keys - OLD_KEYS);
        assert_int_equal(put_key(h, 0), CASK_OK);
        handle_close(h);
        handle_verify(h);
        empty_disk(h);
        handle_open(h);
        assert_int_equal(count_keys(h), keys - OLD_KEYS + 1);
        delete_keys(h, 0, 1);
        delete_keys(h, OLD_KEYS, keys);
        handle_close(h);
    }
}

static void test_puts_take_no_hint_away(void **state)
{
    handle *h = *state;
    unsigned hints;
    unsigned number = KEYS;

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    leave_free(h, 0);
    handle_open(h);
    hints = count_hints(h);
    assert_true(hints > 1);
    while (put_key(h, number) == CASK_OK) {
        number++;
    }
    assert_int_equal(put_key(h, number), CASK_NO_SPACE);
    assert_int_equal(count_hints(h), hints);
}

/* Turn one byte of a segment's first value around. */
static void damage(handle *h, uint64_t id)
{
    enum { AT = SEGMENT_HEADER_SIZE + 200 };
    os_file *dir = handle_dir(h);
    char name[SEGMENT_NAME_SIZE];
    os_file *file = NULL;
    uint8_t byte = 0;
    const os_span span = {&byte, 1};
    size_t got = 0;

    segment_name_format(id, name);
    assert_int_equal(
        h->kernel->ops->open(dir, name, OS_READ | OS_WRITE, 0, &file), 0);
    assert_int_equal(h->kernel->ops->read_at(file, &byte, 1, AT, &got), 0);
    byte ^= 0x40;
    assert_int_equal(h->kernel->ops->write_at(file, &span, 1, AT), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
}

/* Without its hint the store could not be opened any more. */
static void test_the_hint_of_a_damaged_segment_stays(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    cask_buffer value = {0};
    size_t count = 0;
    unsigned alive = KEYS;
    char text[32];
    uint64_t id;

    handle_open(h);
    put_keys(h, 0, KEYS);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    assert_true(count > 2);
    id = segments[1].id;
    cask_free(segments);
    handle_close(h);
    damage(h, id);
    leave_free(h, 0);
    handle_open(h);
    /* Until nothing is left to be given up. */
    do {
        assert_true(alive > 0);
        alive--;
    } while (cask_delete(h->db, key_of(alive, text), NULL, NULL) == CASK_OK);
    assert_int_equal(cask_delete(h->db, key_of(alive, text), NULL, NULL),
                     CASK_NO_SPACE);
    assert_int_equal(count_hints(h), 1);
    assert_true(has_hint(h, id));
    (void)cask_close(h->db, NULL);
    h->db = NULL;
    empty_disk(h);
    handle_open(h);
    assert_int_equal(count_keys(h), alive + 1);
    for (unsigned i = 0; i < alive; i++) {
        cask_status status = cask_get(h->db, key_of(i, text), &value, NULL);

        count += status == CASK_CORRUPT ? 1 : 0;
        assert_true(status == CASK_OK || status == CASK_CORRUPT);
    }
    cask_buffer_free(&value);
}

static void test_nothing_is_given_up_while_there_is_room(void **state)
{
    handle *h = *state;
    unsigned hints;

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    hints = count_hints(h);
    os_sim_set_capacity(h->sim, used_bytes(h) + (8 << 20));
    handle_open(h);
    delete_keys(h, 0, OLD_KEYS);
    assert_true(count_hints(h) >= hints);
    assert_int_equal(handle_stats(h).damaged_bytes, 0);
}

/* ---- What is kept free ---- */

static os_space space_of(handle *h, const char *path)
{
    os_file *dir = NULL;
    os_space space;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, path, &dir), 0);
    assert_int_equal(h->kernel->ops->space(dir, &space), 0);
    h->kernel->ops->close(dir);
    return space;
}

static uint64_t manifest_bytes(handle *h)
{
    os_file *dir = handle_dir(h);
    os_stat stat;

    assert_int_equal(h->kernel->ops->stat_name(dir, "MANIFEST", &stat), 0);
    h->kernel->ops->close(dir);
    return stat.size;
}

/* Puts from `number` on until one finds no space; returns its number. */
static unsigned put_until_full(handle *h, unsigned number)
{
    cask_status status = CASK_OK;

    for (; status == CASK_OK; number++) {
        assert_true(number < 4 * KEYS);
        status = put_key(h, number);
    }
    assert_int_equal(status, CASK_NO_SPACE);
    return number - 1;
}

/* What merges, deletes and the MANIFEST need is not for puts; and a put that
 * fails tries nothing that those could be in want of. */
static void test_puts_leave_a_share_of_the_disk(void **state)
{
    handle *h = *state;
    uint64_t operations;
    os_space space;
    unsigned number;

    os_sim_set_capacity(h->sim, 24 << 20);
    handle_open(h);
    put_keys(h, 0, KEYS);
    number = put_until_full(h, KEYS);
    space = space_of(h, HANDLE_PATH);
    assert_true(space.free >= space.total / 16);
    assert_true(space.free <= space.total / 16 + (1 << 20));
    /* The background thread must not be at a hint. */
    store_worker_stop(h->db->store);
    operations = os_sim_operations(h->sim);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(put_key(h, number), CASK_NO_SPACE);
        assert_int_equal(store_prepare_next(h->db->store, NULL),
                         store_wants_next(h->db->store) ? CASK_NO_SPACE
                                                        : CASK_OK);
    }
    assert_int_equal(os_sim_operations(h->sim), operations);
    /* Two segments, of which the second is sealed once deletes need another. */
    delete_keys(h, 0, OLD_KEYS);
    assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
    assert_int_equal(put_key(h, number), CASK_OK);
    handle_close(h);
    handle_verify(h);
}

/* 16 KiB are left of 256 KiB: a store on a tiny disk can be used. */
static void test_a_tiny_disk_is_used_but_for_a_share(void **state)
{
    handle *h = *state;

    h->options.segment_max_bytes = 64 << 10;
    os_sim_set_capacity(h->sim, 256 << 10);
    handle_open(h);
    assert_true(put_until_full(h, 0) > 100);
    assert_true(space_of(h, HANDLE_PATH).free <= 128 << 10);
    delete_keys(h, 0, 100);
    handle_close(h);
    handle_verify(h);
}

/* Any number of attempts: ids are promised in the MANIFEST, 64 at a time. */
static void test_segments_that_cannot_be_made_take_no_ids(void **state)
{
    handle *h = *state;
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    size_t after = 0;
    uint64_t last = 0;
    uint64_t bytes;
    unsigned alive = KEYS;
    char text[32];

    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_close(h);
    leave_free(h, 0);
    handle_open(h);
    do {
        assert_true(alive > 0);
        alive--;
    } while (cask_delete(h->db, key_of(alive, text), NULL, NULL) == CASK_OK);
    bytes = manifest_bytes(h);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(store_rotate(h->db->store, NULL), CASK_NO_SPACE);
    }
    assert_int_equal(manifest_bytes(h), bytes);
    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    last = segments[count - 1].id;
    cask_free(segments);
    empty_disk(h);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    assert_int_equal(cask_segments(h->db, &segments, &after, NULL), CASK_OK);
    assert_int_equal(after, count + 1);
    assert_int_equal(segments[after - 1].id, last + 1);
    cask_free(segments);
}

/* Give /dev/shm, of which others have all that is free by now, no room. */
static void fill_shm(handle *h)
{
    os_file *dir = NULL;
    os_file *file = NULL;
    uint64_t bytes = space_of(h, "/dev/shm").free;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, "/dev/shm", &dir), 0);
    assert_int_equal(h->kernel->ops->open(dir, "other",
                                          OS_READ | OS_WRITE | OS_CREATE, 0600,
                                          &file),
                     0);
    assert_int_equal(h->kernel->ops->allocate(file, 0, bytes), 0);
    h->kernel->ops->close(file);
    h->kernel->ops->close(dir);
    assert_int_equal(space_of(h, "/dev/shm").free, 0);
}

/* Nothing that is given up on the store's disk makes room in /dev/shm. */
static void test_a_full_region_takes_no_hint_away(void **state)
{
    const os_sim_options options = {
        .seed = 1, .shm_bytes = 64 << 20, .max_file_bytes = (size_t)1 << 30};
    handle *h = *state;
    cask_error err = {CASK_OK, 0, ""};
    unsigned number;
    unsigned hints;
    char text[32];

    os_sim_free(h->sim);
    assert_int_equal(os_sim_create(&options, &h->sim), 0);
    h->kernel = os_sim_os(h->sim);
    assert_int_equal(h->kernel->ops->make_dir(h->kernel, HANDLE_PATH, 0700), 0);
    h->options.segment_max_bytes = 64 << 10;
    handle_open(h);
    put_keys(h, 0, KEYS);
    handle_reopen(h);
    hints = count_hints(h);
    assert_true(hints > 4);
    fill_shm(h);
    /* Until rows of segments fill their last page. */
    do {
        assert_int_equal(put_key(h, 0), CASK_OK);
    } while (store_rotate(h->db->store, &err) == CASK_OK);
    assert_int_equal(err.status, CASK_NO_SPACE);
    for (number = 1; number < KEYS; number++) {
        if (cask_delete(h->db, key_of(number, text), NULL, &err) != CASK_OK) {
            break;
        }
    }
    assert_true(number < KEYS);
    assert_int_equal(err.status, CASK_NO_SPACE);
    assert_non_null(strstr(err.message, "/dev/shm"));
    assert_true(count_hints(h) >= hints);
}

/* ---- Merges for which there is no room ---- */

/* Delete all keys below `to` but each `keep`th. */
static void thin_out(handle *h, unsigned to, unsigned keep)
{
    for (unsigned i = 0; i < to; i++) {
        char text[32];

        if (i % keep != 0) {
            assert_int_equal(cask_delete(h->db, key_of(i, text), NULL, NULL),
                             CASK_OK);
        }
    }
}

/* In each segment half is alive: all hints together would not make the room. */
static void test_a_merge_that_finds_no_room_says_so(void **state)
{
    const cask_merge_options all = {.all = true};
    handle *h = *state;
    cask_merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    unsigned hints;

    handle_open(h);
    put_keys(h, 0, KEYS);
    for (unsigned i = 0; i < KEYS; i += 2) {
        assert_int_equal(put_key(h, i), CASK_OK);
    }
    handle_reopen(h);
    store_worker_stop(h->db->store);
    assert_int_equal(store_rotate(h->db->store, NULL), CASK_OK);
    hints = count_hints(h);
    assert_true(hints > 4);
    leave_free(h, 0);
    assert_int_equal(cask_merge(h->db, NULL, &report, &err), CASK_NO_SPACE);
    assert_int_equal(report.inputs, 0);
    assert_non_null(strstr(err.message, "nothing was merged"));
    assert_int_equal(count_hints(h), hints);
    assert_int_equal(cask_merge(h->db, &all, &report, &err), CASK_NO_SPACE);
    assert_non_null(strstr(err.message, "nothing was merged"));
    assert_int_equal(count_hints(h), hints);
    empty_disk(h);
    assert_int_equal(cask_merge(h->db, &all, &report, NULL), CASK_OK);
    expect_keys(h, 0, KEYS);
}

/* A tenth is alive: some of the hints make room for the first copy. */
static void test_hints_go_for_a_merge(void **state)
{
    handle *h = *state;
    cask_merge_report report;
    cask_error err = {CASK_OK, 0, ""};
    unsigned hints;

    handle_open(h);
    put_keys(h, 0, KEYS);
    thin_out(h, 2000, 10);
    handle_reopen(h);
    store_worker_stop(h->db->store);
    hints = count_hints(h);
    assert_true(hints > 4);
    leave_free(h, 0);
    if (cask_merge(h->db, NULL, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(report.inputs > 0);
    assert_true(report.records > 0);
    assert_true(report.bytes_freed > report.bytes_written + (1 << 20));
    assert_int_equal(count_keys(h), KEYS - 1800);
    handle_close(h);
    handle_verify(h);
}

int main(void)
{
#define FULL(name)                                                             \
    cmocka_unit_test_setup_teardown(name, prepare, handle_teardown)
    const struct CMUnitTest tests[] = {
        FULL(test_a_closed_store_is_opened_written_and_merged),
        FULL(test_a_small_last_segment_is_gone_on_with),
        FULL(test_what_is_allocated_at_a_close_is_there_for_deletes),
        FULL(test_a_store_that_was_not_closed_is_opened),
        FULL(test_puts_take_no_hint_away),
        FULL(test_the_hint_of_a_damaged_segment_stays),
        FULL(test_nothing_is_given_up_while_there_is_room),
        FULL(test_puts_leave_a_share_of_the_disk),
        FULL(test_a_tiny_disk_is_used_but_for_a_share),
        FULL(test_segments_that_cannot_be_made_take_no_ids),
        FULL(test_a_full_region_takes_no_hint_away),
        FULL(test_a_merge_that_finds_no_room_says_so),
        FULL(test_hints_go_for_a_merge),
    };
#undef FULL

    return cmocka_run_group_tests(tests, NULL, NULL);
}
