/*
 * The benchmark's own arithmetic: a wrong percentile or an order that visits
 * half of the keys would make every figure wrong without anybody noticing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/latency.h"
#include "bench/results.h"
#include "bench/stream.h"
#include "bench/targets.h"
#include "cask_test.h"

/* What results.c, stream.c and targets.c need of the program. */
void bench_die(const char *format, ...)
{
    (void)format;
    abort();
}

const bench_work bench_works[WORK_COUNT] = {
    [WORK_GET] = {"get", "", UNIT_RATE},
    [WORK_REOPEN_MS] = {"reopen-time", "", UNIT_MS},
    [WORK_TREE_FILL_100] = {"tree-fill-100", "", UNIT_RATE},
    [WORK_TREE_WRITES] = {"tree-writes", "", UNIT_FACTOR},
    [WORK_MERGE_RATE] = {"merge-input", "", UNIT_MB_S},
};

const bench_engine engine_caskade = {.name = "caskade"};

static const bench_engine ours = {.name = "ours"};
static const bench_engine theirs = {.name = "theirs"};
static const bench_engine tree = {.name = "tree"};
static const bench_engine lmdb = {.name = "lmdb"};
static const bench_engine rocksdb = {.name = "rocksdb"};

const bench_engine *engine_find(const char *name)
{
    if (strcmp(name, "lmdb") == 0) {
        return &lmdb;
    }
    return strcmp(name, "rocksdb") == 0 ? &rocksdb : NULL;
}

const bench_engine *group_own(bench_group group)
{
    return group == GROUP_TREE ? &tree : &engine_caskade;
}

static void test_an_order_visits_each_index_once(void **state)
{
    static const uint64_t counts[] = {1, 2, 3, 16, 1000, 65536, 100003};
    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        bool *seen = calloc(counts[i], sizeof(*seen));
        assert_non_null(seen);
        order random = order_of(counts[i], i);
        for (uint64_t place = 0; place < counts[i]; place++) {
            uint64_t index = order_at(&random, place);
            assert_true(index < counts[i]);
            assert_false(seen[index]);
            seen[index] = true;
        }
        free(seen);
    }
}

static void test_an_order_is_not_the_order_of_writing(void **state)
{
    order random = order_of(100000, 7);
    unsigned neighbours = 0;
    (void)state;
    for (uint64_t place = 1; place < random.count; place++) {
        uint64_t here = order_at(&random, place);
        uint64_t before = order_at(&random, place - 1);
        uint64_t distance = here > before ? here - before : before - here;
        neighbours += distance < 100;
    }
    /* 200 of 100000 by chance. */
    assert_true(neighbours < 600);
}

static void check_keys(bool ordered, size_t key_bytes)
{
    stream self;
    stream_key before;
    stream_key after;
    unsigned ascending = 0;
    stream_init(&self, key_bytes, 100);
    self.ordered = ordered;
    stream_key_at(&self, 0, &before);
    for (uint64_t i = 1; i < 10000; i++) {
        cask_slice key = stream_key_at(&self, i, &after);
        assert_int_equal(key.size, key_bytes);
        int difference = memcmp(after.bytes, before.bytes, key_bytes);
        assert_int_not_equal(difference, 0);
        ascending += difference > 0;
        before = after;
    }
    if (ordered) {
        assert_int_equal(ascending, 9999);
    } else {
        assert_in_range(ascending, 4500, 5500);
    }
    stream_done(&self);
}

static void test_keys_ascend_if_ordered_and_are_scrambled_if_not(void **state)
{
    static const size_t sizes[] = {8, 16, 17, 64};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_keys(true, sizes[i]);
        check_keys(false, sizes[i]);
    }
}

static void test_a_value_is_told_from_its_neighbour_and_version(void **state)
{
    stream self;
    (void)state;
    stream_init(&self, 16, 100);
    for (uint64_t i = 0; i < 5000; i++) {
        cask_slice value = stream_value_at(&self, i, 0);
        assert_int_equal(value.size, 100);
        assert_true(stream_value_is(&self, i, 0, value));
        assert_false(stream_value_is(&self, i, 1, value));
        assert_false(stream_value_is(&self, i + 1, 0, value));
        assert_true(stream_value_may_be(value));
    }
    stream_done(&self);
}

static void test_percentiles_are_within_two_percent(void **state)
{
    latency times = {0};
    (void)state;
    assert_true(latency_at(&times, 0.5) == 0);
    for (uint64_t ns = 1; ns <= 1000000; ns++) {
        latency_add(&times, ns);
    }
    assert_true(fabs(latency_at(&times, 0.5) - 500000) < 10000);
    assert_true(fabs(latency_at(&times, 0.99) - 990000) < 19800);
    assert_true(fabs(latency_at(&times, 0.999) - 999000) < 19980);
    assert_int_equal(times.longest_ns, 1000000);
    /* Longer than the histogram reaches: the last bucket, no overrun. */
    latency_add(&times, UINT64_MAX);
    assert_int_equal(times.count, 1000001);
    assert_true(times.longest_ns == UINT64_MAX);
}

static void add(bench_results *results, const bench_engine *engine,
                work_id work, double value)
{
    bench_sample sample = {.work = work, .keys = 10, .value = value};
    results_add(results, engine, &sample);
}

static void test_medians_and_ratios(void **state)
{
    bench_results results = {0};
    (void)state;
    add(&results, &ours, WORK_GET, 300);
    add(&results, &theirs, WORK_GET, 100);
    add(&results, &ours, WORK_GET, 100);
    add(&results, &ours, WORK_GET, 200);
    add(&results, &ours, WORK_REOPEN_MS, 2);
    add(&results, &theirs, WORK_REOPEN_MS, 3);
    add(&results, &theirs, WORK_REOPEN_MS, 5);
    figure found = results_find(&results, &ours, WORK_GET, 10);
    assert_true(found.median == 200);
    assert_true(found.lowest == 100 && found.highest == 300);
    assert_int_equal(found.count, 3);
    assert_true(results_ratio(&results, &ours, &theirs, WORK_GET, 10) == 2);
    /* Less time is better: the ratio turns round. */
    assert_true(results_ratio(&results, &ours, &theirs, WORK_REOPEN_MS, 10) ==
                2);
    assert_true(isnan(results_ratio(&results, &ours, &theirs, WORK_GET, 11)));
    results_done(&results);
}

static void test_more_megabytes_per_second_are_better(void **state)
{
    bench_results results = {0};
    (void)state;
    add(&results, &ours, WORK_MERGE_RATE, 300);
    add(&results, &theirs, WORK_MERGE_RATE, 100);
    assert_true(results_ratio(&results, &ours, &theirs, WORK_MERGE_RATE, 10) ==
                3);
    results_done(&results);
}

static const bench_target *find_target(work_id work, work_id other)
{
    for (size_t i = 0; i < bench_target_count; i++) {
        if (bench_targets[i].work == work && bench_targets[i].other == other) {
            return &bench_targets[i];
        }
    }
    fail_msg("no target for work %d", (int)work);
    return NULL;
}

/* Both sides of each kind of limit. */
static void test_targets_of_merging_are_judged_the_right_way_round(void **state)
{
    const bench_settings settings = {.keys = 10, .merging = true};
    const bench_target *put = find_target(WORK_MERGING_PUT, WORK_ALONE_PUT);
    const bench_target *get = find_target(WORK_MERGING_GET, WORK_ALONE_GET);
    const bench_target *space = find_target(WORK_SPACE, 0);
    bench_results results = {0};
    (void)state;
    assert_true(target_is_wanted(put, &settings));
    assert_false(target_is_wanted(&bench_targets[0], &settings));
    assert_true(isnan(target_value(put, &settings, &results)));
    assert_false(target_is_met(put, NAN));
    add(&results, &engine_caskade, WORK_ALONE_PUT, 10);
    add(&results, &engine_caskade, WORK_MERGING_PUT, 25);
    add(&results, &engine_caskade, WORK_ALONE_GET, 1000);
    add(&results, &engine_caskade, WORK_MERGING_GET, 900);
    assert_true(target_value(put, &settings, &results) == 2.5);
    assert_true(target_value(get, &settings, &results) == 0.9);
    assert_true(target_is_met(put, 2.5) && !target_is_met(put, 3.5));
    assert_true(target_is_met(get, 0.9) && !target_is_met(get, 0.7));
    assert_true(target_is_met(space, 1.5) && !target_is_met(space, 1.6));
    results_done(&results);
}

static void test_asking_for_merging_asks_for_its_works_only(void **state)
{
    bench_settings settings = {.merging = true};
    (void)state;
    targets_require(&settings, true);
    assert_true(settings.works[WORK_ALONE_PUT]);
    assert_true(settings.works[WORK_DISK_64K]);
    assert_false(settings.works[WORK_FILL_RANDOM]);
    assert_int_equal(settings.scale_count, 0);
}

static const bench_target *find_tree_target(work_id work, const char *peer)
{
    for (size_t i = 0; i < bench_target_count; i++) {
        const bench_target *target = &bench_targets[i];
        if (target->work == work && target->peer != NULL &&
            strcmp(target->peer, peer) == 0) {
            return target;
        }
    }
    fail_msg("no target for work %d against %s", (int)work, peer);
    return NULL;
}

/* The tree engine's figures count, whatever those of the hash engine are; of
 * bytes written fewer are better. */
static void test_targets_of_the_tree_compare_the_tree(void **state)
{
    const bench_settings settings = {.keys = 10, .tree = true};
    const bench_target *fill = find_tree_target(WORK_TREE_FILL_100, "lmdb");
    const bench_target *writes = find_tree_target(WORK_TREE_WRITES, "rocksdb");
    bench_results results = {0};
    (void)state;
    assert_true(target_is_wanted(fill, &settings));
    assert_false(target_is_wanted(&bench_targets[0], &settings));
    add(&results, &engine_caskade, WORK_TREE_FILL_100, 1000);
    add(&results, &lmdb, WORK_TREE_FILL_100, 100);
    assert_true(isnan(target_value(fill, &settings, &results)));
    add(&results, &tree, WORK_TREE_FILL_100, 250);
    assert_true(target_value(fill, &settings, &results) == 2.5);
    assert_true(target_is_met(fill, 2.5) && !target_is_met(fill, 1.9));
    add(&results, &tree, WORK_TREE_WRITES, 3);
    add(&results, &rocksdb, WORK_TREE_WRITES, 6);
    assert_true(target_value(writes, &settings, &results) == 2);
    assert_true(target_is_met(writes, 2) && !target_is_met(writes, 1.6));
    results_done(&results);
}

static void test_asking_for_the_tree_asks_for_its_works_only(void **state)
{
    bench_settings settings = {.tree = true};
    (void)state;
    targets_require(&settings, true);
    assert_true(settings.works[WORK_TREE_SCAN_1K]);
    assert_true(settings.works[WORK_LOAD_LONGEST]);
    assert_false(settings.works[WORK_FILL_RANDOM]);
    assert_false(settings.works[WORK_ALONE_PUT]);
    assert_int_equal(settings.scale_count, 0);
}

/* Seeds that repeat soon would overwrite the same few keys again and again. */
static void test_random_indexes_reach_most_keys(void **state)
{
    uint64_t seed = STREAM_SEED;
    bool seen[1000] = {false};
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        bool *place = &seen[stream_random(&seed) % 1000];
        count += !*place;
        *place = true;
    }
    assert_in_range(count, 990, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_order_visits_each_index_once),
        cmocka_unit_test(test_an_order_is_not_the_order_of_writing),
        cmocka_unit_test(test_keys_ascend_if_ordered_and_are_scrambled_if_not),
        cmocka_unit_test(test_a_value_is_told_from_its_neighbour_and_version),
        cmocka_unit_test(test_percentiles_are_within_two_percent),
        cmocka_unit_test(test_medians_and_ratios),
        cmocka_unit_test(test_more_megabytes_per_second_are_better),
        cmocka_unit_test(
            test_targets_of_merging_are_judged_the_right_way_round),
        cmocka_unit_test(test_asking_for_merging_asks_for_its_works_only),
        cmocka_unit_test(test_targets_of_the_tree_compare_the_tree),
        cmocka_unit_test(test_asking_for_the_tree_asks_for_its_works_only),
        cmocka_unit_test(test_random_indexes_reach_most_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
