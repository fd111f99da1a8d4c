/*
 * Death at any instruction while keys that rise are put into the tree by
 * leaves: a child writes a batch of them under single-step and is killed; after
 * the parent's next write all of it is there or nothing, and what is counted is
 * what is there.
 *
 *   CASK_TEST_POINTS  how many deaths for each place (default 25)
 */
#include "cask_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "process/death.h"
#include "process/step_store.h"
#include "store/store_write.h"
#include "support/require.h"
#include "tree/memtable_append.h"
#include "tree/tree.h"
#include "tree/tree_tables.h"

enum { BATCH = 200 /* leaves fill up in the midst of it */ };

typedef struct scene {
    step_store store;
    uint64_t first; /* number of the first key of the batch */
    uint64_t count;
    uint64_t entries; /* of the memtable, before it */
    uint64_t records; /* of the log */
} scene;

static cask_slice name_of(char text[32], uint64_t number)
{
    int size = snprintf(text, 32, "rising %08" PRIu64, number);

    return (cask_slice){text, (size_t)size};
}

/* ---- The child ---- */

static int write_in_child(void *prepared, void *context)
{
    scene *s = context;
    cask_batch *batch = NULL;
    cask_status status = cask_batch_create(&batch, NULL);
    char name[32];

    (void)prepared;
    for (uint64_t i = 0; i < s->count && status == CASK_OK; i++) {
        cask_slice key = name_of(name, s->first + i);

        status = cask_batch_put(batch, key, key, 0, NULL);
    }
    if (status == CASK_OK) {
        status = cask_write(s->store.db, batch, NULL);
    }
    cask_batch_free(batch);
    return status == CASK_OK ? 0 : 1;
}

/* ---- Rounds ---- */

static void put_next(const scene *s, uint64_t number)
{
    cask_error err = {CASK_OK, 0, ""};
    char name[32];
    cask_slice key = name_of(name, number);

    require_ok(cask_put(s->store.db, key, key, &err), &err);
}

static uint64_t count_entries(const scene *s)
{
    store_handle *store = s->store.db->store;
    memtable_view view;

    tree_tables_newest_locked(store, &tree_state_of(store)->log, &view);
    return memtable_count(&view);
}

static uint64_t count_records(const scene *s)
{
    const region_handle *region = &s->store.db->store->region;
    uint64_t records = 0;

    for (uint32_t i = 0; i < atomic_load(&region->header->row_count); i++) {
        records += region->rows[i].records;
    }
    return records;
}

static uint64_t count_found(const scene *s)
{
    cask_buffer value = {0};
    uint64_t found = 0;

    for (uint64_t i = 0; i < s->count; i++) {
        cask_error err = {CASK_OK, 0, ""};
        char name[32];
        cask_slice key = name_of(name, s->first + i);
        cask_status status = cask_get(s->store.db, key, &value, &err);

        if (status == CASK_OK) {
            assert_int_equal(value.size, key.size);
            assert_memory_equal(value.data, key.data, key.size);
            found++;
        } else {
            assert_int_equal(status, CASK_NOT_FOUND);
        }
    }
    cask_buffer_free(&value);
    return found;
}

static void begin_round(void *context)
{
    scene *s = context;

    s->first += s->count;
    put_next(s, s->first++);
    s->count = 1 + test_random_next(&s->store.random, BATCH);
    s->entries = count_entries(s);
    s->records = count_records(s);
}

static void end_round(void *context)
{
    scene *s = context;
    uint64_t found;

    /* The next owner of the lock finishes what the dead one had begun. */
    put_next(s, s->first + s->count);
    found = count_found(s);
    assert_true(found == 0 || found == s->count);
    assert_int_equal(count_entries(s), s->entries + found + 1);
    assert_int_equal(count_records(s), s->records + found + 1);
    s->count++;
}

static void sweep(scene *s, const death_place *where)
{
    const death_round round = {{step_store_prepare, write_in_child, s},
                               &s->store.random,
                               begin_round,
                               end_round};

    death_sweep(&round, where);
}

/* ---- Tests ---- */

static void test_death_while_a_leaf_is_filled(void **state)
{
    const death_place where = {STEPPER_FUNCTION(memtable_append_locked), 1,
                               2500};

    sweep(*state, &where);
}

static void test_death_from_the_append_on(void **state)
{
    const death_place where = {STEPPER_FUNCTION(store_append_locked), 1, 20000};

    sweep(*state, &where);
}

/* ---- Fixtures ---- */

static int set_up(void **state)
{
    static scene s;

    memset(&s, 0, sizeof(s));
    step_store_begin(&s.store);
    step_store_open(&s.store);
    *state = &s;
    return 0;
}

#define STEP_TEST(name)                                                        \
    cmocka_unit_test_setup_teardown(name, set_up, step_store_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STEP_TEST(test_death_while_a_leaf_is_filled),
        STEP_TEST(test_death_from_the_append_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
