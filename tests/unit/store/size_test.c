/*
 * At which size the segments of a store are full: what was chosen holds for
 * every handle, and for whatever has to fit.
 */
#include "unit/db/handle.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"

enum {
    VALUE_BYTES = 200 << 10,
    KEYS = 25,               /* 5 MB */
    SMALL_SEGMENT = 8 << 20, /* of a small store with dead records */
    BATCH = 100              /* values: 20 MB */
};

typedef struct scene {
    handle *h;
    cask_db *other; /* NULL: none */
    uint8_t *bytes; /* VALUE_BYTES + KEYS * 16 */
} scene;

static int setup(void **state)
{
    static scene s;

    (void)handle_prepare(state);
    s = (scene){.h = *state, .bytes = make_bytes(VALUE_BYTES + KEYS * 16, 3)};
    s.h->options.sync = CASK_SYNC_NONE;
    handle_open(s.h);
    *state = &s;
    return 0;
}

static void open_other(scene *s, const cask_options *options)
{
    cask_error err = {CASK_OK, 0, ""};

    if (db_open_on(s->h->kernel, HANDLE_PATH, options, &s->other, &err) !=
        CASK_OK) {
        fail_msg("open: %s", err.message);
    }
}

static int teardown(void **state)
{
    scene *s = *state;

    free(s->bytes);
    if (s->other != NULL) {
        assert_int_equal(cask_close(s->other, NULL), CASK_OK);
    }
    *state = s->h;
    return handle_teardown(state);
}

/* A key has one of 16 values, by round. */
static cask_slice value_of(const scene *s, unsigned key, unsigned round)
{
    return (cask_slice){s->bytes + (key % KEYS) * 16 + round % 16, VALUE_BYTES};
}

static void put(const scene *s, cask_db *db, unsigned key, unsigned round)
{
    cask_error err = {CASK_OK, 0, ""};
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", key);
    if (cask_put(db, cask_slice_of(text), value_of(s, key, round), &err) !=
        CASK_OK) {
        fail_msg("put: %s", err.message);
    }
}

static void put_some(const scene *s, unsigned from, unsigned to, unsigned round)
{
    for (unsigned i = from; i < to; i++) {
        put(s, s->h->db, i, round);
    }
}

/* All keys, `rounds` times; the last time is `last`. */
static void overwrite(const scene *s, unsigned rounds, unsigned last)
{
    for (unsigned i = rounds; i > 0; i--) {
        put_some(s, 0, KEYS, last + 1 - i);
    }
}

static void check_keys(const scene *s, unsigned count, unsigned round)
{
    for (unsigned i = 0; i < count; i++) {
        const cask_slice value = value_of(s, i, round);
        char text[16];

        (void)snprintf(text, sizeof(text), "%u", i);
        check_bytes(s->h, text, value.data, value.size);
    }
}

/* The bytes of the largest segment whose id is above `*id`, which becomes the
 * largest of all; how many there are of these. */
static uint64_t largest_since(const scene *s, uint64_t *id, size_t *ret_count)
{
    cask_segment_stats *segments = NULL;
    uint64_t largest = 0;
    uint64_t last = *id;
    size_t count = 0;

    *ret_count = 0;
    assert_int_equal(cask_segments(s->h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        if (segments[i].id > *id) {
            ++*ret_count;
            last = segments[i].id > last ? segments[i].id : last;
            largest = segments[i].total_bytes > largest
                          ? segments[i].total_bytes
                          : largest;
        }
    }
    cask_free(segments);
    *id = last;
    return largest;
}

static void write_batch(const scene *s, unsigned round)
{
    cask_batch *batch;

    assert_int_equal(cask_batch_create(&batch, NULL), CASK_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(cask_batch_put(batch, cask_slice_of(text),
                                        value_of(s, i, round), 0, NULL),
                         CASK_OK);
    }
    assert_int_equal(cask_write(s->h->db, batch, NULL), CASK_OK);
    cask_batch_free(batch);
}

static void merge_all(const scene *s)
{
    const cask_merge_options all = {.all = true};
    cask_error err = {CASK_OK, 0, ""};

    if (cask_merge(s->h->db, &all, NULL, &err) != CASK_OK) {
        fail_msg("merge: %s", err.message);
    }
}

static void test_what_only_grows_fills_large_segments(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    put_some(s, 0, 6 * KEYS, 0);
    assert_true(largest_since(s, &id, &count) > 3 * SMALL_SEGMENT);
    assert_int_equal(count, 1);
    check_keys(s, 6 * KEYS, 0);
}

static void test_what_is_overwritten_fills_small_ones(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    overwrite(s, 10, 9);
    assert_in_range(largest_since(s, &id, &count),
                    SMALL_SEGMENT - 2 * VALUE_BYTES, SMALL_SEGMENT);
    assert_in_range(count, 6, 8);
    check_keys(s, KEYS, 9);
    handle_reopen(s->h);
    check_keys(s, KEYS, 9);
}

/* Overwritten; merged, so that all lives, and grown; overwritten again. */
static void test_the_size_follows_what_the_store_is(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    overwrite(s, 5, 5);
    assert_true(largest_since(s, &id, &count) <= SMALL_SEGMENT);
    merge_all(s);
    put_some(s, KEYS, 6 * KEYS, 5);
    id = 0;
    assert_true(largest_since(s, &id, &count) > 2 * SMALL_SEGMENT);
    check_keys(s, 6 * KEYS, 5);
    overwrite(s, 7, 8);
    (void)largest_since(s, &id, &count);
    overwrite(s, 5, 13);
    assert_true(largest_since(s, &id, &count) <= SMALL_SEGMENT);
    assert_true(count >= 3);
}

static void test_outputs_of_merges_are_as_small(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    put_some(s, 0, 5 * KEYS, 0);
    put_some(s, 0, 3 * KEYS, 1);
    (void)largest_since(s, &id, &count);
    merge_all(s);
    assert_in_range(largest_since(s, &id, &count),
                    SMALL_SEGMENT - 2 * VALUE_BYTES, SMALL_SEGMENT);
    assert_true(count >= 3);
    check_keys(s, 3 * KEYS, 1);
    handle_reopen(s->h);
    check_keys(s, 3 * KEYS, 1);
}

static void test_a_batch_larger_than_that_is_whole(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    overwrite(s, 4, 3);
    assert_true(largest_since(s, &id, &count) <= SMALL_SEGMENT);
    write_batch(s, 4);
    assert_true(largest_since(s, &id, &count) > (uint64_t)BATCH * VALUE_BYTES);
    check_keys(s, BATCH, 4);
    put_some(s, 0, 2, 5);
    check_keys(s, 2, 5);
    handle_reopen(s->h);
    check_keys(s, 2, 5);
    merge_all(s);
    check_keys(s, 2, 5);
}

/* They take turns; each makes some of the segments. */
static void test_handles_agree(void **state)
{
    scene *s = *state;
    uint64_t id = 0;
    size_t count;

    open_other(s, &s->h->options);
    for (unsigned i = 0; i < 6 * KEYS; i++) {
        put(s, i % 3 == 0 ? s->h->db : s->other, i, 0);
    }
    assert_true(largest_since(s, &id, &count) > 3 * SMALL_SEGMENT);
    assert_int_equal(count, 1);
    overwrite(s, 10, 1); /* what was allocated by then is used up */
    (void)largest_since(s, &id, &count);
    for (unsigned i = 0; i < 10 * KEYS; i++) {
        put(s, i % 3 == 0 ? s->h->db : s->other, i % KEYS, 2);
    }
    assert_in_range(largest_since(s, &id, &count),
                    SMALL_SEGMENT - 2 * VALUE_BYTES, SMALL_SEGMENT);
    assert_in_range(count, 6, 7);
    check_keys(s, KEYS, 2);
}

/* segment_max_bytes is a handle's own. */
static void test_a_handle_keeps_to_its_own_maximum(void **state)
{
    scene *s = *state;
    cask_options options = s->h->options;
    uint64_t id = 0;
    size_t count;

    options.segment_max_bytes = 2 << 20;
    open_other(s, &options);
    for (unsigned i = 0; i < 8 * KEYS; i++) {
        put(s, s->other, i % KEYS, 0);
    }
    assert_true(largest_since(s, &id, &count) <= options.segment_max_bytes);
    assert_true(count >= 20);
    check_keys(s, KEYS, 0);
}

/* ---- How much of it is allocated ---- */

static uint64_t newest_id(const scene *s)
{
    uint64_t id = 0;
    size_t count;

    (void)largest_since(s, &id, &count);
    return id;
}

/* Put until a segment has taken over; how large its file is then. */
static uint64_t next_file_bytes(const scene *s)
{
    uint64_t before = newest_id(s);
    char name[32];
    os_file *dir;
    os_stat stat;

    for (unsigned i = 0; newest_id(s) == before; i++) {
        put(s, s->h->db, i % KEYS, 11);
    }
    (void)snprintf(name, sizeof(name), "%016llx.log",
                   (unsigned long long)newest_id(s));
    assert_int_equal(
        s->h->kernel->ops->open_dir(s->h->kernel, HANDLE_PATH, &dir), 0);
    assert_int_equal(s->h->kernel->ops->stat_name(dir, name, &stat), 0);
    s->h->kernel->ops->close(dir);
    return stat.size;
}

static void test_a_small_one_is_allocated_as_a_whole(void **state)
{
    scene *s = *state;

    overwrite(s, 5, 5);
    assert_int_equal(next_file_bytes(s), SMALL_SEGMENT);
}

static void test_no_small_one_takes_the_last_of_the_disk(void **state)
{
    scene *s = *state;
    uint64_t total;

    overwrite(s, 5, 5);
    (void)next_file_bytes(s);
    total = limit_disk(s->h, SMALL_SEGMENT + SMALL_SEGMENT / 2);
    assert_int_equal(next_file_bytes(s), 1 << 20);
    os_sim_set_capacity(s->h->sim, total);
}

/* As under a quota or a limit of the process: the disk says nothing of it. The
 * store's threads call it, too. */
static const os_ops *unlimited;
static os_ops limited;
static _Atomic bool is_limited;

static int allocate_less(os_file *file, uint64_t offset, uint64_t size)
{
    return atomic_load(&is_limited) && offset + size == SMALL_SEGMENT
               ? EFBIG
               : unlimited->allocate(file, offset, size);
}

static void test_where_less_is_allowed_it_begins_small(void **state)
{
    scene *s = *state;

    handle_close(s->h);
    unlimited = s->h->kernel->ops;
    limited = *unlimited;
    limited.allocate = allocate_less;
    s->h->kernel->ops = &limited;
    atomic_store(&is_limited, false);
    handle_open(s->h);
    overwrite(s, 5, 5);
    (void)next_file_bytes(s);
    atomic_store(&is_limited, true);
    assert_int_equal(next_file_bytes(s), 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_only_grows_fills_large_segments),
        TEST(test_what_is_overwritten_fills_small_ones),
        TEST(test_the_size_follows_what_the_store_is),
        TEST(test_outputs_of_merges_are_as_small),
        TEST(test_a_batch_larger_than_that_is_whole),
        TEST(test_handles_agree),
        TEST(test_a_handle_keeps_to_its_own_maximum),
        TEST(test_a_small_one_is_allocated_as_a_whole),
        TEST(test_no_small_one_takes_the_last_of_the_disk),
        TEST(test_where_less_is_allowed_it_begins_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
