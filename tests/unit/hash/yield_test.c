/*
 * Writers make way for a merge that they outrun, and for nothing else.
 */
#include "unit/db/handle.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "maintain/merge_yield.h"

enum { VALUE_BYTES = 4000, KEYS = 200 };

static struct {
    const os_ops *usual;
    os_ops counting;
    _Atomic uint64_t waited_ms;
} slept;

static void count_sleep(os *self, uint64_t ms)
{
    (void)self;
    atomic_fetch_add(&slept.waited_ms, ms);
}

static int setup(void **state)
{
    handle *h;

    (void)handle_prepare(state);
    h = *state;
    slept.usual = h->kernel->ops;
    slept.counting = *h->kernel->ops;
    slept.counting.sleep_ms = count_sleep;
    h->kernel->ops = &slept.counting;
    handle_open(h);
    return 0;
}

static int teardown(void **state)
{
    handle *h = *state;
    store_handle *store = h->db->store;

    atomic_store(&store->region.header->merge.phase, MERGE_NONE);
    atomic_store(&store->is_merging, false);
    handle_close(h);
    h->kernel->ops = slept.usual;
    return handle_teardown(state);
}

/* Put every key; returns how long that waited, milliseconds. */
static uint64_t put_all(handle *h)
{
    static const char value[VALUE_BYTES];

    atomic_store(&slept.waited_ms, 0);
    for (int i = 0; i < KEYS; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "key %d", i);
        put_bytes(h, key, value, sizeof(value));
    }
    return atomic_load(&slept.waited_ms);
}

static void set_phase(handle *h, uint32_t phase, bool lives)
{
    store_handle *store = h->db->store;

    atomic_store(&store->region.header->merge.phase, phase);
    atomic_store(&store->is_merging, lives);
}

static void test_writers_wait_while_a_merge_is_outrun(void **state)
{
    handle *h = *state;

    set_phase(h, MERGE_COPYING, true);
    assert_int_equal(put_all(h), 0); /* nothing is dead */
    (void)put_all(h);
    /* 800,000 bytes: three times, or twice and a rest. */
    assert_in_range(put_all(h), 2 * MERGE_YIELD_MAX_MS, 4 * MERGE_YIELD_MAX_MS);
    set_phase(h, MERGE_MOVING, true);
    assert_in_range(put_all(h), 2 * MERGE_YIELD_MAX_MS, 4 * MERGE_YIELD_MAX_MS);
}

static void test_nobody_waits_for_a_merge_that_does_not_come(void **state)
{
    handle *h = *state;

    (void)put_all(h);
    (void)put_all(h);
    assert_int_equal(put_all(h), 0); /* none is under way */
    set_phase(h, MERGE_COPYING, false);
    assert_int_equal(put_all(h), 0); /* its process has died */
}

static void change(handle *h, const char *name, const char *value)
{
    const cask_config_change one = {name, value};

    assert_int_equal(cask_config_set(h->db, &one, 1, NULL), CASK_OK);
}

static void test_settings_say_whether_writers_wait(void **state)
{
    handle *h = *state;

    (void)put_all(h);
    (void)put_all(h);
    set_phase(h, MERGE_COPYING, true);
    change(h, "merge_rate_bytes", "20000000");
    assert_int_equal(put_all(h), 0); /* it is to be slow */
    change(h, "merge_rate_bytes", "0");
    change(h, "max_space_amplification", "100");
    assert_int_equal(put_all(h), 0);
    change(h, "max_space_amplification", "0");
    assert_int_equal(put_all(h), 0);
    change(h, "max_space_amplification", "1.2");
    assert_true(put_all(h) > 0);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_writers_wait_while_a_merge_is_outrun),
        WITH_STORE(test_nobody_waits_for_a_merge_that_does_not_come),
        WITH_STORE(test_settings_say_whether_writers_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
