/*
 * A store that has come to rest is cleaned by its merging thread, with the
 * options and settings that every store has: tombstones do not stay because
 * they are in the active segment of a store that is small. On a simulated disk,
 * with a clock that is driven.
 */
#include "unit/db/handle.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/db.h"
#include "os/os_fault.h"
#include "store/store_merge.h"

enum {
    COLD_KEYS = 20000,
    SHORT_LIVED = 600000,
    FEW = 5000, /* tombstones */
    BATCH = 1000,
    SETTLED = 16,    /* questions, of which the last are more than 10 s after
                        the first, and one more after each merge */
    PATIENCE = 50000 /* times 2 ms, for one */
};

static struct {
    os_fault fault; /* for a table of calls of its own */
    os_ops ops;
    os *kernel;
    _Atomic uint64_t now_ns;
} clock_os;

static uint64_t told_ns(os *self)
{
    (void)self;
    return atomic_load(&clock_os.now_ns);
}

static int set_up(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    clock_os.kernel = h->kernel;
    atomic_store(&clock_os.now_ns, h->kernel->ops->now_ns(h->kernel));
    os_fault_init(&clock_os.fault, h->kernel);
    clock_os.ops = *clock_os.fault.base.ops;
    clock_os.ops.now_ns = told_ns;
    clock_os.fault.base.ops = &clock_os.ops;
    h->kernel = &clock_os.fault.base;
    cask_options_init(&h->options); /* auto_merge, too */
    h->options.create_if_missing = true;
    handle_open(h);
    return result;
}

static uint64_t asked_ns(handle *h)
{
    return atomic_load(&h->db->store->region.header->merger.asked_ns);
}

/* Let the thread look, which it does once a second by its own clock. */
static void pass_a_second(handle *h)
{
    atomic_fetch_add(&clock_os.now_ns, UINT64_C(1000000000));
    store_merge_wake(h->db->store);
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void pass_seconds(handle *h, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pass_a_second(h);
    }
}

/* Until it has asked the policy so often, a second apart at least, and half a
 * minute if nothing has changed; what it began before is over then. */
static void wait_for_questions(handle *h, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        uint64_t asked = asked_ns(h);

        for (unsigned i = 0; asked_ns(h) == asked && i < PATIENCE; i++) {
            pass_a_second(h);
        }
        assert_true(asked_ns(h) != asked);
    }
}

/* Put or delete keys [from, end), many at a time. */
static void write_keys(handle *h, const char *prefix, unsigned end, bool is_put)
{
    cask_batch *batch = NULL;
    cask_error err = {CASK_OK, 0, ""};

    assert_int_equal(cask_batch_create(&batch, &err), CASK_OK);
    for (unsigned i = 0; i < end; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%s-%u", prefix, i);
        if (is_put) {
            assert_int_equal(cask_batch_put(batch, cask_slice_of(text),
                                            (cask_slice){text, 4}, 0, &err),
                             CASK_OK);
        } else {
            assert_int_equal(
                cask_batch_delete(batch, cask_slice_of(text), &err), CASK_OK);
        }
        if (i % BATCH == BATCH - 1 || i + 1 == end) {
            assert_int_equal(cask_write(h->db, batch, &err), CASK_OK);
            cask_batch_clear(batch);
        }
        if (i % (SHORT_LIVED / 10) == 0) {
            pass_a_second(h);
        }
    }
    cask_batch_free(batch);
}

typedef struct dead {
    uint64_t tombstones;
    uint64_t keys;
    uint64_t bytes; /* of records, dead or not */
} dead;

static dead dead_of(handle *h)
{
    cask_segment_stats *segments = NULL;
    size_t count = 0;
    cask_stats stats;
    dead sum = {.keys = count_keys(h)};

    assert_int_equal(cask_segments(h->db, &segments, &count, NULL), CASK_OK);
    for (size_t i = 0; i < count; i++) {
        sum.tombstones += segments[i].tombstones;
    }
    cask_free(segments);
    assert_int_equal(cask_stat(h->db, &stats, NULL), CASK_OK);
    sum.bytes = stats.data_bytes;
    return sum;
}

static void show(const char *when, const dead *now)
{
    print_message("%s: %llu keys, %llu tombstones, %llu bytes\n", when,
                  (unsigned long long)now->keys,
                  (unsigned long long)now->tombstones,
                  (unsigned long long)now->bytes);
}

/* Nobody writes. Once it is clean nothing is merged any more. */
static dead come_to_rest(handle *h)
{
    dead before = dead_of(h);
    dead now;
    uint64_t merges;

    show("written", &before);
    wait_for_questions(h, SETTLED);
    now = dead_of(h);
    show("at rest", &now);
    merges = handle_merge_state(h).merges;
    wait_for_questions(h, 3);
    assert_int_equal(handle_merge_state(h).merges, merges);
    assert_false(handle_merge_state(h).due);
    return now;
}

static void test_short_lived_keys_leave_few_tombstones_by_default(void **state)
{
    handle *h = *state;
    dead now;

    pass_seconds(h, 100); /* the first minute and the delay after it */
    write_keys(h, "cold", COLD_KEYS, true);
    write_keys(h, "short", SHORT_LIVED, true);
    write_keys(h, "short", SHORT_LIVED, false);
    now = come_to_rest(h);
    assert_int_equal(now.keys, COLD_KEYS);
    assert_true(now.tombstones < FEW);
    handle_reopen(h);
    now = dead_of(h);
    assert_int_equal(now.keys, COLD_KEYS);
    assert_true(now.tombstones < FEW);
}

static void test_a_store_of_tombstones_alone_becomes_empty(void **state)
{
    handle *h = *state;
    dead now;

    pass_seconds(h, 100);
    write_keys(h, "gone", SHORT_LIVED / 10, true);
    write_keys(h, "gone", SHORT_LIVED / 10, false);
    now = come_to_rest(h);
    assert_int_equal(now.keys, 0);
    assert_int_equal(now.tombstones, 0);
}

/* Each second a key is written: the store is hot, and stays as it is. */
static void test_a_small_store_that_is_written_to_is_left_alone(void **state)
{
    handle *h = *state;
    uint64_t merges;

    pass_seconds(h, 100);
    write_keys(h, "gone", SHORT_LIVED / 100, true);
    write_keys(h, "gone", SHORT_LIVED / 100, false);
    merges = handle_merge_state(h).merges;
    for (unsigned i = 0; i < SETTLED; i++) {
        put_text(h, "hot", "value");
        wait_for_questions(h, 1);
    }
    put_text(h, "hot", "value");
    assert_int_equal(handle_merge_state(h).merges, merges);
    assert_false(handle_merge_state(h).due);
    assert_string_equal(handle_merge_state(h).reason,
                        "it is merged when nothing was written for 10 s");
    assert_int_equal(come_to_rest(h).keys, 1);
    assert_int_equal(dead_of(h).tombstones, 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, set_up, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_short_lived_keys_leave_few_tombstones_by_default),
        TEST(test_a_store_of_tombstones_alone_becomes_empty),
        TEST(test_a_small_store_that_is_written_to_is_left_alone),
    };

    return cmocka_run_group_tests_name("rest", tests, NULL, NULL);
}
