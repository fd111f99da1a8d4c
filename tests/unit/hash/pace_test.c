/*
 * The pace of a merge that runs: it makes way while syncs of writers take
 * longer than merge_sync_target_ms, and goes on as before when they do not.
 * Time is simulated: it passes when the merge waits, when a piece of an output
 * is written, and in the syncs of a writer that comes at these moments.
 */
#include "unit/hash/numbered.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"

enum { LARGE_BYTES = 64 << 10, LARGE_KEYS = 200 };

#define MIB (UINT64_C(1) << 20)
#define MS UINT64_C(1000000)

enum {
    PIECE_MS = 50,  /* to write a piece of at most 1 MiB */
    PAUSE_MS = 100, /* the longest wait before the writer comes again */
    QUICK_MS = 1,
    SLOW_MS = 60 /* more than the 50 that are the default target */
};

static const uint64_t LEAST = MIB; /* bytes per second, see merge_pace.c */

static struct {
    const os_ops *usual;
    os_ops bent;
    handle *h;
    _Atomic uint64_t now_ns;
    uint64_t sync_ms;    /* that the writer's syncs take */
    uint64_t slow_until; /* after it they are quick; 0: never */
    uint64_t began_ns;   /* of the merge */
    uint64_t lowest;     /* allowed rate that was seen; UINT64_MAX: none */
    uint64_t highest;    /* after the lowest */
} world;

/* Of the thread that merges; and whether it is the writer at this moment. */
static _Thread_local bool merges;
static _Thread_local bool writes;

static void pass(uint64_t ms)
{
    atomic_fetch_add(&world.now_ns, ms * MS);
}

static uint64_t simulated_ns(os *self)
{
    (void)self;
    return atomic_load(&world.now_ns);
}

/* What a sync of the writer takes now. */
static uint64_t sync_ms(void)
{
    return world.slow_until == 0 ||
                   atomic_load(&world.now_ns) < world.slow_until
               ? world.sync_ms
               : QUICK_MS;
}

static int take_time(os_file *file)
{
    if (writes) {
        pass(sync_ms());
    }
    return world.usual->sync(file);
}

/* A writer puts something and waits until it is durable. */
static void write_something(void)
{
    uint64_t allowed =
        atomic_load(&world.h->db->store->region.header->merger.allowed_bytes);

    if (allowed != 0 && allowed <= world.lowest) {
        world.lowest = allowed;
        world.highest = allowed;
    }
    if (world.lowest != UINT64_MAX && allowed > world.highest) {
        world.highest = allowed;
    }
    writes = true;
    put_text(world.h, "writer", "value");
    assert_int_equal(cask_sync(world.h->db, NULL), CASK_OK);
    writes = false;
}

static void write_piece(os_file *file, uint64_t offset, uint64_t size)
{
    (void)file;
    (void)offset;
    (void)size;
    if (merges && !writes) {
        pass(PIECE_MS);
        write_something();
    }
}

static int wait_a_while(os *self, uint32_t *word, uint32_t expected,
                        uint64_t timeout_ms)
{
    if (!merges || writes) {
        return world.usual->futex_wait(self, word, expected, timeout_ms);
    }
    /* The writer's sync is at the end of the wait, not behind it. */
    timeout_ms = timeout_ms < PAUSE_MS ? timeout_ms : PAUSE_MS;
    pass(timeout_ms > sync_ms() ? timeout_ms - sync_ms() : 0);
    write_something();
    return 0;
}

static void change(handle *h, const char *name, const char *value)
{
    const cask_config_change one = {name, value};

    assert_int_equal(cask_config_set(h->db, &one, 1, NULL), CASK_OK);
}

static int set_up(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    memset(&world, 0, sizeof(world));
    world.h = h;
    world.usual = h->kernel->ops;
    world.bent = *h->kernel->ops;
    world.bent.now_ns = simulated_ns;
    world.bent.sync = take_time;
    world.bent.flush_hint = write_piece;
    world.bent.futex_wait = wait_a_while;
    world.lowest = UINT64_MAX;
    atomic_store(&world.now_ns, 1000000 * MS);
    h->kernel->ops = &world.bent;
    h->options.segment_max_bytes = 8 << 20;
    h->options.sync = CASK_SYNC_NONE; /* no syncs but the writer's */
    handle_open(h);
    change(h, "max_space_amplification", "0"); /* syncs before space */
    return 0;
}

static int tear_down(void **state)
{
    handle *h = *state;

    handle_close(h);
    h->kernel->ops = world.usual;
    return handle_teardown(state);
}

/* Twelve MiB, of which every second value is replaced: six MiB stay. */
static void put_all(handle *h)
{
    static uint8_t value[LARGE_BYTES];

    for (unsigned i = 0; i < LARGE_KEYS + LARGE_KEYS / 2; i++) {
        unsigned number = i < LARGE_KEYS ? i : (i - LARGE_KEYS) * 2;
        char key[16];

        (void)snprintf(key, sizeof(key), "key %u", number);
        put_bytes(h, key, value, sizeof(value));
    }
}

/* The simulated time that a merge takes, milliseconds. */
static uint64_t merge_ms(handle *h)
{
    cask_merge_report report;

    put_all(h);
    world.began_ns = atomic_load(&world.now_ns);
    merges = true;
    report = handle_merge_all(h);
    merges = false;
    assert_true(report.bytes_written > LARGE_KEYS / 2 * (uint64_t)LARGE_BYTES);
    return (atomic_load(&world.now_ns) - world.began_ns) / MS;
}

static uint64_t allowed_of(handle *h)
{
    return atomic_load(&h->db->store->region.header->merger.allowed_bytes);
}

static void test_quick_syncs_let_it_go_at_full_speed(void **state)
{
    handle *h = *state;

    world.sync_ms = QUICK_MS;
    /* Some seven pieces. */
    assert_in_range(merge_ms(h), 6 * PIECE_MS, 20 * PIECE_MS);
    assert_int_equal(allowed_of(h), 0);
    assert_true(world.lowest == UINT64_MAX);
}

/* Six MiB are written and twelve read: at the least rate that is 18 s. */
static void test_slow_syncs_slow_it_down_to_the_least_rate(void **state)
{
    handle *h = *state;

    world.sync_ms = SLOW_MS;
    assert_in_range(merge_ms(h), 12000, 24000);
    assert_int_equal(allowed_of(h), LEAST);
    assert_int_equal(world.lowest, LEAST);
    assert_int_equal(world.highest, LEAST); /* and it stayed there */
}

/* The store takes 1.5 times what lives in it. */
static void test_above_the_space_bound_syncs_wait_for_it(void **state)
{
    handle *h = *state;

    world.sync_ms = SLOW_MS;
    change(h, "max_space_amplification", "1.05");
    assert_in_range(merge_ms(h), 0, 6000); /* of 12000 to 24000 */
}

static void test_it_goes_faster_again_when_syncs_are_quick(void **state)
{
    handle *h = *state;
    uint64_t slow_ms = 4000;
    uint64_t took_ms;

    world.sync_ms = SLOW_MS;
    world.slow_until = atomic_load(&world.now_ns) + slow_ms * MS;
    took_ms = merge_ms(h);
    assert_int_equal(world.lowest, LEAST);
    assert_true(world.highest >= LEAST + 2 * 4 * MIB);
    assert_in_range(took_ms, slow_ms, 12000);
}

static void test_syncs_within_the_target_do_not_slow_it_down(void **state)
{
    handle *h = *state;

    world.sync_ms = SLOW_MS;
    change(h, "merge_sync_target_ms", "1000");
    (void)merge_ms(h);
    assert_int_equal(allowed_of(h), 0);
    assert_true(world.lowest == UINT64_MAX);
    change(h, "merge_sync_target_ms", "0"); /* none */
    (void)merge_ms(h);
    assert_int_equal(allowed_of(h), 0);
}

static void test_syncs_before_it_say_nothing(void **state)
{
    handle *h = *state;

    world.sync_ms = SLOW_MS;
    write_something();
    world.sync_ms = QUICK_MS;
    (void)merge_ms(h);
    assert_true(world.lowest == UINT64_MAX);
}

int main(void)
{
#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_quick_syncs_let_it_go_at_full_speed),
        WITH_STORE(test_slow_syncs_slow_it_down_to_the_least_rate),
        WITH_STORE(test_above_the_space_bound_syncs_wait_for_it),
        WITH_STORE(test_it_goes_faster_again_when_syncs_are_quick),
        WITH_STORE(test_syncs_within_the_target_do_not_slow_it_down),
        WITH_STORE(test_syncs_before_it_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
