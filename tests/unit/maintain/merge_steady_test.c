/*
 * The policy at work on a toy store: bounds on space and on writing at steady
 * state, tombstones that go, and an end once writes stop.
 */
#include <stdio.h>

#include "cask_test.h"
#include "support/random.h"
#include "unit/maintain/toy_store.h"

enum {
    KEYS = 50000,
    RUNS = 20 /* times the data are written at steady state */
};

static void show(const char *name, const toy_store *store)
{
    print_message("%-26s space %.3f, %.3f while merging; writes %.3f\n", name,
                  store->worst_at_rest, store->worst_peak,
                  toy_write_amplification(store));
}

/* Nothing more is written: merges end soon, and then stay ended. */
static void assert_comes_to_rest(toy_store *store)
{
    uint64_t segments;

    toy_seal(store);
    segments = toy_segments(store);
    assert_in_range(toy_work(store), 0, segments);
    assert_int_equal(toy_work(store), 0);
    assert_int_equal(store->idle_merges, 0);
}

/* ---- Overwrites ---- */

typedef struct overwrite {
    const char *name;
    unsigned segments;    /* that the live data fill */
    unsigned hot_percent; /* of writes go to the others of 100 % of the keys;
                             0: all keys alike */
    uint64_t ms_per_write_q10;
    uint64_t writes_per_tick;
    double most_at_rest;
    double most_peak;
    double most_writes;
    uint64_t step_segments; /* full ones that a step reads; 0: any number */
} overwrite;

static const overwrite overwrites[] = {
    {"uniform, 100 segments", 100, 0, 1024, 1000, 1.501, 1.55, 1.85, 0},
    {"uniform, all of one age", 100, 0, 1, 1000, 1.501, 1.55, 1.85, 0},
    {"uniform, asked often", 100, 0, 1024, 100, 1.501, 1.55, 1.85, 0},
    {"uniform, asked when full", 100, 0, 1024, UINT64_MAX, 1.501, 1.55, 1.85,
     0},
    {"uniform, 400 segments", 400, 0, 1024, 1000, 1.501, 1.55, 1.85, 0},
    {"uniform, 25 segments", 25, 0, 1024, 500, 1.501, 1.56, 1.90, 0},
    {"uniform, 10 segments", 10, 0, 1024, 500, 1.501, 1.60, 1.95, 0},
    /* What large segments cost a small store. */
    {"uniform, 5 segments", 5, 0, 1024, 500, 1.501, 1.65, 2.0, 0},
    {"uniform, 3 segments", 3, 0, 1024, 500, 1.501, 1.77, 2.2, 0},
    {"uniform, 1 segment", 1, 0, 1024, 500, 1.501, 2.2, 2.65, 0},
    {"80 % to a fifth", 100, 80, 1024, 1000, 1.501, 1.55, 1.95, 0},
    {"90 % to a tenth", 100, 90, 1024, 1000, 1.501, 1.55, 1.90, 0},
    {"99 % to a hundredth", 100, 99, 1024, 1000, 1.501, 1.55, 1.60, 0},
    /* Steps of a gigabyte, and of a merge that is slow. */
    {"uniform, short steps", 100, 0, 1024, 1000, 1.501, 1.55, 1.85, 4},
    {"uniform, shortest steps", 100, 0, 1024, 1000, 1.501, 1.55, 1.85, 1},
    {"80 % to a fifth, short", 100, 80, 1024, 1000, 1.501, 1.55, 1.95, 4},
    {"80 % to a fifth, shortest", 100, 80, 1024, 1000, 1.501, 1.55, 1.95, 1},
    {"99 % to 1 %, short", 100, 99, 1024, 1000, 1.501, 1.55, 1.60, 4},
    {"99 % to 1 %, shortest", 100, 99, 1024, 1000, 1.501, 1.55, 1.60, 1},
};

static uint32_t pick(const overwrite *load, test_random *random)
{
    uint32_t hot = KEYS / 100 * (100 - load->hot_percent);

    if (load->hot_percent == 0) {
        return (uint32_t)test_random_next(random, KEYS);
    }
    return test_random_chance(random, load->hot_percent)
               ? (uint32_t)test_random_next(random, hot)
               : hot + (uint32_t)test_random_next(random, KEYS - hot);
}

static void run_overwrites(const overwrite *load, uint64_t number)
{
    toy_store *store =
        toy_open(KEYS, (uint64_t)KEYS * TOY_PUT_BYTES / load->segments);
    test_random random = test_random_make(test_seed(), number);

    if (load->step_segments > 0) {
        store->settings.step_bytes =
            load->step_segments * store->settings.segment_max_bytes;
    }
    store->ms_per_write_q10 = load->ms_per_write_q10;
    store->writes_per_tick = load->writes_per_tick;
    for (uint32_t key = 0; key < KEYS; key++) {
        toy_put(store, key);
    }
    for (uint32_t i = 0; i < 5 * KEYS; i++) {
        toy_put(store, pick(load, &random));
    }
    toy_restart_totals(store);
    for (uint32_t i = 0; i < RUNS * KEYS; i++) {
        toy_put(store, pick(load, &random));
    }
    show(load->name, store);
    assert_int_equal(store->live_bytes, (uint64_t)KEYS * TOY_PUT_BYTES);
    assert_true(store->worst_at_rest <= load->most_at_rest);
    assert_true(store->worst_peak <= load->most_peak);
    assert_true(toy_write_amplification(store) <= load->most_writes);
    assert_comes_to_rest(store);
    toy_close(store);
}

static void test_overwrites_stay_within_space_and_writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(overwrites) / sizeof(overwrites[0]); i++) {
        run_overwrites(&overwrites[i], i);
    }
}

/* The more often a key, the more often: key k with a share of 1 / (k + 1),
 * keys scattered over the store. */
static void test_skewed_overwrites_stay_within_space_and_writes(void **state)
{
    toy_store *store = toy_open(1 << 16, (uint64_t)TOY_PUT_BYTES << 10);
    test_random random = test_random_make(test_seed(), 100);

    (void)state;
    for (uint32_t i = 0; i < (RUNS + 5) << 16; i++) {
        /* A uniform exponent makes a density of 1 / k. */
        uint32_t exponent = (uint32_t)test_random_next(&random, 16);
        uint32_t key = (1U << exponent) +
                       (uint32_t)test_random_next(&random, 1U << exponent);

        toy_put(store, key * 40503U % (1 << 16));
        if (i == 5 << 16) {
            toy_restart_totals(store);
        }
    }
    show("skewed", store);
    assert_true(store->worst_at_rest <= 1.501);
    assert_true(store->worst_peak <= 1.56);
    assert_true(toy_write_amplification(store) <= 2.0);
    assert_comes_to_rest(store);
    toy_close(store);
}

/* ---- Deletions ---- */

enum { COLD = 20000, SHORT_LIVED = 600000 };

typedef struct deletion {
    const char *name;
    uint32_t lag; /* puts between the put of a key and its deletion */
    uint64_t segment_records;
    uint64_t most_tombstones; /* before and after the last seal */
    uint64_t most_at_rest;
} deletion;

static const deletion deletions[] = {
    {"deleted soon", 1000, 1000, 5000, 10},
    {"deleted soon, large files", 1000, 10000, 10000, 10},
    {"deleted later", 50000, 1000, 5000, 10},
    {"deleted at the end", SHORT_LIVED, 1000, 5000, 10},
};

static void run_deletions(const deletion *load)
{
    toy_store *store =
        toy_open(COLD + SHORT_LIVED, load->segment_records * TOY_PUT_BYTES);

    for (uint32_t key = 0; key < COLD; key++) {
        toy_put(store, key);
    }
    for (uint32_t i = 0; i < SHORT_LIVED + load->lag; i++) {
        if (i < SHORT_LIVED) {
            toy_put(store, COLD + i);
        }
        if (i >= load->lag) {
            toy_delete(store, COLD + i - load->lag);
        }
    }
    show(load->name, store);
    print_message("%26s tombstones %u", "", (unsigned)toy_tombstones(store));
    assert_int_equal(store->live_bytes, (uint64_t)COLD * TOY_PUT_BYTES);
    assert_in_range(toy_tombstones(store), 0, load->most_tombstones);
    assert_comes_to_rest(store);
    print_message(", at rest %u\n", (unsigned)toy_tombstones(store));
    assert_in_range(toy_tombstones(store), 0, load->most_at_rest);
    assert_true((double)store->total_bytes <= 1.5 * (double)store->live_bytes);
    assert_true(toy_write_amplification(store) <= 2.0);
    toy_close(store);
}

static void test_tombstones_of_short_lived_keys_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(deletions) / sizeof(deletions[0]); i++) {
        run_deletions(&deletions[i]);
    }
}

static void test_store_without_keys_becomes_empty(void **state)
{
    toy_store *store = toy_open(KEYS, 1000 * TOY_PUT_BYTES);

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++) {
        toy_put(store, key);
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        toy_delete(store, key);
    }
    assert_comes_to_rest(store);
    assert_in_range(toy_tombstones(store), 0, 10);
    assert_in_range(toy_segments(store), 1, 3);
    toy_close(store);
}

/* With files so large that all is in the active one, which is small: whatever
 * share of it is dead, nobody writes any more. */
static void test_a_small_store_at_rest_is_cleaned_once(void **state)
{
    (void)state;
    for (uint32_t share = 0; share <= 10; share++) {
        toy_store *store = toy_open(KEYS, UINT64_C(256) << 20);

        for (uint32_t key = 0; key < KEYS; key++) {
            toy_put(store, key);
        }
        for (uint32_t key = 0; key < KEYS / 10 * share; key++) {
            toy_delete(store, key);
        }
        assert_int_equal(toy_work(store), 0); /* it was written to just now */
        store->moment.idle_ms = MERGE_REST_MS;
        assert_in_range(toy_work(store), 0, 3);
        assert_int_equal(toy_work(store), 0);
        assert_int_equal(store->idle_merges, 0);
        /* Less than 40 % of the active one may be dead. */
        assert_true((double)store->total_bytes <=
                    (double)store->live_bytes / 0.6 + 65536);
        print_message("%u %% deleted: %u tombstones stay, %u merges\n",
                      10 * share, (unsigned)toy_tombstones(store),
                      (unsigned)store->merges);
        toy_close(store);
    }
}

/* Tombstones whose puts went long ago: nothing tells that they are not needed
 * but a merge that looks. */
static void test_tombstones_that_hide_nothing_go(void **state)
{
    toy_store *store = toy_open(KEYS, 1000 * TOY_PUT_BYTES);

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++) {
        toy_delete(store, key);
    }
    assert_comes_to_rest(store);
    assert_int_equal(toy_tombstones(store), 0);
    toy_close(store);
}

/* Needed tombstones stay as long as what they hide, and not longer: half of
 * the keys of full files are deleted, so that no trigger but amplification
 * takes these. */
static void test_needed_tombstones_are_not_merged_for_ever(void **state)
{
    toy_store *store = toy_open(KEYS, 1000 * TOY_PUT_BYTES);
    uint64_t merges;

    (void)state;
    store->settings.max_space_amplification = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        toy_put(store, key);
    }
    for (uint32_t key = 0; key < KEYS; key += 2) {
        toy_delete(store, key);
    }
    toy_seal(store);
    merges = toy_work(store);
    print_message("%u merges, %u tombstones\n", (unsigned)merges,
                  (unsigned)toy_tombstones(store));
    assert_comes_to_rest(store);
    store->settings.max_space_amplification = 1.1;
    assert_comes_to_rest(store);
    assert_in_range(toy_tombstones(store), 0, KEYS / 10);
    toy_close(store);
}

/* Half of what is written are tombstones, most of them needed. */
static void test_puts_and_deletions_stay_within_space(void **state)
{
    toy_store *store = toy_open(KEYS, 500 * TOY_PUT_BYTES);
    test_random random = test_random_make(test_seed(), 300);

    (void)state;
    for (uint32_t i = 0; i < RUNS * KEYS; i++) {
        uint32_t key = (uint32_t)test_random_next(&random, KEYS);

        if (test_random_chance(&random, 50)) {
            toy_delete(store, key);
        } else {
            toy_put(store, key);
        }
        if (i == 5 * KEYS) {
            toy_restart_totals(store);
        }
    }
    show("puts and deletions", store);
    assert_true(store->worst_at_rest <= 1.501);
    assert_comes_to_rest(store);
    toy_close(store);
}

/* Everything asked for, in one file at a time: it ends, and nothing is left. */
static void test_all_ends_and_leaves_nothing_dead(void **state)
{
    toy_store *store = toy_open(KEYS, 1000 * TOY_PUT_BYTES);
    test_random random = test_random_make(test_seed(), 200);

    (void)state;
    store->moment.is_in_window = false;
    for (uint32_t i = 0; i < 3 * KEYS; i++) {
        toy_put(store, (uint32_t)test_random_next(&random, KEYS));
        toy_delete(store, (uint32_t)test_random_next(&random, KEYS));
    }
    assert_int_equal(store->merges, 0);
    toy_seal(store);
    store->moment.all_below_id = store->next_id;
    assert_in_range(toy_work(store), 1, toy_segments(store) + store->merges);
    assert_int_equal(store->idle_merges, 0);
    assert_int_equal(toy_tombstones(store), 0);
    assert_true((double)store->total_bytes < 1.001 * (double)store->live_bytes);
    toy_close(store);
}

/* A store that has merged for long: records of all ages are everywhere. */
static toy_store *open_aged(test_random *random)
{
    toy_store *store = toy_open(KEYS, 1000 * TOY_PUT_BYTES);

    for (uint32_t i = 0; i < 5 * KEYS; i++) {
        toy_put(store, (uint32_t)test_random_next(random, KEYS));
        toy_delete(store, (uint32_t)test_random_next(random, KEYS));
    }
    toy_seal(store);
    return store;
}

/* There, short steps may meet a delete before its put. Another pass, over what
 * was written, as hash_steps.c makes it, drops these; after it nothing is left
 * to do. */
static void test_a_second_pass_drops_the_rest(void **state)
{
    test_random random = test_random_make(test_seed(), 201);
    uint64_t after_one = 0;

    (void)state;
    for (int round = 0; round < 3; round++) {
        toy_store *store = open_aged(&random);

        store->settings.step_bytes = store->settings.segment_max_bytes;
        for (int pass = 0; pass < 2; pass++) {
            after_one += pass == 0 ? 0 : toy_tombstones(store);
            store->moment.all_below_id = store->next_id;
            (void)toy_work(store);
        }
        assert_int_equal(toy_tombstones(store), 0);
        assert_true((double)store->total_bytes <
                    1.01 * (double)store->live_bytes);
        store->moment.all_below_id = store->next_id;
        assert_int_equal(toy_work(store), 0);
        toy_close(store);
    }
    print_message("%u tombstones after one pass\n", (unsigned)after_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overwrites_stay_within_space_and_writes),
        cmocka_unit_test(test_skewed_overwrites_stay_within_space_and_writes),
        cmocka_unit_test(test_tombstones_of_short_lived_keys_go),
        cmocka_unit_test(test_store_without_keys_becomes_empty),
        cmocka_unit_test(test_a_small_store_at_rest_is_cleaned_once),
        cmocka_unit_test(test_tombstones_that_hide_nothing_go),
        cmocka_unit_test(test_needed_tombstones_are_not_merged_for_ever),
        cmocka_unit_test(test_puts_and_deletions_stay_within_space),
        cmocka_unit_test(test_all_ends_and_leaves_nothing_dead),
        cmocka_unit_test(test_a_second_pass_drops_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
