/*
 * A disk without a free block: the store can be opened to write all the same,
 * keys be deleted, and merges give space back. Hints go for it, but only those
 * that say nothing more than their segments.
 */
#include "unit/db/handle.h"

#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "log/hint_format.h"
#include "log/segment.h"

enum { KEYS = 6000, VALUE_BYTES = 1000, SEGMENT_BYTES = 1 << 20 };

/* Keys of the oldest segments. */
enum { OLD_KEYS = KEYS / 2 };

static int prepare(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = SEGMENT_BYTES;
    h->options.sync = CASK_SYNC_NONE;
    /* The simulator keeps the blocks of what is mapped. */
    h->options.io = CASK_IO_PREAD;
    h->options.append = CASK_APPEND_PWRITE;
    return result;
}

static cask_slice key_of(unsigned number, char text[32])
{
    (void)snprintf(text, 32, "key %u", number);
    return cask_slice_of(text);
}

static cask_status put_key(handle *h, unsigned number)
{
    static char value[VALUE_BYTES];
    char text[32];

    memset(value, 'a' + (int)(number % 26), sizeof(value));
    return cask_put(h->db, key_of(number, text),
                    (cask_slice){value, sizeof(value)}, NULL);
}

static void put_keys(handle *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(put_key(h, i), CASK_OK);
    }
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

static os_file *open_dir(handle *h)
{
    os_file *dir = NULL;

    assert_int_equal(h->kernel->ops->open_dir(h->kernel, HANDLE_PATH, &dir), 0);
    return dir;
}

static uint64_t used_bytes(handle *h)
{
    os_file *dir = open_dir(h);
    os_space space;

    assert_int_equal(h->kernel->ops->space(dir, &space), 0);
    h->kernel->ops->close(dir);
    return space.total - space.free;
}

/* From now on others have all that was free; what was removed is free. */
static void fill_disk(handle *h)
{
    os_file *dir = open_dir(h);

    assert_int_equal(h->kernel->ops->sync_dir(dir), 0);
    h->kernel->ops->close(dir);
    os_sim_set_capacity(h->sim, used_bytes(h));
}

static void empty_disk(handle *h)
{
    os_sim_set_capacity(h->sim, UINT64_C(1) << 40);
}

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

static unsigned count_hints(handle *h)
{
    os_file *dir = open_dir(h);
    names found = {0};

    assert_int_equal(h->kernel->ops->list(dir, count_name, &found), 0);
    h->kernel->ops->close(dir);
    assert_int_equal(found.others, 3); /* CASKADE, MANIFEST, LOCK */
    return found.hints;
}

static bool has_hint(handle *h, uint64_t id)
{
    os_file *dir = open_dir(h);
    char name[SEGMENT_NAME_SIZE];
    os_stat stat;
    bool found;

    hint_name_format(id, name);
    found = h->kernel->ops->stat_name(dir, name, &stat) == 0;
    h->kernel->ops->close(dir);
    return found;
}

static void verify(handle *h)
{
    cask_error err = {CASK_OK, 0, ""};
    cask_verify_report report;

    if (db_verify_on(h->kernel, HANDLE_PATH, NULL, &report, &err) != CASK_OK) {
        fail_msg("%s", err.message);
    }
}

static cask_stats stats_of(handle *h)
{
    cask_stats stats;

    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    return stats;
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
    fill_disk(h);
    handle_open(h);
    expect_keys(h, 0, KEYS);
    assert_true(count_hints(h) > 0);
    make_room(h);
    handle_close(h);
    verify(h);
    handle_open(h);
    expect_keys(h, OLD_KEYS, KEYS);
    expect_hints_again(h);
    expect_keys(h, OLD_KEYS, KEYS);
    verify(h);
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
    fill_disk(h);
    handle_open(h);
    assert_int_equal(count_hints(h), hints);
    make_room(h);
    handle_close(h);
    verify(h);
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
    os_sim_set_capacity(h->sim, used_bytes(h) + (2 << 20));
    for (keys = KEYS / 2; put_key(h, keys) == CASK_OK; keys++) {
        assert_true(keys < KEYS);
    }
    hints = count_hints(h);
    assert_true(hints > 0);
    fill_disk(h);
    handle_reopen(h);
    delete_keys(h, 0, 100);
    fill_disk(h);
    handle_reopen(h);
    assert_int_equal(count_hints(h), hints);
    assert_int_equal(count_keys(h), keys - 100);
    delete_keys(h, 100, 1000);
    assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
    delete_keys(h, 1000, OLD_KEYS);
    assert_int_equal(put_key(h, 0), CASK_OK);
    handle_close(h);
    verify(h);
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
        fill_disk(h);
        handle_open(h);
        keys = (unsigned)count_keys(h);
        assert_true(keys > OLD_KEYS);
        delete_keys(h, 0, 1000);
        assert_int_equal(cask_merge(h->db, NULL, NULL, NULL), CASK_OK);
        delete_keys(h, 1000, OLD_KEYS);
        assert_int_equal(count_keys(h), keys - OLD_KEYS);
        assert_int_equal(put_key(h, 0), CASK_OK);
        handle_close(h);
        verify(h);
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
    fill_disk(h);
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
    os_file *dir = open_dir(h);
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
    fill_disk(h);
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
    assert_int_equal(stats_of(h).damaged_bytes, 0);
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
    };
#undef FULL

    return cmocka_run_group_tests(tests, NULL, NULL);
}
