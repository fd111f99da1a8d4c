/*
 * A process with little address space, whose index outgrows what it could map:
 * it refuses to do what it cannot do rightly. The limit is set by telling the
 * region that less of it is mapped.
 */
#include "unit/db/handle.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "region/region.h"

/* So many that what a merge copies is written in several pieces. */
enum { KEYS = 1500, VALUE_BYTES = 2000 };

typedef struct limit {
    handle *h;
    size_t whole; /* bytes that are really mapped */
    bool is_armed;
} limit;

static limit of_merge; /* one test at a time */

static void put_key(handle *h, unsigned number, char fill)
{
    char value[VALUE_BYTES];
    char key[32];

    memset(value, fill, sizeof(value));
    (void)snprintf(key, sizeof(key), "key %u", number);
    put_bytes(h, key, value, sizeof(value));
}

static void expect_all(handle *h)
{
    char value[VALUE_BYTES];
    char key[32];

    for (unsigned i = 0; i < KEYS; i++) {
        memset(value, i % 2 == 0 ? 'b' : 'a', sizeof(value));
        (void)snprintf(key, sizeof(key), "key %u", i);
        check_bytes(h, key, value, sizeof(value));
    }
}

/* As if the index had been this small when it was mapped. */
static size_t uncover(handle *h)
{
    region_handle *region = &h->db->store->region;
    size_t whole = region->map_size;

    region->map_size = REGION_HEAP_OFFSET;
    assert_false(region_is_covered(region));
    return whole;
}

static void cover(handle *h, size_t whole)
{
    h->db->store->region.map_size = whole;
}

/* Before the first piece of an output is written. */
static void uncover_merge(void *context, os_sim *sim)
{
    limit *l = context;
    const region_merge *merge;

    (void)sim;
    if (!l->is_armed) {
        return;
    }
    merge = &l->h->db->store->region.header->merge;
    if (atomic_load(&merge->phase) == MERGE_COPYING &&
        atomic_load(&merge->bytes_done) > KEYS * VALUE_BYTES / 4) {
        l->is_armed = false;
        l->whole = uncover(l->h);
    }
}

static void test_a_merge_that_cannot_look_drops_nothing(void **state)
{
    const cask_merge_options all = {.all = true};
    cask_error err = {CASK_OK, 0, ""};
    cask_merge_report report;
    handle *h = *state;

    for (unsigned i = 0; i < KEYS; i++) {
        put_key(h, i, 'a');
    }
    for (unsigned i = 0; i < KEYS; i += 2) {
        put_key(h, i, 'b');
    }
    h->options.segment_max_bytes = 16 << 20; /* one output */
    handle_reopen(h);
    of_merge = (limit){.h = h, .is_armed = true};
    os_sim_set_hook(h->sim, uncover_merge, &of_merge);
    assert_int_equal(cask_merge(h->db, &all, &report, &err), CASK_NO_MEMORY);
    assert_non_null(strstr(err.message, "ulimit -v"));
    assert_false(of_merge.is_armed);
    cover(h, of_merge.whole);
    expect_all(h);
    assert_int_equal(cask_merge(h->db, &all, &report, NULL), CASK_OK);
    expect_all(h);
    handle_reopen(h);
    expect_all(h);
}

static void test_a_key_that_cannot_be_looked_up_is_not_absent(void **state)
{
    const cask_write_options if_present = {.condition = CASK_IF_PRESENT};
    const cask_write_options if_absent = {.condition = CASK_IF_ABSENT};
    cask_slice key = cask_slice_of("key");
    cask_slice value = cask_slice_of("new");
    handle *h = *state;
    bool existed = false;
    size_t whole;

    put_text(h, "key", "value");
    whole = uncover(h);
    assert_int_equal(cask_delete(h->db, key, &existed, NULL), CASK_NO_MEMORY);
    assert_int_equal(cask_put_with(h->db, key, value, &if_present, NULL, NULL),
                     CASK_NO_MEMORY);
    assert_int_equal(cask_put_with(h->db, key, value, &if_absent, NULL, NULL),
                     CASK_NO_MEMORY);
    assert_int_equal(cask_exists(h->db, key, &existed, NULL), CASK_NO_MEMORY);
    cover(h, whole);
    check_text(h, "key", "value");
    assert_int_equal(cask_delete(h->db, key, &existed, NULL), CASK_OK);
    assert_true(existed);
    check_text(h, "key", NULL);
}

static int small_segments(void **state)
{
    int result = handle_prepare(state);
    handle *h = *state;

    h->options.segment_max_bytes = 512 << 10;
    h->options.auto_merge = false;
    handle_open(h);
    return result;
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, small_segments, handle_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_merge_that_cannot_look_drops_nothing),
        TEST(test_a_key_that_cannot_be_looked_up_is_not_absent),
    };

    return cmocka_run_group_tests_name("uncovered", tests, NULL, NULL);
}
